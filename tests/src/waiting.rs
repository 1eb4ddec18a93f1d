//! What a service says of its own await trees.

use serde::Deserialize;
use std::fmt;

/// A task that is parked at a known place.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskWait {
    /// What the service calls it; several tasks may be called the same.
    pub name: String,
    /// The runtime's own number for it; a future that a thread blocks on has none.
    pub id: Option<u64>,
    /// The name that the runtime has for it, where it has names.
    #[serde(default)]
    pub task_name: Option<String>,
    /// The tasks that it waits for, where its leaves do not say which does.
    #[serde(default)]
    pub awaits: Vec<u64>,
    /// What sort of task.
    pub class: TaskClass,
    /// What the runtime does with it.
    pub state: TaskState,
    /// Where its tree ends: one or more when it is suspended.
    pub leaves: Vec<LeafTruth>,
}

/// What sort of task it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskClass {
    /// A spawned future.
    Async,
    /// A closure for the blocking pool.
    Blocking,
    /// A future that a thread blocks on.
    Root,
}

/// What the runtime does with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It is polled just now.
    Running,
    /// It waits.
    Suspended,
    /// It was woken and waits for a worker.
    Ready,
    /// It is done.
    Complete,
}

/// Tasks of one kind that are only counted.
#[derive(Debug, Clone, Deserialize)]
pub struct CrowdTruth {
    /// What the service calls them.
    pub name: String,
    /// All of them are suspended all the time, and nobody else has ids among theirs.
    pub parked: bool,
    /// How many there ever were.
    pub spawned: u64,
    /// How many of them have ended.
    pub finished: u64,
    /// All of them have ids from this,
    pub first_id: u64,
    /// to this. Other crowds that come and go may have ids in between.
    pub last_id: u64,
    /// Where their trees end.
    pub leaves: Vec<LeafTruth>,
}

/// One end of a tree, with every frame of the service's own on the way to it.
#[derive(Debug, Clone, Deserialize)]
pub struct LeafTruth {
    /// What the service calls it.
    pub leaf: String,
    /// So many leaves at least look like this
    pub least: u64,
    /// and so many at most.
    pub most: u64,
    /// What it may be told to wait on; empty where that does not matter.
    pub what: Vec<String>,
    /// From the root on.
    pub frames: Vec<AwaitFrame>,
    /// When its timer ends, on `CLOCK_MONOTONIC`.
    pub deadline_ns: Option<u64>,
    /// Its socket's address.
    pub local: Option<String>,
    /// The address at the other end.
    pub peer: Option<String>,
    /// The task that it waits for.
    pub task: Option<u64>,
    /// The task that has what it waits for.
    pub holder: Option<u64>,
}

/// An async function, and where it awaits.
#[derive(Debug, Clone, Deserialize)]
pub struct AwaitFrame {
    /// The function, as a person would write it.
    pub function: String,
    /// The file.
    pub file: String,
    /// The line of the `.await`.
    pub line: u32,
    /// It stands there so many times in a row.
    pub times: u32,
    /// A macro of a library wrote the `.await`: its line may be unknown.
    pub line_free: bool,
    /// It is a wrapper that may be left out.
    pub optional: bool,
}

impl TaskWait {
    /// Its root async function, where the service says which.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        kind_of(&self.leaves)
    }
}

impl CrowdTruth {
    /// Their root async function, where the service says which.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        kind_of(&self.leaves)
    }

    /// How many live now.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.spawned - self.finished
    }
}

fn kind_of(leaves: &[LeafTruth]) -> Option<&str> {
    let mut frames = leaves.first()?.frames.iter();
    let root = frames.find(|frame| !frame.optional)?;
    Some(&root.function)
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Ready => "ready",
            Self::Complete => "complete",
        })
    }
}
