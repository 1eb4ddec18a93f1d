//! What many snapshots told, as it is handed on.

use crate::frame::Frame;
use crate::runtime::TaskId;
use crate::session::TaskKind;
use crate::snapshot::{SchedulerSeen, WaitsOn};
use awaitscope_sampler::Nanos;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the tasks of a process waited, over a whole recording.
///
/// Times of tasks are *tasks × time*: ten tasks that wait for a second waited ten
/// seconds. A task that waits on several things at once is split evenly over them, so
/// that sums over places stay tasks × time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The schedulers, as they were last seen.
    pub schedulers: Vec<SchedulerSeen>,
    /// The kinds of tasks that were seen.
    pub kinds: Vec<WaitingKind>,
    /// Every distinct frame of the [`WaitPlace`]s.
    pub frames: Vec<Frame>,
    /// Where tasks waited.
    pub places: Vec<WaitPlace>,
    /// How long, by place and stretch of time, in the order of time.
    pub sums: Vec<WaitSum>,
    /// How many tasks there were, in the order of time.
    pub moments: Vec<Moment>,
    /// How many seconds one stretch of time has.
    pub stretch: u32,
    /// The locks that tasks waited for, those with the most waiters first.
    pub locks: Vec<LockQueue>,
    /// Tasks that wait for each other, and did so until the end.
    pub circles: Vec<Circle>,
    /// How good the data is.
    pub quality: WaitingQuality,
    /// What is kept only in sums, for want of room, in words.
    pub notes: Vec<String>,
}

/// The tasks of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingKind {
    /// What they are.
    pub kind: TaskKind,
    /// How long they lived, all together, whatever they did.
    pub alive: Nanos,
    /// How many different ones were seen.
    pub tasks: u64,
}

/// Where tasks of one kind waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitPlace {
    /// Index in [`Waiting::kinds`]; `None` for what there was no room to tell apart.
    pub kind: Option<u32>,
    /// The frames from the root function to the leaf, as indices in
    /// [`Waiting::frames`]. Empty where it could not be read.
    pub frames: Vec<u32>,
    /// What was waited for, where that could be read.
    pub on: Option<WaitedOn>,
    /// How long tasks stayed. A stay between two snapshots is not seen at all, so the
    /// short ones are too few.
    pub stays: Vec<StayCount>,
    /// The longest stay that was seen, or the part of it that was.
    pub longest: Nanos,
    /// Tasks that were here in the first snapshot, in the last, and were never seen
    /// elsewhere or running in between.
    pub unmoved: u32,
    /// Some of those.
    pub unmoved_tasks: Vec<TaskId>,
    /// How many were here in the first snapshot.
    pub first: u32,
    /// How many were here in the last.
    pub last: u32,
}

/// What was waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitedOn {
    /// What sort of thing.
    pub what: WaitsOn,
    /// The type of the leaf.
    pub type_name: Arc<str>,
}

/// How many stays were about as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayCount {
    /// How long: see [`StayCount::length`].
    pub class: u8,
    /// Those whose beginning and end were seen.
    pub whole: u32,
    /// Those that had begun before the first snapshot, or went on after the last: they
    /// were longer than this.
    pub cut: u32,
}

/// Classes of lengths for each doubling.
const CLASSES: f64 = 4.0;

/// The shortest length that has a class of its own.
const SHORTEST: f64 = 1e6;

impl StayCount {
    /// The middle of the lengths that are counted here, which is right to within a
    /// tenth.
    #[must_use]
    pub fn length(&self) -> Nanos {
        Nanos((SHORTEST * ((f64::from(self.class) + 0.5) / CLASSES).exp2()) as u64)
    }

    /// The class of a length.
    pub(super) fn class_of(length: Nanos) -> u8 {
        let class = (length.0 as f64 / SHORTEST).max(1.0).log2() * CLASSES;
        class as u8
    }
}

/// Tasks × time at one place in one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitSum {
    /// Seconds since the start of the recording, to the beginning of the stretch.
    pub second: u32,
    /// Index in [`Waiting::places`].
    pub place: u32,
    /// Whether they had been woken, and waited for a worker.
    pub ready: bool,
    /// Tasks × time.
    pub time: Nanos,
}

/// How many tasks there were in one stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Seconds since the start of the recording, to the beginning of the stretch.
    pub second: u32,
    /// How much of it the snapshots stand for.
    pub covered: Nanos,
    /// Tasks × time alive: those that are polled, not the closures of the blocking
    /// pool.
    pub live: Nanos,
    /// Of that, waiting for a worker.
    pub ready: Nanos,
    /// Of that, being polled.
    pub running: Nanos,
    /// The most that waited for a worker at once.
    pub most_ready: u32,
    /// Tasks in the workers' own queues.
    pub local: Option<Depth>,
    /// Tasks in the queue that all workers share.
    pub injection: Option<Depth>,
    /// Closures in the queue of the blocking pool.
    pub blocking: Option<Depth>,
}

/// How long a queue was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// How long it could be read.
    pub covered: Nanos,
    /// Tasks × time.
    pub time: Nanos,
    /// The most at once.
    pub most: u32,
}

/// A lock, or anything that gives permits, that tasks waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockQueue {
    /// Where it stands in memory.
    pub address: u64,
    /// In how many snapshots somebody waited for it.
    pub snapshots: u32,
    /// The waiters of all snapshots together.
    pub waiters: u64,
    /// The most in one.
    pub most: u32,
    /// Where they waited (indices in [`Waiting::places`]), and how many of
    /// [`waiters`](Self::waiters) did so there: the most first.
    pub waited_at: Vec<(u32, u64)>,
    /// Where the tasks that held it waited meanwhile, and in how many snapshots: the
    /// most first.
    pub held_at: Vec<(u32, u64)>,
    /// In how many of the snapshots nobody was seen to hold it: whoever did was
    /// running, or is no task.
    pub unheld: u32,
    /// Some of the tasks that held it last.
    pub holders: Vec<TaskId>,
}

/// Tasks that wait for each other: each for the next, and the last for the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circle {
    /// The tasks.
    pub links: Vec<Link>,
    /// Further tasks that wait for one of these.
    pub behind: u32,
    /// In how many snapshots in a row it was seen.
    pub snapshots: u32,
    /// How long that was.
    pub seen_for: Nanos,
}

/// A task of a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number, where it has one.
    pub task: Option<TaskId>,
    /// Where it waits: an index in [`Waiting::places`].
    pub place: u32,
    /// The lock that it waits for and the next task holds; `None` where it waits for
    /// the next task itself.
    pub lock: Option<u64>,
}

/// How good the data is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingQuality {
    /// How many snapshots there were.
    pub snapshots: u32,
    /// Tasks of all snapshots together.
    pub tasks: u64,
    /// Of those, tasks that moved while they were read, so that nothing is known.
    pub torn: u64,
    /// Tasks whose place could not be read.
    pub unresolved: u64,
    /// How long reading took, all together.
    pub took: Nanos,
    /// How long the slowest took.
    pub slowest: Nanos,
    /// How much time the snapshots stand for.
    pub covered: Nanos,
    /// The usual time between two snapshots.
    pub period: Nanos,
}
