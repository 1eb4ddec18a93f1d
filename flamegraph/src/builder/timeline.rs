//! Times by bucket, held within a fixed number of entries.

use crate::profile::{Bucket, Point, Series, ThreadId, ThreadTime, Weight, WeightKey, limits};
use std::collections::{BTreeMap, HashMap};

const SECOND: u64 = 1_000_000_000;
/// Entries that are summed before they are laid down in their buckets.
const OPEN: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Timeline {
    bucket_ns: u64,
    /// The newest times, summed as they come.
    open: HashMap<(u32, WeightKey), (u64, u32)>,
    open_threads: HashMap<(u32, ThreadId), (u64, u64)>,
    /// The bucket that began last.
    newest: u32,
    /// Older times, in half the room.
    buckets: BTreeMap<u32, Bucket>,
    laid_down: usize,
    series: BTreeMap<String, BTreeMap<u32, Point>>,
    total_ns: u64,
    tasks_summed: bool,
    left_out_ns: u64,
    past_measure_ns: u64,
    limit: usize,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            bucket_ns: SECOND,
            open: HashMap::new(),
            open_threads: HashMap::new(),
            newest: 0,
            buckets: BTreeMap::new(),
            laid_down: 0,
            series: BTreeMap::new(),
            total_ns: 0,
            tasks_summed: false,
            left_out_ns: 0,
            past_measure_ns: 0,
            limit: limits::WEIGHTS,
        }
    }
}

impl Timeline {
    pub(super) fn add_weight(&mut self, mut key: WeightKey, at_ns: u64, ns: u64, samples: u32) {
        let bucket = self.bucket(at_ns);
        if self.tasks_summed {
            key.task = None;
        }
        let ns = self.admit(ns);
        let (total, count) = self.open.entry((bucket, key)).or_default();
        *total += ns;
        *count = count.saturating_add(samples);
    }

    pub(super) fn add_thread_time(
        &mut self,
        thread: ThreadId,
        at_ns: u64,
        on_cpu_ns: u64,
        off_ns: u64,
    ) {
        let bucket = self.bucket(at_ns);
        let (on_cpu_ns, off_ns) = (self.admit(on_cpu_ns), self.admit(off_ns));
        let (on, off) = self.open_threads.entry((bucket, thread)).or_default();
        *on += on_cpu_ns;
        *off += off_ns;
    }

    pub(super) fn add_point(&mut self, series: &str, at_ns: u64, value: f64) {
        self.add_mean(series, at_ns, value, value);
    }

    pub(super) fn add_mean(&mut self, series: &str, at_ns: u64, mean: f64, most: f64) {
        if !mean.is_finite() || !most.is_finite() {
            return;
        }
        let bucket = self.bucket(at_ns);
        if !self.series.contains_key(series) {
            if self.series.len() >= limits::SERIES {
                return;
            }
            self.series.insert(series.to_owned(), BTreeMap::new());
        }
        if let Some(points) = self.series.get_mut(series) {
            merge_point(
                points,
                Point {
                    bucket,
                    sum: mean,
                    count: 1,
                    max: most,
                },
            );
        }
    }

    /// Holds the sum of all times within bounds, whatever a broken clock says.
    fn admit(&mut self, ns: u64) -> u64 {
        let admitted = ns.min(limits::TIME - self.total_ns);
        self.total_ns += admitted;
        self.past_measure_ns = self.past_measure_ns.saturating_add(ns - admitted);
        admitted
    }

    /// The bucket of a moment. Lays older times down when a new one begins.
    fn bucket(&mut self, at_ns: u64) -> u32 {
        while at_ns / self.bucket_ns >= limits::BUCKETS as u64 {
            self.lay_down();
            self.widen();
        }
        // Below the number of buckets, which is far below 2³².
        let bucket = (at_ns / self.bucket_ns) as u32;
        // Times come nearly in order: one bucket back is still summed as it comes.
        let full = self.open.len() + self.open_threads.len() >= OPEN;
        if full || bucket > self.newest.saturating_add(1) {
            self.lay_down();
        }
        self.newest = self.newest.max(bucket);
        // Laying down may have made buckets wider.
        (at_ns / self.bucket_ns) as u32
    }

