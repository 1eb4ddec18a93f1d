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
use crate::runtime::{
    self, Interpreted, Polled, ProgressReader, Runtime, SeenStack, Step, TaskClass, TaskId,
    ThreadBase,
};
use crate::unwind::{PhysicalFrame, ReadStack, StackReader, UnwindEnd, Unwinder};
use awaitscope_sampler::{
    Avma, Event, Mapping, MemoryCopy, Nanos, Process, Registers, Sample, SwitchReason, Tid,
    thread_pointer,
};
use folding::{Folding, Readings};
use moments::Copies;
use name_pool::NamePool;
use naming::Named;
use outcome::Accumulated;
use recent::Marks;
use scripts::Scripts;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// How often a thread's thread pointer is looked for before it is given up.
const MOST_TLS_TRIES: u32 = 5;

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

/// What was found on a stack.
struct Read {
    stack: Option<StackId>,
    polled: Polled,
    whole: Whole,
}

/// How far a stack is known that is not all native.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// As far as its native frames.
    AsNative,
    /// To where the thread begins.
    Interpreted,
    /// Without the frames of the interpreter: the thread had run on.
    Moved,
}

impl Whole {
    fn of(interpreted: &Interpreted) -> Self {
        match (interpreted.moved, interpreted.complete) {
            (true, _) => Self::Moved,
            (false, true) => Self::Interpreted,
            (false, false) => Self::AsNative,
        }
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

    /// Unwinds the stack of a sample. One that is deeper than its copy is read on
    /// from memory, which is later by milliseconds: the thread may have returned and
    /// called something else by then, and what lies dead below can look just as it
    /// did. Only the worker's progress proves that it is still in the same poll.
    fn read_sample(&mut self, sample: &Sample) -> Read {
        let process = Arc::clone(&self.process);
        let mut reader = StackReader::continued(&sample.stack, &*process);
        let mut end = self.unwind(&sample.registers, &mut reader);
        let copied = sample.stack.end();
        let beyond = |frame: &PhysicalFrame| frame.registers.sp() > copied;
        if self.frames.iter().any(beyond) && !self.is_in_same_poll(sample.tid, sample.time) {
            reader = StackReader::new(&sample.stack);
            self.unwind(&sample.registers, &mut reader);
            end = UnwindEnd::Moved;
        }
        let copy = self.copies.take(sample.tid, sample.time);
        let read = self.read_frames(
            sample.tid,
            sample.registers.sp(),
            end,
            reader,
            copy.as_ref(),
        );
        self.seen.quality.unwound(match read.whole {
            Whole::Interpreted => UnwindEnd::Complete,
            Whole::Moved => UnwindEnd::Moved,
            Whole::AsNative => end,
        });
        read
    }

    /// Whether a worker is still in the poll that it was in at `time`.
    fn is_in_same_poll(&mut self, tid: Tid, time: Nanos) -> bool {
        let before = self.pulses.get(&tid);
        let Some(before) = before.filter(|pulse| pulse.time <= time).copied() else {
            return false;
        };
        let Some(tls_base) = self.targets().bases.get(&tid).copied() else {
            return false;
        };
        let thread = [ThreadBase { tid, tls_base }];
        let mut now = self
            .readers
            .iter_mut()
            .flat_map(|reader| reader.read(&thread, &*self.process));
        now.any(|(_, progress)| progress == before.progress)
    }

    /// Has the names of the frames looked up, and finds out what they poll.
    fn read_frames(
        &mut self,
        tid: Tid,
        sp: Avma,
        end: UnwindEnd,
        reader: StackReader<'_>,
        copy: Option<&MemoryCopy>,
    ) -> Read {
        let process = Arc::clone(&self.process);
        let reader = RefCell::new(reader);
        self.find_base(tid, sp);
        let names = &self.names;
        let space = &self.space;
        let seen = SeenStack {
            tid,
            whole: end.is_complete(),
            space,
            frames: &self.frames,
            stack: &|address| reader.borrow_mut().word(address),
            memory: &*process,
            names: &|module, svma| match space.module(module) {
                Some(file) => names.get(file, (module, svma)),
                None => Arc::from([]),
            },
        };
        let runtimes = &mut self.runtimes;
        let interpreted = runtimes
            .iter_mut()
            .find_map(|runtime| runtime.interpret(&seen, copy));
        let told = interpreted.as_ref().map(|interpreted| interpreted.polled);
        let others = runtimes
            .iter_mut()
            .map(|runtime| runtime.polled(&seen))
            .find(|polled| *polled != Polled::Nothing);
        let polled = told.filter(|polled| *polled != Polled::Nothing).or(others);
        let whole = interpreted.as_ref().map_or(Whole::AsNative, Whole::of);
        let stack = match interpreted {
            Some(interpreted) => self.keep_interpreted(end, interpreted),
            None => self.keep_stack(end),
        };
        Read {
            stack,
            polled: polled.unwrap_or(Polled::Nothing),
            whole,
        }
    }

    fn unwind(&mut self, registers: &Registers, stack: &mut StackReader<'_>) -> UnwindEnd {
        if self.stale {
            self.refresh();
        }
        let mut frames = std::mem::take(&mut self.frames);
        let end = self
            .unwinder
            .unwind(&self.space, registers, stack, &mut frames);
        self.frames = frames;
        end
    }

    fn keep_stack(&mut self, end: UnwindEnd) -> Option<StackId> {
        let mut stack = self.root(end.is_complete());
        for frame in self.frames.iter().rev() {
            let address = native(&self.space, &mut self.names, frame);
            stack = self.seen.table.push(stack, address);
        }
        stack
    }

    fn keep_interpreted(&mut self, end: UnwindEnd, interpreted: Interpreted) -> Option<StackId> {
        let mut stack = self.root(interpreted.complete || end.is_complete());
        for step in interpreted.steps {
            let address = match step {
                Step::Native(index) => match self.frames.get(index) {
                    Some(frame) => native(&self.space, &mut self.names, frame),
                    None => continue,
                },
                Step::Script(frame) => match self.scripts.number(frame) {
                    Some(id) => Address::Script(id),
                    None => continue,
                },
            };
            stack = self.seen.table.push(stack, address);
        }
        stack
    }

    /// What stands outside of all frames.
    fn root(&mut self, complete: bool) -> Option<StackId> {
        match complete {
            true => None,
            false => self.seen.table.push(None, Address::Truncated),
        }
    }

    fn find_base(&mut self, tid: Tid, sp: Avma) {
        let tries = self.tls_tries.entry(tid).or_default();
        if *tries >= MOST_TLS_TRIES || self.runtimes.is_empty() {
            return;
        }
        *tries += 1;
        if let Some(base) = thread_pointer(&*self.process, &self.mappings, tid, sp) {
            *tries = MOST_TLS_TRIES;
            self.targets().bases.insert(tid, base);
        }
    }
}

/// Whether a worker polls what is of this class.
fn is_polled(class: TaskClass) -> bool {
    matches!(class, TaskClass::Async | TaskClass::Callback)
}

/// The address of a native frame, whose name is looked up meanwhile.
fn native(space: &AddressSpace, names: &mut NamePool, frame: &PhysicalFrame) -> Address {
    match space.lookup(frame.lookup) {
        Some((module, svma)) => {
            if let Some(file) = space.module(module) {
                names.want(file, (module, svma));
            }
            Address::Module(module, svma)
        }
        None => Address::Unknown(frame.lookup.0),
    }
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
