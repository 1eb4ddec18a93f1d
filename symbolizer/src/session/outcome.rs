//! What a session has seen, first as it comes in, then as people read it.

use super::groups::{GroupKey, Groups, Owner, Weight};
use super::kept::Kept;
use super::name_pool::NamePool;
use super::naming::{Named, NamedStack, StackNamer};
use super::scripts::Scripts;
use super::stacks::{Address, StackId, StackTable};
use super::stall::Stall;
use super::turns::{TurnCounter, Turns};
use crate::frame::Frame;
use crate::module::AddressSpace;
use crate::runtime::{Runtime, RuntimeInfo, TaskClass, TaskId};
use crate::snapshot::Waiting;
use crate::unwind::UnwindEnd;
use awaitscope_sampler::{Nanos, Process, Sample, Tid};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const SECOND: u64 = 1_000_000_000;

/// For how many seconds the times of threads are kept, all threads together: a hundred of them
/// for a day. A capture can claim any.
const MOST_SECONDS: usize = 1 << 23;

/// What a recording has seen.
#[derive(Debug)]
pub struct Outcome {
    /// The runtimes of the process.
    pub runtimes: Vec<RuntimeInfo>,
    /// Every distinct frame of the stacks.
    pub frames: Vec<Frame>,
    /// Every distinct stack of [`SampleGroup`]s and [`SeenStall`]s.
    pub stacks: Vec<NamedStack>,
    /// The samples on the CPU, in groups that have all in common but their
    /// number.
    pub samples: Vec<SampleGroup>,
    /// The long polls, in the order of time.
    pub stalls: Vec<SeenStall>,
    /// The threads.
    pub threads: BTreeMap<Tid, ThreadSeen>,
    /// The name of every task's root function that was told.
    pub kinds: HashMap<TaskId, TaskKind>,
    /// How good the data is.
    pub quality: Quality,
    /// When the recording began.
    pub start: Nanos,
    /// How many seconds of samples are summed in one: 1, unless the recording is so
    /// long, or so rich in stacks, that there is no room for each second.
    pub stretch: u32,
    /// The build-id of the program, in hexadecimal.
    pub build_id: Option<String>,
    /// A runtime that left its traces in the program, but no symbols to find its
    /// tasks by: `tokio 1.54.1`.
    pub stripped_runtime: Option<String>,
    /// What is kept only in sums, for want of room, in words.
    pub notes: Vec<String>,
    /// What the workers did, by second since the start, where their progress could be
    /// read.
    pub turns: BTreeMap<u32, Turns>,
    /// How the tasks waited, where snapshots of them were taken.
    pub waiting: Option<Waiting>,
}

impl Outcome {
    /// The same, with what snapshots of the recording told.
    #[must_use]
    pub fn with_waiting(mut self, waiting: Option<Waiting>) -> Self {
        self.waiting = waiting;
        self
    }
}

/// What a task is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKind {
    /// Its root function.
    pub name: Arc<str>,
    /// What sort of task it is.
    pub class: TaskClass,
    /// Index of its runtime.
    pub runtime: usize,
}

/// Samples of one stack, task, thread and second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleGroup {
    /// Index in [`Outcome::stacks`].
    pub stack: usize,
    /// The task, where its id is known.
    pub task: Option<TaskId>,
    /// What the task is, where one ran.
    pub kind: Option<TaskKind>,
    /// The thread.
    pub tid: Tid,
    /// Seconds since the start, to the beginning of the [stretch](Outcome::stretch).
    pub second: u32,
    /// The CPU time they stand for.
    pub time: Nanos,
    /// How many they are.
    pub count: u32,
}

/// A long poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenStall {
    /// When and how long.
    pub stall: Stall,
    /// What the task is.
    pub kind: TaskKind,
    /// The name of the system call that held it.
    pub syscall: Option<&'static str>,
    /// The stacks that were seen in it (indices in [`Outcome::stacks`]) and the
    /// time each stands for.
    pub stacks: Vec<(usize, Nanos)>,
}

