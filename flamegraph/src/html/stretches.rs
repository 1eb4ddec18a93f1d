//! The stretches of time that the page tells apart.

use crate::profile::{COVERED, Profile, Series, State, limits};
use serde::Serialize;

/// The most that are told apart: what a screen can show.
const MOST: u64 = 300;

/// Equal stretches of the recording, and what is known of each as a whole.
#[derive(Debug, Serialize)]
pub(super) struct Stretches {
    pub(super) count: usize,
    /// How long each is.
    width_us: u64,
    duration_us: u64,
    /// How many of the profile's buckets make one.
    #[serde(skip)]
    pub(super) buckets: u32,
    /// Time on a CPU.
    cpu_us: Vec<u64>,
    /// Samples behind it.
    samples: Vec<u64>,
    /// Time that snapshots stand for.
    covered_us: Vec<u64>,
    live: Vec<Option<Mean>>,
    ready: Vec<Option<Mean>>,
    lag_ms: Vec<Option<Mean>>,
}

/// A mean and the most that was seen.
type Mean = [f64; 2];

impl Stretches {
    pub(super) fn of(profile: &Profile) -> Self {
        let last = profile.buckets.last();
        let points = profile.series.iter().flat_map(|series| &series.points);
        let numbers = points
            .map(|point| point.bucket)
            .chain(last.map(|bucket| bucket.number));
        let begun = numbers.max().map_or(1, |number| u64::from(number) + 1);
        let lasted = profile.duration_ns.div_ceil(profile.bucket_ns);
        let all = begun.max(lasted).clamp(1, limits::BUCKETS as u64);
        let buckets = all.div_ceil(MOST).max(1);
        // Both are below the most buckets there can be.
        let count = all.div_ceil(buckets) as usize;
        let mut stretches = Self {
            count,
            width_us: profile.bucket_ns.saturating_mul(buckets) / 1000,
            duration_us: profile.duration_ns / 1000,
            buckets: buckets as u32,
            cpu_us: vec![0; count],
            samples: vec![0; count],
            covered_us: Vec::new(),
            live: Vec::new(),
            ready: Vec::new(),
            lag_ms: Vec::new(),
        };
        stretches.add_cpu(profile);
        let named = |name: &str| profile.series.iter().find(|series| series.name == name);
        stretches.covered_us = stretches.sums(named(COVERED));
        stretches.live = stretches.means(named("live_tasks"));
        stretches.ready = stretches.means(named("ready_tasks"));
        stretches.lag_ms = stretches.means(named("lag_ms"));
        stretches
    }

    /// The stretch of a bucket.
    pub(super) fn at(&self, bucket: u32) -> usize {
        ((bucket / self.buckets) as usize).min(self.count - 1)
    }

    fn add_cpu(&mut self, profile: &Profile) {
        let mut cpu_ns = vec![0_u64; self.count];
        for bucket in &profile.buckets {
            let at = self.at(bucket.number);
            let on_cpu = bucket.weights.iter();
            for weight in on_cpu.filter(|weight| weight.key.state == State::OnCpu) {
                cpu_ns[at] += weight.ns;
                self.samples[at] += u64::from(weight.samples);
            }
        }
        self.cpu_us = cpu_ns.into_iter().map(|ns| ns / 1000).collect();
    }

    fn sums(&self, series: Option<&Series>) -> Vec<u64> {
        let mut sums = vec![0.0; self.count];
        for point in series.iter().flat_map(|series| &series.points) {
            sums[self.at(point.bucket)] += point.sum;
        }
        // A sum that is no number, or too large for one, becomes the next that is.
        sums.into_iter().map(|sum| (sum / 1e3) as u64).collect()
    }

    fn means(&self, series: Option<&Series>) -> Vec<Option<Mean>> {
        let mut sums: Vec<Option<(f64, u64, f64)>> = vec![None; self.count];
        for point in series.iter().flat_map(|series| &series.points) {
            let (sum, count, most) = sums[self.at(point.bucket)].get_or_insert((0.0, 0, 0.0));
            *sum += point.sum;
            *count = count.saturating_add(point.count);
            *most = most.max(point.max);
        }
        let rounded = |number: f64| (number * 1e4).round() / 1e4;
        let mean = |(sum, count, most): (f64, u64, f64)| {
            let mean = sum / count.max(1) as f64;
            [rounded(mean), rounded(most.max(mean))]
        };
        sums.into_iter().map(|seen| seen.map(mean)).collect()
    }
}
