//! Every live task of every Tokio runtime in a process, by the runtimes' own lists.
//!
//! A scheduler is found through the threads that are in it, its tasks through the lists
//! that it keeps to end them all when it shuts down.

use super::blocking::BlockingThreads;
use super::cells::Cells;
use super::chains::{Chain, walk};
use super::layout::ListLayout;
use super::local::{LocalSet, LocalSets};
use super::queues::{self, Queued};
use super::schedulers::{Schedulers, chains};
use crate::module::{AddressSpace, ModuleId, Svma, Symbol, SymbolKind};
use crate::runtime::tokio::detect::Detected;
use crate::runtime::{SeenThreads, TaskId};
use crate::snapshot::{Queues, SchedulerSeen};
use crate::types::Types;
use awaitscope_sampler::{Avma, ReadMemory};
use gimli::Reader;
use std::collections::HashSet;

/// Lists tasks.
#[derive(Debug)]
pub(super) struct Lists {
    module: ModuleId,
    layout: ListLayout,
    /// The functions that a task's vtable begins with.
    polls: Vec<Svma>,
    schedulers: Schedulers,
    local: Option<LocalSets>,
    blocking: BlockingThreads,
    cells: Cells,
    /// The tasks that were found last time, with their vtables.
    known: Vec<(u64, Avma)>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The schedulers; their `runtime` is for the caller to set.
    pub schedulers: Vec<SchedulerSeen>,
    /// Their tasks, each once.
    pub tasks: Vec<ListedTask>,
    /// What was not found.
    pub incomplete: Incomplete,
}

/// What changed too fast to be listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Incomplete {
    /// Lists whose end was not reached.
    pub lists: u32,
    /// Tasks that should be in those, by the schedulers' own counts; or of which others
    /// know.
    pub tasks: u32,
    /// Bytes of memory that were not searched for tasks: too many, or not to be read.
    pub bytes: u64,
}

/// A task in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListedTask {
    /// Where it stands.
    pub address: u64,
    /// Its vtable, which begins with one of the module's `raw::poll` functions.
    pub vtable: Avma,
    /// Its state word.
    pub state: u64,
    /// The number of the list it is in.
    pub owner: u64,
    /// Its id.
    pub id: Option<TaskId>,
    /// Its scheduler, by its place in [`Found::schedulers`].
    pub scheduler: u32,
    /// Where it was found.
    pub source: Source,
}

/// Where a task was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// In the list of a scheduler's tasks.
    Owned,
    /// In memory, by what it looks like.
    Scan,
    /// In that of a `LocalSet`.
    Local,
    /// In the queue of a blocking pool.
    BlockingQueue,
    /// On a thread of a blocking pool, which runs it.
    BlockingThread,
}

impl Lists {
    /// `None` where the debug information has no types, or Tokio is not in the main
    /// program.
    pub fn new<R: Reader<Offset = usize>>(
        space: &AddressSpace,
        detected: &Detected,
        types: &mut Types<R>,
    ) -> Option<Self> {
        let module = space.module(detected.module)?;
        let tls = module.tls()?;
        let symbols = module.symbols().variables();
        let thread_locals: Vec<Symbol<'_>> = symbols
            .filter(|symbol| symbol.kind == SymbolKind::Tls)
            .collect();
        let layout = ListLayout::find(types, &thread_locals)?;
        let block = tls.memory_size.checked_next_multiple_of(tls.align.max(1))?;
        let polls: HashSet<Svma> = detected.poll_entries.values().flatten().copied().collect();
        Some(Self {
            module: detected.module,
            polls: polls.into_iter().collect(),
            schedulers: Schedulers::new(block),
            local: LocalSets::new(&layout, block),
            blocking: BlockingThreads::new(
                block,
                layout
                    .thread
                    .tls_offset
                    .checked_add(layout.thread.task_id)?,
            ),
            cells: Cells::new(layout.task),
            known: Vec::new(),
            layout,
        })
    }