/// What was seen of a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadSeen {
    /// Its name.
    pub name: Option<String>,
    /// Its time on a CPU, by second.
    pub on_cpu: BTreeMap<u32, Nanos>,
    pub(super) is_worker: bool,
    /// Its progress was read.
    pub(super) pulsed: bool,
    pub(super) polls: bool,
    pub(super) blocks: bool,
    pub(super) on_since: Option<Nanos>,
    /// Some of its time on a CPU was told, even if that is forgotten by now.
    ran: bool,
    pub(super) ended: bool,
}

/// What a thread is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThreadRole {
    /// It polls tasks.
    Worker,
    /// It runs closures of the blocking pool.
    Blocking,
    /// Anything else.
    Other,
}

impl ThreadSeen {
    pub(super) fn on_cpu_total(&self) -> u64 {
        let times = self.on_cpu.values();
        times.fold(0, |sum, time| sum.saturating_add(time.0))
    }

    /// What the thread is for.
    #[must_use]
    pub fn role(&self) -> ThreadRole {
        if self.is_worker || self.polls {
            ThreadRole::Worker
        } else if self.blocks {
            ThreadRole::Blocking
        } else {
            ThreadRole::Other
        }
    }
}

/// How good the data is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quality {
    /// Samples on the CPU.
    pub samples: u64,
    /// Records that the kernel had no room for.
    pub lost: u64,
    /// How often the kernel held samples back.
    pub throttled: u64,
    /// Samples whose stack was not followed to the thread's start.
    pub truncated: u64,
    /// Of those, stacks deeper than the copy whose rest had changed.
    pub torn: u64,
    /// Samples whose innermost function has no name.
    pub unsymbolized: u64,
    /// Samples inside a task whose id could not be read.
    pub without_id: u64,
}

impl Quality {
    /// What came after `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            samples: self.samples.saturating_sub(earlier.samples),
            lost: self.lost.saturating_sub(earlier.lost),
            throttled: self.throttled.saturating_sub(earlier.throttled),
            truncated: self.truncated.saturating_sub(earlier.truncated),
            torn: self.torn.saturating_sub(earlier.torn),
            unsymbolized: self.unsymbolized.saturating_sub(earlier.unsymbolized),
            without_id: self.without_id.saturating_sub(earlier.without_id),
        }
    }

    pub(super) fn unwound(&mut self, end: UnwindEnd) {
        if !end.is_complete() {
            self.truncated += 1;
        }
        if end == UnwindEnd::Moved {
            self.torn += 1;
        }
    }
}

/// The most threads that are followed.
const MOST_THREADS: usize = 100_000;

/// What has come in so far.
#[derive(Debug)]
pub(super) struct Accumulated {
    pub table: StackTable,
    pub quality: Quality,
    pub turns: TurnCounter,
    pub groups: Groups,
    pub threads: BTreeMap<Tid, ThreadSeen>,
    /// How many seconds all threads have times for.
    pub seconds: usize,
    /// What is told of further threads, and not kept.
    beyond: ThreadSeen,
    pub start: Nanos,
}

impl Accumulated {
    pub fn new(start: Nanos) -> Self {
        Self {
            table: StackTable::default(),
            quality: Quality::default(),
            turns: TurnCounter::new(start),
            groups: Groups::default(),
            threads: BTreeMap::new(),
            seconds: 0,
            beyond: ThreadSeen::default(),
            start,
        }
    }

    pub fn thread(&mut self, tid: Tid) -> &mut ThreadSeen {
        if self.threads.len() >= MOST_THREADS && !self.threads.contains_key(&tid) {
            self.beyond = ThreadSeen::default();
            return &mut self.beyond;
        }
        self.threads.entry(tid).or_default()
    }

    pub fn sample(&mut self, sample: &Sample, stack: StackId, task: Option<TaskId>) {
        self.quality.samples += 1;
        let second = self.second(sample.time);
        let key = GroupKey {
            stack,
            owner: task.map_or(Owner::Nobody, Owner::Task),
            tid: sample.tid,
            second,
        };
        let weight = Weight {
            time: sample.period,
            count: 1,
        };
        let table = &self.table;
        self.groups.add(key, weight, |stack| table.outer(stack));
        // A thread whose switches were never seen runs all the time.
        let start = self.start;
        let thread = self.thread(sample.tid);
        if thread.on_since.is_none() {
            let begin = if thread.ran { sample.time } else { start };
            thread.on_since = Some(begin);
        }
    }

