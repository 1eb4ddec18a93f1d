//! What a session has seen, first as it comes in, then as people read it.

use super::groups::{Group, GroupKey, Groups, Owner, Weight};
use super::kinds::{kind_of, kinds_of_tasks};
use super::name_pool::NamePool;
use super::naming::{Named, NamedStack, Names, StackNamer};
use super::stacks::{Address, StackId, StackTable};
use super::stall::{Stall, StallCause};
use super::turns::{TurnCounter, Turns};
use crate::frame::{Frame, FrameKind, Origin};
use crate::module::AddressSpace;
use crate::runtime::{self, Runtime, RuntimeInfo, TaskClass, TaskId};
use crate::snapshot::Waiting;
use crate::unwind::UnwindEnd;
use awaitscope_sampler::{Nanos, Process, Sample, Tid, syscall_name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
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
    fn on_cpu_total(&self) -> u64 {
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
        let reader = StackNamer::new(&self.table, space, names, runtimes, process, &mut named);
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

/// What an [`Outcome`] is made of, before there are names.
pub(super) struct Kept {
    pub sums: Vec<(GroupKey, Weight)>,
    pub threads: BTreeMap<Tid, ThreadSeen>,
    pub turns: BTreeMap<u32, Turns>,
    pub quality: Quality,
    pub start: Nanos,
    pub stretch: u32,
    pub notes: Vec<String>,
}

impl Kept {
    /// Puts names to everything.
    pub fn outcome(
        mut self,
        stalls: Vec<Stall>,
        mut reader: StackNamer<'_>,
        hand_over: fn(&mut Named) -> Names,
        space: &AddressSpace,
        runtimes: &[Box<dyn Runtime>],
    ) -> Outcome {
        let groups: Vec<Group> = std::mem::take(&mut self.sums)
            .into_iter()
            .map(|(key, weight)| (key, weight, reader.read(key.stack)))
            .collect();
        let stalls: Vec<(Stall, Vec<(usize, Nanos)>)> = stalls
            .into_iter()
            .map(|stall| {
                let stacks = stall.stacks.iter();
                let stacks = stacks.map(|(stack, time)| (reader.read(*stack), *time));
                let stacks = stacks.collect();
                (stall, stacks)
            })
            .collect();
        let (mut frames, mut stacks) = hand_over(reader.named);
        let kinds = kinds_of_tasks(&groups, &stalls, &stacks);
        let unnamed: Vec<bool> = frames.iter().map(is_unnamed).collect();
        for (key, weight, stack) in &groups {
            let stack = &stacks[*stack];
            let last = stack.frames.last();
            let unnamed = last.is_none_or(|frame| unnamed[*frame as usize]);
            self.quality.unsymbolized += u64::from(weight.count) * u64::from(unnamed);
            let nameless = key.owner == Owner::Nobody && has_ids(stack);
            self.quality.without_id += u64::from(weight.count) * u64::from(nameless);
        }
        let mut unsampled = unsampled(&self.threads, &groups, stacks.len());
        if !unsampled.is_empty() {
            frames.push(unsampled_frame());
            stacks.push(NamedStack {
                frames: Arc::from([u32::try_from(frames.len() - 1).unwrap_or(u32::MAX)]),
                task: None,
            });
        }
        let mut samples: Vec<SampleGroup> = groups
            .into_iter()
            .map(|(key, weight, stack)| SampleGroup {
                stack,
                kind: kind_of(key.owner.task(), &stacks[stack], &kinds),
                task: key.owner.task().filter(|_| stacks[stack].task.is_some()),
                tid: key.tid,
                second: key.second,
                time: weight.time,
                count: weight.count,
            })
            .collect();
        if self.quality.lost == 0 {
            weigh_by_switches(&mut samples, &self.threads);
        }
        samples.append(&mut unsampled);
        sum_equal(&mut samples);
        Outcome {
            runtimes: runtime_infos(runtimes, &self.threads),
            samples,
            stalls: stalls
                .into_iter()
                .filter_map(|(stall, in_it)| seen_stall(stall, in_it, &stacks, &kinds))
                .collect(),
            frames,
            stacks,
            threads: self.threads,
            kinds,
            quality: self.quality,
            start: self.start,
            stretch: self.stretch,
            build_id: program_build_id(space),
            stripped_runtime: match runtimes {
                [] => runtime::stripped(space),
                _ => None,
            },
            notes: self.notes,
            turns: self.turns,
            waiting: None,
        }
    }
}

/// A runtime that had to learn how to read the progress of its workers has done so if
/// some was read.
fn runtime_infos(
    runtimes: &[Box<dyn Runtime>],
    threads: &BTreeMap<Tid, ThreadSeen>,
) -> Vec<RuntimeInfo> {
    let pulsed = threads.values().any(|thread| thread.pulsed);
    let runtimes = runtimes.iter().map(|runtime| {
        let info = runtime.info();
        let learned = runtime.progress().is_some() && pulsed;
        RuntimeInfo {
            progress: info.progress || learned,
            ..info
        }
    });
    runtimes.collect()
}

/// Stacks that differ in addresses may have the same names.
fn sum_equal(samples: &mut Vec<SampleGroup>) {
    let key = |group: &SampleGroup| (group.second, group.tid, group.stack, group.task);
    samples.sort_by_key(key);
    samples.dedup_by(|next, kept| {
        let same = key(next) == key(kept);
        if same {
            kept.time = kept.time + next.time;
            kept.count = kept.count.saturating_add(next.count);
        }
        same
    });
}

/// Samples tell how a thread's time is divided, but the switches tell exactly how
/// long it is: above all for threads that live for a few periods, whose last part of
/// a period is never sampled.
fn weigh_by_switches(samples: &mut [SampleGroup], threads: &BTreeMap<Tid, ThreadSeen>) {
    let mut sampled: HashMap<Tid, u64> = HashMap::new();
    for group in samples.iter() {
        let sum = sampled.entry(group.tid).or_default();
        *sum = sum.saturating_add(group.time.0);
    }
    let total = |tid: &Tid| threads.get(tid).map_or(0, ThreadSeen::on_cpu_total);
    let exact: HashMap<Tid, u64> = sampled.keys().map(|tid| (*tid, total(tid))).collect();
    for group in samples {
        let exact = exact.get(&group.tid).copied().unwrap_or(0);
        let told = sampled.get(&group.tid).copied().unwrap_or(0);
        if exact == 0 || told == 0 {
            continue;
        }
        let weighed = u128::from(group.time.0) * u128::from(exact) / u128::from(told);
        group.time = Nanos(u64::try_from(weighed).unwrap_or(u64::MAX));
    }
}

/// The time of threads that ran too briefly to be sampled: a new thread's clock
/// begins anew, so one that ends within a period gives no sample. How long they
/// were on a CPU is known from the switches all the same.
fn unsampled(
    threads: &BTreeMap<Tid, ThreadSeen>,
    groups: &[Group],
    stack: usize,
) -> Vec<SampleGroup> {
    let sampled: HashSet<Tid> = groups.iter().map(|(key, ..)| key.tid).collect();
    let brief = threads.iter().filter(|(tid, _)| !sampled.contains(tid));
    brief
        .flat_map(|(tid, thread)| {
            thread.on_cpu.iter().map(|(second, time)| SampleGroup {
                stack,
                task: None,
                kind: None,
                tid: *tid,
                second: *second,
                time: *time,
                count: 0,
            })
        })
        .collect()
}

fn unsampled_frame() -> Frame {
    Frame {
        function: "[ran too briefly to be sampled]".into(),
        file: None,
        line: None,
        kind: FrameKind::Sync,
        origin: Origin::Unknown,
    }
}

/// The first module is the program: the loader maps it lowest, or first.
fn program_build_id(space: &AddressSpace) -> Option<String> {
    let (_, program) = space.modules().next()?;
    program.build_id().map(ToString::to_string)
}

/// A stack's task should have an id: every task but the root of a `block_on`
/// has one.
fn has_ids(stack: &NamedStack) -> bool {
    let task = stack.task.as_ref();
    task.is_some_and(|task| task.class != TaskClass::BlockOn)
}

fn is_unnamed(frame: &Frame) -> bool {
    frame.origin == Origin::Unknown && frame.function.starts_with("0x")
}

/// A long poll is a stall if its stacks show that a task was polled: a worker
/// that sleeps in its event loop is not one.
fn seen_stall(
    stall: Stall,
    in_it: Vec<(usize, Nanos)>,
    stacks: &[NamedStack],
    kinds: &HashMap<TaskId, TaskKind>,
) -> Option<SeenStall> {
    let polling = |stack: usize| {
        let task = stacks[stack].task.as_ref();
        task.is_some_and(|task| task.class != TaskClass::Blocking)
    };
    let in_it: Vec<(usize, Nanos)> = in_it.into_iter().filter(|(s, _)| polling(*s)).collect();
    let (longest, _) = in_it.iter().max_by_key(|(_, time)| *time)?;
    let kind = kind_of(stall.task, &stacks[*longest], kinds)?;
    let syscall = match stall.cause {
        StallCause::Syscall => stall.syscall.and_then(syscall_name),
        StallCause::Cpu | StallCause::Fault | StallCause::Preempted => None,
    };
    Some(SeenStall {
        kind,
        syscall,
        stacks: in_it,
        stall,
    })
}
