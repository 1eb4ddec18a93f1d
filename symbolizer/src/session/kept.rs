//! From what was kept of a recording to an [`Outcome`]: names are put to everything, and times
//! are weighed by what the switches tell.

use super::groups::{Group, GroupKey, Owner, Weight};
use super::kinds::{kind_of, kinds_of_tasks};
use super::naming::{Named, NamedStack, Names, StackNamer};
use super::outcome::{Outcome, Quality, SampleGroup, SeenStall, TaskKind, ThreadSeen};
use super::stall::{Stall, StallCause};
use super::turns::Turns;
use crate::frame::{Frame, FrameKind, Origin};
use crate::module::AddressSpace;
use crate::runtime::{self, Runtime, RuntimeInfo, TaskClass, TaskId};
use awaitscope_sampler::{Nanos, Tid, syscall_name};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What an [`Outcome`] is made of, before there are names.
pub(super) struct Kept {
    pub sums: Vec<(GroupKey, Weight)>,
    pub threads: BTreeMap<Tid, ThreadSeen>,
    pub turns: BTreeMap<u32, Turns>,
    pub quality: Quality,
    pub start: Nanos,
    pub stretch: u32,
    pub notes: Vec<String>,
}

impl Kept {
    /// Puts names to everything.
    pub fn outcome(
        mut self,
        stalls: Vec<Stall>,
        mut reader: StackNamer<'_>,
        hand_over: fn(&mut Named) -> Names,
        space: &AddressSpace,
        runtimes: &[Box<dyn Runtime>],
    ) -> Outcome {
        let groups: Vec<Group> = std::mem::take(&mut self.sums)
            .into_iter()
            .map(|(key, weight)| (key, weight, reader.read(key.stack)))
            .collect();
        let stalls: Vec<(Stall, Vec<(usize, Nanos)>)> = stalls
            .into_iter()
            .map(|stall| {
                let stacks = stall.stacks.iter();
                let stacks = stacks.map(|(stack, time)| (reader.read(*stack), *time));
                let stacks = stacks.collect();
                (stall, stacks)
            })
            .collect();
        let (mut frames, mut stacks) = hand_over(reader.named);
        let kinds = kinds_of_tasks(&groups, &stalls, &stacks);
        let unnamed: Vec<bool> = frames.iter().map(is_unnamed).collect();
        for (key, weight, stack) in &groups {
            let stack = &stacks[*stack];
            let last = stack.frames.last();
            let unnamed = last.is_none_or(|frame| unnamed[*frame as usize]);
            self.quality.unsymbolized += u64::from(weight.count) * u64::from(unnamed);
            let nameless = key.owner == Owner::Nobody && has_ids(stack, runtimes);
            self.quality.without_id += u64::from(weight.count) * u64::from(nameless);
        }
        let mut unsampled = unsampled(&self.threads, &groups, stacks.len());
        if !unsampled.is_empty() {
            frames.push(unsampled_frame());
            stacks.push(NamedStack {
                frames: Arc::from([u32::try_from(frames.len() - 1).unwrap_or(u32::MAX)]),
                task: None,
            });
        }
        let mut samples: Vec<SampleGroup> = groups
            .into_iter()
            .map(|(key, weight, stack)| SampleGroup {
                stack,
                kind: kind_of(key.owner.task(), &stacks[stack], &kinds),
                task: key.owner.task().filter(|_| stacks[stack].task.is_some()),
                tid: key.tid,
                second: key.second,
                time: weight.time,
                count: weight.count,
            })
            .collect();
        if self.quality.lost == 0 {
            weigh_by_switches(&mut samples, &self.threads);
        }
        samples.append(&mut unsampled);
        sum_equal(&mut samples);
        Outcome {
            runtimes: runtime_infos(runtimes, &self.threads),
            samples,
            stalls: stalls
                .into_iter()
                .filter_map(|(stall, in_it)| seen_stall(stall, in_it, &stacks, &kinds))
                .collect(),
            frames,
            stacks,
            threads: self.threads,
            kinds,
            quality: self.quality,
            start: self.start,
            stretch: self.stretch,
            build_id: program_build_id(space),
            stripped_runtime: match runtimes {
                [] => runtime::stripped(space),
                _ => None,
            },
            notes: self.notes,
            turns: self.turns,
            waiting: None,
        }
    }
}

/// A runtime that had to learn how to read the progress of its workers has done so if
/// some was read.
fn runtime_infos(
    runtimes: &[Box<dyn Runtime>],
    threads: &BTreeMap<Tid, ThreadSeen>,
) -> Vec<RuntimeInfo> {
    let pulsed = threads.values().any(|thread| thread.pulsed);
    let runtimes = runtimes.iter().map(|runtime| {
        let info = runtime.info();
        let learned = runtime.progress().is_some() && pulsed;
        RuntimeInfo {
            progress: info.progress || learned,
            ..info
        }
    });
    runtimes.collect()
}

