//! Several profiles of one service as one: those of replicas, or of runs.
//!
//! Times, samples, stalls and errors add up; kinds, functions and await points are the same where
//! their names are. What is divided by time stays right, because of how recordings are laid on
//! one axis: see [`axis`]. What differs between recordings, and what cannot be said of all of
//! them together, is told in the notes, and what no single number can be true for (a rate, a
//! process number) has none.

mod axis;
mod facts;
mod names;
mod series;
mod waiting;

use crate::builder::ProfileBuilder;
use crate::error::Error;
use crate::profile::{
    FrameId, KindId, Profile, StackId, Stall, StallSum, TaskId, ThreadId, WeightKey, limits,
};
use awaitscope_symbolizer::Frame;
use axis::{Axis, Place};
use names::{Processes, Runtimes, Threads};
use series::AllSeries;
use std::sync::Arc;
use waiting::AllWaits;

/// Merges profiles into one. In which order they are given makes no difference but to ids.
///
/// # Errors
/// There are none, or too many; two are of one process at one time; one was merged before.
pub fn merge(mut profiles: Vec<Profile>) -> Result<Profile, Error> {
    if profiles.len() > limits::RECORDINGS {
        return Err(Error::TooManyRecordings {
            count: profiles.len(),
            limit: limits::RECORDINGS,
        });
    }
    if profiles.len() < 2 {
        return profiles.pop().ok_or(Error::NothingToMerge);
    }
    if profiles
        .iter()
        .any(|profile| !profile.recordings.is_empty())
    {
        return Err(Error::Merged);
    }
    profiles.sort_by(|left, right| order(left).cmp(&order(right)));
    let axis = Axis::of(&profiles)?;
    let merged = Merging::new(&profiles, &axis).merged();
    merged.validate()?;
    Ok(merged)
}

/// The order in which profiles are taken: by time, and where that is the same, by anything that
/// tells them apart.
fn order(profile: &Profile) -> impl Ord + '_ {
    let target = &profile.target;
    (
        profile.start_unix_ns,
        &target.host,
        target.pid,
        profile.duration_ns,
        &target.exe,
        &target.build_id,
    )
}

/// One recording, and what its ids became.
struct Part<'a> {
    profile: &'a Profile,
    /// Which of the recordings it is.
    number: usize,
    process: usize,
    place: Place,
    /// Whether it is of the first, or the last, that were recorded.
    is_first: bool,
    is_last: bool,
    stacks: Vec<StackId>,
    kinds: Vec<KindId>,
    tasks: Vec<Option<TaskId>>,
    threads: Vec<ThreadId>,
}

struct Merging<'a> {
    profiles: &'a [Profile],
    axis: &'a Axis,
    series: AllSeries<'a>,
    runtimes: Runtimes,
    processes: Processes,
}

impl<'a> Merging<'a> {
    fn new(profiles: &'a [Profile], axis: &'a Axis) -> Self {
        Self {
            profiles,
            axis,
            series: AllSeries::of(profiles, axis),
            runtimes: Runtimes::of(profiles, axis),
            processes: Processes::of(profiles),
        }
    }

    fn merged(self) -> Profile {
        let profiles = self.profiles;
        let start = profiles.first().map_or(0, |profile| profile.start_unix_ns);
        let target = facts::target(profiles);
        let mut builder = ProfileBuilder::new(target, facts::options(profiles), start);
        builder.widen_stretches(self.axis.bucket_ns);
        let mut threads = Threads::default();
        let parts: Vec<Part<'_>> = (0..profiles.len())
            .map(|number| self.part(&mut builder, &mut threads, number))
            .collect();
        let mut waits = AllWaits::default();
        for part in &parts {
            times(&mut builder, part);
            if let Some(waiting) = &part.profile.waiting {
                waits.add(waiting, part, &self);
            }
        }
        stalls(&mut builder, &parts);
        self.series.add_to(&mut builder);
        let mut notes = facts::notes(profiles, self.axis);
        self.remark(&threads, &mut notes);
        let covered_ns = waiting::covered_ns(profiles, &self);
        if let Some(waiting) = waits.finish(covered_ns, &mut notes) {
            builder.set_waiting(waiting);
        }
        let mut quality = facts::quality(profiles);
        quality.notes.splice(0..0, notes);
        *builder.quality_mut() = quality;
        builder.set_runtimes(self.runtimes.finish());
        let mut merged = builder.finish(self.axis.duration_ns);
        facts::without_repeats(&mut merged.quality.notes);
        merged.recordings = facts::recordings(profiles);
        merged
    }

