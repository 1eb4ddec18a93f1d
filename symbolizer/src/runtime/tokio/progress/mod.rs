//! What tells one poll of a worker from the next: the current task, and the
//! tick of the worker's loop (`facts/rust.md`, 4.4 and 4.9).
//!
//! Where these stand the types of the debug information tell; where there are none,
//! it is learned from the process as it runs (`learn`).

mod context;
mod counter;
mod ids;
mod learn;
mod learned;
mod local;
#[cfg(test)]
mod tests;

pub(super) use ids::SeenIds;
pub(super) use learned::LearnedWorkers;

use super::detect::Detected;
use super::layout::{ContextLayout, FlavorLayout};
use crate::module::{AddressSpace, Module, Symbol, SymbolKind};
use crate::runtime::{Progress, ProgressReader, TaskId, ThreadBase};
use crate::types::Types;
use awaitscope_sampler::{Avma, ReadMemory, ReadRequest, Tid};
use local::LocalSets;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads the progress of every worker.
#[derive(Debug, Clone)]
pub(super) struct Workers {
    layout: ContextLayout,
    /// From a thread's base down to the module's thread-local block: static
    /// TLS of the main program (System V ABI, "ELF Handling For Thread-Local
    /// Storage", variant II).
    block: u64,
    /// What moves in one poll of a `LocalSet`.
    local: LocalSets,
    /// Where each worker's `Core` stood when it was last seen.
    cores: HashMap<Tid, CoreAt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CoreAt {
    scheduler: u64,
    /// Where the pointer to the core stands.
    slot: Avma,
    /// Where the tick stands, with the core where it was.
    core: u64,
    tick: Avma,
    tick_size: u64,
}

impl Workers {
    /// `None` where the debug information has no types, or Tokio is not in the
    /// main program.
    pub fn new(space: &AddressSpace, detected: &Detected) -> Option<Self> {
        let module = space.module(detected.module)?;
        let dwarf = module.dwarf().ok()??;
        let mut types = Types::of_package(Arc::clone(dwarf), "tokio");
        let symbols = module.symbols().variables();
        let thread_locals: Vec<Symbol<'_>> = symbols
            .filter(|symbol| symbol.kind == SymbolKind::Tls)
            .collect();
        let layout = ContextLayout::find(&mut types, &thread_locals)?;
        let local = layout
            .local
            .clone()
            .map_or(LocalSets::None, LocalSets::Known);
        Some(Self::with(layout, block_size(module)?, local))
    }

    fn with(layout: ContextLayout, block: u64, local: LocalSets) -> Self {
        Self {
            layout,
            block,
            local,
            cores: HashMap::new(),
        }
    }