    fn lay_down(&mut self) {
        let mut touched: Vec<u32> = Vec::new();
        for ((number, key), (ns, samples)) in self.open.drain() {
            touched.push(number);
            let bucket = bucket_mut(&mut self.buckets, number);
            bucket.weights.push(Weight { key, samples, ns });
        }
        for ((number, thread), (on_cpu_ns, off_ns)) in self.open_threads.drain() {
            touched.push(number);
            bucket_mut(&mut self.buckets, number)
                .threads
                .push(ThreadTime {
                    thread,
                    on_cpu_ns,
                    off_ns,
                });
        }
        touched.sort_unstable();
        touched.dedup();
        for number in touched {
            bucket_mut(&mut self.buckets, number).tidy();
        }
        self.laid_down = self.buckets.values().map(Bucket::len).sum();
        while self.laid_down > self.limit && self.shrink() {}
        if self.laid_down > self.limit {
            self.leave_out_lightest();
        }
    }

    /// Gives up resolution to make room: first in time, and where that does not
    /// help, in tasks. False when neither is left to give.
    fn shrink(&mut self) -> bool {
        let before = self.laid_down;
        if self.buckets.len() > 1 {
            self.widen();
        }
        if self.laid_down > before / 10 * 9 && !self.tasks_summed {
            self.sum_tasks();
        }
        self.buckets.len() > 1 || self.laid_down < before
    }

    /// The last resort, when one bucket alone has too many stacks.
    fn leave_out_lightest(&mut self) {
        for bucket in self.buckets.values_mut() {
            let weights = &mut bucket.weights;
            weights.sort_unstable_by_key(|weight| std::cmp::Reverse((weight.ns, weight.key)));
            let left_out = weights.drain(weights.len().min(self.limit / 2)..);
            self.left_out_ns += left_out.map(|weight| weight.ns).sum::<u64>();
            bucket.tidy();
        }
        self.laid_down = self.buckets.values().map(Bucket::len).sum();
    }

    /// Makes buckets at least this wide, up to a day.
    pub(super) fn widen_to(&mut self, ns: u64) {
        self.lay_down();
        while self.bucket_ns < ns.min(86_400 * SECOND) {
            self.widen();
        }
    }

    /// Makes buckets twice as wide. Nothing may be open.
    fn widen(&mut self) {
        self.bucket_ns = self.bucket_ns.saturating_mul(2);
        self.newest /= 2;
        let narrow = std::mem::take(&mut self.buckets);
        for (number, bucket) in narrow {
            let wide = bucket_mut(&mut self.buckets, number / 2);
            wide.weights.extend(bucket.weights);
            wide.threads.extend(bucket.threads);
            if number % 2 == 1 {
                wide.tidy();
            }
        }
        for points in self.series.values_mut() {
            for (number, mut point) in std::mem::take(points) {
                point.bucket = number / 2;
                merge_point(points, point);
            }
        }
        self.laid_down = self.buckets.values().map(Bucket::len).sum();
    }

    fn sum_tasks(&mut self) {
        self.tasks_summed = true;
        for bucket in self.buckets.values_mut() {
            for weight in &mut bucket.weights {
                weight.key.task = None;
            }
            bucket.tidy();
        }
        self.laid_down = self.buckets.values().map(Bucket::len).sum();
    }

    pub(super) fn remark(&self, notes: &mut Vec<String>) {
        if self.bucket_ns > SECOND {
            notes.push(format!(
                "times are kept by stretches of {} s, to hold the profile's size",
                self.bucket_ns / SECOND
            ));
        }
        if self.past_measure_ns > 0 {
            notes.push(format!(
                "{} h of time are left out: they are more than can be counted",
                self.past_measure_ns / (3600 * SECOND)
            ));
        }
        if self.left_out_ns > 0 {
            notes.push(format!(
                "{} ms of time in rare stacks are left out, to hold the profile's size",
                self.left_out_ns / 1_000_000
            ));
        }
        if self.tasks_summed {
            notes.push("times are kept by kind and not by task, to hold the profile's size".into());
        }
    }

    pub(super) fn finish(mut self) -> (u64, Vec<Bucket>, Vec<Series>) {
        self.lay_down();
        let series = self.series.into_iter().map(|(name, points)| Series {
            name,
            points: points.into_values().collect(),
        });
        let series = series.collect();
        (self.bucket_ns, self.buckets.into_values().collect(), series)
    }
}

fn bucket_mut(buckets: &mut BTreeMap<u32, Bucket>, number: u32) -> &mut Bucket {
    buckets.entry(number).or_insert_with(|| Bucket {
        number,
        ..Bucket::default()
    })
}

