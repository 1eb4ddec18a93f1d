//! The closures that threads of a blocking pool run.
//!
//! They are in no list: a thread takes them from the queue. But it shows the id of what
//! it runs, and has a pointer to it near the outer end of its stack, where the loop of
//! the pool's threads is. What is there is the task if it has that id, and says that it
//! runs. No two tasks of a process have one id.

use super::cells::Cells;
use super::ranges::{Range, Ranges, join};
use crate::runtime::ThreadBase;
use awaitscope_sampler::{ReadMemory, Tid};
use std::collections::{HashMap, HashSet};

/// How much of a stack's outer end is looked at.
const STACK: u64 = 16 << 10;

/// Tasks begin at a multiple of this.
const ALIGN: u64 = 64;

/// Bit of a task's state word (tokio `runtime/task/state.rs`).
const RUNNING: u64 = 0b1;

/// Finds them.
#[derive(Debug)]
pub(super) struct BlockingThreads {
    /// From a thread's base down to the module's thread-local block.
    block: u64,
    /// In that, the id of the task that a thread runs; 0 for none.
    task_id: u64,
    /// The ids that threads showed, and where their tasks stand, if that was found.
    known: HashMap<Tid, (u64, Option<u64>)>,
}

impl BlockingThreads {
    pub fn new(block: u64, task_id: u64) -> Self {
        Self {
            block,
            task_id,
            known: HashMap::new(),
        }
    }

    /// The tasks that threads run and that are in no list, with these threads. `listed`
    /// tells which of some ids are in one.
    pub fn read(
        &mut self,
        threads: &[ThreadBase],
        listed: impl Fn(&[u64]) -> HashSet<u64>,
        cells: &mut Cells,
        memory: &dyn ReadMemory,
    ) -> Vec<(Tid, u64)> {
        let showing = self.showing(threads, memory);
        let ids: Vec<u64> = showing.iter().map(|(_, id)| *id).collect();
        let listed = listed(&ids);
        let mut showing = showing;
        showing.retain(|(_, id)| !listed.contains(id));
        let shown: HashSet<(Tid, u64)> = showing.iter().map(|(t, id)| (t.tid, *id)).collect();
        self.known
            .retain(|tid, (id, _)| shown.contains(&(*tid, *id)));
        let mut found = Vec::new();
        for (thread, id) in showing {
            let at = match self.known.get(&thread.tid) {
                Some((_, known)) => *known,
                None => self.search(&thread, id, cells, memory),
            };
            self.known.insert(thread.tid, (id, at));
            found.extend(at.map(|at| (thread.tid, at)));
        }
        let places: Vec<u64> = found.iter().map(|(_, at)| *at).collect();
        cells.fetch(&places, memory);
        found
    }

    /// The threads that run something, and what they show.
    fn showing(&self, threads: &[ThreadBase], memory: &dyn ReadMemory) -> Vec<(ThreadBase, u64)> {
        let place = |thread: &ThreadBase| {
            let block = thread.tls_base.0.wrapping_sub(self.block);
            block.wrapping_add(self.task_id)
        };
        let ranges = threads.iter().map(|thread| Range::new(place(thread), 8));
        let read = Ranges::read(&join(ranges.collect()), memory);
        let showing = threads.iter().filter_map(|thread| {
            let id = read.word(place(thread)).filter(|id| *id != 0)?;
            Some((*thread, id))
        });
        showing.collect()
    }

    fn search(
        &self,
        thread: &ThreadBase,
        id: u64,
        cells: &mut Cells,
        memory: &dyn ReadMemory,
    ) -> Option<u64> {
        let end = thread.tls_base.0.wrapping_sub(self.block) & !7;
        let start = end.checked_sub(STACK)?;
        let stack = Ranges::read(&[Range::new(start, STACK)], memory);
        let mut places: Vec<u64> = (0..STACK / 8)
            .filter_map(|word| stack.word(start + word * 8))
            .filter(|at| at.is_multiple_of(ALIGN) && *at > 4096 && *at < 1 << 47)
            .collect();
        places.sort_unstable();
        places.dedup();
        cells.fetch(&places, memory);
        places.into_iter().find(|at| {
            let cell = cells.get(*at);
            cell.is_some_and(|c| c.id == id && c.belongs_to(0) && c.state & RUNNING != 0)
        })
    }
}
