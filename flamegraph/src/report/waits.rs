//! Where tasks wait: how many, for how long, and whether they get on.

use super::model::{
    CircleRow, Finding, FrameRow, LinkRow, LockRow, PlaceRow, StayedRow, WaitRow, WaitsOnRow,
};
use super::shares::ms;
use super::trouble::{Seen, Told, trouble};
use crate::profile::{KindId, Profile, StackId, State, WaitEntry, Waiting};
use std::collections::HashMap;

/// The most rows that are told. What comes after them is a task now and then.
const MOST: usize = 5000;
/// The most places of a lock that are told.
const LOCK_PLACES: usize = 5;

/// Everything that snapshots told of waiting.
#[derive(Debug, Default)]
pub(super) struct Waits<'a> {
    /// The rows, with where they come from.
    pub(super) rows: Vec<(WaitRow, &'a WaitEntry)>,
    /// How many rows there would be.
    pub(super) all: usize,
    pub(super) locks: Vec<LockRow>,
    pub(super) circles: Vec<CircleRow>,
    /// How many tasks of each kind were alive on average, and how many were seen.
    pub(super) kinds: HashMap<KindId, (f64, u64)>,
}

impl<'a> Waits<'a> {
    pub(super) fn of(profile: &'a Profile) -> Self {
        let Some(waiting) = &profile.waiting else {
            return Self::default();
        };
        let covered = waiting.covered_ns.max(1) as f64;
        let times = Times::of(profile);
        let mut weighed: Vec<(&WaitEntry, [u64; 2])> = waiting
            .waits
            .iter()
            .map(|wait| (wait, times.at(wait)))
            .filter(|(_, [waited, ready])| waited + ready > 0)
            .collect();
        weighed.sort_by_key(|(wait, [waited, ready])| {
            (std::cmp::Reverse((*waited, *ready)), wait.stack, wait.kind)
        });
        let all = weighed.len();
        weighed.truncate(MOST);
        let total = times.waited.max(1) as f64;
        let row = |wait: &WaitEntry, [waited, ready]: [u64; 2]| WaitRow {
            kind: kind(profile, wait),
            stack: frames(profile, wait.stack),
            waits_on: waits_on(wait),
            mean_tasks: waited as f64 / covered,
            ready_mean: ready as f64 / covered,
            share: waited as f64 / total,
            stayed_ms: wait.stayed().map(|stayed| StayedRow {
                p50: ms(stayed.p50_ns),
                p90: ms(stayed.p90_ns),
                max: ms(stayed.max_ns),
                count: stayed.count,
                censored: stayed.cut,
                resolution: ms(waiting.period_ns),
            }),
            first: wait.first,
            last: wait.last,
            unmoved: wait.unmoved,
            unmoved_tasks: wait.unmoved_tasks.clone(),
        };
        let rows = weighed
            .into_iter()
            .map(|(wait, times)| (row(wait, times), wait));
        let lives = waiting.kinds.iter();
        let lives = lives.map(|life| (life.kind, (life.alive_ns as f64 / covered, life.tasks)));
        Self {
            rows: rows.collect(),
            all,
            locks: locks(profile, waiting),
            circles: circles(profile, waiting),
            kinds: lives.collect(),
        }
    }

    /// What is wrong.
    pub(super) fn trouble(&self, profile: &'a Profile) -> Vec<Finding> {
        let told = self.rows.iter().enumerate();
        trouble(&Seen {
            profile,
            waits: told
                .map(|(number, (row, entry))| Told {
                    number,
                    entry,
                    stack: &row.stack,
                    kind: row.kind.as_deref(),
                })
                .collect(),
            locks: &self.locks,
            circles: &self.circles,
            duration_s: profile
                .waiting
                .as_ref()
                .map_or(0.0, |waiting| waiting.covered_ns as f64 / 1e9),
        })
    }
}

/// Time of tasks at each place: suspended, and ready.
struct Times {
    of: HashMap<(Option<KindId>, StackId), [u64; 2]>,
    waited: u64,
}

impl Times {
    fn of(profile: &Profile) -> Self {
        let mut times = Self {
            of: HashMap::new(),
            waited: 0,
        };
        for weight in profile.weights() {
            let index = match weight.key.state {
                State::Waiting => 0,
                State::Ready => 1,
                State::OnCpu | State::Blocked => continue,
            };
            let place = (weight.key.kind, weight.key.stack);
            times.of.entry(place).or_default()[index] += weight.ns;
            times.waited += weight.ns * u64::from(index == 0);
        }
        times
    }

    fn at(&self, wait: &WaitEntry) -> [u64; 2] {
        let place = (wait.kind, wait.stack);
        self.of.get(&place).copied().unwrap_or_default()
    }
}

fn kind(profile: &Profile, wait: &WaitEntry) -> Option<String> {
    wait.kind.map(|kind| profile.kind(kind).name.clone())
}

fn frames(profile: &Profile, stack: StackId) -> Vec<FrameRow> {
    profile.stack(stack).iter().map(FrameRow::of).collect()
}

fn waits_on(wait: &WaitEntry) -> Option<WaitsOnRow> {
    Some(WaitsOnRow {
        what: wait.what?,
        type_name: wait.type_name.as_deref().unwrap_or("").to_owned(),
    })
}

fn locks(profile: &Profile, waiting: &Waiting) -> Vec<LockRow> {
    let snapshots = profile.quality.snapshots.max(1) as f64;
    let places = |places: &[(u32, u64)]| -> Vec<PlaceRow> {
        let all: u64 = places.iter().map(|(_, count)| *count).sum();
        let told = places.iter().take(LOCK_PLACES);
        told.filter_map(|(at, count)| {
            let wait = waiting.waits.get(*at as usize)?;
            Some(PlaceRow {
                kind: kind(profile, wait),
                stack: frames(profile, wait.stack),
                waits_on: waits_on(wait),
                share: *count as f64 / all.max(1) as f64,
            })
        })
        .collect()
    };
    waiting
        .locks
        .iter()
        .map(|lock| LockRow {
            waiters_mean: lock.waiters as f64 / snapshots,
            waiters_max: lock.most,
            waited_share: f64::from(lock.snapshots) / snapshots,
            unseen_holder_share: f64::from(lock.unheld) / f64::from(lock.snapshots.max(1)),
            holder_unmoved: lock.unheld == 0
                && lock.held_at.first().is_some_and(|(at, _)| {
                    let held = waiting.waits.get(*at as usize);
                    lock.held_at.len() == 1 && held.is_some_and(|wait| wait.unmoved > 0)
                }),
            waited_at: places(&lock.waited_at),
            held_at: places(&lock.held_at),
            holders: lock.holders.clone(),
        })
        .collect()
}

fn circles(profile: &Profile, waiting: &Waiting) -> Vec<CircleRow> {
    let row = |circle: &crate::profile::CircleEntry| CircleRow {
        tasks: circle
            .links
            .iter()
            .filter_map(|link| {
                let wait = waiting.waits.get(link.wait as usize)?;
                Some(LinkRow {
                    id: link.task.clone(),
                    kind: kind(profile, wait),
                    stack: frames(profile, wait.stack),
                    for_lock: link.lock,
                })
            })
            .collect(),
        behind: circle.behind,
        snapshots: circle.snapshots,
        seen_for_s: circle.seen_for_ns as f64 / 1e9,
    };
    waiting.circles.iter().map(row).collect()
}
