//! What snapshots told of tasks that wait, beside the times in the buckets.

use super::Profile;
use super::ids::{KindId, StackId};
use super::limits::{self, bounded};
use awaitscope_symbolizer::snapshot::{StayCount, WaitsOn};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The series of how many nanoseconds of each bucket the snapshots stand for: sums, not
/// means.
pub(crate) const COVERED: &str = "snapshot_ns";

/// What snapshots told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// How much time the snapshots stand for.
    pub(crate) covered_ns: u64,
    /// The usual time between two snapshots.
    pub(crate) period_ns: u64,
    /// How long reading took, all together.
    pub(crate) took_ns: u64,
    /// How long the slowest took.
    pub(crate) slowest_ns: u64,
    /// The kinds of tasks that were alive.
    #[serde(deserialize_with = "bounded::<_, _, { limits::KINDS }>")]
    pub(crate) kinds: Vec<KindLife>,
    /// Where tasks waited.
    #[serde(deserialize_with = "bounded::<_, _, { limits::WAITS }>")]
    pub(crate) waits: Vec<WaitEntry>,
    /// The locks that tasks waited for, those with the most waiters first.
    #[serde(deserialize_with = "bounded::<_, _, { limits::LOCKS }>")]
    pub(crate) locks: Vec<LockEntry>,
    /// Tasks that wait for each other.
    #[serde(deserialize_with = "bounded::<_, _, { limits::CIRCLES }>")]
    pub(crate) circles: Vec<CircleEntry>,
}

/// The tasks of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KindLife {
    pub(crate) kind: KindId,
    /// Tasks × time.
    pub(crate) alive_ns: u64,
    /// How many different ones were seen.
    pub(crate) tasks: u64,
}

/// Where tasks of a kind waited, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitEntry {
    pub(crate) kind: Option<KindId>,
    pub(crate) stack: StackId,
    /// `None` where it could not be read.
    pub(crate) what: Option<WaitsOn>,
    pub(crate) type_name: Option<Arc<str>>,
    /// How long tasks stayed.
    #[serde(deserialize_with = "bounded::<_, _, { limits::STAYS }>")]
    pub(crate) stays: Vec<StayCount>,
    pub(crate) longest_ns: u64,
    /// Tasks that were here all the while.
    pub(crate) unmoved: u32,
    #[serde(deserialize_with = "bounded::<_, _, { limits::NAMED }>")]
    pub(crate) unmoved_tasks: Vec<String>,
    /// How many were here in the first snapshot, and in the last.
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// A lock that tasks waited for. Places are indices in [`Waiting::waits`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockEntry {
    /// In how many snapshots somebody waited.
    pub(crate) snapshots: u32,
    /// The waiters of all snapshots together.
    pub(crate) waiters: u64,
    pub(crate) most: u32,
    #[serde(deserialize_with = "bounded::<_, _, { limits::LOCK_PLACES }>")]
    pub(crate) waited_at: Vec<(u32, u64)>,
    #[serde(deserialize_with = "bounded::<_, _, { limits::LOCK_PLACES }>")]
    pub(crate) held_at: Vec<(u32, u64)>,
    /// In how many of the snapshots nobody was seen to hold it.
    pub(crate) unheld: u32,
    #[serde(deserialize_with = "bounded::<_, _, { limits::NAMED }>")]
    pub(crate) holders: Vec<String>,
}

/// Tasks that wait for each other, each for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CircleEntry {
    #[serde(deserialize_with = "bounded::<_, _, { limits::LINKS }>")]
    pub(crate) links: Vec<LinkEntry>,
    /// Further tasks that wait for one of these.
    pub(crate) behind: u32,
    pub(crate) snapshots: u32,
    pub(crate) seen_for_ns: u64,
}

/// A task of a circle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkEntry {
    pub(crate) task: Option<String>,
    /// Index in [`Waiting::waits`].
    pub(crate) wait: u32,
    /// Whether it waits for a lock that the next task holds, and not for that task.
    pub(crate) lock: bool,
}

/// How long tasks stayed at a place: the middle, nine tenths and the longest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stayed {
    pub(crate) p50_ns: u64,
    pub(crate) p90_ns: u64,
    pub(crate) max_ns: u64,
    /// How many stays.
    pub(crate) count: u64,
    /// Of those, stays whose beginning or end was not seen: they were longer than what
    /// they count here.
    pub(crate) cut: u64,
}

impl WaitEntry {
    /// How long tasks stayed; `None` when no stay was seen.
    pub(crate) fn stayed(&self) -> Option<Stayed> {
        let all = |stay: &StayCount| u64::from(stay.whole) + u64::from(stay.cut);
        let count: u64 = self.stays.iter().map(all).sum();
        if count == 0 {
            return None;
        }
        let at = |share: f64| {
            let wanted = (count as f64 * share).ceil() as u64;
            let mut below = 0;
            let found = self.stays.iter().find(|stay| {
                below += all(stay);
                below >= wanted
            });
            found.map_or(self.longest_ns, |stay| stay.length().0.min(self.longest_ns))
        };
        Some(Stayed {
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            max_ns: self.longest_ns,
            count,
            cut: self.stays.iter().map(|stay| u64::from(stay.cut)).sum(),
        })
    }
}

impl Profile {
    /// What tasks waited for at a stack.
    pub(crate) fn waited_on(&self) -> std::collections::HashMap<StackId, WaitsOn> {
        let waits = self.waiting.iter().flat_map(|waiting| &waiting.waits);
        waits
            .filter_map(|wait| Some((wait.stack, wait.what?)))
            .collect()
    }
}
