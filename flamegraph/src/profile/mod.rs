//! The profile: everything a recording learned, in one value.

mod file;
mod ids;
pub(crate) mod limits;
mod timeline;
mod validate;
mod waiting;

pub use ids::{FrameId, KindId, StackId, StringId, TaskId, ThreadId};
pub(crate) use timeline::{Bucket, ThreadTime, Weight};
pub use timeline::{State, WeightKey};
pub(crate) use waiting::COVERED;
pub(crate) use waiting::{CircleEntry, KindLife, LinkEntry, LockEntry, WaitEntry, Waiting};

use crate::tasks::TaskList;
use awaitscope_symbolizer::{FrameKind, Origin};
use limits::bounded;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One recording, self-contained: it holds names and numbers, never memory of
/// the target.
///
/// Made by [`ProfileBuilder`](crate::ProfileBuilder) or [`Profile::load`], both
/// of which hold every index in range, every stack's parent before it, and
/// the sum of all times below 2⁶⁴.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// What was recorded.
    pub target: Target,
    /// The async runtimes in it.
    #[serde(deserialize_with = "bounded::<_, _, { limits::RUNTIMES }>")]
    pub runtimes: Vec<RuntimeInfo>,
    /// How it was recorded.
    pub options: RecordingOptions,
    /// When it began, in nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// The kinds of tasks.
    #[serde(deserialize_with = "bounded::<_, _, { limits::KINDS }>")]
    pub kinds: Vec<Kind>,
    /// The tasks that are kept one by one.
    #[serde(deserialize_with = "bounded::<_, _, { limits::TASKS }>")]
    pub tasks: Vec<Task>,
    /// The threads.
    #[serde(deserialize_with = "bounded::<_, _, { limits::THREADS }>")]
    pub threads: Vec<Thread>,
    /// The polls that held their worker too long, in the order of their start.
    #[serde(deserialize_with = "bounded::<_, _, { limits::STALLS }>")]
    pub stalls: Vec<Stall>,
    /// What the recording could not see.
    pub quality: Quality,
    /// The tasks as they were at its end, if they were looked at.
    #[serde(default)]
    pub last_tasks: Option<TaskList>,
    /// What it was merged from; empty for a single recording.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::<_, _, { limits::RECORDINGS }>"
    )]
    pub recordings: Vec<Recorded>,

    #[serde(deserialize_with = "bounded::<_, _, { limits::STRINGS }>")]
    pub(crate) strings: Vec<Arc<str>>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::FRAMES }>")]
    pub(crate) frames: Vec<FrameEntry>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::STACKS }>")]
    pub(crate) stacks: Vec<StackEntry>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::STALLS }>")]
    pub(crate) stall_sums: Vec<StallSum>,
    pub(crate) bucket_ns: u64,
    #[serde(deserialize_with = "bounded::<_, _, { limits::BUCKETS }>")]
    pub(crate) buckets: Vec<Bucket>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::SERIES }>")]
    pub(crate) series: Vec<Series>,
    /// `None` when no snapshots were taken.
    #[serde(default)]
    pub(crate) waiting: Option<Waiting>,
}

/// The recorded process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Target {
    /// Its number; zero for several processes together.
    pub pid: u32,
    /// Its short name.
    pub name: String,
    /// The path of its executable.
    pub exe: String,
    /// The executable's build-id, in hexadecimal.
    pub build_id: Option<String>,
    /// The machine it ran on.
    pub host: String,
    /// How it was started.
    pub command_line: Vec<String>,
}

/// One of the recordings that a profile was merged from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// What was recorded.
    pub target: Target,
    /// When it began, in nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
}

impl Target {
    /// Its number in words: `pid 1`, or that there are several, in a merged profile.
    pub(crate) fn process(&self) -> String {
        match self.pid {
            0 => "several processes".to_owned(),
            pid => format!("pid {pid}"),
        }
    }
}

/// One async runtime of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// Its number, as kinds and workers name it.
    pub index: u32,
    /// Which runtime: `tokio`.
    pub name: String,
    /// Its version, where that can be told.
    pub version: Option<String>,
    /// Its sort: `multi_thread`, `current_thread`.
    pub flavor: String,
    /// How many workers it has.
    pub workers: u32,
}

/// How a recording was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordingOptions {
    /// Samples per second of CPU time; zero where recordings of several rates were merged.
    pub rate_hz: u32,
    /// How long a poll may hold its worker before it is a stall.
    pub stall_threshold_ns: u64,
    /// How much of each stack was copied.
    pub stack_bytes: u32,
    /// Whether the kernel was looked at.
    pub kernel: bool,
}

/// Tasks with the same root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// The root async function, as a source path.
    pub name: String,
    /// How such tasks run.
    pub class: KindClass,
    /// On which runtime, by [`RuntimeInfo::index`].
    pub runtime: Option<u32>,
    /// Tasks of this kind seen that are not in [`Profile::tasks`], because the
    /// table was full.
    #[serde(default)]
    pub tasks_unlisted: u64,
}

