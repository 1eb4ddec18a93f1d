//! What the last snapshots tell, for those who watch a process for as long as they like.

use super::look::{Look, Summing, places_of, queues_of};
use super::naming::Naming;
use super::places::{PlaceId, Places};
use super::tasks_at;
use super::timeline::Timeline;
use super::waiting::{WaitPlace, Waiting, WaitingQuality};
use crate::snapshot::{AwaitTable, SchedulerSeen, Snapshot};
use awaitscope_sampler::Nanos;
use std::collections::{HashMap, VecDeque};

const SECOND: u64 = 1_000_000_000;

/// The most sums that the last snapshots have together, at some twenty bytes each.
const MOST: usize = 1 << 20;

/// Keeps the last snapshots, summed by place. How long tasks stay is not followed, nor who
/// waits for whom: a while is too short for that.
#[derive(Debug)]
pub struct Recent {
    start: Nanos,
    keep: Nanos,
    places: Places,
    summing: Summing,
    looks: VecDeque<(Look, WaitingQuality)>,
    sums: usize,
    schedulers: Vec<SchedulerSeen>,
}

impl Recent {
    /// Keeps what is no older than `keep`, of a recording that began at `start`.
    #[must_use]
    pub fn new(start: Nanos, keep: Nanos) -> Self {
        Self {
            start,
            keep,
            places: Places::default(),
            summing: Summing::default(),
            looks: VecDeque::new(),
            sums: 0,
            schedulers: Vec::new(),
        }
    }

    /// Takes a snapshot; they come in the order of time. `table` is that of the
    /// snapshotter that took it.
    pub fn take(&mut self, snapshot: &Snapshot, table: &AwaitTable) {
        let mut look = Look {
            time: snapshot.time,
            from: self.start,
            queues: queues_of(snapshot),
            ..Look::default()
        };
        let mut at = Vec::new();
        for task in &snapshot.tasks {
            places_of(task, &mut self.places, &mut at);
            self.summing.task(task, &at, &mut look, table);
        }
        self.summing.finish(&mut look);
        if let Some((last, _)) = self.looks.back() {
            look.from = middle(last.time, look.time);
        }
        self.sums += look.sums.len();
        self.looks.push_back((look, quality(snapshot)));
        self.schedulers.clone_from(&snapshot.schedulers);
        let oldest = self.oldest();
        while let Some((first, _)) = self.looks.front() {
            if first.time >= oldest && self.sums <= MOST {
                break;
            }
            self.sums -= first.sums.len();
            self.looks.pop_front();
        }
    }

    /// The moment from which on something is told: a full second after the start.
    #[must_use]
    pub fn since(&self) -> Nanos {
        self.oldest()
    }

    /// What the last ones told, counted from [`since`](Self::since) on.
    #[must_use]
    pub fn waiting(&self, table: &AwaitTable, end: Nanos) -> Waiting {
        let mut timeline = Timeline::new(self.since());
        let mut all = WaitingQuality::default();
        let ends = self.looks.iter().skip(1).map(|(next, _)| next.from);
        let ends = ends.chain(self.looks.back().map(|(last, _)| last.time.max(end)));
        for ((look, quality), to) in self.looks.iter().zip(ends) {
            let mut look = look.clone();
            look.from = look.from.max(self.since());
            timeline.spread(&look, to);
            all.snapshots += quality.snapshots;
            all.tasks += quality.tasks;
            all.torn += quality.torn;
            all.unresolved += quality.unresolved;
            all.took = all.took + quality.took;
            all.slowest = all.slowest.max(quality.slowest);
        }
        all.covered = timeline.covered;
        all.period = self.period();
        let mut naming = Naming::new(table);
        naming.name_kinds(&timeline.kinds().collect(), &HashMap::new());
        let stretch = timeline.stretch();
        let (mut sums, moments) = timeline.finish();
        let (mut places, mut numbers) = (Vec::new(), HashMap::new());
        for sum in &mut sums {
            let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
            let number = *numbers.entry(sum.place).or_insert(next);
            if number == next {
                let spot = self.places.spots()[sum.place as usize];
                places.push(naming.place(spot, None));
            }
            sum.place = number;
        }
        self.count_ends(&mut places, |place| numbers.get(&place.0).copied());
        Waiting {
            schedulers: self.schedulers.clone(),
            kinds: naming.kinds,
            frames: naming.frames,
            places,
            sums,
            moments,
            stretch,
            locks: Vec::new(),
            circles: Vec::new(),
            quality: all,
            notes: Vec::new(),
        }
    }

    /// How many tasks the first and the last snapshot found at each place.
    fn count_ends(&self, places: &mut [WaitPlace], number: impl Fn(PlaceId) -> Option<u32>) {
        let mut count = |look: Option<&(Look, WaitingQuality)>, set: fn(&mut WaitPlace, u32)| {
            for (place, tasks) in look.iter().flat_map(|(look, _)| tasks_at(look)) {
                let place = number(place).and_then(|at| places.get_mut(at as usize));
                if let Some(place) = place {
                    set(place, tasks);
                }
            }
        };
        count(self.looks.front(), |place, tasks| place.first = tasks);
        count(self.looks.back(), |place, tasks| place.last = tasks);
    }

    /// The beginning of the oldest second that is told.
    fn oldest(&self) -> Nanos {
        let newest = self.looks.back().map_or(self.start, |(look, _)| look.time);
        let kept = newest.since(self.start).0.saturating_sub(self.keep.0);
        self.start + Nanos(kept - kept % SECOND)
    }

    fn period(&self) -> Nanos {
        let (Some((first, _)), Some((last, _))) = (self.looks.front(), self.looks.back()) else {
            return Nanos::ZERO;
        };
        let between = (self.looks.len() as u64).saturating_sub(1).max(1);
        Nanos(last.time.since(first.time).0 / between)
    }
}

fn middle(earlier: Nanos, later: Nanos) -> Nanos {
    earlier + Nanos(later.since(earlier).0 / 2)
}

fn quality(snapshot: &Snapshot) -> WaitingQuality {
    WaitingQuality {
        snapshots: 1,
        tasks: snapshot.tasks.len() as u64 + u64::from(snapshot.torn),
        torn: u64::from(snapshot.torn),
        unresolved: u64::from(snapshot.unresolved),
        took: snapshot.took,
        slowest: snapshot.took,
        ..WaitingQuality::default()
    }
}
