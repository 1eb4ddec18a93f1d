//! Which tracks there are, and what each did in each stretch of time.

use crate::fold::Part;
use crate::profile::{Profile, StackId, State, Weight};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Tracks of a family; the lightest others become one.
const TRACKS: usize = 100;

/// What tracks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// The threads, on a CPU.
    Threads,
    /// The kinds of tasks, on a CPU.
    OnCpu,
    /// The kinds of tasks, where they wait.
    Waiting,
}

/// The tracks of a family.
pub(super) struct Tracks {
    /// The heaviest first.
    pub(super) list: Vec<Track>,
}

/// One track.
pub(super) struct Track {
    pub(super) of: Of,
    pub(super) buckets: Vec<Stretch>,
}

/// What a track is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Of {
    /// The thread or kind with this index.
    One(usize),
    /// Tasks whose kind could not be told.
    Unknown,
    /// All that have no track of their own.
    Others,
}

/// What a track did in one bucket.
pub(super) struct Stretch {
    pub(super) number: u32,
    pub(super) times: Vec<Time>,
}

/// Time in one stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) stack: StackId,
    pub(super) part: Part,
    pub(super) ns: u64,
}

impl Family {
    /// The thread or kind that a weight belongs to, and what it was; `None` where it is of
    /// another family.
    fn sort(self, weight: &Weight) -> Option<(Of, Part)> {
        let key = &weight.key;
        let thread = key.thread.map(|thread| Of::One(thread.index()));
        let kind = key.kind.map(|kind| Of::One(kind.index()));
        match (self, key.state) {
            (Self::Threads, State::OnCpu) => Some((thread?, Part::OnCpu)),
            // What runs outside tasks is with its thread.
            (Self::OnCpu, State::OnCpu) => Some((kind?, Part::OnCpu)),
            (Self::Waiting, State::Waiting) => Some((kind.unwrap_or(Of::Unknown), Part::Waiting)),
            (Self::Waiting, State::Ready) => Some((kind.unwrap_or(Of::Unknown), Part::Ready)),
            _ => None,
        }
    }
}

impl Tracks {
    pub(super) fn of(profile: &Profile, family: Family) -> Self {
        let numbers = numbers(profile, family);
        let count = numbers.values().map(|number| number + 1).max().unwrap_or(0);
        let mut list: Vec<Track> = (0..count)
            .map(|_| Track {
                of: Of::Others,
                buckets: Vec::new(),
            })
            .collect();
        for (&of, &number) in &numbers {
            if number < TRACKS {
                list[number].of = of;
            }
        }
        for bucket in &profile.buckets {
            for weight in &bucket.weights {
                let Some((of, part)) = family.sort(weight) else {
                    continue;
                };
                let time = Time {
                    stack: weight.key.stack,
                    part,
                    ns: weight.ns,
                };
                list[numbers[&of]].add(bucket.number, time);
            }
        }
        list.iter_mut().for_each(Track::tidy);
        Self { list }
    }
}

/// The number of the track of each thread or kind that has any time.
fn numbers(profile: &Profile, family: Family) -> HashMap<Of, usize> {
    let mut weights: HashMap<Of, u64> = HashMap::new();
    for weight in profile.weights() {
        if let Some((of, _)) = family.sort(weight) {
            *weights.entry(of).or_default() += weight.ns;
        }
    }
    if family == Family::Threads {
        // A worker that only slept has its stalls to show.
        for stall in &profile.stalls {
            *weights.entry(Of::One(stall.thread.index())).or_default() += stall.duration_ns;
        }
    }
    let mut weights: Vec<(Of, u64)> = weights.into_iter().collect();
    weights.sort_unstable_by_key(|&(of, ns)| (Reverse(ns), of));
    let numbered = weights.iter().enumerate();
    numbered
        .map(|(number, &(of, _))| (of, number.min(TRACKS)))
        .collect()
}

impl Track {
    fn add(&mut self, number: u32, time: Time) {
        match self.buckets.last_mut() {
            Some(last) if last.number == number => last.times.push(time),
            _ => self.buckets.push(Stretch {
                number,
                times: vec![time],
            }),
        }
    }

    /// Sums what is of the same stack.
    fn tidy(&mut self) {
        for bucket in &mut self.buckets {
            bucket.times.sort_by_key(|time| (time.stack, time.part));
            bucket.times.dedup_by(|later, kept| {
                let same = (later.stack, later.part) == (kept.stack, kept.part);
                if same {
                    kept.ns += later.ns;
                }
                same
            });
        }
    }
}