    /// The core that a worker had when it was last read, and how to read such.
    fn core(&self, tid: Tid) -> Option<(Avma, &FlavorLayout)> {
        let core = self.cores.get(&tid)?;
        let offset = |flavor: &FlavorLayout| Avma(core.core).checked_add(flavor.tick.0);
        let mut flavors = self.layout.flavors.iter();
        let flavor = flavors.find(|flavor| offset(flavor) == Some(core.tick))?;
        Some((Avma(core.core), flavor))
    }
}

/// From a thread's base down to the module's thread-local block.
fn block_size(module: &Module) -> Option<u64> {
    let tls = module.tls()?;
    tls.memory_size.checked_next_multiple_of(tls.align.max(1))
}

impl ProgressReader for Workers {
    /// Two batches of reads at the most: the contexts with what the cores were
    /// last time, and the cores that moved.
    fn read(&mut self, threads: &[ThreadBase], memory: &dyn ReadMemory) -> Vec<(Tid, Progress)> {
        let contexts = self.read_contexts(threads, memory);
        for (thread, context) in threads.iter().zip(&contexts) {
            let moved = context.is_some_and(|context| {
                let known = self.cores.get(&thread.tid);
                context.scheduler != 0
                    && known.is_none_or(|core| {
                        core.scheduler != context.scheduler || Some(core.core) != context.core
                    })
            });
            if let (true, Some(context)) = (moved, context) {
                match self.find_core(context.scheduler, memory) {
                    Some(core) => self.cores.insert(thread.tid, core),
                    None => self.cores.remove(&thread.tid),
                };
            }
        }
        threads
            .iter()
            .zip(contexts)
            .filter_map(|(thread, context)| {
                let context = context?;
                let core = self.cores.get(&thread.tid)?;
                (context.scheduler == core.scheduler).then_some(())?;
                let tick = match context.tick {
                    Some(tick) if context.core == Some(core.core) => tick,
                    _ => read_tick(core, memory)?,
                };
                // The tick has 32 bits, a queue has fewer slots than that.
                let block = Avma(thread.tls_base.0.wrapping_sub(self.block));
                let position = match context.local {
                    Some(0) => None,
                    _ => self.local.position(block, memory),
                };
                let epoch = tick ^ position.unwrap_or(0) << 32;
                Some((
                    thread.tid,
                    Progress {
                        task: (context.task != 0).then_some(TaskId(context.task)),
                        epoch,
                    },
                ))
            })
            .collect()
    }
}

impl Workers {
    fn read_contexts(
        &self,
        threads: &[ThreadBase],
        memory: &dyn ReadMemory,
    ) -> Vec<Option<SeenContext>> {
        /// How many words are read of a thread.
        const WORDS: usize = 5;
        let block = |thread: &ThreadBase| Avma(thread.tls_base.0.wrapping_sub(self.block));
        let words = |thread: &ThreadBase| {
            let context = Avma(block(thread).0.wrapping_add(self.layout.tls_offset));
            let core = self.cores.get(&thread.tid);
            [
                Avma(context.0.wrapping_add(self.layout.task_id)),
                Avma(context.0.wrapping_add(self.layout.scheduler)),
                core.map_or(Avma(0), |core| core.slot),
                core.map_or(Avma(0), |core| core.tick),
                match &self.local {
                    LocalSets::Known(local) => local.current(block(thread)).unwrap_or(Avma(0)),
                    LocalSets::None | LocalSets::Unknown(_) => Avma(0),
                },
            ]
        };
        let mut bytes = vec![[[0u8; 8]; WORDS]; threads.len()];
        let mut done = vec![[false; WORDS]; threads.len()];
        let mut requests = Vec::with_capacity(threads.len() * WORDS);
        let mut places = Vec::with_capacity(threads.len() * WORDS);
        for (index, (thread, bytes)) in threads.iter().zip(&mut bytes).enumerate() {
            for (word, (address, into)) in words(thread).into_iter().zip(bytes).enumerate() {
                if address.0 != 0 {
                    places.push((index, word));
                    requests.push(ReadRequest::new(address, into));
                }
            }
        }
        memory.read_many(&mut requests);
        for ((index, word), request) in places.into_iter().zip(&requests) {
            done[index][word] = request.done;
        }
        threads
            .iter()
            .zip(bytes.iter().zip(done))
            .map(|(thread, (bytes, done))| {
                let value = |index: usize| done[index].then(|| u64::from_le_bytes(bytes[index]));
                let tick_size = self.cores.get(&thread.tid).map_or(8, |core| core.tick_size);
                Some(SeenContext {
                    task: value(0)?,
                    scheduler: value(1)?,
                    core: value(2),
                    tick: value(3).map(|tick| narrow(tick, tick_size)),
                    local: value(4),
                })
            })
            .collect()
    }

    /// Follows `scheduler::Context` to the worker's core.
    fn find_core(&self, scheduler: u64, memory: &dyn ReadMemory) -> Option<CoreAt> {
        let found = match self.layout.discriminant {
            Some((offset, size)) => {
                let word = memory.read_word(Avma(scheduler.checked_add(offset)?))?;
                Some(narrow(word, size))
            }
            None => None,
        };
        let exact = self.layout.flavors.iter().find(|f| f.value == found);
        let flavor = exact.or_else(|| self.layout.flavors.iter().find(|f| f.value.is_none()))?;
        let slot = Avma(scheduler.checked_add(flavor.core)?);
        let core = memory.read_word(slot).filter(|core| *core != 0)?;
        Some(CoreAt {
            scheduler,
            slot,
            core,
            tick: Avma(core.checked_add(flavor.tick.0)?),
            tick_size: flavor.tick.1,
        })
    }
}

/// What one reading saw of a thread.
#[derive(Debug, Clone, Copy)]
struct SeenContext {
    task: u64,
    scheduler: u64,
    core: Option<u64>,
    tick: Option<u64>,
    /// What it polls of a `LocalSet`: zero while it polls none.
    local: Option<u64>,
}

fn read_tick(core: &CoreAt, memory: &dyn ReadMemory) -> Option<u64> {
    memory
        .read_word(core.tick)
        .map(|tick| narrow(tick, core.tick_size))
}

fn narrow(word: u64, bytes: u64) -> u64 {
    match bytes {
        1 => word & 0xff,
        2 => word & 0xffff,
        4 => word & 0xffff_ffff,
        _ => word,
    }
}
