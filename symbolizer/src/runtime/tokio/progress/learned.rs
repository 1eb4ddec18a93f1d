//! The progress of workers by what was learned.

use super::context::TlsRange;
use super::learn::Learner;
use super::local::LocalSets;
use super::{SeenIds, Workers, block_size};
use crate::module::AddressSpace;
use crate::runtime::tokio::detect::Detected;
use crate::runtime::{Progress, ProgressReader, ThreadBase};
use awaitscope_sampler::{Avma, ReadMemory, Tid};
use std::collections::{HashMap, HashSet};

/// Where the values of a tick are that it comes round to.
const ROUND: u64 = 1 << 31;

/// Threads come and go; of more than this the last ticks are forgotten.
const MOST_WORKERS: usize = 4096;

/// Reads the progress of every worker, once it has learned how.
#[derive(Debug, Clone)]
pub(in crate::runtime::tokio) struct LearnedWorkers {
    learner: Learner,
    block: u64,
    local: LocalSets,
    workers: Option<Workers>,
    /// The last tick of each worker, in which core.
    last: HashMap<Tid, (Avma, u64)>,
}

impl LearnedWorkers {
    /// `None` where the thread-local variables have no names, or Tokio is not in the
    /// main program.
    pub fn new(space: &AddressSpace, detected: &Detected, ids: &SeenIds) -> Option<Self> {
        let module = space.module(detected.module)?;
        let contexts = TlsRange::all(module, "tokio::runtime::context::CONTEXT::");
        let local = TlsRange::all(module, "tokio::task::local::CURRENT::");
        (!contexts.is_empty()).then_some(())?;
        let learner = Learner::new(contexts, !local.is_empty(), ids.clone());
        let local = match local[..] {
            [] => LocalSets::None,
            _ => LocalSets::Unknown(local),
        };
        Some(Self::with(learner, block_size(module)?, local))
    }

    pub(super) fn with(learner: Learner, block: u64, local: LocalSets) -> Self {
        Self {
            learner,
            block,
            local,
            workers: None,
            last: HashMap::new(),
        }
    }

    fn adopt(&mut self, layout: Option<super::ContextLayout>) {
        let local = self.local.clone();
        self.workers = layout.map(|layout| Workers::with(layout, self.block, local));
        self.last.clear();
    }

    /// A tick that falls is none: all that was read by it is void.
    fn has_fallen(&mut self, seen: &[(Tid, Progress)]) -> bool {
        let Some(workers) = &self.workers else {
            return false;
        };
        if self.last.len() > MOST_WORKERS {
            self.last.clear();
        }
        for (tid, progress) in seen {
            let Some((core, flavor)) = workers.core(*tid) else {
                continue;
            };
            let tick = progress.epoch & 0xffff_ffff;
            let last = self.last.insert(*tid, (core, tick));
            let fell = last.is_some_and(|(in_core, last)| {
                in_core == core && tick < last && last - tick < ROUND
            });
            if fell {
                let layout = self.learner.refute(&flavor.clone());
                self.adopt(layout);
                return true;
            }
        }
        false
    }
}

impl ProgressReader for LearnedWorkers {
    fn read(&mut self, threads: &[ThreadBase], memory: &dyn ReadMemory) -> Vec<(Tid, Progress)> {
        let workers = self.workers.as_mut();
        let mut seen = workers.map_or_else(Vec::new, |workers| workers.read(threads, memory));
        if self.has_fallen(&seen) {
            seen.clear();
        }
        let told: HashSet<Tid> = seen.iter().map(|(tid, _)| *tid).collect();
        let others = threads.iter().filter(|thread| !told.contains(&thread.tid));
        let layout = self.learner.look(others, self.block, memory);
        if layout.is_some() {
            self.adopt(layout);
        }
        seen
    }
}
