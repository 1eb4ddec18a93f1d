//! Locks that tasks wait for: who holds them, and who queues.

use super::places::PlaceId;
use super::waiting::LockQueue;
use crate::runtime::TaskId;
use std::collections::HashMap;

/// The most locks that are kept. When there are more, those with the fewest waiters go.
const MOST: usize = 4096;

/// The most that are handed on.
const MOST_TOLD: usize = 256;

/// The most places that are kept of one lock.
const MOST_PLACES: usize = 64;

/// So many of the holders are named.
const NAMED: usize = 3;

/// What one snapshot says of a lock.
#[derive(Debug, Default)]
pub(super) struct LockNow {
    pub waiters: Vec<PlaceId>,
    /// Places in the list of tasks.
    pub holders: Vec<usize>,
}

/// What all snapshots said of a lock.
#[derive(Debug, Default)]
struct LockSeen {
    snapshots: u32,
    waiters: u64,
    most: u32,
    waited_at: HashMap<PlaceId, u64>,
    held_at: HashMap<PlaceId, u64>,
    unheld: u32,
    holders: Vec<TaskId>,
}

/// All locks that were waited for.
#[derive(Debug, Default)]
pub(super) struct Locks {
    seen: HashMap<u64, LockSeen>,
    pub cut: bool,
}

impl Locks {
    /// Adds what a snapshot says. `holder` tells a task's number and where it waits.
    pub fn add(
        &mut self,
        now: &HashMap<u64, LockNow>,
        holder: impl Fn(usize) -> (Option<TaskId>, Option<PlaceId>),
    ) {
        for (address, lock) in now {
            if lock.waiters.is_empty() {
                continue;
            }
            if self.seen.len() >= MOST && !self.seen.contains_key(address) {
                self.forget_some();
            }
            let seen = self.seen.entry(*address).or_default();
            let count = u32::try_from(lock.waiters.len()).unwrap_or(u32::MAX);
            seen.snapshots += 1;
            seen.waiters += u64::from(count);
            seen.most = seen.most.max(count);
            for place in &lock.waiters {
                note(&mut seen.waited_at, *place);
            }
            seen.unheld += u32::from(lock.holders.is_empty());
            if !lock.holders.is_empty() {
                seen.holders.clear();
            }
            for task in &lock.holders {
                let (id, place) = holder(*task);
                if seen.holders.len() < NAMED {
                    seen.holders.extend(id);
                }
                if let Some(place) = place {
                    note(&mut seen.held_at, place);
                }
            }
        }
    }

    fn forget_some(&mut self) {
        self.cut = true;
        let mut waiters: Vec<u64> = self.seen.values().map(|seen| seen.waiters).collect();
        let middle = waiters.len() / 2;
        let (_, median, _) = waiters.select_nth_unstable(middle);
        let median = *median;
        let mut room = MOST / 2;
        self.seen.retain(|_, seen| {
            let stays = seen.waiters > median && room > 0;
            room -= usize::from(stays);
            stays
        });
    }

    /// All of them, those with the most waiters first.
    pub fn finish(self) -> Vec<LockQueue> {
        let mut locks: Vec<LockQueue> = self
            .seen
            .into_iter()
            .map(|(address, seen)| LockQueue {
                address,
                snapshots: seen.snapshots,
                waiters: seen.waiters,
                most: seen.most,
                waited_at: most_first(seen.waited_at),
                held_at: most_first(seen.held_at),
                unheld: seen.unheld,
                holders: seen.holders,
            })
            .collect();
        locks.sort_unstable_by_key(|lock| (std::cmp::Reverse(lock.waiters), lock.address));
        locks.truncate(MOST_TOLD);
        locks
    }
}

fn note(places: &mut HashMap<PlaceId, u64>, place: PlaceId) {
    if places.len() < MOST_PLACES || places.contains_key(&place) {
        *places.entry(place).or_default() += 1;
    }
}

fn most_first(places: HashMap<PlaceId, u64>) -> Vec<(u32, u64)> {
    let mut places: Vec<(u32, u64)> = places
        .into_iter()
        .map(|(at, count)| (at.0, count))
        .collect();
    places.sort_unstable_by_key(|(place, count)| (std::cmp::Reverse(*count), *place));
    places
}
