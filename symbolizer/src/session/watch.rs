//! The quick side of a session: looks at the process every few milliseconds,
//! and leaves the thinking to [`Session`](super::Session) on another thread.

use super::batch::{Batch, OffStack, Pulse, Sleep};
use crate::runtime::{ProgressReader, TaskId, ThreadBase};
use crate::unwind::copy_stack;
use awaitscope_sampler::{
    AtSample, Avma, Error, Event, Moments, Nanos, OffCpu, OffThread, Process, Registers,
    SampleSource, Tid,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most stacks read at one look. What is left waits for the next.
const MOST_READS: usize = 32;

/// What the thinking side has found out that the quick side needs.
#[derive(Default)]
pub struct Targets {
    pub(super) readers: Vec<Box<dyn ProgressReader>>,
    pub(super) bases: HashMap<Tid, Avma>,
    /// What has to be read at the moments of samples.
    pub(super) at_sample: Option<Arc<dyn AtSample>>,
    /// What a thread shows while it polls nothing.
    pub(super) idle: HashMap<Tid, TaskId>,
}

impl std::fmt::Debug for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Targets")
            .field("readers", &self.readers.len())
            .field("threads", &self.bases.len())
            .finish_non_exhaustive()
    }
}

/// How a process is watched.
#[derive(Debug, Clone, Copy)]
pub struct WatchOptions {
    /// A thread that is off its CPU this long has its stack read.
    pub off_after: Nanos,
    /// How many bytes of it: all there are, where that is less. It lies still while
    /// it is read, so this is not bounded by what fits into a sample.
    pub stack_bytes: u32,
}

/// Looks at a process.
pub struct Watcher<S> {
    source: S,
    process: Arc<dyn Process + Send + Sync>,
    targets: Arc<Mutex<Targets>>,
    options: WatchOptions,
    clock: fn() -> Nanos,
    off_cpu: OffCpu,
    done: HashMap<Tid, Done>,
    /// The threads that have to be looked at: those on a CPU, and those that left it and about
    /// which not all is done. Of the hundreds that a process can have, most sleep.
    restless: Vec<Tid>,
    /// How many readers and threads the thinking side knew of at the last look.
    known: (usize, usize),
    /// What is read at the moments of samples, and for whom.
    moments: Option<(Arc<dyn AtSample>, Option<Moments>)>,
    /// Where stacks are read to: most are far smaller than what is asked for.
    scratch: Vec<u8>,
}

impl<S: std::fmt::Debug> std::fmt::Debug for Watcher<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// What was done about a thread that is off its CPU, each by since when it was:
/// while that stays the same, it need not be done again.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    /// Its progress was read.
    pulse: Option<Nanos>,
    /// Its stack was read, or need not be.
    stack: Option<Nanos>,
}

impl<S: SampleSource> Watcher<S> {
    /// Watches `process` through the events of `source`. `clock` tells the time
    /// on the events' clock.
    pub fn new(
        source: S,
        process: Arc<dyn Process + Send + Sync>,
        targets: Arc<Mutex<Targets>>,
        options: WatchOptions,
        clock: fn() -> Nanos,
    ) -> Self {
        Self {
            source,
            process,
            targets,
            options,
            clock,
            off_cpu: OffCpu::new(clock()),
            done: HashMap::new(),
            restless: Vec::new(),
            known: (0, 0),
            moments: None,
            scratch: vec![0; options.stack_bytes as usize],
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// The events cannot be read any more.
    pub fn look(&mut self) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        let (off_cpu, done) = (&mut self.off_cpu, &mut self.done);
        batch.horizon = self.source.drain(&mut |event| {
            // Where its intervals end, the session finds out from the same events.
            let _ = off_cpu.feed(&event);
            if let Event::ThreadExit { tid, .. } = event {
                done.remove(&tid);
            }
            batch.events.push(event);
        })?;
        self.restless.extend(self.off_cpu.stirred());
        self.restless.sort_unstable();
        self.restless.dedup();
        self.read_at_samples();
        if let Some((_, Some(moments))) = &self.moments {
            // After the events: what belongs to those is there by now.
            batch.moments = moments.take();
        }
        self.pulse(&mut batch.pulses);
        self.read_off_stacks(&mut batch.off_stacks);
        self.settle();
        Ok(batch)
    }

    /// Looks for the last time: all that is left of the events.
    ///
    /// # Errors
    /// The events cannot be read any more.
    pub fn finish(mut self) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        if let Some((_, Some(moments))) = &self.moments {
            batch.moments = moments.take();
        }
        batch.horizon = self.source.finish(&mut |event| batch.events.push(event))?;
        Ok(batch)
    }

