//! A recording in progress: takes what a process is seen to do, and keeps what
//! it means.
//!
//! Two sides: a [`Watcher`] looks at the process every few milliseconds and does
//! nothing that takes long; the [`Session`] takes its [`Batch`]es, on another
//! thread, unwinds, finds out which task runs, and has names looked up on further
//! threads. At the end [`Session::finish`] gives an [`Outcome`].

mod batch;
mod capture;
mod folding;
mod groups;
mod kept;
mod kinds;
mod moments;
mod name_pool;
mod naming;
mod outcome;
mod reading;
mod recent;
mod scripts;
mod stacks;
mod stall;
mod turns;
mod watch;

pub use batch::{Batch, OffStack, Pulse, Sleep};
pub use capture::{CapturedBatches, SeenFiles};
pub use naming::NamedStack;
pub use outcome::{Outcome, Quality, SampleGroup, SeenStall, TaskKind, ThreadRole, ThreadSeen};
pub use stacks::{Address, StackId, StackTable};
pub use stall::{OffEvidence, Stall, StallCause, Stalls};
pub use turns::Turns;
pub use watch::{Targets, WatchOptions, Watcher};

use crate::debugfile::DebugFiles;
use crate::module::{AddressSpace, Binaries};
use crate::runtime::{self, Polled, ProgressReader, Runtime, TaskClass, TaskId};
use crate::unwind::{PhysicalFrame, StackReader, Unwinder};
use awaitscope_sampler::{Event, Mapping, Nanos, Process, Sample, SwitchReason, Tid};
use folding::{Folding, Readings};
use moments::Copies;
use name_pool::NamePool;
use naming::Named;
use outcome::Accumulated;
use reading::Whole;
use recent::Marks;
use scripts::Scripts;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The most tasks that are told apart for the line that people watch.
const MOST_KNOWN_TASKS: usize = 450_000;

/// How a session goes about it.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// When the recording began: what the outcome counts from.
    pub start: Nanos,
    /// Polls of this length and more are stalls.
    pub stall_threshold: Nanos,
    /// Debug files that the user named.
    pub debug_files: Arc<DebugFiles>,
    /// Where the binaries are.
    pub binaries: Binaries,
}

/// What a session has seen so far: for the line that people watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Glance {
    /// Samples on the CPU.
    pub samples: u64,
    /// Distinct tasks.
    pub tasks: usize,
    /// Long polls.
    pub stalls: usize,
    /// Records that the kernel had no room for.
    pub lost: u64,
}

/// A recording in progress.
pub struct Session {
    process: Arc<dyn Process + Send + Sync>,
    space: AddressSpace,
    unwinder: Unwinder,
    runtimes: Vec<Box<dyn Runtime>>,
    /// Our own: those of the watcher remember what it read, and when that is, is up to chance.
    readers: Vec<Box<dyn ProgressReader>>,
    names: NamePool,
    scripts: Scripts,
    copies: Copies,
    /// The first sample at which something was read.
    first_moment: Option<Nanos>,
    targets: Arc<Mutex<Targets>>,
    stalls: Stalls,
    seen: Accumulated,
    folding: Folding,
    pending: Vec<(Nanos, Item)>,
    frames: Vec<PhysicalFrame>,
    stale: bool,
    mappings: Vec<Mapping>,
    tls_tries: HashMap<Tid, u32>,
    known_tasks: HashSet<TaskId>,
    /// The last pulse of each worker.
    pulses: HashMap<Tid, Pulse>,
    last: Nanos,
    /// All that happened before was told.
    horizon: Nanos,
    /// What [`recent`](Self::recent) has named, and how good the data was at each.
    named: Named,
    marks: Marks,
}

/// Something that waits for its turn.
#[derive(Debug)]
enum Item {
    Event(Event),
    Pulse(Pulse),
    OffStack(Box<OffStack>),
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("glance", &self.glance())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Begins a session on `process`. Tells `targets` what the watcher needs.
    #[must_use]
    pub fn new(
        process: Arc<dyn Process + Send + Sync>,
        options: SessionOptions,
        targets: Arc<Mutex<Targets>>,
    ) -> Self {
        let mut session = Self {
            space: AddressSpace::new(options.binaries, options.debug_files),
            process,
            unwinder: Unwinder::new(),
            runtimes: Vec::new(),
            readers: Vec::new(),
            names: NamePool::new(),
            scripts: Scripts::default(),
            copies: Copies::default(),
            first_moment: None,
            targets,
            stalls: Stalls::new(options.stall_threshold),
            seen: Accumulated::new(options.start),
            folding: Folding::default(),
            pending: Vec::new(),
            frames: Vec::new(),
            stale: true,
            mappings: Vec::new(),
            tls_tries: HashMap::new(),
            known_tasks: HashSet::new(),
            pulses: HashMap::new(),
            last: Nanos::ZERO,
            horizon: options.start,
            named: Named::default(),
            marks: Marks::default(),
        };
        session.begin();
        session
    }