/// Stacks that differ in addresses may have the same names.
fn sum_equal(samples: &mut Vec<SampleGroup>) {
    let key = |group: &SampleGroup| (group.second, group.tid, group.stack, group.task);
    samples.sort_by_key(key);
    samples.dedup_by(|next, kept| {
        let same = key(next) == key(kept);
        if same {
            kept.time = kept.time + next.time;
            kept.count = kept.count.saturating_add(next.count);
        }
        same
    });
}

/// Samples tell how a thread's time is divided, but the switches tell exactly how
/// long it is: above all for threads that live for a few periods, whose last part of
/// a period is never sampled.
fn weigh_by_switches(samples: &mut [SampleGroup], threads: &BTreeMap<Tid, ThreadSeen>) {
    let mut sampled: HashMap<Tid, u64> = HashMap::new();
    for group in samples.iter() {
        let sum = sampled.entry(group.tid).or_default();
        *sum = sum.saturating_add(group.time.0);
    }
    let total = |tid: &Tid| threads.get(tid).map_or(0, ThreadSeen::on_cpu_total);
    let exact: HashMap<Tid, u64> = sampled.keys().map(|tid| (*tid, total(tid))).collect();
    for group in samples {
        let exact = exact.get(&group.tid).copied().unwrap_or(0);
        let told = sampled.get(&group.tid).copied().unwrap_or(0);
        if exact == 0 || told == 0 {
            continue;
        }
        let weighed = u128::from(group.time.0) * u128::from(exact) / u128::from(told);
        group.time = Nanos(u64::try_from(weighed).unwrap_or(u64::MAX));
    }
}

/// The time of threads that ran too briefly to be sampled: a new thread's clock
/// begins anew, so one that ends within a period gives no sample. How long they
/// were on a CPU is known from the switches all the same.
fn unsampled(
    threads: &BTreeMap<Tid, ThreadSeen>,
    groups: &[Group],
    stack: usize,
) -> Vec<SampleGroup> {
    let sampled: HashSet<Tid> = groups.iter().map(|(key, ..)| key.tid).collect();
    let brief = threads.iter().filter(|(tid, _)| !sampled.contains(tid));
    brief
        .flat_map(|(tid, thread)| {
            thread.on_cpu.iter().map(|(second, time)| SampleGroup {
                stack,
                task: None,
                kind: None,
                tid: *tid,
                second: *second,
                time: *time,
                count: 0,
            })
        })
        .collect()
}

fn unsampled_frame() -> Frame {
    Frame {
        function: "[ran too briefly to be sampled]".into(),
        file: None,
        line: None,
        kind: FrameKind::Sync,
        origin: Origin::Unknown,
    }
}

/// The first module is the program: the loader maps it lowest, or first.
fn program_build_id(space: &AddressSpace) -> Option<String> {
    let (_, program) = space.modules().next()?;
    program.build_id().map(ToString::to_string)
}

/// A stack's task should have an id, if its runtime gives one to such tasks.
fn has_ids(stack: &NamedStack, runtimes: &[Box<dyn Runtime>]) -> bool {
    stack.task.as_ref().is_some_and(|task| {
        let runtime = runtimes.get(task.runtime);
        runtime.is_some_and(|runtime| runtime.numbers(task.class))
    })
}

fn is_unnamed(frame: &Frame) -> bool {
    frame.origin == Origin::Unknown && frame.function.starts_with("0x")
}

/// A long poll is a stall if its stacks show that a task was polled: a worker
/// that sleeps in its event loop is not one.
fn seen_stall(
    stall: Stall,
    in_it: Vec<(usize, Nanos)>,
    stacks: &[NamedStack],
    kinds: &HashMap<TaskId, TaskKind>,
) -> Option<SeenStall> {
    let polling = |stack: usize| {
        let task = stacks[stack].task.as_ref();
        task.is_some_and(|task| task.class != TaskClass::Blocking)
    };
    let in_it: Vec<(usize, Nanos)> = in_it.into_iter().filter(|(s, _)| polling(*s)).collect();
    let (longest, _) = in_it.iter().max_by_key(|(_, time)| *time)?;
    let kind = kind_of(stall.task, &stacks[*longest], kinds)?;
    let syscall = match stall.cause {
        StallCause::Syscall => stall.syscall.and_then(syscall_name),
        StallCause::Cpu | StallCause::Fault | StallCause::Preempted => None,
    };
    Some(SeenStall {
        kind,
        syscall,
        stacks: in_it,
        stall,
    })
}
