//! The schedulers of a process, by the threads that are in them.

use super::chains::Chain;
use super::layout::{ListLayout, SchedulerLayout, ThreadLayout, Way, WorkerWay};
use super::queues::CoreLayout;
use crate::runtime::ThreadBase;
use crate::runtime::rust::ranges::{Range, Ranges, join};
use awaitscope_sampler::{ReadMemory, Tid};
use std::collections::{BTreeMap, HashMap};

/// A scheduler has at most so many lists (`MAX_SHARDED_LIST_SIZE` in tokio
/// `runtime/task/list.rs`), and workers.
const MOST_LISTS: u64 = 1 << 16;

/// The most schedulers that are looked at, and lists in all of them.
const MOST_SCHEDULERS: usize = 1024;
const MOST_CHAINS: usize = 1 << 17;

/// More references than anyone holds to a scheduler. Memory that was freed has pointers
/// of the allocator's in that place.
const MOST_REFERENCES: u64 = 1 << 32;

/// Finds schedulers, and remembers those that no thread is in any more.
#[derive(Debug)]
pub(super) struct Schedulers {
    /// From a thread's base down to the module's thread-local block.
    block: u64,
    /// By the address of the `ArcInner`.
    known: BTreeMap<u64, Scheduler>,
    /// The cores that workers have.
    cores: Vec<Core>,
    /// The addresses of the schedulers that threads have entered.
    by_thread: HashMap<Tid, u64>,
}

/// A worker's core as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Core {
    /// The address of its scheduler.
    pub scheduler: u64,
    pub address: u64,
    pub layout: CoreLayout,
}

/// A scheduler as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scheduler {
    /// Its place in [`ListLayout::schedulers`].
    pub sort: usize,
    /// The number that its tasks carry.
    pub owner: u64,
    pub workers: u32,
    /// How many tasks it has.
    pub count: u64,
    /// Its lists of tasks, and how many.
    lists: u64,
    length: u64,
}

impl Schedulers {
    pub fn new(block: u64) -> Self {
        Self {
            block,
            known: BTreeMap::new(),
            cores: Vec::new(),
            by_thread: HashMap::new(),
        }
    }

    /// The schedulers that threads are in, or were in when they were last looked for.
    pub fn read(
        &mut self,
        layout: &ListLayout,
        threads: &[ThreadBase],
        memory: &dyn ReadMemory,
    ) -> (&BTreeMap<u64, Scheduler>, &[Core]) {
        let entered = self.entered(&layout.thread, threads, memory);
        let before = std::mem::take(&mut self.known);
        let mut sorts: BTreeMap<u64, usize> = before.iter().map(|(at, s)| (*at, s.sort)).collect();
        sorts.extend(entered.iter().map(|way| (way.pointer, way.sort)));
        let sorts: Vec<(u64, usize, &SchedulerLayout)> = sorts
            .into_iter()
            .filter_map(|(at, sort)| Some((at, sort, layout.schedulers.get(sort)?)))
            .take(MOST_SCHEDULERS)
            .collect();
        let words = sorts.iter().flat_map(|(at, _, layout)| layout.words(*at));
        let read = Ranges::read(&join(words.collect()), memory);
        for (at, sort, layout) in sorts {
            let Some(found) = layout.scheduler(at, sort, &read) else {
                continue;
            };
            // A scheduler keeps its number, and no other ever gets it.
            let same = before.get(&at).is_some_and(|s| s.owner == found.owner);
            if same || entered.iter().any(|way| way.pointer == at) {
                self.known.insert(at, found);
            }
        }
        (&self.known, &self.cores)
    }

    /// The scheduler that a thread had entered when they were last read, by its place
    /// among those that are known.
    pub fn of_thread(&self, tid: Tid) -> Option<usize> {
        let address = self.by_thread.get(&tid)?;
        self.known.keys().position(|known| known == address)
    }

