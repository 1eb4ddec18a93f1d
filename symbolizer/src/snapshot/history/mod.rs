//! What many snapshots tell together: where tasks wait over time, for how long, and
//! whether they get on.
//!
//! Each snapshot stands for the time from the middle between the one before and itself
//! to the middle between itself and the next: that makes counts of tasks a time.

mod circles;
mod locks;
mod look;
mod naming;
mod places;
mod recent;
mod stays;
#[cfg(test)]
mod tests;
mod timeline;
mod waiting;

pub use recent::Recent;
pub use waiting::{
    Circle, Depth, Link, LockQueue, Moment, StayCount, WaitPlace, WaitSum, WaitedOn, Waiting,
    WaitingKind, WaitingQuality,
};

use super::{AwaitTable, Detail, Snapshot, TaskSeen, WaitsOn};
use awaitscope_sampler::Nanos;
use circles::{Blocked, Circles};
use locks::{LockNow, Locks};
use look::{Look, Summing, TASK, places_of, queues_of};
use naming::Naming;
use places::{PlaceId, Places};
use stays::Stays;
use std::collections::HashMap;
use timeline::Timeline;

/// The first snapshot also stands for what was before it, and the last for what came
/// after, but for no longer than this.
const BEYOND: Nanos = Nanos(1_000_000_000);

/// Takes snapshots, and keeps what they mean. What it holds does not grow with the
/// number of snapshots.
#[derive(Debug)]
pub struct History {
    start: Nanos,
    places: Places,
    summing: Summing,
    timeline: Timeline,
    stays: Stays,
    locks: Locks,
    circles: Circles,
    /// The last snapshot, whose time is not over.
    last: Option<Look>,
    /// How many tasks the first found at each place.
    first: Vec<(PlaceId, u32)>,
    first_time: Nanos,
    schedulers: Vec<super::SchedulerSeen>,
    quality: WaitingQuality,
}

impl History {
    /// Begins with a recording that began at `start`.
    #[must_use]
    pub fn new(start: Nanos) -> Self {
        Self {
            start,
            places: Places::default(),
            summing: Summing::default(),
            timeline: Timeline::new(start),
            stays: Stays::default(),
            locks: Locks::default(),
            circles: Circles::default(),
            last: None,
            first: Vec::new(),
            first_time: Nanos::ZERO,
            schedulers: Vec::new(),
            quality: WaitingQuality::default(),
        }
    }

    /// Takes a snapshot; they come in the order of time. `table` is that of the
    /// snapshotter that took it.
    pub fn take(&mut self, snapshot: &Snapshot, table: &AwaitTable) {
        self.count(snapshot);
        let mut look = self.look(snapshot, table);
        match self.last.take() {
            Some(last) => {
                let middle = last.time + Nanos(look.time.since(last.time).0 / 2);
                self.timeline.spread(&last, middle);
                look.from = middle.max(last.from);
            }
            None => {
                look.from = Nanos(look.time.0.saturating_sub(BEYOND.0)).max(self.start);
                self.first = tasks_at(&look).collect();
                self.first_time = look.time;
            }
        }
        self.last = Some(look);
    }

    /// Ends with the recording.
    #[must_use]
    pub fn finish(mut self, table: &AwaitTable, end: Nanos) -> Waiting {
        let mut last = Vec::new();
        if let Some(look) = self.last.take() {
            self.timeline.spread(&look, end.min(look.time + BEYOND));
            last = tasks_at(&look).collect();
            let between = u64::from(self.quality.snapshots.saturating_sub(1)).max(1);
            self.quality.period = Nanos(look.time.since(self.first_time).0 / between);
        }
        self.stays.finish();
        self.quality.covered = self.timeline.covered;
        let notes = self.notes();
        let mut naming = Naming::new(table);
        naming.name_kinds(&self.timeline.kinds().collect(), &self.stays.seen);
        let mut places: Vec<WaitPlace> = self
            .places
            .spots()
            .iter()
            .enumerate()
            .map(|(index, spot)| naming.place(*spot, self.stays.at(index)))
            .collect();
        for (place, count) in self.first {
            places[place.0 as usize].first = count;
        }
        for (place, count) in last {
            places[place.0 as usize].last = count;
        }
        let stretch = self.timeline.stretch();
        let (sums, moments) = self.timeline.finish();
        Waiting {
            schedulers: self.schedulers,
            kinds: naming.kinds,
            frames: naming.frames,
            places,
            sums,
            moments,
            stretch,
            locks: self.locks.finish(),
            circles: self.circles.finish(),
            quality: self.quality,
            notes,
        }
    }

