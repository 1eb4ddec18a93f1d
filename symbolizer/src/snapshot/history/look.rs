//! One snapshot, summed by place.

use super::places::{PlaceId, Places};
use crate::runtime::TaskClass;
use crate::snapshot::{AwaitTable, KindId, Queues, Snapshot, TaskSeen, TaskState};
use awaitscope_sampler::Nanos;
use std::collections::HashMap;

/// What one task counts: it can be split evenly over many things that it waits on.
pub(super) const TASK: u64 = 1 << 16;

/// A snapshot, summed.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    pub time: Nanos,
    /// From when on it stands for what was.
    pub from: Nanos,
    /// By place and whether they are ready, in parts of a [`TASK`].
    pub sums: Vec<(PlaceId, bool, u64)>,
    /// Living tasks of each kind.
    pub kinds: Vec<(KindId, u32)>,
    /// Those that are polled: not the closures of the blocking pool.
    pub live: u32,
    pub ready: u32,
    pub running: u32,
    pub queues: Queues,
}

/// Sums up snapshots: keeps its tables, so that a snapshot costs no allocation for each
/// place.
#[derive(Debug, Default)]
pub(super) struct Summing {
    /// For each place, what is suspended and what is ready.
    parts: Vec<[u64; 2]>,
    touched: Vec<PlaceId>,
    kinds: HashMap<KindId, u32>,
}

impl Summing {
    /// Adds a task that waits at these places, one for each thing that it waits on.
    pub fn task(&mut self, task: &TaskSeen, at: &[PlaceId], look: &mut Look, table: &AwaitTable) {
        if task.state == TaskState::Complete {
            return;
        }
        *self.kinds.entry(task.kind).or_default() += 1;
        let kind = table.kinds().get(task.kind.0 as usize);
        if kind.is_none_or(|kind| kind.class != TaskClass::Blocking) {
            look.live += 1;
            look.ready += u32::from(task.state == TaskState::Ready);
            look.running += u32::from(task.state == TaskState::Running);
        }
        let ready = match task.state {
            TaskState::Ready => true,
            TaskState::Suspended => false,
            TaskState::Running | TaskState::Complete => return,
        };
        let count = (at.len() as u64).max(1);
        let (each, rest) = (TASK / count, TASK % count);
        for (index, place) in at.iter().enumerate() {
            let one_more = u64::from((index as u64) < rest);
            self.add(*place, ready, each + one_more);
        }
    }

    fn add(&mut self, place: PlaceId, ready: bool, part: u64) {
        let index = place.0 as usize;
        if index >= self.parts.len() {
            self.parts.resize(index + 1, [0; 2]);
        }
        let parts = &mut self.parts[index];
        if *parts == [0; 2] {
            self.touched.push(place);
        }
        parts[usize::from(ready)] += part;
    }

    /// Ends a snapshot.
    pub fn finish(&mut self, look: &mut Look) {
        for place in self.touched.drain(..) {
            let parts = std::mem::take(&mut self.parts[place.0 as usize]);
            for (ready, part) in [(false, parts[0]), (true, parts[1])] {
                if part > 0 {
                    look.sums.push((place, ready, part));
                }
            }
        }
        look.kinds.extend(self.kinds.drain());
    }
}

/// The places that a task waits at. Never empty.
pub(super) fn places_of(task: &TaskSeen, places: &mut Places, into: &mut Vec<PlaceId>) {
    into.clear();
    let points = task.waits.iter().map(|wait| wait.point);
    into.extend(points.map(|point| places.of(task.kind, Some(point))));
    if into.is_empty() {
        into.push(places.of(task.kind, None));
    }
}

/// The queues of all schedulers together.
pub(super) fn queues_of(snapshot: &Snapshot) -> Queues {
    let sum = |of: fn(&Queues) -> Option<u32>| {
        let known = snapshot.schedulers.iter().filter_map(|s| of(&s.queues));
        known.reduce(u32::saturating_add)
    };
    Queues {
        local: sum(|queues| queues.local),
        injection: sum(|queues| queues.injection),
        blocking: sum(|queues| queues.blocking),
    }
}
