//! The quick side of a session: looks at the process every few milliseconds,
//! and leaves the thinking to [`Session`](super::Session) on another thread.

use super::batch::{Batch, OffStack, Pulse, Sleep};
use crate::runtime::{ProgressReader, TaskId, ThreadBase};
use awaitscope_sampler::{
    Avma, Error, Event, Nanos, OffCpu, OffThread, Process, ReadRequest, Registers, SampleSource,
    StackCopy, Tid,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most stacks read at one look. What is left waits for the next.
const MOST_READS: usize = 32;

/// Pages are read one by one, because a stack may end before the copy does.
const PAGE: u64 = 4096;

/// What the thinking side has found out that the quick side needs.
#[derive(Default)]
pub struct Targets {
    pub(super) readers: Vec<Box<dyn ProgressReader>>,
    pub(super) bases: HashMap<Tid, Avma>,
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
        self.pulse(&mut batch.pulses);
        self.read_off_stacks(&mut batch.off_stacks);
        Ok(batch)
    }

    /// Looks for the last time: all that is left of the events.
    ///
    /// # Errors
    /// The events cannot be read any more.
    pub fn finish(mut self) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        batch.horizon = self.source.finish(&mut |event| batch.events.push(event))?;
        Ok(batch)
    }

    /// A thread that is off its CPU since its last pulse cannot have moved.
    fn pulse(&mut self, pulses: &mut Vec<Pulse>) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let targets = &mut *targets;
        if targets.readers.is_empty() {
            return;
        }
        let due: Vec<ThreadBase> = self
            .off_cpu
            .threads()
            .filter(|tid| {
                let off = self.off_cpu.off(*tid).map(|off| off.since);
                let pulse = self.done.get(tid).and_then(|done| done.pulse);
                off.is_none() || off != pulse
            })
            .filter_map(|tid| {
                Some(ThreadBase {
                    tid,
                    tls_base: *targets.bases.get(&tid)?,
                })
            })
            .collect();
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
                let since = self.off_cpu.off(tid).map(|off| off.since);
                let done = self.done.entry(tid).or_default();
                done.pulse = since;
                if idle {
                    done.stack = since;
                }
            }
        }
    }

    fn read_off_stacks(&mut self, out: &mut Vec<OffStack>) {
        let now = (self.clock)();
        let long_ago = Nanos(now.0.saturating_sub(self.options.off_after.0));
        let due: Vec<OffThread> = self
            .off_cpu
            .off_since_before(long_ago)
            .filter(|off| {
                let done = self.done.get(&off.tid);
                done.and_then(|done| done.stack) != Some(off.since)
            })
            .take(MOST_READS)
            .collect();
        for off in due {
            out.extend(self.read_off_stack(off));
            self.done.entry(off.tid).or_default().stack = Some(off.since);
        }
    }

    /// Reads the stack of a thread that sleeps, or that waits for its CPU. Whether
    /// it did so all the while, the records will tell.
    fn read_off_stack(&mut self, off: OffThread) -> Option<OffStack> {
        let blocked = self.process.blocked_in(off.tid);
        let registers = match (off.registers, blocked) {
            // The two must speak of the same sleep.
            (Some(registers), Some(blocked)) if registers.sp() == blocked.sp => registers,
            (_, Some(blocked)) => Registers::from_ip_sp(blocked.ip, blocked.sp),
            (Some(registers), None) => registers,
            (None, None) => return None,
        };
        let stack = self.copy_stack(registers.sp());
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
        })
    }

    fn copy_stack(&mut self, start: Avma) -> StackCopy {
        let mut requests = Vec::new();
        let mut rest = self.scratch.as_mut_slice();
        let mut at = start.0;
        while !rest.is_empty() {
            let to_page_end = PAGE - at % PAGE;
            let size = (to_page_end as usize).min(rest.len());
            let (piece, further) = rest.split_at_mut(size);
            requests.push(ReadRequest::new(Avma(at), piece));
            rest = further;
            let Some(next) = at.checked_add(size as u64) else {
                break;
            };
            at = next;
        }
        self.process.read_many(&mut requests);
        let whole = requests.iter().take_while(|request| request.done);
        let read: usize = whole.map(|request| request.into.len()).sum();
        StackCopy {
            start,
            bytes: self.scratch[..read].to_vec(),
        }
    }
}
