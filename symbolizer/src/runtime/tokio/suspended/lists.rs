//! Every live task of every Tokio runtime in a process, by the runtimes' own lists.
//!
//! A scheduler is found through the threads that are in it, its tasks through the lists
//! that it keeps to end them all when it shuts down.

use super::cells::Cells;
use super::chains::{Chain, Walked, walk};
use super::layout::ListLayout;
use super::local::{LocalSet, LocalSets};
use super::schedulers::{Schedulers, chains};
use crate::module::{AddressSpace, ModuleId, Svma, Symbol, SymbolKind};
use crate::runtime::tokio::detect::Detected;
use crate::runtime::{SeenThreads, TaskId};
use crate::snapshot::{Queues, SchedulerSeen};
use crate::types::Types;
use awaitscope_sampler::Avma;
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
    /// Tasks that should be in those, by the schedulers' own counts.
    pub tasks: u32,
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
    /// In that of a `LocalSet`.
    Local,
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
            cells: Cells::new(layout.task),
            known: Vec::new(),
            layout,
        })
    }

    /// Lists the tasks that there are now.
    pub fn read(&mut self, seen: &SeenThreads<'_>) -> Found {
        let memory = seen.process;
        let schedulers = self.schedulers.read(&self.layout, seen.threads, memory);
        let local = self.local.as_mut().map(|local| local.read(seen));
        let local = local.unwrap_or_default();
        let polls = self.polls.iter();
        let polls = polls.filter_map(|svma| seen.space.avma(self.module, *svma));
        let owners = schedulers.values().map(|scheduler| scheduler.owner);
        let owners = owners.chain(local.iter().map(|set| set.chain.owner));
        self.cells.begin(polls.collect(), owners.collect());
        self.cells.read_again(&mut self.known, memory);

        let mut chains = chains(schedulers.values().enumerate(), &self.layout);
        let sets = local.iter().enumerate();
        chains.extend(sets.map(|(index, set)| (schedulers.len() + index, set.chain)));
        let lists: Vec<Chain> = chains.iter().map(|(_, chain)| *chain).collect();
        let walked = walk(&lists, &mut self.cells, memory);

        let scheduling = schedulers.values().map(|scheduler| SchedulerSeen {
            runtime: 0,
            flavor: Some(self.layout.schedulers[scheduler.sort].flavor.to_owned()),
            workers: scheduler.workers,
            queues: Queues::default(),
        });
        let mut found = Found {
            schedulers: scheduling.chain(local.iter().map(as_scheduler)).collect(),
            ..Found::default()
        };
        let counts = schedulers.values().map(|scheduler| scheduler.count);
        let mut missing: Vec<u64> = counts.chain(local.iter().map(|_| 0)).collect();
        let mut broken = vec![false; missing.len()];
        let first_set = schedulers.len();
        for ((scheduler, chain), walked) in chains.iter().zip(&walked) {
            missing[*scheduler] = missing[*scheduler].saturating_sub(walked.tasks.len() as u64);
            broken[*scheduler] |= !walked.complete;
            found.incomplete.lists += u32::from(!walked.complete);
            let source = match *scheduler < first_set {
                true => Source::Owned,
                false => Source::Local,
            };
            self.add(&mut found.tasks, *scheduler, source, chain, walked);
        }
        let lost = missing.iter().zip(broken).filter(|(_, broken)| *broken);
        let lost: u64 = lost.map(|(missing, _)| *missing).sum();
        found.incomplete.tasks = u32::try_from(lost).unwrap_or(u32::MAX);
        let tasks = found.tasks.iter();
        self.known = tasks.map(|task| (task.address, task.vtable)).collect();
        found
    }

    fn add(
        &self,
        tasks: &mut Vec<ListedTask>,
        scheduler: usize,
        source: Source,
        chain: &Chain,
        walked: &Walked,
    ) {
        for address in &walked.tasks {
            // One that was read again later, and had ended by then, is not listed.
            let cell = self.cells.get(*address);
            let Some(cell) = cell.filter(|cell| cell.belongs_to(chain.owner)) else {
                continue;
            };
            tasks.push(ListedTask {
                address: *address,
                vtable: cell.vtable,
                state: cell.state,
                owner: cell.owner,
                id: (cell.id != 0).then_some(TaskId(cell.id)),
                scheduler: scheduler as u32,
                source,
            });
        }
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
