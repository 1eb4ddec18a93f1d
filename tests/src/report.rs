//! What `awaitscope report --format json` says, as the contract has it.

use serde::Deserialize;

/// The report.
#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    /// The version of the form.
    pub schema: u32,
    /// The runtimes that were found.
    pub runtimes: Vec<Runtime>,
    /// When, and how long.
    pub time: Time,
    /// How good it is.
    pub quality: Quality,
    /// CPU time.
    pub cpu: Cpu,
    /// By kind of task.
    pub kinds: Vec<Kind>,
    /// By task.
    pub tasks: Vec<Task>,
    /// Where workers were held.
    pub stalls: Vec<Stall>,
    /// The workers.
    pub workers: Vec<Worker>,
}

/// A runtime in the target.
#[derive(Debug, Clone, Deserialize)]
pub struct Runtime {
    /// `tokio`.
    pub name: String,
    /// Its version, if it can be told.
    pub version: Option<String>,
    /// `multi_thread`, `current_thread`.
    pub flavor: Option<String>,
    /// How many workers it has.
    pub workers: Option<u32>,
}

/// When the recording was.
#[derive(Debug, Clone, Deserialize)]
pub struct Time {
    /// How long it was.
    pub duration_s: f64,
}

/// What the profiler could not see.
#[derive(Debug, Clone, Deserialize)]
pub struct Quality {
    /// Samples taken.
    pub samples: u64,
    /// Records the kernel had no room for.
    pub lost: u64,
    /// Stacks that did not reach the thread's start.
    pub truncated: u64,
    /// Samples without a name, as a share.
    pub unsymbolized_share: f64,
    /// The rate that was asked for.
    pub rate_hz: f64,
}

/// CPU time of the target.
#[derive(Debug, Clone, Deserialize)]
pub struct Cpu {
    /// All of it.
    pub total_ms: f64,
    /// That in tasks.
    pub in_tasks_ms: f64,
}

/// CPU time of a kind.
#[derive(Debug, Clone, Deserialize)]
pub struct Kind {
    /// The root async function.
    pub kind: String,
    /// How many tasks were seen.
    pub tasks_seen: u64,
    /// CPU time.
    pub cpu_ms: f64,
    /// As a share of the target's.
    pub cpu_share: f64,
    /// Where the share is with 95 % confidence.
    pub cpu_share_ci95: [f64; 2],
    /// How many stalls.
    pub stalls: u64,
}

/// CPU time of a task.
#[derive(Debug, Clone, Deserialize)]
pub struct Task {
    /// The runtime's number for it.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// CPU time.
    pub cpu_ms: f64,
    /// As a share of the target's.
    pub cpu_share: f64,
}

/// Stalls with the same cause at the same place.
#[derive(Debug, Clone, Deserialize)]
pub struct Stall {
    /// The kind of task.
    pub kind: String,
    /// `cpu`, `syscall`, `fault` or `preempted`.
    pub cause: String,
    /// Which system call.
    pub syscall: Option<String>,
    /// How many.
    pub count: u64,
    /// All their time.
    pub total_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// Where.
    pub stack: Vec<Frame>,
    /// The line to look at.
    pub culprit: Option<Culprit>,
    /// What to do about it.
    pub advice: Option<String>,
}

/// A frame of a stack.
#[derive(Debug, Clone, Deserialize)]
pub struct Frame {
    /// The function.
    pub function: String,
    /// The file.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
    /// `async`, `sync`, `leaf`, `runtime` or `kernel`.
    pub kind: String,
}

/// The line that holds a worker.
#[derive(Debug, Clone, Deserialize)]
pub struct Culprit {
    /// The function.
    pub function: String,
    /// The file.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

/// A worker thread.
#[derive(Debug, Clone, Deserialize)]
pub struct Worker {
    /// Its name.
    pub thread: String,
    /// Its number.
    pub tid: u32,
    /// How much of the time it was busy.
    pub busy_share: f64,
    /// How much of the time it was held.
    pub stalled_share: f64,
}