    /// The modules of the process.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// What was seen so far.
    #[must_use]
    pub fn glance(&self) -> Glance {
        Glance {
            samples: self.seen.quality.samples,
            tasks: self.known_tasks.len(),
            stalls: self.stalls.count(),
            lost: self.seen.quality.lost,
        }
    }

    /// Takes what one look brought.
    pub fn take(&mut self, batch: Batch) {
        let events = batch.events.into_iter().map(Item::Event);
        self.pending.extend(events.map(|item| (item.time(), item)));
        let pulses = batch.pulses.into_iter().map(Item::Pulse);
        self.pending.extend(pulses.map(|item| (item.time(), item)));
        let stacks = batch.off_stacks.into_iter().map(Box::new);
        let stacks = stacks.map(Item::OffStack);
        self.pending.extend(stacks.map(|item| (item.time(), item)));
        // Stable: what has the same time stays in the order it came in.
        self.pending.sort_by_key(|(time, _)| *time);
        let ready = self
            .pending
            .partition_point(|(time, _)| *time < batch.horizon);
        let first = batch.moments.iter().map(|moment| moment.sampled).min();
        self.first_moment = self.first_moment.or(first);
        self.copies.add(batch.moments);
        let ready = self.copies.decided(&self.pending, ready, batch.horizon);
        self.copies.settle(&self.pending, ready);
        let rest = self.pending.split_off(ready);
        let ready = std::mem::replace(&mut self.pending, rest);
        self.horizon = self.horizon.max(batch.horizon);
        self.items(ready);
        let first = self.pending.first().map(|(time, _)| *time);
        self.copies
            .forget(first.unwrap_or(self.horizon).min(self.horizon));
    }

