//! What snapshots of all recordings told, together.

use super::{Merging, Part};
use crate::profile::{
    CircleEntry, KindId, KindLife, LinkEntry, LockEntry, Profile, StackId, WaitEntry, Waiting,
    limits,
};
use awaitscope_symbolizer::snapshot::StayCount;
use std::cmp::Reverse;
use std::collections::HashMap;

/// The await points of all recordings, as they are added.
#[derive(Debug, Default)]
pub(super) struct AllWaits {
    any: bool,
    period_ns: u64,
    took_ns: u64,
    slowest_ns: u64,
    kinds: HashMap<KindId, (u64, HashMap<usize, u64>)>,
    waits: Vec<WaitEntry>,
    places: HashMap<(Option<KindId>, StackId), usize>,
    /// Of each await point and process, the tasks that did not move.
    unmoved: HashMap<(usize, usize), u32>,
    locks: Vec<LockEntry>,
    /// Where each lock is waited for, and which of those of a recording it is.
    lock_at: HashMap<(u32, usize), usize>,
    circles: Vec<CircleEntry>,
    left_out: u64,
}

impl AllWaits {
    /// Adds what a recording's snapshots told.
    pub(super) fn add(&mut self, waiting: &Waiting, part: &Part<'_>, merging: &Merging<'_>) {
        self.any = true;
        self.period_ns = self.period_ns.max(waiting.period_ns);
        self.took_ns = self.took_ns.saturating_add(waiting.took_ns);
        self.slowest_ns = self.slowest_ns.max(waiting.slowest_ns);
        for life in &waiting.kinds {
            let (alive_ns, tasks) = self.kinds.entry(part.kinds[life.kind.index()]).or_default();
            *alive_ns = alive_ns.saturating_add(life.alive_ns).min(limits::TIME);
            // Recordings of one process may have seen the same ones.
            let tasks = tasks.entry(part.process).or_default();
            *tasks = (*tasks).max(life.tasks);
        }
        let waits = waiting.waits.iter();
        let places: Vec<Option<u32>> = waits.map(|wait| self.wait(wait, part, merging)).collect();
        self.locks(&waiting.locks, &places, part, merging);
        for circle in &waiting.circles {
            self.circle(circle, &places, part, merging);
        }
    }

    fn wait(&mut self, wait: &WaitEntry, part: &Part<'_>, merging: &Merging<'_>) -> Option<u32> {
        let kind = wait.kind.map(|kind| part.kinds[kind.index()]);
        let stack = part.stacks[wait.stack.index()];
        let index = match self.places.get(&(kind, stack)) {
            Some(&index) => index,
            None if self.waits.len() >= limits::WAITS => {
                self.left_out += 1;
                return None;
            }
            None => {
                self.places.insert((kind, stack), self.waits.len());
                self.waits.push(WaitEntry {
                    kind,
                    stack,
                    what: wait.what,
                    type_name: wait.type_name.clone(),
                    stays: Vec::new(),
                    longest_ns: 0,
                    unmoved: 0,
                    unmoved_tasks: Vec::new(),
                    first: 0,
                    last: 0,
                });
                self.waits.len() - 1
            }
        };
        let all = &mut self.waits[index];
        if all.what.is_none() {
            all.what = wait.what;
            all.type_name = wait.type_name.clone();
        }
        add_stays(&mut all.stays, &wait.stays);
        all.longest_ns = all.longest_ns.max(wait.longest_ns);
        let unmoved = self.unmoved.entry((index, part.process)).or_default();
        *unmoved = (*unmoved).max(wait.unmoved);
        merging.name(&mut all.unmoved_tasks, &wait.unmoved_tasks, part);
        if part.is_first {
            all.first = all.first.saturating_add(wait.first);
        }
        if part.is_last {
            all.last = all.last.saturating_add(wait.last);
        }
        u32::try_from(index).ok()
    }

    /// Locks that are waited for at the same place are one: each replica has its own, and so has
    /// each run. What they had in each snapshot stays right on average.
    fn locks(
        &mut self,
        locks: &[LockEntry],
        places: &[Option<u32>],
        part: &Part<'_>,
        merging: &Merging<'_>,
    ) {
        let mut seen: HashMap<u32, usize> = HashMap::new();
        for lock in locks {
            let waited_at = known(&lock.waited_at, places);
            let Some(&(place, _)) = waited_at.first() else {
                self.left_out += 1;
                continue;
            };
            let number = seen.entry(place).or_default();
            let next = self.locks.len();
            let index = *self.lock_at.entry((place, *number)).or_insert(next);
            *number += 1;
            if index == next {
                self.locks.push(LockEntry {
                    snapshots: 0,
                    waiters: 0,
                    most: 0,
                    waited_at: Vec::new(),
                    held_at: Vec::new(),
                    unheld: 0,
                    holders: Vec::new(),
                });
            }
            let all = &mut self.locks[index];
            all.snapshots = all.snapshots.saturating_add(lock.snapshots);
            all.waiters = all.waiters.saturating_add(lock.waiters);
            all.most = all.most.max(lock.most);
            all.unheld = all.unheld.saturating_add(lock.unheld);
            add_places(&mut all.waited_at, &waited_at);
            add_places(&mut all.held_at, &known(&lock.held_at, places));
            merging.name(&mut all.holders, &lock.holders, part);
        }
    }

