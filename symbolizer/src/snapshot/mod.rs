//! What every task of a process waits for, at a moment.
//!
//! A [`Snapshotter`] walks the tasks of every runtime in the memory of a process that
//! goes on running, and gives a [`Snapshot`]. What many tasks have in common (kinds,
//! stacks, what is waited for) is kept once, in an [`AwaitTable`] that lives as long as
//! the snapshotter and only grows, so that snapshots of one process can be compared by
//! numbers.

mod history;
mod snapshotter;
mod table;

pub use history::{
    Circle, Depth, History, Link, LockQueue, Moment, Recent, StayCount, WaitPlace, WaitSum,
    WaitedOn, Waiting, WaitingKind, WaitingQuality,
};
pub use snapshotter::Snapshotter;
pub use table::{AwaitPoint, AwaitTable, KindId, PointId, StackNode};

use crate::runtime::TaskId;
use awaitscope_sampler::Nanos;
use serde::{Deserialize, Serialize};

/// All tasks at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When the reading began, on the events' clock.
    pub time: Nanos,
    /// How long it took.
    pub took: Nanos,
    /// The runtimes that were found: each scheduler of a process is one.
    pub schedulers: Vec<SchedulerSeen>,
    /// Their tasks, each once.
    pub tasks: Vec<TaskSeen>,
    /// Tasks that moved whenever they were read, so that nothing can be said of them
    /// but that they were there.
    pub torn: u32,
    /// Tasks whose state is known, but not where they wait: there is no debug
    /// information for them, or what it says does not fit.
    pub unresolved: u32,
}

/// One scheduler with its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerSeen {
    /// Which sort of runtime, by its place in what
    /// [`detect`](crate::runtime::detect) gives.
    pub runtime: usize,
    /// `multi_thread`, `current_thread`, `local`.
    pub flavor: Option<String>,
    /// How many workers it has.
    pub workers: u32,
    /// Tasks that wait for a worker.
    pub queues: Queues,
}

/// How many tasks wait in a scheduler's queues; `None` where that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// In the workers' own.
    pub local: Option<u32>,
    /// In the one that all share.
    pub injection: Option<u32>,
    /// In that of the blocking pool.
    pub blocking: Option<u32>,
}

/// A task as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSeen {
    /// Where it stands in memory. Together with the id it tells it from every other.
    pub address: u64,
    /// The number its runtime gave it.
    pub id: Option<TaskId>,
    /// Its scheduler, by its place in [`Snapshot::schedulers`].
    pub scheduler: u32,
    /// What it is.
    pub kind: KindId,
    /// What it does.
    pub state: TaskState,
    /// What it waits for: one for each leaf of its tree, in the order of the source.
    /// Empty for a task that runs, whose memory says nothing, and where it could not be
    /// read.
    pub waits: Box<[Wait]>,
    /// The locks that it holds while it waits, by their addresses.
    pub holds: Box<[u64]>,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// A worker polls it, or a thread of the blocking pool runs it.
    Running,
    /// It waits for a worker.
    Ready,
    /// It waits for something else.
    Suspended,
    /// It is done, and only its result is kept.
    Complete,
}

/// One leaf of a task's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Where, and on what sort of thing.
    pub point: PointId,
    /// On which.
    pub detail: Detail,
}

/// Which thing a task waits on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Detail {
    /// It could not be told.
    #[default]
    Unknown,
    /// A timer that ends then, on the monotonic clock.
    Deadline(Nanos),
    /// An open file, socket or pipe, by its descriptor.
    Descriptor(i32),
    /// What the kernel reports to the process under this number: `epoll_event.data`.
    Registered(u64),
    /// The task at this address.
    Task(u64),
    /// The lock or channel at this address.
    Object(u64),
}

/// The sort of thing that a task waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsOn {
    /// Time to pass.
    Timer,
    /// A peer.
    Socket,
    /// A lock, or permits.
    Lock,
    /// The other end of a channel.
    Channel,
    /// Another task, or a closure on the blocking pool.
    Task,
    /// Input or output that is no socket.
    Io,
    /// Anything else.
    Other,
}