    /// Has read at the moments of samples what the thinking side wants read.
    fn read_at_samples(&mut self) {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = targets.at_sample.as_ref();
        let same = match (wanted, &self.moments) {
            (Some(wanted), Some((begun, _))) => Arc::ptr_eq(wanted, begun),
            (None, None) => true,
            _ => false,
        };
        if !same {
            let begin = |wanted: &Arc<dyn AtSample>| {
                let moments = self.source.moments(wanted);
                (Arc::clone(wanted), moments)
            };
            self.moments = wanted.map(begin);
        }
    }

    /// A thread that is off its CPU since its last pulse cannot have moved.
    fn pulse(&mut self, pulses: &mut Vec<Pulse>) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let targets = &mut *targets;
        let known = (targets.readers.len(), targets.bases.len());
        if self.known != known {
            self.known = known;
            self.restless = self.off_cpu.threads().map(|(tid, _)| tid).collect();
        }
        if targets.readers.is_empty() {
            return;
        }
        let mut due = Vec::new();
        for &tid in &self.restless {
            let since = self.off_cpu.off(tid).map(|off| off.since);
            let done = self.done.entry(tid).or_default();
            if since.is_some() && done.pulse == since {
                continue;
            }
            if let Some(&tls_base) = targets.bases.get(&tid) {
                // Whatever comes of it: who is no worker has no progress.
                done.pulse = since;
                due.push(ThreadBase { tid, tls_base });
            }
        }
        if due.is_empty() {
            return;
        }
        for reader in &mut targets.readers {
            let before = (self.clock)();
            let seen = reader.read(&due, &*self.process);
            let time = Nanos(before.0 / 2 + (self.clock)().0 / 2);
            for (tid, progress) in seen {
                pulses.push(Pulse {
                    tid,
                    time,
                    progress,
                });
                let idle =
                    progress.task.is_some() && targets.idle.get(&tid).copied() == progress.task;
                if let (true, Some(done)) = (idle, self.done.get_mut(&tid)) {
                    done.stack = done.pulse;
                }
            }
        }
    }

    fn read_off_stacks(&mut self, out: &mut Vec<OffStack>) {
        let now = (self.clock)();
        let long_ago = Nanos(now.0.saturating_sub(self.options.off_after.0));
        let mut left = MOST_READS;
        for &tid in &self.restless {
            let done = self.done.entry(tid).or_default();
            let off = self.off_cpu.off(tid).filter(|off| off.since <= long_ago);
            let Some(off) = off.filter(|off| done.stack != Some(off.since)) else {
                continue;
            };
            if left == 0 {
                return;
            }
            left -= 1;
            done.stack = Some(off.since);
            let reading = Reading {
                process: &*self.process,
                clock: self.clock,
                at_sample: self.moments.as_ref().map(|(at_sample, _)| &**at_sample),
                scratch: &mut self.scratch,
            };
            out.extend(reading.off_stack(off));
        }
    }

    /// Leaves those in peace that sleep, and about which all is done.
    fn settle(&mut self) {
        let (off_cpu, done) = (&self.off_cpu, &self.done);
        self.restless.retain(|tid| match off_cpu.off(*tid) {
            Some(off) => done.get(tid).and_then(|done| done.stack) != Some(off.since),
            None => off_cpu.knows(*tid),
        });
    }
}

/// Reading the stack of a thread that is off its CPU.
struct Reading<'a> {
    process: &'a dyn Process,
    clock: fn() -> Nanos,
    at_sample: Option<&'a dyn AtSample>,
    scratch: &'a mut [u8],
}

impl Reading<'_> {
    /// Reads the stack of a thread that sleeps, or that waits for its CPU. Whether
    /// it did so all the while, the records will tell.
    fn off_stack(self, off: OffThread<'_>) -> Option<OffStack> {
        let blocked = self.process.blocked_in(off.tid);
        let registers = match (off.registers, blocked) {
            // The two must speak of the same sleep.
            (Some(registers), Some(blocked)) if registers.sp() == blocked.sp => *registers,
            (_, Some(blocked)) => Registers::from_ip_sp(blocked.ip, blocked.sp),
            (Some(registers), None) => *registers,
            (None, None) => return None,
        };
        let stack = copy_stack(self.process, registers.sp(), self.scratch);
        let copy = self
            .at_sample
            .and_then(|at_sample| at_sample.copy(off.tid, self.process));
        Some(OffStack {
            tid: off.tid,
            since: off.since,
            time: (self.clock)(),
            sleep: match blocked.map(|blocked| blocked.syscall) {
                Some(Some(number)) => Sleep::Syscall(number),
                Some(None) => Sleep::Fault,
                None => Sleep::Unknown,
            },
            registers,
            stack,
            copy,
        })
    }
}
