//! The threads that wait for samples, one for each CPU.

use super::peek::{Peek, Sampled};
use super::{AtSample, Moment};
use crate::ids::{Nanos, Pid};
use crate::live::LiveProcess;
use crate::ring::RingMap;
use crate::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A sample older than this is that of a thread which has long run on.
const FRESH: Nanos = Nanos(1_000_000);

/// The most moments that are kept until somebody takes them.
const MOST: usize = 1 << 14;

/// What is read at the moments of samples, as long as this lives.
#[derive(Debug)]
pub struct Moments {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: EventFd,
    read: Mutex<Vec<Moment>>,
}

/// The ring of a CPU, to wait for what comes into it.
#[derive(Debug)]
pub(crate) struct Waited {
    pub cpu: u32,
    pub ring: Arc<RingMap>,
    pub descriptor: OwnedFd,
}

impl Moments {
    /// Waits for samples on each of `rings`, and has `reader` read.
    pub(crate) fn begin(
        pid: Pid,
        rings: Vec<Waited>,
        reader: &Arc<dyn AtSample>,
    ) -> io::Result<Self> {
        let process = LiveProcess::open(pid).map_err(io::Error::other)?;
        let process = Arc::new(process);
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        let shared = Arc::new(Shared {
            stop,
            read: Mutex::default(),
        });
        let mut moments = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for ring in rings {
            let waiting = Waiting {
                ring,
                process: Arc::clone(&process),
                reader: Arc::clone(reader),
                shared: Arc::clone(&shared),
            };
            let thread = std::thread::Builder::new()
                .name(format!("moments-{}", waiting.ring.cpu))
                .spawn(|| waiting.run())?;
            moments.threads.push(thread);
        }
        Ok(moments)
    }

    /// Takes what was read since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Moment> {
        std::mem::take(&mut *self.shared.lock())
    }
}

impl Drop for Moments {
    fn drop(&mut self) {
        // It cannot fail: nobody else writes, and one does not overflow.
        let _ = self.shared.stop.write(1);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Moment>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that waits for the samples of a CPU.
struct Waiting {
    ring: Waited,
    process: Arc<LiveProcess>,
    reader: Arc<dyn AtSample>,
    shared: Arc<Shared>,
}

impl Waiting {
    fn run(self) {
        // A CPU that is not for us: then each sample of it is late, which shows.
        let _ = stay_on(self.ring.cpu);
        sys::come_first();
        // Not before: samples from while this thread was on its way are those of threads that went on.
        let mut peek = Peek::new(Arc::clone(&self.ring.ring));
        while self.wait() {
            if let Some(sampled) = peek.newest() {
                self.read(sampled);
            }
        }
    }

    /// Waits for something in the ring; false when it is time to stop.
    fn wait(&self) -> bool {
        let mut fds = [
            PollFd::new(self.ring.descriptor.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.shared.stop.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return true,
            Err(_) => return false,
        }
        let [ring, stop] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        // A ring that will never have anything again says so without end.
        !stop.intersects(PollFlags::POLLIN)
            && !ring.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)
    }

    fn read(&self, sampled: Sampled) {
        let began = sys::now();
        if sampled.pid != self.process.pid_number() || began.since(sampled.time) > FRESH {
            return;
        }
        let Some(copy) = self.reader.copy(sampled.tid, &*self.process) else {
            return;
        };
        let moment = Moment {
            tid: sampled.tid,
            sampled: sampled.time,
            began,
            ended: sys::now(),
            copy,
        };
        let mut read = self.shared.lock();
        if read.len() < MOST {
            read.push(moment);
        }
    }
}

fn stay_on(cpu: u32) -> nix::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu as usize)?;
    sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus)
}