/// How the tasks of a kind run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KindClass {
    /// A future that workers poll.
    Async,
    /// A closure on a thread for blocking work (`spawn_blocking`, `to_thread`).
    Blocking,
    /// The root future of a `block_on`.
    BlockOn,
    /// A function that an event loop calls, outside of any task.
    Callback,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its name within the runtime, as the runtime numbers it.
    pub id: String,
    /// Its kind.
    pub kind: KindId,
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its number; zero for all those together that the table had no room for.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: ThreadRole,
}

/// What a thread is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadRole {
    /// It polls the tasks of a runtime.
    Worker {
        /// Which, by [`RuntimeInfo::index`].
        runtime: u32,
    },
    /// It runs blocking work for a runtime.
    Blocking,
    /// Anything else.
    Other,
}

/// A poll that held its worker longer than the threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// When it began, since the start of the recording.
    pub start_ns: u64,
    /// How long the worker was held.
    pub duration_ns: u64,
    /// By how much the duration may be wrong, either way.
    pub uncertainty_ns: u64,
    /// The kind of the task that was polled.
    pub kind: Option<KindId>,
    /// The task, if it could be told.
    pub task: Option<TaskId>,
    /// The worker.
    pub thread: ThreadId,
    /// Why it took long.
    pub cause: Cause,
    /// The system call, if it slept in one.
    pub syscall: Option<String>,
    /// The stacks that held the worker, each with its share of the duration.
    #[serde(deserialize_with = "bounded::<_, _, { limits::STALL_STACKS }>")]
    pub stacks: Vec<(StackId, u64)>,
}

/// Why a poll took long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It computed.
    Cpu,
    /// It slept in a system call.
    Syscall,
    /// It waited for memory to be paged in.
    Fault,
    /// It could have run, but the kernel ran something else.
    Preempted,
}

/// What the recording could not see. A number without its error is not a
/// result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// Samples taken.
    pub samples: u64,
    /// Samples the kernel had no room for.
    pub lost: u64,
    /// Times the kernel held back samples.
    pub throttled: u64,
    /// Stacks that did not reach the start of their thread.
    pub truncated: u64,
    /// Stacks that moved while they were read.
    pub torn: u64,
    /// Walks over all tasks.
    pub snapshots: u64,
    /// Tasks that were seen in those, all together.
    pub snapshot_tasks: u64,
    /// Of those, tasks that moved while they were read.
    pub torn_tasks: u64,
    /// Of those, tasks whose await point could not be told.
    pub unresolved_tasks: u64,
    /// Frames without a name.
    pub unsymbolized_frames: u64,
    /// Samples with at least one such frame.
    pub unsymbolized_samples: u64,
    /// Samples inside a task whose id could not be told.
    pub unidentified_samples: u64,
    /// Further remarks, each a plain sentence: "no kernel frames:
    /// `perf_event_paranoid` is 2".
    #[serde(deserialize_with = "bounded::<_, _, { limits::NOTES }>")]
    pub notes: Vec<String>,
}

/// A frame, with its strings in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FrameEntry {
    pub(crate) function: StringId,
    pub(crate) file: Option<StringId>,
    pub(crate) line: Option<u32>,
    pub(crate) kind: FrameKind,
    pub(crate) origin: Origin,
}

/// A frame and the stack that called it, which stands earlier in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct StackEntry {
    pub(crate) parent: Option<StackId>,
    pub(crate) frame: FrameId,
}

/// Stalls past the number that is kept one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StallSum {
    pub(crate) kind: Option<KindId>,
    pub(crate) thread: ThreadId,
    pub(crate) cause: Cause,
    pub(crate) syscall: Option<String>,
    pub(crate) stack: Option<StackId>,
    pub(crate) count: u64,
    pub(crate) total_ns: u64,
    pub(crate) max_ns: u64,
}

/// A number over time: live tasks, ready tasks, lag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    #[serde(deserialize_with = "bounded::<_, _, { limits::BUCKETS }>")]
    pub(crate) points: Vec<Point>,
}

/// The values of a series within one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) bucket: u32,
    pub(crate) sum: f64,
    pub(crate) count: u64,
    pub(crate) max: f64,
}
/// A frame with its strings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameView<'a> {
    pub(crate) function: &'a str,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u32>,
    pub(crate) kind: FrameKind,
    pub(crate) origin: Origin,
}

impl Profile {
    pub(crate) fn frame(&self, id: FrameId) -> FrameView<'_> {
        let entry = &self.frames[id.index()];
        FrameView {
            function: &self.strings[entry.function.index()],
            file: entry.file.map(|file| &*self.strings[file.index()]),
            line: entry.line,
            kind: entry.kind,
            origin: entry.origin,
        }
    }

    /// The frames of a stack, from its root to its leaf.
    pub(crate) fn stack(&self, id: StackId) -> Vec<FrameView<'_>> {
        let mut frames = Vec::new();
        let mut next = Some(id);
        while let Some(stack) = next {
            let entry = &self.stacks[stack.index()];
            frames.push(self.frame(entry.frame));
            next = entry.parent;
        }
        frames.reverse();
        frames
    }

    pub(crate) fn kind(&self, id: KindId) -> &Kind {
        &self.kinds[id.index()]
    }

    /// Every weight of the profile.
    pub(crate) fn weights(&self) -> impl Iterator<Item = &Weight> {
        self.buckets.iter().flat_map(|bucket| &bucket.weights)
    }
}
