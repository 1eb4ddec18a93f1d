//! The closures that threads of a blocking pool run.
//!
//! They are in no list: a thread takes them from the queue. But it shows the id of what
//! it runs, and has a pointer to it near the outer end of its stack, where the loop of
//! the pool's threads is. What is there is the task if it has that id, and says that it
//! runs. No two tasks of a process have one id.

use super::cells::Cells;
use crate::runtime::ThreadBase;
use crate::runtime::rust::ranges::{Range, Ranges, join};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tokio::suspended::layout::TaskLayout;
    use awaitscope_sampler::{Avma, ReadRequest};

    const BASE: u64 = 0x20_0000;
    const BLOCK: u64 = 0x100;
    const SHOWS: u64 = BASE - BLOCK + 8;
    const POLL: u64 = 0x40_0000;
    const VTABLE: u64 = 0x50_0000;
    const BEFORE: u64 = 0x60_0000;
    const RUNS: u64 = 0x60_1000;
    const ON_STACK: u64 = BASE - BLOCK - 0x400;

    struct Made(HashMap<u64, u64>);

    impl ReadMemory for Made {
        fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
            for request in requests {
                for (index, into) in request.into.chunks_mut(8).enumerate() {
                    let at = request.address.0.wrapping_add(index as u64 * 8);
                    let word = self.0.get(&at).copied().unwrap_or_default();
                    into.copy_from_slice(&word.to_le_bytes()[..into.len()]);
                }
                request.done = true;
            }
        }
    }

    /// A thread that shows id 7 and has pointers to an earlier task and to this one.
    fn memory() -> Made {
        let vtable = [(VTABLE, POLL), (VTABLE + 56, 0x100), (VTABLE + 72, 40)];
        let task = |at: u64, state: u64, id: u64| [(at, state), (at + 16, VTABLE), (at + 40, id)];
        let stack = [(SHOWS, 7), (ON_STACK, BEFORE), (ON_STACK + 64, RUNS)];
        let tasks = [
            task(BEFORE, 2 << 6 | 0b10, 6),
            task(RUNS, 2 << 6 | RUNNING, 7),
        ];
        let all = vtable.into_iter().chain(stack);
        Made(all.chain(tasks.into_iter().flatten()).collect())
    }

    fn read(listed: &[u64], memory: &Made) -> Vec<(Tid, u64)> {
        let mut cells = Cells::new(TaskLayout {
            vtable_size: 80,
            poll: 0,
            trailer_offset: 56,
            id_offset: 72,
            prev: 0,
            next: 8,
        });
        cells.begin([Avma(POLL)].into(), HashSet::new());
        let thread = ThreadBase {
            tid: Tid(3),
            tls_base: Avma(BASE),
        };
        let listed = |_: &[u64]| listed.iter().copied().collect();
        BlockingThreads::new(BLOCK, 8).read(&[thread], listed, &mut cells, memory)
    }

    #[test]
    fn the_task_with_the_id_that_a_thread_shows_is_what_it_runs() {
        assert_eq!(read(&[], &memory()), [(Tid(3), RUNS)]);
    }

    #[test]
    fn what_is_in_a_list_or_does_not_run_is_not_found_again() {
        assert_eq!(read(&[7], &memory()), []);
        let mut ended = memory();
        ended.0.insert(RUNS, 2 << 6 | 0b10);
        assert_eq!(read(&[], &ended), []);
    }
}
