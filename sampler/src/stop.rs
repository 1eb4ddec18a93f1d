//! Stops a process for a moment, so that its memory can be read as one.
//!
//! This is the one thing that a process can notice: a thread that slept in `epoll_wait`,
//! `sigtimedwait` and a few more system calls finds that it was interrupted (`EINTR`, signal(7)),
//! which every program must be ready for. Nothing else does this; it is done only when
//! asked for.

use crate::error::Error;
use crate::ids::{Nanos, Pid, Tid};
use crate::procfs::Folder;
use crate::sys;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

/// How long the threads have to stop, all together. They do so within microseconds, unless
/// one sleeps where nothing wakes it, on a dead network disk.
const PATIENCE: Nanos = Nanos::from_millis(500);

/// How long threads that did not stop have to do so when we let go.
const LAST_PATIENCE: Nanos = Nanos::from_millis(50);

/// Between two looks at whether they have.
const PAUSE: Duration = Duration::from_micros(50);

/// A process whose threads all stand still, until this is dropped.
///
/// The kernel lets all go when the thread that stopped them ends, however it does:
/// `PTRACE_SEIZE` without options (ptrace(2)). So a profiler that is killed meanwhile leaves
/// nobody stopped.
#[derive(Debug)]
pub struct Stopped {
    threads: BTreeMap<Tid, Thread>,
    since: Nanos,
    /// Only the thread that stopped them can let them go.
    not_send: PhantomData<*const ()>,
}

/// How far a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// It was asked to stop.
    Asked,
    /// It stands. The signal that was on its way to it, if any, it gets when it is let go.
    Stands(libc::c_int),
}

impl Stopped {
    /// Stops a process.
    ///
    /// # Errors
    /// We may not, or another process traces it already, or it has ended, or a thread of it
    /// does not stop. Then all others go on.
    pub fn stop(pid: Pid) -> Result<Self, Error> {
        let folder = Folder::open(pid)?;
        let mut stopped = Self {
            threads: BTreeMap::new(),
            since: Nanos::now(),
            not_send: PhantomData,
        };
        let end = stopped.since + PATIENCE;
        // A thread that was not stopped yet can have started another. When a list has none
        // that is new, there was nobody left who could.
        loop {
            let threads = folder.threads()?;
            let mut new = 0;
            for tid in &threads {
                if !stopped.threads.contains_key(tid) {
                    new += u32::from(stopped.ask(pid, &folder, *tid)?);
                }
            }
            if new == 0 && stopped.all_stand() {
                break;
            }
            stopped.wait(end);
            if Nanos::now() >= end {
                return Err(Error::DoesNotStop(pid));
            }
        }
        if stopped.threads.is_empty() {
            return Err(Error::Exited(pid));
        }
        Ok(stopped)
    }

    /// For how long it has been standing.
    #[must_use]
    pub fn elapsed(&self) -> Nanos {
        Nanos::now().since(self.since)
    }

    /// How many threads stand.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    fn all_stand(&self) -> bool {
        !self.threads.values().any(|thread| *thread == Thread::Asked)
    }

    /// Asks a thread to stop; false when it has ended.
    fn ask(&mut self, pid: Pid, folder: &Folder, tid: Tid) -> Result<bool, Error> {
        let thread = raw(tid);
        match ptrace::seize(thread, ptrace::Options::empty()) {
            Ok(()) => {}
            Err(Errno::ESRCH) => return Ok(false),
            // A thread that has ended and was not asked for its status yet cannot be traced.
            Err(_) if folder.thread_stat(tid).is_none_or(|stat| stat.has_ended()) => {
                return Ok(false);
            }
            Err(error) => return Err(refusal(pid, folder, error)),
        }
        self.threads.insert(tid, Thread::Asked);
        // It can only fail because it has ended, which is told when it is waited for.
        let _ = ptrace::interrupt(thread);
        Ok(true)
    }

    /// Waits until all stand that were asked to, or have ended.
    fn wait(&mut self, end: Nanos) {
        loop {
            self.threads.retain(|tid, thread| {
                if *thread != Thread::Asked {
                    return true;
                }
                match sys::waited(*tid) {
                    Ok(None) => {}
                    Ok(Some(status)) if libc::WIFSTOPPED(status) => {
                        // With an event, it stopped because it was asked to, or as the whole
                        // process is (job control): there is no signal to be passed on.
                        let event = status >> 16;
                        let signal = if event == 0 {
                            libc::WSTOPSIG(status)
                        } else {
                            0
                        };
                        *thread = Thread::Stands(signal);
                    }
                    // It has ended.
                    Ok(Some(_)) | Err(_) => return false,
                }
                true
            });
            if self.all_stand() || Nanos::now() >= end {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Only one that stands can be let go. What does not stand even now, the kernel lets
        // go when our thread ends.
        self.wait(Nanos::now() + LAST_PATIENCE);
        self.threads.retain(|tid, thread| match *thread {
            Thread::Asked => false,
            Thread::Stands(signal) => sys::detach(*tid, signal).is_err(),
        });
        // These were killed meanwhile. Nobody else is told of their end before we are.
        for thread in self.threads.values_mut() {
            *thread = Thread::Asked;
        }
        self.wait(Nanos::now() + LAST_PATIENCE);
    }
}

/// Numbers of threads are below `PID_MAX_LIMIT`, which is 2²².
fn raw(tid: Tid) -> unistd::Pid {
    unistd::Pid::from_raw(i32::try_from(tid.0).unwrap_or(i32::MAX))
}

fn refusal(pid: Pid, folder: &Folder, error: Errno) -> Error {
    match folder.tracer() {
        Some(tracer) => Error::Traced { pid, tracer },
        None => Error::NotStopped {
            pid,
            source: error.into(),
        },
    }
}
