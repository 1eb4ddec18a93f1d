//! Which ids the tasks had that were seen on sampled stacks: what every guess of
//! where a thread keeps its current one is judged by.

use crate::runtime::{Polled, TaskId};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// So many ids are remembered, the last ones.
const MOST_IDS: usize = 1024;

/// The ids of late, shared between who reads stacks and who learns from them.
#[derive(Debug, Clone, Default)]
pub(in crate::runtime::tokio) struct SeenIds(Arc<Mutex<Ids>>);

#[derive(Debug, Default)]
struct Ids {
    known: HashSet<TaskId>,
    order: VecDeque<TaskId>,
}

impl SeenIds {
    /// A stack was read. What a worker shows between two polls is an id as well.
    pub fn note(&self, polled: Polled) {
        let (Polled::Task { id, .. } | Polled::Worker { shows: id }) = polled else {
            return;
        };
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = &mut *ids;
        let new = id.filter(|id| ids.known.insert(*id));
        ids.order.extend(new);
        if ids.order.len() > MOST_IDS
            && let Some(old) = ids.order.pop_front()
        {
            ids.known.remove(&old);
        }
    }

    /// Tells which numbers are ids, as far as `judge` asks.
    pub fn with<T>(&self, judge: impl FnOnce(&dyn Fn(u64) -> bool) -> T) -> T {
        let ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        judge(&|number| ids.known.contains(&TaskId(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::TaskClass;

    #[test]
    fn the_oldest_ids_are_forgotten() {
        let ids = SeenIds::default();
        for id in 1..=2000 {
            let polled = Polled::Task {
                class: TaskClass::Async,
                id: Some(TaskId(id)),
            };
            ids.note(polled);
            ids.note(polled);
        }
        ids.with(|is_id| assert!(is_id(2000) && is_id(977) && !is_id(976)));
    }
}