    fn count(&mut self, snapshot: &Snapshot) {
        let quality = &mut self.quality;
        quality.snapshots = quality.snapshots.saturating_add(1);
        quality.tasks += snapshot.tasks.len() as u64 + u64::from(snapshot.torn);
        quality.torn += u64::from(snapshot.torn);
        quality.unresolved += u64::from(snapshot.unresolved);
        quality.took = quality.took + snapshot.took;
        quality.slowest = quality.slowest.max(snapshot.took);
        self.schedulers.clone_from(&snapshot.schedulers);
    }

    /// Looks at every task once.
    fn look(&mut self, snapshot: &Snapshot, table: &AwaitTable) -> Look {
        let mut look = Look {
            time: snapshot.time,
            queues: queues_of(snapshot),
            ..Look::default()
        };
        let mut locks: HashMap<u64, LockNow> = HashMap::new();
        let mut blocked: Vec<Blocked> = Vec::new();
        let mut at = Vec::new();
        self.stays.begin(snapshot.time);
        for (index, task) in snapshot.tasks.iter().enumerate() {
            places_of(task, &mut self.places, &mut at);
            self.summing.task(task, &at, &mut look, table);
            self.stays.task(task, &at);
            for lock in &task.holds {
                locks.entry(*lock).or_default().holders.push(index);
            }
            for (lock, place) in awaited_locks(task, &at, table) {
                locks.entry(lock).or_default().waiters.push(place);
            }
            blocked.extend(Blocked::of(index, task, &at, table));
        }
        self.stays.end();
        self.summing.finish(&mut look);
        let places = &mut self.places;
        self.locks.add(&locks, |index| {
            let task = &snapshot.tasks[index];
            let point = task.waits.first().map(|wait| wait.point);
            (task.id, places.known(task.kind, point))
        });
        self.circles.add(snapshot, &blocked, &locks);
        look
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.places.crowded {
            notes.push(
                "there are more await points than are kept: the last new ones are counted in \
                 their kinds"
                    .to_owned(),
            );
        }
        let left_out = self.timeline.left_out();
        if left_out > Nanos::ZERO {
            notes.push(format!(
                "{:.0} s of waiting tasks are left out, to hold the recorder's memory",
                left_out.as_millis() / 1e3
            ));
        }
        if self.stays.unfollowed > 0 {
            notes.push(
                "there are more tasks than are followed one by one: how long the last new ones \
                 stayed is not known"
                    .to_owned(),
            );
        }
        if self.locks.cut {
            notes.push(
                "there are more locks than are kept: those with few waiters are left out"
                    .to_owned(),
            );
        }
        if self.circles.skipped > 0 {
            notes.push(format!(
                "in {} snapshots there were too many tasks that wait for each other to look for \
                 circles",
                self.circles.skipped
            ));
        }
        notes
    }
}

/// The locks that a task waits for, and where.
fn awaited_locks<'a>(
    task: &'a TaskSeen,
    at: &'a [PlaceId],
    table: &'a AwaitTable,
) -> impl Iterator<Item = (u64, PlaceId)> + 'a {
    task.waits.iter().zip(at).filter_map(|(wait, place)| {
        let Detail::Object(address) = wait.detail else {
            return None;
        };
        let point = table.points().get(wait.point.0 as usize)?;
        (point.what == WaitsOn::Lock).then_some((address, *place))
    })
}

/// How many tasks were at each place, a split one where most of it was.
fn tasks_at(look: &Look) -> impl Iterator<Item = (PlaceId, u32)> {
    let suspended = look.sums.iter().filter(|(_, ready, _)| !ready);
    suspended.map(|(place, _, parts)| {
        let tasks = (parts + TASK / 2) / TASK;
        (*place, u32::try_from(tasks).unwrap_or(u32::MAX))
    })
}