    /// The schedulers that threads have entered: those that their context names, and
    /// those that they work for.
    fn entered(
        &mut self,
        layout: &ThreadLayout,
        threads: &[ThreadBase],
        memory: &dyn ReadMemory,
    ) -> Vec<Way> {
        let block = self.block;
        let context = |thread: &ThreadBase| {
            let block = thread.tls_base.0.wrapping_sub(block);
            block.wrapping_add(layout.tls_offset)
        };
        let contexts = threads.iter().map(|t| Range::new(context(t), layout.size));
        let read = Ranges::read(&join(contexts.collect()), memory);
        let mut found = Vec::new();
        let mut working = Vec::new();
        self.by_thread.clear();
        for thread in threads {
            let context = context(thread);
            if let Some(way) = layout.handle_in(context, &read) {
                self.by_thread.insert(thread.tid, way.pointer);
                found.push(way);
            }
            let scheduler = read.word(context.wrapping_add(layout.scheduler));
            working.extend(scheduler.filter(|scheduler| *scheduler != 0));
        }
        working.sort_unstable();
        working.dedup();
        found.extend(self.working(layout, &working, memory));
        found.sort_unstable_by_key(|way| way.pointer);
        found.dedup();
        found
    }

    /// The schedulers that workers work for, by the workers' contexts.
    fn working(
        &mut self,
        layout: &ThreadLayout,
        contexts: &[u64],
        memory: &dyn ReadMemory,
    ) -> Vec<Way> {
        let size = layout.workers_size();
        let ranges = contexts.iter().map(|at| Range::new(*at, size));
        let read = Ranges::read(&join(ranges.collect()), memory);
        let ways = contexts.iter().filter_map(|at| {
            let word = |offset, size| read.narrow(at.wrapping_add(offset), size);
            let way = *layout.workers.pick(word)?;
            let base = match way.worker {
                Some(worker) => read.word(at.wrapping_add(worker))?,
                None => *at,
            };
            Some((*at, base, way))
        });
        let ways: Vec<(u64, u64, WorkerWay)> = ways.collect();
        let pointers = ways.iter().map(|(_, base, way)| {
            let pointer = base.wrapping_add(way.way.pointer);
            Range::new(pointer, 8)
        });
        let last = Ranges::read(&join(pointers.collect()), memory);
        self.cores.clear();
        let mut found = Vec::new();
        for (at, base, way) in ways {
            let Some(scheduler) = followed(base, way.way, &last) else {
                continue;
            };
            found.push(scheduler);
            let core = way.core.and_then(|(slot, layout)| {
                let address = read.word(at.wrapping_add(slot))?;
                Some((address, layout)).filter(|(address, _)| *address != 0)
            });
            self.cores.extend(core.map(|(address, layout)| Core {
                scheduler: scheduler.pointer,
                address,
                layout,
            }));
        }
        found
    }
}

/// The pointer that stands at the end of `way` from `base`.
fn followed(base: u64, way: Way, read: &Ranges) -> Option<Way> {
    let pointer = read.word(base.wrapping_add(way.pointer))?;
    (pointer != 0 && pointer.is_multiple_of(8)).then_some(Way { pointer, ..way })
}

impl ThreadLayout {
    /// The scheduler that a thread's context names.
    fn handle_in(&self, context: u64, read: &Ranges) -> Option<Way> {
        let option = context.wrapping_add(self.current);
        let word = |offset, size| read.narrow(option.wrapping_add(offset), size);
        let handle = option.wrapping_add(*self.option.pick(word)?);
        let word = |offset, size| read.narrow(handle.wrapping_add(offset), size);
        followed(handle, *self.handle.pick(word)?, read)
    }

    /// How much of a worker's context is read.
    fn workers_size(&self) -> u64 {
        let tag = self.workers.tag.map_or(0, |(offset, _)| offset);
        let arms = self.workers.arms.iter().flat_map(|(_, way)| way);
        let pointers = arms.flat_map(|way| {
            let core = way.core.map_or(0, |(slot, _)| slot);
            [way.worker.unwrap_or(way.way.pointer), core]
        });
        let last = pointers.chain([tag]).max().unwrap_or(0);
        last.min(4096) + 8
    }
}

impl SchedulerLayout {
    /// The words that tell what a scheduler is.
    fn words(&self, at: u64) -> impl Iterator<Item = Range> {
        let owned = &self.owned;
        let places = [
            self.strong,
            owned.id,
            owned.lists,
            owned.length,
            owned.count,
        ];
        let places = places.into_iter().chain(self.workers);
        places.map(move |offset| Range::new(at.wrapping_add(offset), 8))
    }