    fn circle(
        &mut self,
        circle: &CircleEntry,
        places: &[Option<u32>],
        part: &Part<'_>,
        merging: &Merging<'_>,
    ) {
        let links = circle.links.iter().map(|link| {
            Some(LinkEntry {
                task: link.task.as_ref().map(|id| merging.task_id(part, id)),
                wait: (*places.get(link.wait as usize)?)?,
                lock: link.lock,
            })
        });
        // A circle with a gap is none.
        match links.collect::<Option<Vec<_>>>() {
            Some(links) if self.circles.len() < limits::CIRCLES => {
                self.circles.push(CircleEntry {
                    links,
                    ..circle.clone()
                });
            }
            _ => self.left_out += 1,
        }
    }

    /// All of it; `None` when no recording took snapshots.
    pub(super) fn finish(mut self, covered_ns: u64, notes: &mut Vec<String>) -> Option<Waiting> {
        if !self.any {
            return None;
        }
        for (&(wait, _), unmoved) in &self.unmoved {
            let all = &mut self.waits[wait].unmoved;
            *all = all.saturating_add(*unmoved);
        }
        self.locks.sort_by_key(|lock| Reverse(lock.waiters));
        self.left_out += self.locks.len().saturating_sub(limits::LOCKS) as u64;
        if self.left_out > 0 {
            notes.push(format!(
                "{} await points, locks and circles of tasks were too many to be kept",
                self.left_out
            ));
        }
        let mut kinds: Vec<KindLife> = self
            .kinds
            .into_iter()
            .map(|(kind, (alive_ns, tasks))| KindLife {
                kind,
                alive_ns,
                tasks: tasks.values().fold(0, |sum, n| sum.saturating_add(*n)),
            })
            .collect();
        kinds.sort_by_key(|life| life.kind);
        Some(Waiting {
            covered_ns,
            period_ns: self.period_ns,
            took_ns: self.took_ns,
            slowest_ns: self.slowest_ns,
            kinds,
            waits: self.waits,
            locks: self.locks,
            circles: self.circles,
        })
    }
}

/// How much time the snapshots of all recordings stand for: of those that overlap, as much as
/// anybody looked; of others, the sum.
pub(super) fn covered_ns(profiles: &[Profile], merging: &Merging<'_>) -> u64 {
    let covered_by = |index: &usize| {
        let waiting = profiles[*index].waiting.as_ref();
        waiting.map_or(0, |waiting| waiting.covered_ns)
    };
    let sessions = merging.axis.sessions.iter().enumerate();
    let covered = sessions.map(|(session, &length_ns)| {
        let places = merging.axis.places.iter().enumerate();
        let looked: Vec<usize> = places
            .filter(|(index, place)| place.session == session && covered_by(index) > 0)
            .map(|(index, _)| index)
            .collect();
        match &looked[..] {
            [] => 0,
            [only] => covered_by(only),
            several => match merging.series.covered(several) {
                // Times are held far below 2⁵³ × 2⁸, and a rounded nanosecond does no harm.
                Some(ns) => ns as u64,
                None => several
                    .iter()
                    .map(covered_by)
                    .fold(0_u64, u64::saturating_add)
                    .min(length_ns),
            },
        }
    });
    covered.fold(0_u64, u64::saturating_add).min(limits::TIME)
}

fn add_stays(all: &mut Vec<StayCount>, more: &[StayCount]) {
    for stay in more {
        match all.binary_search_by_key(&stay.class, |known| known.class) {
            Ok(at) => {
                all[at].whole = all[at].whole.saturating_add(stay.whole);
                all[at].cut = all[at].cut.saturating_add(stay.cut);
            }
            // There are no more classes than a list can hold.
            Err(at) => all.insert(at, *stay),
        }
    }
}

/// The places that were kept, the most first.
fn known(of: &[(u32, u64)], places: &[Option<u32>]) -> Vec<(u32, u64)> {
    let renumbered = of.iter().filter_map(|&(place, count)| {
        let place = places.get(place as usize).copied().flatten()?;
        Some((place, count))
    });
    renumbered.collect()
}

fn add_places(all: &mut Vec<(u32, u64)>, more: &[(u32, u64)]) {
    for &(place, count) in more {
        match all.iter_mut().find(|(known, _)| *known == place) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None => all.push((place, count)),
        }
    }
    all.sort_by_key(|&(place, count)| (Reverse(count), place));
    all.truncate(limits::LOCK_PLACES);
}
