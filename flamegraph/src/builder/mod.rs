//! Collects a recording as it happens.

mod stacks;
mod stalls;
mod tasks;
mod timeline;

use crate::profile::{
    FrameId, KindClass, KindId, Profile, Quality, RecordingOptions, RuntimeInfo, StackId, Stall,
    StallSum, Target, TaskId, Thread, ThreadId, ThreadRole, Waiting, WeightKey, limits,
};
use awaitscope_symbolizer::Frame;
use stacks::Stacks;
use stalls::Stalls;
use tasks::{Tasks, Threads};
use timeline::Timeline;

/// Collects what a recording finds and makes a [`Profile`] of it.
///
/// Everything that repeats is kept once and named by an id, so that a sample
/// costs a few hash look-ups. Times are in nanoseconds since the recording
/// began.
#[derive(Debug)]
pub struct ProfileBuilder {
    target: Target,
    options: RecordingOptions,
    start_unix_ns: u64,
    runtimes: Vec<RuntimeInfo>,
    quality: Quality,
    stacks: Stacks,
    tasks: Tasks,
    threads: Threads,
    timeline: Timeline,
    stalls: Stalls,
    waiting: Option<Waiting>,
}

impl ProfileBuilder {
    /// Begins a profile of a recording that began `start_unix_ns` nanoseconds
    /// after 1970.
    #[must_use]
    pub fn new(target: Target, options: RecordingOptions, start_unix_ns: u64) -> Self {
        Self {
            target,
            options,
            start_unix_ns,
            runtimes: Vec::new(),
            quality: Quality::default(),
            stacks: Stacks::default(),
            tasks: Tasks::default(),
            threads: Threads::default(),
            timeline: Timeline::default(),
            stalls: Stalls::default(),
            waiting: None,
        }
    }

    /// Keeps times by stretches of at least `ns`, because they are known no finer.
    /// For before the first of them.
    pub fn widen_stretches(&mut self, ns: u64) {
        self.timeline.widen_to(ns);
    }

    /// Says which runtimes the process has: replaces what was said before.
    pub fn set_runtimes(&mut self, runtimes: Vec<RuntimeInfo>) {
        self.runtimes = runtimes;
        self.runtimes.truncate(limits::RUNTIMES);
    }

    /// The id of a frame.
    pub fn frame(&mut self, frame: &Frame) -> FrameId {
        self.stacks.frame(frame)
    }

    /// The id of the stack in which `parent` called `frame`; without a parent,
    /// `frame` is the root.
    ///
    /// Past 4096 frames, or a million distinct stacks, the parent is returned:
    /// time then goes to the stack that called the frame.
    pub fn stack(&mut self, parent: Option<StackId>, frame: FrameId) -> StackId {
        self.stacks.stack(parent, frame)
    }

    /// The id of a kind of tasks, on the runtime with this
    /// [`index`](RuntimeInfo::index).
    pub fn kind(&mut self, name: &str, class: KindClass, runtime: Option<u32>) -> KindId {
        self.tasks.kind(name, class, runtime)
    }

    /// The id of a task. `None` when there are too many tasks to keep one by
    /// one: this one is then counted in its kind.
    pub fn task(&mut self, id: &str, kind: KindId) -> Option<TaskId> {
        self.tasks.task(id, kind)
    }

    /// The id of a thread. A thread that is told again gets the new name and
    /// role, because threads are named, and become workers, after they start.
    pub fn thread(&mut self, tid: u32, name: &str, role: ThreadRole) -> ThreadId {
        self.threads.thread(tid, name, role)
    }

    /// The id of a thread of another process, whose number another thread may have too.
    pub(crate) fn add_thread(&mut self, thread: Thread) -> ThreadId {
        self.threads.add(thread)
    }

    /// Counts tasks that another profile did not keep one by one.
    pub(crate) fn add_unlisted(&mut self, kind: KindId, tasks: u64) {
        self.tasks.add_unlisted(kind, tasks);
    }

    /// Adds stalls that another profile kept only as a sum.
    pub(crate) fn add_stall_sum(&mut self, sum: StallSum) {
        self.stalls.add_sum(sum);
    }

    /// Adds time that began at `at_ns`, and how many samples told of it.
    pub fn add_weight(&mut self, key: WeightKey, at_ns: u64, ns: u64, samples: u32) {
        self.timeline.add_weight(key, at_ns, ns, samples);
    }

    /// Adds time that a thread was on a CPU, and off it, from `at_ns` on.
    pub fn add_thread_time(&mut self, thread: ThreadId, at_ns: u64, on_cpu_ns: u64, off_ns: u64) {
        self.timeline
            .add_thread_time(thread, at_ns, on_cpu_ns, off_ns);
    }

    /// Adds a stall. Past fifty thousand, they are summed by kind, thread,
    /// cause and heaviest stack.
    pub fn add_stall(&mut self, stall: Stall) {
        self.stalls.add(stall);
    }

    /// Adds a value of a named series (`live_tasks`, `ready_tasks`, `lag_ms`).
    /// A value that is no number is left out.
    pub fn add_point(&mut self, series: &str, at_ns: u64, value: f64) {
        self.timeline.add_point(series, at_ns, value);
    }

    /// Adds the mean of a named series over a stretch of time, and the most it was.
    pub fn add_mean(&mut self, series: &str, at_ns: u64, mean: f64, most: f64) {
        self.timeline.add_mean(series, at_ns, mean, most);
    }

    /// Says what snapshots told, beside times.
    pub(crate) fn set_waiting(&mut self, mut waiting: Waiting) {
        waiting.locks.truncate(limits::LOCKS);
        waiting.circles.truncate(limits::CIRCLES);
        self.waiting = Some(waiting);
    }

    /// What the recording could not see, to be counted up.
    pub fn quality_mut(&mut self) -> &mut Quality {
        &mut self.quality
    }

    /// What is recorded, to be completed as it becomes known.
    pub fn target_mut(&mut self) -> &mut Target {
        &mut self.target
    }

    /// How it is recorded, to be completed as it becomes known.
    pub fn options_mut(&mut self) -> &mut RecordingOptions {
        &mut self.options
    }

    /// How many stalls were added.
    #[must_use]
    pub fn stall_count(&self) -> u64 {
        self.stalls.count()
    }

    /// How many different tasks were named.
    #[must_use]
    pub fn task_count(&self) -> u64 {
        self.tasks.count()
    }

    /// Ends the profile.
    #[must_use]
    pub fn finish(mut self, duration_ns: u64) -> Profile {
        self.stacks.remark(&mut self.quality.notes);
        self.tasks.remark(&mut self.quality.notes);
        self.threads.remark(&mut self.quality.notes);
        self.stalls.remark(&mut self.quality.notes);
        self.timeline.remark(&mut self.quality.notes);
        self.quality.notes.truncate(limits::NOTES);
        let (strings, frames, stacks) = self.stacks.finish();
        let (kinds, tasks) = self.tasks.finish();
        let (stalls, stall_sums) = self.stalls.finish();
        let (bucket_ns, buckets, series) = self.timeline.finish();
        Profile {
            target: self.target,
            runtimes: self.runtimes,
            options: self.options,
            start_unix_ns: self.start_unix_ns,
            duration_ns: duration_ns.min(limits::TIME),
            kinds,
            tasks,
            threads: self.threads.finish(),
            stalls,
            quality: self.quality,
            last_tasks: None,
            recordings: Vec::new(),
            strings,
            frames,
            stacks,
            stall_sums,
            bucket_ns,
            buckets,
            series,
            waiting: self.waiting,
        }
    }
}