    /// The scheduler that stands at `at`, if one does.
    fn scheduler(&self, at: u64, sort: usize, read: &Ranges) -> Option<Scheduler> {
        let word = |offset: u64| read.word(at.wrapping_add(offset));
        let alive = (1..MOST_REFERENCES).contains(&word(self.strong)?);
        let (owner, length) = (word(self.owned.id)?, word(self.owned.length)?);
        let workers = match self.workers {
            Some(offset) => word(offset)?,
            None => 1,
        };
        let plausible =
            length.is_power_of_two() && length <= MOST_LISTS && (1..=MOST_LISTS).contains(&workers);
        (alive && plausible && owner != 0).then_some(Scheduler {
            sort,
            owner,
            workers: u32::try_from(workers).ok()?,
            count: word(self.owned.count)?,
            lists: word(self.owned.lists)?,
            length,
        })
    }
}

/// The lists of schedulers, each with the number of its scheduler.
pub(super) fn chains<'a>(
    schedulers: impl Iterator<Item = (usize, &'a Scheduler)>,
    layout: &ListLayout,
) -> Vec<(usize, Chain)> {
    let chains = schedulers.flat_map(|(index, scheduler)| {
        let owned = layout.schedulers.get(scheduler.sort).map(|s| s.owned);
        owned.into_iter().flat_map(move |owned| {
            (0..scheduler.length).map(move |list| {
                let offset = list.wrapping_mul(owned.stride);
                let chain = Chain {
                    owner: scheduler.owner,
                    address: scheduler.lists.wrapping_add(offset),
                    ends: owned.ends,
                };
                (index, chain)
            })
        })
    });
    chains.take(MOST_CHAINS).collect()
}

#[cfg(test)]
impl Scheduler {
    /// One of which only the number of workers matters.
    pub fn of_workers(workers: u32) -> Self {
        Self {
            sort: 0,
            owner: 1,
            workers,
            count: 0,
            lists: 0,
            length: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tokio::suspended::layout::{EndsLayout, OwnedLayout};
    use crate::runtime::tokio::suspended::queues::QueueLayout;
    use crate::types::TypeId;
    use awaitscope_sampler::ReadRequest;

    const LAYOUT: SchedulerLayout = SchedulerLayout {
        arc: TypeId { unit: 0, offset: 0 },
        flavor: "multi_thread",
        strong: 0,
        owned: OwnedLayout {
            id: 8,
            lists: 16,
            length: 24,
            count: 32,
            stride: 24,
            ends: EndsLayout { head: 8, tail: 16 },
        },
        workers: Some(40),
        queues: QueueLayout::NONE,
    };

    /// A scheduler's words, one after the other, at any address.
    struct Made([u64; 6]);

    impl ReadMemory for Made {
        fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
            for request in requests {
                for (word, into) in self.0.iter().zip(request.into.chunks_mut(8)) {
                    into.copy_from_slice(&word.to_le_bytes()[..into.len()]);
                }
                request.done = true;
            }
        }
    }

    fn scheduler(words: [u64; 6]) -> Option<Scheduler> {
        let read = Ranges::read(&join(LAYOUT.words(4096).collect()), &Made(words));
        LAYOUT.scheduler(4096, 0, &read)
    }

    #[test]
    fn what_has_a_number_workers_and_lists_is_a_scheduler() {
        let found = scheduler([3, 7, 0x9000, 8, 100, 2]);
        let found = found.map(|found| (found.owner, found.workers, found.count));
        assert_eq!(found, Some((7, 2, 100)));
    }

    #[test]
    fn what_was_freed_or_claims_more_than_tokio_makes_is_none() {
        let freed = [0x5555_0000_4aa0, 7, 0x9000, 8, 100, 2];
        let unreferenced = [0, 7, 0x9000, 8, 100, 2];
        let endless = [3, 7, 0x9000, 1 << 40, 100, 2];
        let odd = [3, 7, 0x9000, 7, 100, 2];
        let crowded = [3, 7, 0x9000, 8, 100, 1 << 20];
        for words in [freed, unreferenced, endless, odd, crowded] {
            assert_eq!(scheduler(words), None);
        }
    }
}
