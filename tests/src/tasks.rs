//! What `awaitscope tasks --format json` says, as the contract has it.

use crate::report::{Frame, Runtime};
use crate::waiting::TaskState;
use serde::Deserialize;

/// The tasks of a process at one moment.
#[derive(Debug, Clone, Deserialize)]
pub struct Tasks {
    /// The version of the form.
    pub schema: u32,
    /// The process.
    pub target: Target,
    /// The runtimes that were found.
    pub runtimes: Vec<Runtime>,
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How many there are, and how many could not be read.
    pub counts: Counts,
}

/// The process that was looked at.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// Its number.
    pub pid: u32,
}

/// A task.
#[derive(Debug, Clone, Deserialize)]
pub struct Task {
    /// The runtime's number for it; a future that a thread blocks on has none.
    pub id: Option<String>,
    /// Which of the runtimes has it.
    pub runtime: Option<u32>,
    /// Its root async function.
    pub kind: Option<String>,
    /// The name that the program gave it.
    #[serde(default)]
    pub name: Option<String>,
    /// What it does.
    pub state: TaskState,
    /// From the root to the first leaf.
    pub stack: Vec<Frame>,
    /// What the first leaf waits on.
    pub waits_on: Option<WaitsOn>,
    /// The tasks that wait for it.
    #[serde(default)]
    pub awaited_by: Vec<String>,
    /// The further leaves.
    #[serde(default)]
    pub branches: Vec<Branch>,
}

/// A further leaf of a task.
#[derive(Debug, Clone, Deserialize)]
pub struct Branch {
    /// From the root to it, or from where it parts from the first.
    pub stack: Vec<Frame>,
    /// What it waits on.
    pub waits_on: Option<WaitsOn>,
}

/// What a leaf waits on.
#[derive(Debug, Clone, Deserialize)]
pub struct WaitsOn {
    /// `timer`, `socket`, `lock`, `channel`, `task`, `io` or `other`.
    pub what: String,
    /// The type of the innermost future.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// Everything else that is said of it.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// How many tasks there are.
#[derive(Debug, Clone, Deserialize)]
pub struct Counts {
    /// All that live.
    pub live: u64,
    /// Those that moved while they were read.
    pub torn: u64,
    /// Those whose future could not be followed.
    pub unresolved: u64,
}

impl Task {
    /// Its leaves: every stack and what it ends in.
    pub fn leaves(&self) -> impl Iterator<Item = (&[Frame], Option<&WaitsOn>)> {
        let first = (self.stack.as_slice(), self.waits_on.as_ref());
        let further = self
            .branches
            .iter()
            .map(|branch| (branch.stack.as_slice(), branch.waits_on.as_ref()));
        std::iter::once(first).chain(further)
    }

    /// Its id as a number.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.id.as_ref()?.parse().ok()
    }
}
