//! Which runtimes, threads and tasks of different recordings are the same.

use super::axis::{Axis, process};
use crate::builder::ProfileBuilder;
use crate::profile::{Profile, RuntimeInfo, Thread, ThreadId, ThreadRole};
use std::collections::HashMap;

/// Runtimes of all recordings: the n-th of a name and flavor is the same in each.
#[derive(Debug, Default)]
pub(super) struct Runtimes {
    /// With the workers of each lane.
    list: Vec<(RuntimeInfo, HashMap<usize, u32>)>,
    /// For each recording, what its numbers became.
    numbers: Vec<HashMap<u32, u32>>,
    pub(super) versions_differ: bool,
}

impl Runtimes {
    pub(super) fn of(profiles: &[Profile], axis: &Axis) -> Self {
        let mut runtimes = Self::default();
        for (profile, place) in profiles.iter().zip(&axis.places) {
            let mut numbers = HashMap::new();
            let mut taken = vec![false; runtimes.list.len()];
            for runtime in &profile.runtimes {
                let number = runtimes.number(runtime, &mut taken);
                let workers = runtimes.list[number].1.entry(place.lane).or_default();
                *workers = (*workers).max(runtime.workers);
                numbers.insert(runtime.index, u32::try_from(number).unwrap_or(u32::MAX));
            }
            runtimes.numbers.push(numbers);
        }
        runtimes
    }

    fn number(&mut self, runtime: &RuntimeInfo, taken: &mut Vec<bool>) -> usize {
        let same = self
            .list
            .iter()
            .zip(taken.iter())
            .position(|((known, _), taken)| {
                !taken && (&known.name, &known.flavor) == (&runtime.name, &runtime.flavor)
            });
        let Some(number) = same else {
            let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
            let runtime = RuntimeInfo {
                index,
                ..runtime.clone()
            };
            self.list.push((runtime, HashMap::new()));
            taken.push(true);
            return self.list.len() - 1;
        };
        taken[number] = true;
        let version = &mut self.list[number].0.version;
        if *version != runtime.version {
            self.versions_differ = true;
            *version = None;
        }
        number
    }

    /// What a runtime's number in a recording became.
    pub(super) fn renumbered(&self, recording: usize, index: u32) -> u32 {
        self.numbers[recording]
            .get(&index)
            .copied()
            .unwrap_or(index)
    }

    /// Replicas' workers add up; those of runs one after the other are the same.
    pub(super) fn finish(self) -> Vec<RuntimeInfo> {
        let list = self.list.into_iter();
        list.map(|(mut runtime, workers)| {
            let all = workers
                .values()
                .fold(0_u32, |sum, n| sum.saturating_add(*n));
            runtime.workers = all;
            runtime
        })
        .collect()
    }
}

/// Processes of all recordings, and how their tasks are told apart.
#[derive(Debug)]
pub(super) struct Processes {
    /// Of each recording.
    pub(super) of: Vec<usize>,
    /// What stands before the ids of its tasks; empty where there is only one process.
    labels: Vec<String>,
}

impl Processes {
    pub(super) fn of(profiles: &[Profile]) -> Self {
        let mut known = HashMap::new();
        let mut firsts: Vec<&Profile> = Vec::new();
        let mut of = Vec::new();
        for profile in profiles {
            of.push(*known.entry(process(profile)).or_insert_with(|| {
                firsts.push(profile);
                firsts.len() - 1
            }));
        }
        Self {
            of,
            labels: labels(&firsts),
        }
    }

    pub(super) fn are_several(&self) -> bool {
        self.labels.len() > 1
    }

    /// The id of a task among those of all processes.
    pub(super) fn task_id(&self, recording: usize, id: &str) -> String {
        match self.are_several() {
            true => format!("{}/{id}", self.labels[self.of[recording]]),
            false => id.to_owned(),
        }
    }
}

/// The shortest that tells the processes apart: their numbers, their machines too, or else their
/// order.
fn labels(processes: &[&Profile]) -> Vec<String> {
    let pid = |profile: &&Profile| profile.target.pid.to_string();
    let with_host = |profile: &&Profile| format!("{}/{}", profile.target.host, profile.target.pid);
    let differ = |labels: &Vec<String>| {
        let mut sorted = labels.clone();
        sorted.sort_unstable();
        sorted.windows(2).all(|pair| pair[0] != pair[1])
    };
    let short: Vec<String> = processes.iter().map(pid).collect();
    if differ(&short) {
        return short;
    }
    let long: Vec<String> = processes.iter().map(with_host).collect();
    if differ(&long) {
        return long;
    }
    let numbered = (1..).zip(&short);
    numbered
        .map(|(number, pid)| format!("{number}:{pid}"))
        .collect()
}

/// What threads of different recordings have in common when they are shown as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Likeness {
    /// A worker is the n-th of its runtime in its lane: of replicas each has its own, and a
    /// service that was started anew goes on where its last run was. So what a worker's time
    /// is divided by, the duration, is right for both.
    Worker {
        lane: usize,
        runtime: u32,
        rank: usize,
    },
    /// Any other thread is itself.
    Other { process: usize, tid: u32 },
    /// Those that a recording could not tell apart.
    Rest,
}

/// The threads of all recordings.
#[derive(Debug, Default)]
pub(super) struct Threads {
    known: HashMap<Likeness, (ThreadId, u32)>,
    /// Whether workers of different numbers are shown as one.
    pub(super) workers_joined: bool,
}

impl Threads {
    /// Adds the threads of a recording; what each became.
    pub(super) fn add(
        &mut self,
        builder: &mut ProfileBuilder,
        profile: &Profile,
        (lane, process): (usize, usize),
        runtime: impl Fn(u32) -> u32,
    ) -> Vec<ThreadId> {
        let ranks = ranks(&profile.threads);
        let threads = profile.threads.iter().zip(ranks);
        let threads = threads.map(|(thread, rank)| {
            let mut thread = thread.clone();
            let likeness = match &mut thread.role {
                ThreadRole::Worker { runtime: number } => {
                    *number = runtime(*number);
                    Likeness::Worker {
                        lane,
                        runtime: *number,
                        rank,
                    }
                }
                _ if thread.tid == 0 => Likeness::Rest,
                ThreadRole::Blocking | ThreadRole::Other => Likeness::Other {
                    process,
                    tid: thread.tid,
                },
            };
            let tid = thread.tid;
            let known = self.known.entry(likeness);
            let (id, first) = *known.or_insert_with(|| match tid {
                0 => (builder.thread(0, &thread.name, thread.role), 0),
                tid => (builder.add_thread(thread), tid),
            });
            self.workers_joined |= first != tid;
            id
        });
        threads.collect()
    }
}

/// Which worker of its runtime each thread is, by their numbers.
fn ranks(threads: &[Thread]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..threads.len()).collect();
    order.sort_by_key(|&index| threads[index].tid);
    let mut ranks = vec![0; threads.len()];
    let mut next: HashMap<u32, usize> = HashMap::new();
    for index in order {
        if let ThreadRole::Worker { runtime } = threads[index].role {
            let rank = next.entry(runtime).or_default();
            ranks[index] = *rank;
            *rank += 1;
        }
    }
    ranks
}