    /// Ends the session.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        let rest = std::mem::take(&mut self.pending);
        self.copies.settle(&rest, rest.len());
        self.items(rest);
        self.seen.ends(self.last);
        self.names.finish();
        let stalls = self.stalls.finish(self.last);
        self.seen.outcome(
            stalls,
            &self.space,
            &self.names,
            &self.scripts,
            &self.runtimes,
            &*self.process,
        )
    }

    fn begin(&mut self) {
        self.refresh();
        for tid in self.process.threads().unwrap_or_default() {
            let name = self.process.thread_name(tid);
            self.seen.thread(tid).name = name;
            if let Some(blocked) = self.process.blocked_in(tid) {
                self.find_base(tid, blocked.sp);
            }
        }
    }

    /// Reads the mappings anew, and looks for runtimes in what is new.
    fn refresh(&mut self) {
        self.stale = false;
        let Ok(mappings) = self.process.mappings() else {
            return;
        };
        self.space.update(&mappings, &*self.process);
        self.mappings = mappings;
        if self.runtimes.is_empty() {
            self.runtimes = runtime::detect(&self.space, &*self.process);
            self.named = Named::default();
            let readers = || self.runtimes.iter().filter_map(|r| r.progress());
            self.readers = readers().collect();
            let at_sample = self.runtimes.iter().find_map(|r| r.at_sample());
            let mut targets = self.targets();
            targets.at_sample = at_sample;
            targets.readers.extend(readers());
        }
    }

    fn targets(&self) -> std::sync::MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is due, in the order of time.
    fn items(&mut self, items: Vec<(Nanos, Item)>) {
        for (time, item) in items {
            self.last = self.last.max(time);
            self.item(item);
        }
    }

    fn item(&mut self, item: Item) {
        match item {
            Item::Event(event) => self.event(event),
            Item::Pulse(pulse) => {
                self.pulses.insert(pulse.tid, pulse);
                let thread = self.seen.thread(pulse.tid);
                thread.is_worker = true;
                thread.pulsed = true;
                let epoch = pulse.progress.epoch;
                self.seen.turns.pulse(pulse.tid, pulse.time, epoch);
                self.stalls.pulse(pulse.tid, pulse.time, pulse.progress);
            }
            Item::OffStack(stack) => self.off_stack(&stack),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Sample(sample) => self.sample(&sample),
            Event::SwitchOut {
                tid, time, reason, ..
            } => {
                self.seen.switch_out(tid, time);
                if reason == SwitchReason::Waiting {
                    self.seen.turns.sleep(tid, time);
                }
                self.stalls.switch_out(tid, time, reason);
            }
            Event::SwitchIn { tid, time } => {
                self.seen.switch_in(tid, time);
                self.stalls.switch_in(tid, time);
            }
            Event::ThreadStart { tid, .. } => {
                let name = self.process.thread_name(tid);
                let thread = self.seen.thread(tid);
                thread.name = name.or(thread.name.take());
                self.seen.begins(tid);
            }
            Event::ThreadExit { tid, time, .. } => {
                self.stalls.thread_ends(tid, time);
                self.seen.thread_ends(tid, time);
                self.seen.turns.ends(tid);
                self.pulses.remove(&tid);
                self.tls_tries.remove(&tid);
                let mut targets = self.targets();
                targets.bases.remove(&tid);
                targets.idle.remove(&tid);
            }
            Event::ThreadName { tid, name, .. } => self.seen.thread(tid).name = Some(name.into()),
            Event::Exec { .. } => self.exec(),
            Event::Mapped { .. } => self.stale = true,
            Event::Lost { count, .. } => self.seen.quality.lost += count,
            Event::Throttled { .. } => self.seen.quality.throttled += 1,
        }
    }

    /// The process runs another program: all that was known is void, but what
    /// was seen remains.
    fn exec(&mut self) {
        self.runtimes.clear();
        self.readers.clear();
        self.unwinder.forget();
        self.tls_tries.clear();
        self.pulses.clear();
        {
            let mut targets = self.targets();
            targets.readers.clear();
            targets.at_sample = None;
            targets.bases.clear();
            targets.idle.clear();
        }
        self.refresh();
    }

    fn sample(&mut self, sample: &Sample) {
        let read = self.read_sample(sample);
        if read.whole == Whole::Moved && self.is_early(sample.time) {
            return;
        }
        self.seen.quality.unwound(read.end);
        let kernel = sample.kernel_chain.iter().rev();
        let stack = kernel.fold(read.stack, |stack, address| {
            self.seen.table.push(stack, Address::Kernel(*address))
        });
        let task = match read.polled {
            Polled::Task { id, .. } => id,
            Polled::Worker { .. } | Polled::Nothing => None,
        };
        self.note_polled(sample.tid, read.polled);
        if let Some(stack) = stack {
            self.seen.sample(sample, stack, task);
            self.stalls.sample(sample.tid, sample.time, stack, task);
        }
        if self.known_tasks.len() < MOST_KNOWN_TASKS {
            self.known_tasks.extend(task);
        }
        self.fold();
    }

    /// Whether nothing is read at samples yet: what is to be read, and how, is found out only after
    /// attaching. Such a sample says nothing, and the time that it stands for is known from the
    /// switches.
    fn is_early(&self, time: Nanos) -> bool {
        /// Longer than it takes.
        const BEGINNING: Nanos = Nanos(2_000_000_000);
        time.since(self.seen.start) < BEGINNING
            && self.first_moment.is_none_or(|first| time < first)
    }

    /// Makes one of stacks that read the same, when they have become many.
    fn fold(&mut self) {
        let (stacks, sums) = self.seen.sizes();
        if !self.folding.is_due(stacks, sums) {
            return;
        }
        let mut readings = Readings::new(&self.space, &self.names, &*self.process);
        let become_of = self.seen.fold(|address| readings.first(address));
        self.stalls.fold(&become_of);
        self.named.forget_ids();
        let (stacks, sums) = self.seen.sizes();
        self.folding.done(stacks, sums);
    }

    fn off_stack(&mut self, off: &OffStack) {
        let mut reader = StackReader::new(&off.stack);
        let end = self.unwind(&off.registers, &mut reader);
        let read = self.read_frames(off.tid, off.registers.sp(), end, reader, off.copy.as_ref());
        self.note_polled(off.tid, read.polled);
        let (in_poll, task) = match read.polled {
            Polled::Task { class, id } => (is_polled(class), id),
            Polled::Worker { .. } | Polled::Nothing => (false, None),
        };
        let Some(stack) = read.stack else {
            return;
        };
        self.stalls.off_stack(
            off.tid,
            off.since,
            OffEvidence {
                stack,
                sleep: off.sleep,
                in_poll,
                task,
            },
        );
    }

    /// Remembers what a thread is, from what it polls.
    fn note_polled(&mut self, tid: Tid, polled: Polled) {
        match polled {
            Polled::Task { class, .. } => {
                let thread = self.seen.thread(tid);
                thread.polls |= is_polled(class);
                thread.blocks |= class == TaskClass::Blocking;
            }
            Polled::Worker { shows } => {
                self.seen.thread(tid).is_worker = true;
                if let Some(task) = shows {
                    self.stalls.idle_shows(tid, task);
                    self.targets().idle.insert(tid, task);
                }
            }
            Polled::Nothing => {}
        }
    }
}

/// Whether a worker polls what is of this class.
fn is_polled(class: TaskClass) -> bool {
    matches!(class, TaskClass::Async | TaskClass::Callback)
}

impl Item {
    fn time(&self) -> Nanos {
        match self {
            Self::Event(event) => event.time(),
            Self::Pulse(pulse) => pulse.time,
            Self::OffStack(stack) => stack.time,
        }
    }
}
