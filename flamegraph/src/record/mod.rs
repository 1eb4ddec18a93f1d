//! From what a session has seen to a profile.

mod lag;
mod waiting;

use crate::builder::ProfileBuilder;
use crate::profile::{
    Cause, FrameId, KindClass, KindId, Profile, RecordingOptions, RuntimeInfo, StackId, Stall,
    State, Target, TaskId, ThreadId, ThreadRole, WeightKey,
};
use awaitscope_symbolizer::runtime::TaskClass;
use awaitscope_symbolizer::session::{
    self, NamedStack, Outcome, SampleGroup, SeenStall, StallCause, TaskKind,
};
use std::collections::HashMap;

const SECOND: u64 = 1_000_000_000;

/// Makes a profile of what a session has seen. `notes` are remarks on the
/// recording, each a plain sentence.
#[must_use]
pub fn profile_of(
    outcome: &Outcome,
    target: Target,
    options: RecordingOptions,
    start_unix_ns: u64,
    duration_ns: u64,
    notes: Vec<String>,
) -> Profile {
    let mut builder = ProfileBuilder::new(target, options, start_unix_ns);
    let stretch = outcome
        .waiting
        .as_ref()
        .map_or(1, |waiting| waiting.stretch);
    builder.widen_stretches(u64::from(outcome.stretch.max(stretch)) * SECOND);
    builder.set_runtimes(runtimes(outcome));
    quality(&mut builder, outcome, notes);
    let mut making = Making {
        builder,
        outcome,
        frames: vec![None; outcome.frames.len()],
        stacks: HashMap::new(),
        threads: HashMap::new(),
    };
    making.threads(duration_ns);
    for group in &outcome.samples {
        making.sample(group);
    }
    for stall in &outcome.stalls {
        making.stall(stall);
    }
    if let Some(waiting) = &outcome.waiting {
        making.waiting(waiting);
        making.lag(waiting);
    }
    making.builder.finish(duration_ns)
}

struct Making<'a> {
    builder: ProfileBuilder,
    outcome: &'a Outcome,
    frames: Vec<Option<FrameId>>,
    stacks: HashMap<usize, Option<StackId>>,
    threads: HashMap<awaitscope_sampler::Tid, ThreadId>,
}

impl Making<'_> {
    fn threads(&mut self, duration_ns: u64) {
        for (tid, thread) in &self.outcome.threads {
            let role = match thread.role() {
                session::ThreadRole::Worker => ThreadRole::Worker { runtime: 0 },
                session::ThreadRole::Blocking => ThreadRole::Blocking,
                session::ThreadRole::Other => ThreadRole::Other,
            };
            let name = thread.name.as_deref().unwrap_or("?");
            let id = self.builder.thread(tid.0, name, role);
            self.threads.insert(*tid, id);
            for (second, on_cpu) in &thread.on_cpu {
                let begin = u64::from(*second) * SECOND;
                let length = duration_ns.saturating_sub(begin).min(SECOND);
                let off = length.saturating_sub(on_cpu.0);
                self.builder.add_thread_time(id, begin, on_cpu.0, off);
            }
        }
    }

    fn sample(&mut self, group: &SampleGroup) {
        let Some(stack) = self.stack(group.stack) else {
            return;
        };
        let kind = group.kind.as_ref().map(|kind| self.kind(kind));
        let task = self.task(group.task, kind);
        let thread = self.thread(group.tid);
        self.builder.add_weight(
            WeightKey {
                thread: Some(thread),
                state: State::OnCpu,
                kind,
                task,
                stack,
            },
            u64::from(group.second) * SECOND,
            group.time.0,
            group.count,
        );
    }

    fn stall(&mut self, seen: &SeenStall) {
        let kind = self.kind(&seen.kind);
        let task = self.task(seen.stall.task, Some(kind));
        let thread = self.thread(seen.stall.tid);
        let stacks = seen
            .stacks
            .iter()
            .filter_map(|(stack, time)| Some((self.stack(*stack)?, time.0)))
            .collect();
        self.builder.add_stall(Stall {
            start_ns: seen.stall.start.since(self.outcome.start).0,
            duration_ns: seen.stall.duration.0,
            uncertainty_ns: seen.stall.uncertainty.0,
            kind: Some(kind),
            task,
            thread,
            cause: match seen.stall.cause {
                StallCause::Cpu => Cause::Cpu,
                StallCause::Syscall => Cause::Syscall,
                StallCause::Fault => Cause::Fault,
                StallCause::Preempted => Cause::Preempted,
            },
            syscall: seen.syscall.map(str::to_owned),
            stacks,
        });
    }

    fn kind(&mut self, kind: &TaskKind) -> KindId {
        let class = match kind.class {
            TaskClass::Async => KindClass::Async,
            TaskClass::Blocking => KindClass::Blocking,
            TaskClass::BlockOn => KindClass::BlockOn,
            TaskClass::Callback => KindClass::Callback,
        };
        let runtime = u32::try_from(kind.runtime).ok();
        self.builder.kind(&kind.name, class, runtime)
    }

    fn task(
        &mut self,
        task: Option<awaitscope_symbolizer::runtime::TaskId>,
        kind: Option<KindId>,
    ) -> Option<TaskId> {
        self.builder.task(&task?.to_string(), kind?)
    }

    fn thread(&mut self, tid: awaitscope_sampler::Tid) -> ThreadId {
        match self.threads.get(&tid) {
            Some(id) => *id,
            None => self.builder.thread(tid.0, "?", ThreadRole::Other),
        }
    }

    fn stack(&mut self, index: usize) -> Option<StackId> {
        if let Some(known) = self.stacks.get(&index) {
            return *known;
        }
        let stack = self.outcome.stacks.get(index);
        let id = stack.and_then(|stack| self.intern(stack));
        self.stacks.insert(index, id);
        id
    }

    fn intern(&mut self, stack: &NamedStack) -> Option<StackId> {
        stack.frames.iter().fold(None, |parent, index| {
            let Some(frame) = self.frame(*index as usize) else {
                return parent;
            };
            Some(self.builder.stack(parent, frame))
        })
    }

    fn frame(&mut self, index: usize) -> Option<FrameId> {
        let frame = self.outcome.frames.get(index)?;
        let known = self.frames.get_mut(index)?;
        Some(*known.get_or_insert_with(|| self.builder.frame(frame)))
    }
}

fn runtimes(outcome: &Outcome) -> Vec<RuntimeInfo> {
    let workers = outcome
        .threads
        .values()
        .filter(|thread| thread.role() == session::ThreadRole::Worker)
        .count();
    outcome
        .runtimes
        .iter()
        .zip(0..)
        .map(|(runtime, index)| RuntimeInfo {
            index,
            name: runtime.name.clone(),
            version: runtime.version.clone(),
            flavor: runtime.flavor.clone().unwrap_or_default(),
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
        })
        .collect()
}

fn quality(builder: &mut ProfileBuilder, outcome: &Outcome, notes: Vec<String>) {
    let seen = &outcome.quality;
    let quality = builder.quality_mut();
    quality.samples = seen.samples;
    quality.lost = seen.lost;
    quality.throttled = seen.throttled;
    quality.truncated = seen.truncated;
    quality.torn = seen.torn;
    quality.unsymbolized_samples = seen.unsymbolized;
    quality.unidentified_samples = seen.without_id;
    quality.notes.extend(notes);
    quality.notes.extend(outcome.notes.iter().cloned());
}
