//! Tasks × time, by place and second, held within a fixed number of entries.

use super::look::{Look, TASK};
use super::places::PlaceId;
use super::waiting::{Depth, Moment, WaitSum};
use crate::snapshot::KindId;
use awaitscope_sampler::Nanos;
use std::collections::{BTreeMap, HashMap};

const SECOND: u64 = 1_000_000_000;

/// The most sums that are kept, at some fifty bytes each.
const MOST: usize = 400_000;

/// The most stretches of time: a day and a half of seconds.
const MOST_MOMENTS: usize = 1 << 17;

/// The longest stretch of time, in seconds, that is made one.
const LONGEST_STRETCH: u32 = 1 << 16;

/// More stretches than this between two snapshots are not told apart.
const MOST_PIECES: u64 = 1 << 12;

/// All sums.
#[derive(Debug)]
pub(super) struct Timeline {
    start: Nanos,
    /// In parts of a [`TASK`] × nanoseconds.
    sums: HashMap<(u32, PlaceId, bool), u128>,
    moments: BTreeMap<u32, Moment>,
    kinds: HashMap<KindId, u64>,
    stretch: u32,
    limit: usize,
    /// Parts × time that there was no room for.
    left_out: u128,
    pub covered: Nanos,
}

impl Timeline {
    pub fn new(start: Nanos) -> Self {
        Self {
            start,
            sums: HashMap::new(),
            moments: BTreeMap::new(),
            kinds: HashMap::new(),
            stretch: 1,
            limit: MOST,
            left_out: 0,
            covered: Nanos::ZERO,
        }
    }

    /// `look` stands for the time from its beginning until `to`.
    pub fn spread(&mut self, look: &Look, to: Nanos) {
        let length = to.since(look.from);
        if length == Nanos::ZERO {
            return;
        }
        self.covered = self.covered + length;
        for (kind, live) in &look.kinds {
            let time = self.kinds.entry(*kind).or_default();
            *time = time.saturating_add(length.0.saturating_mul(u64::from(*live)));
        }
        let mut from = look.from;
        while from < to {
            let stretch = u64::from(self.stretch) * SECOND;
            let in_stretch = from.since(self.start).0 % stretch;
            let rest = stretch - in_stretch;
            let pieces = to.since(from).0 / stretch;
            let next = match pieces < MOST_PIECES {
                true => to.min(from + Nanos(rest)),
                false => to,
            };
            self.add(look, from, next.since(from));
            from = next;
        }
    }

    fn add(&mut self, look: &Look, from: Nanos, length: Nanos) {
        let second = self.second(from);
        let moment = self.moments.entry(second).or_default();
        moment.second = second;
        moment.add(look, length);
        for (place, ready, parts) in &look.sums {
            let weight = u128::from(*parts) * u128::from(length.0);
            let key = (second, *place, *ready);
            if self.sums.len() >= self.limit && !self.sums.contains_key(&key) {
                self.left_out += weight;
                continue;
            }
            *self.sums.entry(key).or_default() += weight;
        }
        while (self.sums.len() >= self.limit || self.moments.len() >= MOST_MOMENTS)
            && self.stretch < LONGEST_STRETCH
            && self.moments.len() > 1
        {
            self.widen();
        }
    }

    fn second(&self, time: Nanos) -> u32 {
        let second = time.since(self.start).0 / SECOND;
        let second = u32::try_from(second).unwrap_or(u32::MAX);
        second - second % self.stretch
    }

    fn widen(&mut self) {
        self.stretch = self.stretch.saturating_mul(2);
        let stretch = self.stretch;
        for ((second, place, ready), weight) in std::mem::take(&mut self.sums) {
            let key = (second - second % stretch, place, ready);
            *self.sums.entry(key).or_default() += weight;
        }
        for (second, mut moment) in std::mem::take(&mut self.moments) {
            moment.second = second - second % stretch;
            self.moments
                .entry(moment.second)
                .and_modify(|known| known.merge(&moment))
                .or_insert(moment);
        }
    }

    pub fn stretch(&self) -> u32 {
        self.stretch
    }

    /// Tasks × time that there was no room for.
    pub fn left_out(&self) -> Nanos {
        whole(self.left_out)
    }

    pub fn kinds(&self) -> impl Iterator<Item = (KindId, Nanos)> {
        self.kinds.iter().map(|(kind, time)| (*kind, Nanos(*time)))
    }

