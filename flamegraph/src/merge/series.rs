//! What is known over time, of all recordings together.

use super::axis::Axis;
use crate::builder::ProfileBuilder;
use crate::profile::{COVERED, Profile};
use std::collections::{BTreeMap, BTreeSet};

/// The values of one series in one bucket of one recording.
#[derive(Debug, Clone, Copy, Default)]
struct Value {
    sum: f64,
    count: u64,
    max: f64,
}

impl Value {
    fn mean(self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

type Values = BTreeMap<u64, Value>;

/// How replicas' values of a moment become one.
enum Sort {
    /// They are of the same moment: how long it was looked at is that of who looked longest.
    Covered,
    /// They are counts: they add up.
    Count,
    /// Each has as much weight as polls.
    Lag,
    /// A mean of the means: of what it is nothing is known.
    Unknown,
}

fn sort(name: &str) -> Sort {
    match name {
        COVERED => Sort::Covered,
        "live_tasks" | "running_tasks" | "ready_tasks" | "local_queue" | "injection_queue"
        | "blocking_queue" | "polls_per_s" => Sort::Count,
        "lag_ms" => Sort::Lag,
        _ => Sort::Unknown,
    }
}

/// The series of all recordings, by name.
pub(super) struct AllSeries<'a> {
    axis: &'a Axis,
    /// For each recording.
    of: Vec<BTreeMap<&'a str, Values>>,
}

impl<'a> AllSeries<'a> {
    pub(super) fn of(profiles: &'a [Profile], axis: &'a Axis) -> Self {
        let recordings = profiles.iter().zip(&axis.places).map(|(profile, place)| {
            let mut all: BTreeMap<&str, Values> = BTreeMap::new();
            for series in &profile.series {
                let values = all.entry(&series.name).or_default();
                for point in &series.points {
                    let at = u64::from(point.bucket).saturating_mul(profile.bucket_ns);
                    let value = values.entry(axis.bucket(*place, at)).or_default();
                    value.sum += point.sum;
                    value.count = value.count.saturating_add(point.count);
                    value.max = value.max.max(point.max);
                }
            }
            all
        });
        Self {
            axis,
            of: recordings.collect(),
        }
    }

    /// How long snapshots looked in a session, who of `recordings` ever did; `None` where one of
    /// them does not say.
    pub(super) fn covered(&self, recordings: &[usize]) -> Option<f64> {
        let mut longest: BTreeMap<u64, f64> = BTreeMap::new();
        for &recording in recordings {
            for (&bucket, value) in self.of[recording].get(COVERED)? {
                let most = longest.entry(bucket).or_default();
                *most = most.max(value.sum);
            }
        }
        Some(longest.values().sum())
    }

    pub(super) fn add_to(&self, builder: &mut ProfileBuilder) {
        let names: BTreeSet<&str> = self.of.iter().flat_map(|of| of.keys().copied()).collect();
        for name in names {
            let values = self.of.iter().filter_map(|of| of.get(name));
            let buckets: BTreeSet<u64> = values.flat_map(BTreeMap::keys).copied().collect();
            for bucket in buckets {
                if let Some((mean, most)) = self.together(name, bucket) {
                    let at = bucket.saturating_mul(self.axis.bucket_ns);
                    builder.add_mean(name, at, mean, most);
                }
            }
        }
    }

    /// The mean of a bucket, and the most it was.
    fn together(&self, name: &str, bucket: u64) -> Option<(f64, f64)> {
        let found: Vec<(usize, Value)> = (0..self.of.len())
            .filter_map(|recording| Some((recording, self.value(recording, name, bucket)?)))
            .collect();
        let most = found
            .iter()
            .fold(0.0_f64, |most, (_, value)| value.max.max(most));
        let longest = (0..self.of.len())
            .filter_map(|recording| self.value(recording, COVERED, bucket))
            .fold(0.0_f64, |longest, covered| covered.sum.max(longest));
        let mean = match (sort(name), &found[..]) {
            (_, []) => return None,
            (Sort::Covered, _) => longest,
            // The only one that looked: as it said.
            (Sort::Count, found) => found
                .iter()
                .map(|&(recording, value)| {
                    let covered = self.value(recording, COVERED, bucket);
                    let share = covered.map_or(1.0, |covered| covered.sum / longest.max(1.0));
                    value.mean() * share
                })
                .sum(),
            (Sort::Lag, found) => {
                let weighed = found.iter().map(|&(recording, value)| {
                    let polls = self.value(recording, "polls_per_s", bucket);
                    (value.mean(), polls.map_or(1.0, Value::mean))
                });
                weighted_mean(weighed)?
            }
            (Sort::Unknown, found) => weighted_mean(found.iter().map(|(_, v)| (v.mean(), 1.0)))?,
        };
        Some((mean, most.max(mean)))
    }

    fn value(&self, recording: usize, name: &str, bucket: u64) -> Option<Value> {
        self.of[recording].get(name)?.get(&bucket).copied()
    }
}

fn weighted_mean(values: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (sum, weights) = values.fold((0.0, 0.0), |(sum, weights), (value, weight)| {
        (sum + value * weight, weights + weight)
    });
    (weights > 0.0).then(|| sum / weights)
}
