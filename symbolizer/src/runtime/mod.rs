//! The async runtimes: one folder each, all with the same files.
//!
//! | file | its job |
//! | --- | --- |
//! | `detect` | is this runtime in the process, and which version |
//! | `layout` | where its structures keep what we read |
//! | `running` | which task a stack runs, and where the task's own frames begin |
//! | `progress` | what tells one poll of a worker from the next |
//! | `suspended` | lists all tasks, and where each waits |
//!
//! A new runtime is a folder here and a line in [`detect`].

mod async_executor;
mod asyncio;
mod glue;
mod rust;
pub mod tokio;

pub use glue::is_standard_glue;

use crate::module::{AddressSpace, ModuleId, Svma};
use crate::names::SourceFrame;
use crate::snapshot::{AwaitTable, Snapshot};
use crate::unwind::PhysicalFrame;
use awaitscope_sampler::{AtSample, Avma, Mapping, MemoryCopy, Process, ReadMemory, Tid};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A task, by the number its runtime gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u64);

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What sort of task it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskClass {
    /// A future that workers poll.
    Async,
    /// A closure on the blocking pool: it may block.
    Blocking,
    /// The future that a thread entered the runtime with.
    BlockOn,
    /// A function that an event loop calls, outside of any task.
    Callback,
}

/// Where on a stack a task's own frames begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Index of the first frame inside the poll, in a stack from the outermost
    /// frame to the innermost.
    pub first: usize,
    /// What sort of task is polled.
    pub class: TaskClass,
    /// The chain of names of the task's root function, where the poll frame
    /// tells it: `app`, `handler`, `{async_fn#0}`.
    pub root: Option<Vec<String>>,
}

/// What a runtime in the process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// `tokio`.
    pub name: String,
    /// Its version, where it can be told.
    pub version: Option<String>,
    /// Its sort, where it can be told: `multi_thread`, `current_thread`.
    pub flavor: Option<String>,
    /// Whether the progress of workers can be read, which on-CPU stalls need. Where
    /// that has to be learned first, it is told by what was recorded.
    pub progress: bool,
    /// Whether it can be learned. Some runtimes keep nothing that would tell.
    pub learns: bool,
    /// Whether the debug information has its types.
    pub types: bool,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// The task it polls, or the last one it polled.
    pub task: Option<TaskId>,
    /// Moves whenever a new poll begins.
    pub epoch: u64,
}

/// A thread and where its thread-local storage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadBase {
    /// The thread.
    pub tid: Tid,
    /// Its thread pointer.
    pub tls_base: Avma,
}

/// An async runtime found in a process.
pub trait Runtime: Send {
    /// What it is.
    fn info(&self) -> RuntimeInfo;

    /// Where the task's own frames begin on a stack from the outermost frame to
    /// the innermost; `None` when no task is being polled.
    fn anchor(&self, frames: &[SourceFrame]) -> Option<Anchor>;

    /// Whether a frame is the runtime's machinery.
    fn is_glue(&self, frame: &SourceFrame) -> bool;

    /// Whether it gives numbers to tasks of a class.
    fn numbers(&self, class: TaskClass) -> bool {
        class != TaskClass::BlockOn
    }

    /// Whether all is machinery on a stack that has some of it and polls no task: where there are
    /// callbacks, it is not.
    fn folds_executor(&self) -> bool {
        true
    }