    /// All sums and counts, in order.
    pub fn finish(self) -> (Vec<WaitSum>, Vec<Moment>) {
        let mut sums: Vec<WaitSum> = self
            .sums
            .into_iter()
            .map(|((second, place, ready), weight)| WaitSum {
                second,
                place: place.0,
                ready,
                time: whole(weight),
            })
            .collect();
        sums.sort_unstable_by_key(|sum| (sum.second, sum.place, sum.ready));
        (sums, self.moments.into_values().collect())
    }
}

/// From parts of a task to tasks.
fn whole(weight: u128) -> Nanos {
    Nanos(u64::try_from((weight + u128::from(TASK / 2)) / u128::from(TASK)).unwrap_or(u64::MAX))
}

impl Moment {
    fn add(&mut self, look: &Look, length: Nanos) {
        let times = |count: u32| Nanos(length.0.saturating_mul(u64::from(count)));
        self.covered = self.covered + length;
        self.live = self.live + times(look.live);
        self.ready = self.ready + times(look.ready);
        self.running = self.running + times(look.running);
        self.most_ready = self.most_ready.max(look.ready);
        let queue = |depth: &mut Option<Depth>, count: Option<u32>| {
            if let Some(count) = count {
                depth.get_or_insert_default().merge(&Depth {
                    covered: length,
                    time: times(count),
                    most: count,
                });
            }
        };
        queue(&mut self.local, look.queues.local);
        queue(&mut self.injection, look.queues.injection);
        queue(&mut self.blocking, look.queues.blocking);
    }

    fn merge(&mut self, other: &Self) {
        self.covered = self.covered + other.covered;
        self.live = self.live + other.live;
        self.ready = self.ready + other.ready;
        self.running = self.running + other.running;
        self.most_ready = self.most_ready.max(other.most_ready);
        let queue = |depth: &mut Option<Depth>, other: &Option<Depth>| {
            if let Some(other) = other {
                depth.get_or_insert_default().merge(other);
            }
        };
        queue(&mut self.local, &other.local);
        queue(&mut self.injection, &other.injection);
        queue(&mut self.blocking, &other.blocking);
    }
}

impl Depth {
    fn merge(&mut self, other: &Self) {
        self.covered = self.covered + other.covered;
        self.time = self.time + other.time;
        self.most = self.most.max(other.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(from: u64, place: u32, tasks: u64) -> Look {
        Look {
            from: Nanos(from),
            sums: vec![(PlaceId(place), false, tasks * TASK)],
            live: tasks as u32,
            ..Look::default()
        }
    }

    #[test]
    fn a_look_that_stands_for_parts_of_two_seconds_is_split_between_them() {
        let mut timeline = Timeline::new(Nanos(0));
        timeline.spread(&look(SECOND - 30, 7, 2), Nanos(SECOND + 10));
        let (sums, moments) = timeline.finish();
        let found: Vec<_> = sums.iter().map(|sum| (sum.second, sum.time.0)).collect();
        assert_eq!(found, [(0, 60), (1, 20)]);
        assert_eq!(moments[1].live, Nanos(20));
    }

    #[test]
    fn a_full_timeline_gives_up_seconds_and_never_time() {
        let mut timeline = Timeline::new(Nanos(0));
        timeline.limit = 50;
        for second in 0..1000 {
            timeline.spread(&look(second * SECOND, 3, 1), Nanos((second + 1) * SECOND));
        }
        assert!(timeline.stretch() > 1);
        assert_eq!(timeline.left_out(), Nanos::ZERO);
        let (sums, moments) = timeline.finish();
        assert!(sums.len() <= 50 && moments.len() == sums.len());
        assert_eq!(
            sums.iter().map(|sum| sum.time.0).sum::<u64>(),
            1000 * SECOND
        );
    }

    #[test]
    fn too_many_places_are_left_out_and_counted() {
        let mut timeline = Timeline::new(Nanos(0));
        timeline.limit = 10;
        for place in 0..30 {
            timeline.spread(&look(0, place, 1), Nanos(100));
        }
        let left_out = timeline.left_out();
        let (sums, _) = timeline.finish();
        let kept: u64 = sums.iter().map(|sum| sum.time.0).sum();
        assert_eq!(kept + left_out.0, 3000);
    }

    #[test]
    fn a_broken_clock_neither_overflows_nor_hangs() {
        let mut timeline = Timeline::new(Nanos(5));
        timeline.spread(&look(0, 1, 1 << 40), Nanos(u64::MAX));
        timeline.spread(&look(u64::MAX, 1, 1), Nanos(0));
        timeline.spread(&look(u64::MAX - 5, 1, 1), Nanos(u64::MAX));
        let (sums, _) = timeline.finish();
        assert!(!sums.is_empty());
    }
}