    /// Gives everything of a recording its id in the merged profile.
    fn part(&self, builder: &mut ProfileBuilder, threads: &mut Threads, number: usize) -> Part<'a> {
        let profile = &self.profiles[number];
        let (place, process) = (self.axis.places[number], self.processes.of[number]);
        let runtime = |index| self.runtimes.renumbered(number, index);
        let kinds: Vec<KindId> = profile
            .kinds
            .iter()
            .map(|kind| {
                let id = builder.kind(&kind.name, kind.class, kind.runtime.map(runtime));
                builder.add_unlisted(id, kind.tasks_unlisted);
                id
            })
            .collect();
        let tasks = profile.tasks.iter().map(|task| {
            let id = self.processes.task_id(number, &task.id);
            builder.task(&id, kinds[task.kind.index()])
        });
        let tasks = tasks.collect();
        Part {
            profile,
            number,
            process,
            place,
            is_first: place.session == 0,
            is_last: place.session + 1 == self.axis.sessions.len(),
            stacks: stacks(builder, profile),
            tasks,
            kinds,
            threads: threads.add(builder, profile, (place.lane, process), runtime),
        }
    }

    fn task_id(&self, part: &Part<'_>, id: &str) -> String {
        self.processes.task_id(part.number, id)
    }

    /// Adds tasks of a recording to a list of examples.
    fn name(&self, names: &mut Vec<String>, more: &[String], part: &Part<'_>) {
        for id in more {
            let id = self.task_id(part, id);
            if names.len() < limits::NAMED && !names.contains(&id) {
                names.push(id);
            }
        }
    }

    fn remark(&self, threads: &Threads, notes: &mut Vec<String>) {
        if self.processes.are_several() {
            notes.push(
                "ids of tasks have the process they are of before them, as in 4711/17".to_owned(),
            );
        }
        if self.runtimes.versions_differ {
            notes.push("they have different versions of the runtime".to_owned());
        }
        if threads.workers_joined {
            notes.push(
                "workers of runs one after the other are shown as one, under the number of the \
                 first"
                    .to_owned(),
            );
        }
    }
}

fn stacks(builder: &mut ProfileBuilder, profile: &Profile) -> Vec<StackId> {
    let frames: Vec<FrameId> = profile
        .frames
        .iter()
        .map(|entry| {
            builder.frame(&Frame {
                function: Arc::clone(&profile.strings[entry.function.index()]),
                file: entry
                    .file
                    .map(|file| Arc::clone(&profile.strings[file.index()])),
                line: entry.line,
                kind: entry.kind,
                origin: entry.origin,
            })
        })
        .collect();
    let mut stacks: Vec<StackId> = Vec::with_capacity(profile.stacks.len());
    for entry in &profile.stacks {
        // Parents come first: that is checked of every profile.
        let parent = entry.parent.map(|parent| stacks[parent.index()]);
        stacks.push(builder.stack(parent, frames[entry.frame.index()]));
    }
    stacks
}

/// Adds the times of a recording.
fn times(builder: &mut ProfileBuilder, part: &Part<'_>) {
    let profile = part.profile;
    for bucket in &profile.buckets {
        let begin = u64::from(bucket.number).saturating_mul(profile.bucket_ns);
        let at = part.place.offset_ns.saturating_add(begin);
        for weight in &bucket.weights {
            let key = weight.key;
            let key = WeightKey {
                thread: key.thread.map(|thread| part.threads[thread.index()]),
                state: key.state,
                kind: key.kind.map(|kind| part.kinds[kind.index()]),
                task: key.task.and_then(|task| part.tasks[task.index()]),
                stack: part.stacks[key.stack.index()],
            };
            builder.add_weight(key, at, weight.ns, weight.samples);
        }
        for time in &bucket.threads {
            let thread = part.threads[time.thread.index()];
            builder.add_thread_time(thread, at, time.on_cpu_ns, time.off_ns);
        }
    }
}

/// Adds the stalls of all recordings, in the order of their start.
fn stalls(builder: &mut ProfileBuilder, parts: &[Part<'_>]) {
    let all = parts.iter().flat_map(|part| {
        let stalls = part.profile.stalls.iter();
        stalls.map(|stall| Stall {
            start_ns: part.place.offset_ns.saturating_add(stall.start_ns),
            kind: stall.kind.map(|kind| part.kinds[kind.index()]),
            task: stall.task.and_then(|task| part.tasks[task.index()]),
            thread: part.threads[stall.thread.index()],
            stacks: stall
                .stacks
                .iter()
                .map(|&(stack, ns)| (part.stacks[stack.index()], ns))
                .collect(),
            ..stall.clone()
        })
    });
    let mut all: Vec<Stall> = all.collect();
    all.sort_by_key(|stall| (stall.start_ns, stall.thread));
    all.into_iter().for_each(|stall| builder.add_stall(stall));
    for part in parts {
        for sum in &part.profile.stall_sums {
            builder.add_stall_sum(StallSum {
                kind: sum.kind.map(|kind| part.kinds[kind.index()]),
                thread: part.threads[sum.thread.index()],
                stack: sum.stack.map(|stack| part.stacks[stack.index()]),
                ..sum.clone()
            });
        }
    }
}

#[cfg(test)]
mod tests;