    /// Lists the tasks that there are now.
    pub fn read(&mut self, seen: &SeenThreads<'_>) -> Found {
        let memory = seen.process;
        let (schedulers, cores) = self.schedulers.read(&self.layout, seen.threads, memory);
        let sets = self.local.as_mut().map(|local| local.read(seen));
        let sets = sets.unwrap_or_default();
        let layouts = &self.layout.schedulers;
        let queued = schedulers.iter().map(|(at, scheduler)| {
            let layout = &layouts[scheduler.sort].queues;
            (*at, scheduler, layout)
        });
        let queued = queues::read(&queued.collect::<Vec<_>>(), cores, memory);

        let polls = self.polls.iter();
        let polls = polls.filter_map(|svma| seen.space.avma(self.module, *svma));
        let owners = schedulers.values().map(|scheduler| scheduler.owner);
        let owners = owners.chain(sets.iter().map(|set| set.chain.owner));
        self.cells.begin(polls.collect(), owners.collect());
        self.cells.read_again(&mut self.known, memory);

        let mut listing = Listing {
            cells: &mut self.cells,
            found: Found::default(),
        };
        let mut lists = chains(schedulers.values().enumerate(), &self.layout);
        for (scheduler, queued) in schedulers.values().zip(&queued) {
            listing.found.schedulers.push(SchedulerSeen {
                runtime: 0,
                flavor: Some(layouts[scheduler.sort].flavor.to_owned()),
                workers: scheduler.workers,
                queues: queued.queues,
            });
        }
        for set in &sets {
            lists.push((listing.found.schedulers.len(), set.chain));
            listing.found.schedulers.push(as_scheduler(set));
        }
        let counts = schedulers.values().map(|scheduler| scheduler.count);
        listing.walk(&lists, counts.collect(), memory);
        let tasks = listing.found.tasks.iter();
        self.known = tasks.map(|task| (task.address, task.vtable)).collect();
        let mut taken = listing.queued(&queued, memory);
        let of_found = |ids: &[u64]| listed(&listing.found.tasks, ids);
        let running = self
            .blocking
            .read(seen.threads, of_found, listing.cells, memory);
        for (tid, address) in running {
            let scheduler = self.schedulers.of_thread(tid);
            if let Some(scheduler) = scheduler.filter(|_| taken.insert(address)) {
                listing.add(address, 0, scheduler, Source::BlockingThread);
            }
        }
        listing.found
    }
}

/// A `LocalSet` is a scheduler to its tasks.
fn as_scheduler(set: &LocalSet) -> SchedulerSeen {
    SchedulerSeen {
        runtime: 0,
        flavor: Some("local".to_owned()),
        workers: 1,
        queues: Queues {
            local: Some(set.queued),
            ..Queues::default()
        },
    }
}

/// Which of some ids are among those of tasks.
fn listed(tasks: &[ListedTask], ids: &[u64]) -> HashSet<u64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let all = tasks.iter().filter_map(|task| task.id);
    let known = all.filter(|id| ids.binary_search(&id.0).is_ok());
    known.map(|id| id.0).collect()
}

/// One listing.
struct Listing<'a> {
    cells: &'a mut Cells,
    found: Found,
}

impl Listing<'_> {
    /// Walks lists, each with the number of its scheduler. The first schedulers have
    /// `counts` tasks.
    fn walk(&mut self, lists: &[(usize, Chain)], counts: Vec<u64>, memory: &dyn ReadMemory) {
        let chains: Vec<Chain> = lists.iter().map(|(_, chain)| *chain).collect();
        let walked = walk(&chains, self.cells, memory);
        let mut missing = counts;
        let shared = missing.len();
        let mut broken = vec![false; shared];
        for ((scheduler, chain), walked) in lists.iter().zip(&walked) {
            self.found.incomplete.lists += u32::from(!walked.complete);
            let source = if *scheduler < shared {
                missing[*scheduler] = missing[*scheduler].saturating_sub(walked.tasks.len() as u64);
                broken[*scheduler] |= !walked.complete;
                Source::Owned
            } else {
                Source::Local
            };
            for address in &walked.tasks {
                self.add(*address, chain.owner, *scheduler, source);
            }
        }
        let lost = missing.iter().zip(broken).filter(|(_, broken)| *broken);
        let lost: u64 = lost.map(|(missing, _)| *missing).sum();
        self.found.incomplete.tasks = u32::try_from(lost).unwrap_or(u32::MAX);
    }

    /// Adds the tasks in the queues of blocking pools, which are in no list.
    fn queued(&mut self, queued: &[Queued], memory: &dyn ReadMemory) -> HashSet<u64> {
        let all: Vec<u64> = queued.iter().flat_map(|q| &q.blocking).copied().collect();
        self.cells.fetch(&all, memory);
        let mut seen = HashSet::new();
        for (scheduler, queued) in queued.iter().enumerate() {
            for address in &queued.blocking {
                if seen.insert(*address) {
                    self.add(*address, 0, scheduler, Source::BlockingQueue);
                }
            }
        }
        seen
    }

    fn add(&mut self, address: u64, owner: u64, scheduler: usize, source: Source) {
        // One that was read again later, and had ended by then, is not listed.
        let cell = self.cells.get(address);
        let Some(cell) = cell.filter(|cell| cell.belongs_to(owner)) else {
            return;
        };
        self.found.tasks.push(ListedTask {
            address,
            vtable: cell.vtable,
            state: cell.state,
            owner,
            id: (cell.id != 0).then_some(TaskId(cell.id)),
            scheduler: u32::try_from(scheduler).unwrap_or(u32::MAX),
            source,
        });
    }
}