    /// How many stacks and how many sums there are.
    pub fn sizes(&self) -> (usize, usize) {
        (self.table.len(), self.groups.len())
    }

    /// Makes one of all stacks whose addresses `same` takes for the same. Returns what
    /// has become of each.
    pub fn fold(&mut self, same: impl FnMut(Address) -> Address) -> Vec<StackId> {
        let become_of = self.table.fold(same);
        self.groups.fold(&become_of);
        become_of
    }

    /// The recording ends: whoever is on a CPU was there until now.
    pub fn ends(&mut self, time: Nanos) {
        let tids: Vec<Tid> = self.threads.keys().copied().collect();
        for tid in tids {
            self.switch_out(tid, time);
        }
    }

    pub fn begins(&mut self, tid: Tid) {
        let thread = self.thread(tid);
        thread.on_since = None;
        thread.ended = false;
    }

    /// A thread ended.
    pub fn thread_ends(&mut self, tid: Tid, time: Nanos) {
        self.switch_out(tid, time);
        self.thread(tid).ended = true;
    }

    pub fn switch_in(&mut self, tid: Tid, time: Nanos) {
        self.thread(tid).on_since = Some(time);
    }

    pub fn switch_out(&mut self, tid: Tid, time: Nanos) {
        let Self {
            threads,
            seconds,
            start,
            ..
        } = self;
        let Some(thread) = threads.get_mut(&tid) else {
            return;
        };
        let Some(mut from) = thread.on_since.take() else {
            return;
        };
        // Split at the seconds.
        while from < time {
            let second = from.since(*start).0 / SECOND;
            let next = Nanos(start.0.saturating_add((second + 1).saturating_mul(SECOND)));
            let to = next.min(time);
            if to <= from || *seconds >= MOST_SECONDS {
                return;
            }
            let second = u32::try_from(second).unwrap_or(u32::MAX);
            let known = thread.on_cpu.len();
            let total = thread.on_cpu.entry(second).or_default();
            *total = *total + to.since(from);
            thread.ran = true;
            *seconds += thread.on_cpu.len() - known;
            from = to;
        }
    }

    /// The second of `time`, counted from the start.
    fn second(&self, time: Nanos) -> u32 {
        u32::try_from(time.since(self.start).0 / SECOND).unwrap_or(u32::MAX)
    }

    /// Puts names to everything, at the end.
    pub fn outcome(
        mut self,
        stalls: Vec<Stall>,
        space: &AddressSpace,
        names: &NamePool,
        scripts: &Scripts,
        runtimes: &[Box<dyn Runtime>],
        process: &dyn Process,
    ) -> Outcome {
        let mut named = Named::default();
        let stretch = self.groups.stretch();
        let notes = self.notes();
        let kept = Kept {
            sums: std::mem::take(&mut self.groups).into_sums(),
            threads: std::mem::take(&mut self.threads),
            turns: std::mem::take(&mut self.turns).finish(),
            quality: self.quality,
            start: self.start,
            stretch,
            notes,
        };
        let reader = StackNamer::new(
            &self.table,
            space,
            names,
            scripts,
            runtimes,
            process,
            &mut named,
        );
        kept.outcome(stalls, reader, Named::taken, space, runtimes)
    }

    /// What is kept only in sums, for want of room.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let (light, crowded) = (self.groups.summed_tasks(), self.groups.is_crowded());
        if light > 0 {
            notes.push(format!(
                "{light} samples of tasks that used little CPU are counted in their kinds and not \
                 task by task, to hold the recorder's memory"
            ));
        }
        if crowded || self.table.is_full() {
            notes.push(
                "there are more distinct stacks than are kept: the time of the last new ones stands \
                 at their callers"
                    .to_owned(),
            );
        }
        if self.threads.len() >= MOST_THREADS {
            notes.push(format!(
                "the process had more than {MOST_THREADS} threads: the later ones have no names and \
                 no times on a CPU"
            ));
        }
        notes
    }
}