fn merge_point(points: &mut BTreeMap<u32, Point>, point: Point) {
    points
        .entry(point.bucket)
        .and_modify(|known| {
            known.sum += point.sum;
            known.count += point.count;
            known.max = known.max.max(point.max);
        })
        .or_insert(point);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{StackId, State, TaskId};

    fn key(stack: usize, task: Option<usize>) -> WeightKey {
        WeightKey {
            thread: Some(ThreadId::at(0)),
            state: State::OnCpu,
            kind: None,
            task: task.map(TaskId::at),
            stack: StackId::at(stack),
        }
    }

    fn small(limit: usize) -> Timeline {
        Timeline {
            limit,
            ..Timeline::default()
        }
    }

    fn total(buckets: &[Bucket]) -> u64 {
        let weights = buckets.iter().flat_map(|bucket| &bucket.weights);
        weights.map(|weight| weight.ns).sum()
    }

    #[test]
    fn times_that_come_late_still_find_their_second() {
        let mut timeline = Timeline::default();
        for at in [0, 9 * SECOND, 5 * SECOND, 1, 9 * SECOND + 7] {
            timeline.add_weight(key(0, None), at, 10, 1);
        }
        let (width, buckets, _) = timeline.finish();
        assert_eq!(width, SECOND);
        let found: Vec<_> = buckets
            .iter()
            .map(|bucket| (bucket.number, bucket.weights[0].ns, bucket.weights.len()))
            .collect();
        assert_eq!(found, [(0, 20, 1), (5, 10, 1), (9, 20, 1)]);
    }

    #[test]
    fn a_full_timeline_gives_up_seconds_before_tasks_and_never_time() {
        let mut timeline = small(100);
        for second in 0..1000 {
            for stack in 0..3 {
                timeline.add_weight(key(stack, Some(stack)), second * SECOND, 7, 1);
            }
            timeline.add_point("live_tasks", second * SECOND, second as f64);
        }
        let (width, buckets, series) = timeline.finish();
        assert!(width > SECOND, "{width}");
        assert!(buckets.iter().map(Bucket::len).sum::<usize>() <= 100);
        assert_eq!(total(&buckets), 7 * 3 * 1000);
        assert!(
            buckets[0]
                .weights
                .iter()
                .all(|weight| weight.key.task.is_some())
        );
        let points = &series[0].points;
        assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), 1000);
        assert!(
            points
                .windows(2)
                .all(|pair| pair[0].bucket < pair[1].bucket)
        );
    }

    #[test]
    fn tasks_are_summed_when_wider_buckets_do_not_help() {
        let mut timeline = small(100);
        for second in 0..500 {
            timeline.add_weight(key(0, Some(second as usize)), second * SECOND, 7, 1);
        }
        let mut notes = Vec::new();
        timeline.lay_down();
        timeline.remark(&mut notes);
        assert!(
            notes
                .iter()
                .any(|note| note.contains("by kind and not by task")),
            "{notes:?}"
        );
        let (_, buckets, _) = timeline.finish();
        assert_eq!(total(&buckets), 7 * 500);
    }

    #[test]
    fn time_is_left_out_only_as_the_last_resort_and_counted() {
        let mut timeline = small(100);
        for stack in 0..500 {
            timeline.add_weight(key(stack, None), 0, 1_000_000, 1);
        }
        timeline.lay_down();
        let left_out = timeline.left_out_ns;
        let mut notes = Vec::new();
        timeline.remark(&mut notes);
        let (_, buckets, _) = timeline.finish();
        assert_eq!(total(&buckets) + left_out, 500_000_000);
        assert!(notes[0].starts_with("450 ms of time"), "{notes:?}");
    }

    #[test]
    fn a_broken_clock_neither_overflows_nor_hangs() {
        let mut timeline = Timeline::default();
        for at in [u64::MAX, 0, u64::MAX / 2] {
            timeline.add_weight(key(0, None), at, u64::MAX, u32::MAX);
            timeline.add_thread_time(ThreadId::at(0), at, u64::MAX, u64::MAX);
            timeline.add_point("lag_ms", at, f64::NAN);
            timeline.add_point("lag_ms", at, 1.0);
        }
        let (_, buckets, series) = timeline.finish();
        assert_eq!(total(&buckets), limits::TIME);
        assert!(
            buckets
                .iter()
                .all(|bucket| (bucket.number as usize) < limits::BUCKETS)
        );
        assert_eq!(
            series[0]
                .points
                .iter()
                .map(|point| point.count)
                .sum::<u64>(),
            3
        );
    }
}
