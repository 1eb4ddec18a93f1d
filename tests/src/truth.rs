//! What a service says of itself.

use crate::waiting::{CrowdTruth, TaskWait};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What happened in a service since the last mark. All times in nanoseconds on
/// `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Deserialize)]
pub struct Truth {
    /// The service.
    pub service: String,
    /// Its process.
    pub pid: u32,
    /// When counting began.
    pub mark_ns: u64,
    /// When this was written.
    pub now_ns: u64,
    /// CPU time of the whole process.
    pub process_cpu_ns: u64,
    /// CPU time in polls of tasks.
    pub tasks_cpu_ns: u64,
    /// CPU time outside them.
    pub outside_cpu_ns: u64,
    /// By kind of task.
    pub kinds: Vec<KindTruth>,
    /// By task, for those that live long.
    pub tasks: Vec<TaskTruth>,
    /// Every poll of 5 ms and more that ended.
    pub long_polls: Vec<LongPoll>,
    /// Where the kinds that block do it.
    pub planted: Vec<Planted>,
    /// The stacks of the shapes, frame by frame.
    pub frames: Vec<ExpectedFrame>,
    /// The tasks that are parked at known places.
    pub waits: Vec<TaskWait>,
    /// The tasks that are only counted.
    pub crowds: Vec<CrowdTruth>,
    /// How much work the service did beside, since it started.
    pub ops: u64,
}

/// CPU time of a kind of task.
#[derive(Debug, Clone, Deserialize)]
pub struct KindTruth {
    /// Its root async function.
    pub kind: String,
    /// How many tasks there were.
    pub tasks: u64,
    /// How often they were polled.
    pub polls: u64,
    /// CPU time in those polls.
    pub cpu_ns: u64,
}

/// CPU time of one task.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskTruth {
    /// The runtime's own number for it.
    pub id: u64,
    /// Its kind.
    pub kind: String,
    /// How often it was polled.
    pub polls: u64,
    /// CPU time in those polls.
    pub cpu_ns: u64,
}

/// One poll that took long.
#[derive(Debug, Clone, Deserialize)]
pub struct LongPoll {
    /// The kind of its task.
    pub kind: String,
    /// Its task, 0 when the service does not keep count of it.
    pub task: u64,
    /// The worker's thread.
    pub tid: u32,
    /// When it began.
    pub start_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// How much of that was on a CPU.
    pub cpu_ns: u64,
}

/// A line that blocks its worker on purpose.
#[derive(Debug, Clone, Deserialize)]
pub struct Planted {
    /// The kind of task that does it.
    pub kind: String,
    /// `cpu` or `syscall`.
    pub cause: String,
    /// Which system call, `-` when none.
    pub syscall: String,
    /// The function around the line.
    pub function: String,
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
}

/// A frame that a stack of a shape must have.
#[derive(Debug, Clone, Deserialize)]
pub struct ExpectedFrame {
    /// The shape.
    pub shape: String,
    /// Its place, 0 is the root.
    pub depth: u32,
    /// It stands there several times in a row.
    pub repeated: bool,
    /// It is a wrapper that may be left out.
    pub optional: bool,
    /// `async` or `sync`.
    pub kind: String,
    /// The function, as a person would write it.
    pub function: String,
    /// The file.
    pub file: String,
    /// The line that is awaited or run there.
    pub line: u32,
}

impl Truth {
    /// The share of the process's CPU time that a kind had.
    #[must_use]
    pub fn share(&self, kind: &str) -> f64 {
        let cpu: u64 = self
            .kinds
            .iter()
            .filter(|truth| truth.kind == kind)
            .map(|truth| truth.cpu_ns)
            .sum();
        cpu as f64 / self.process_cpu_ns.max(1) as f64
    }

    /// The share of the CPU time that was outside every task.
    #[must_use]
    pub fn share_outside(&self) -> f64 {
        self.outside_cpu_ns as f64 / self.process_cpu_ns.max(1) as f64
    }

    /// The stacks that the shapes must have: for each shape its frames, root first.
    #[must_use]
    pub fn stacks(&self) -> BTreeMap<&str, Vec<&ExpectedFrame>> {
        let mut stacks: BTreeMap<&str, Vec<&ExpectedFrame>> = BTreeMap::new();
        for frame in &self.frames {
            stacks.entry(&frame.shape).or_default().push(frame);
        }
        for frames in stacks.values_mut() {
            frames.sort_by_key(|frame| frame.depth);
        }
        stacks
    }

    /// The crowd of that name.
    #[must_use]
    pub fn crowd(&self, name: &str) -> Option<&CrowdTruth> {
        self.crowds.iter().find(|crowd| crowd.name == name)
    }

    /// The polls of a kind that were at least so long and began between the two
    /// moments.
    pub fn long_polls_of<'a>(
        &'a self,
        kind: &'a str,
        at_least_ns: u64,
        between: std::ops::Range<u64>,
    ) -> impl Iterator<Item = &'a LongPoll> {
        self.long_polls.iter().filter(move |poll| {
            poll.kind == kind && poll.duration_ns >= at_least_ns && between.contains(&poll.start_ns)
        })
    }
}