    /// What the innermost poll on a stack runs. `frames` go from the innermost
    /// outwards, `stack` reads the sampled stack, `memory` the process as it is
    /// now.
    fn polled(&mut self, seen: &SeenStack<'_>) -> Polled;

    /// What has to be read at the moment of a sample, for a runtime whose stacks are not all native.
    fn at_sample(&self) -> Option<Arc<dyn AtSample>> {
        None
    }

    /// Puts the frames of an interpreter in the place of the native ones that run them. `copy` is
    /// what [`at_sample`](Self::at_sample) read, if it holds. `None` for a stack that has nothing to
    /// do with it.
    fn interpret(
        &mut self,
        _seen: &SeenStack<'_>,
        _copy: Option<&MemoryCopy>,
    ) -> Option<Interpreted> {
        None
    }

    /// What reads the progress of workers, where that can be read or learned: a new one each
    /// time, which remembers for itself.
    fn progress(&self) -> Option<Box<dyn ProgressReader>>;

    /// What lists the tasks of the runtime.
    fn tasks(&self) -> Box<dyn TaskReader>;
}

/// Lists the tasks of a runtime and finds out what each waits for.
pub trait TaskReader: Send {
    /// Adds the schedulers and tasks of the runtime with the number `runtime` to
    /// `snapshot`, and what they have in common to `table`.
    fn read(
        &mut self,
        runtime: usize,
        seen: &SeenThreads<'_>,
        table: &mut AwaitTable,
        snapshot: &mut Snapshot,
    );
}

/// A process whose tasks are looked for.
#[allow(missing_debug_implementations)]
pub struct SeenThreads<'a> {
    /// Its threads, as far as their thread-local storage is known.
    pub threads: &'a [ThreadBase],
    /// Its modules.
    pub space: &'a AddressSpace,
    /// Its memory mappings, from not long ago.
    pub mappings: &'a [Mapping],
    /// The process as it is now.
    pub process: &'a dyn Process,
}

/// Reads how far the workers of a runtime are.
pub trait ProgressReader: Send {
    /// How far each thread is that is a worker of this runtime; the others are
    /// left out.
    fn read(&mut self, threads: &[ThreadBase], memory: &dyn ReadMemory) -> Vec<(Tid, Progress)>;
}

/// A stack, and the process it was taken from.
#[allow(missing_debug_implementations)]
pub struct SeenStack<'a> {
    /// The thread.
    pub tid: Tid,
    /// Whether the frames go on to where the thread begins.
    pub whole: bool,
    /// The modules of the process.
    pub space: &'a AddressSpace,
    /// The frames, from the innermost outwards.
    pub frames: &'a [PhysicalFrame],
    /// Reads a word of the stack as it was.
    pub stack: &'a dyn Fn(Avma) -> Option<u64>,
    /// The process as it is now.
    pub memory: &'a dyn ReadMemory,
    /// The functions at a place in a module, innermost first.
    pub names: &'a dyn Fn(ModuleId, Svma) -> Arc<[SourceFrame]>,
}

/// A stack with the frames of an interpreter in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreted {
    /// From the outermost to the innermost.
    pub steps: Vec<Step>,
    /// Whether it begins where the thread does, also where the native frames do not.
    pub complete: bool,
    /// The thread had run on before the frames of the interpreter could be read, so they are not among
    /// these.
    pub moved: bool,
    /// What it polls.
    pub polled: Polled,
}

/// A frame of a stack with the frames of an interpreter in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A native one, by its index in [`SeenStack::frames`].
    Native(usize),
    /// One of the interpreter, or what people read in the place of a native one.
    Script(SourceFrame),
}

/// What a stack was found to poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// A task; without an id where that could not be read.
    Task {
        /// What sort of task.
        class: TaskClass,
        /// Its id.
        id: Option<TaskId>,
    },
    /// Nothing: it is a worker between two polls. Its thread shows this id
    /// meanwhile.
    Worker {
        /// The id.
        shows: Option<TaskId>,
    },
    /// Nothing of this runtime.
    Nothing,
}

/// The name and version of a runtime that is in the process without the symbols
/// that it takes to find its tasks.
#[must_use]
pub fn stripped(space: &AddressSpace) -> Option<String> {
    tokio::stripped(space)
}

/// The runtimes of a process.
#[must_use]
pub fn detect(space: &AddressSpace, process: &dyn Process) -> Vec<Box<dyn Runtime>> {
    let mut found: Vec<Box<dyn Runtime>> = Vec::new();
    if let Some(tokio) = tokio::Tokio::detect(space) {
        found.push(Box::new(tokio));
    }
    if let Some(executor) = async_executor::AsyncExecutor::detect(space) {
        found.push(Box::new(executor));
    }
    if let Some(Ok(asyncio)) = asyncio::Asyncio::detect(space, process) {
        found.push(Box::new(asyncio));
    }
    found
}

/// Why a runtime that is in the process is not among those that [`detect`] gives, in a
/// sentence.
#[must_use]
pub fn refused(space: &AddressSpace, process: &dyn Process) -> Option<String> {
    let asyncio = asyncio::Asyncio::detect(space, process)?;
    asyncio.err().map(|why| why.to_string())
}
