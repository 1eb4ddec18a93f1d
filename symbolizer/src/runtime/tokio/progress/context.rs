//! Which words of a thread's `CONTEXT` hold the current task's id and the way to its
//! worker's core, told from what stands in them.
//!
//! The members of `Context` and of what it leads to are in the same order in all of
//! tokio 1.35 to 1.54 (rustc 1.95), but at other offsets: an id had a tag until
//! 1.40, and a program with one runtime alone needs none for its handle. So nothing
//! is taken from a table, and what is found must prove itself.

use super::ids::SeenIds;
use crate::module::{Module, SymbolKind};
use crate::names::function_path;
use awaitscope_sampler::{Avma, ReadMemory};
use std::collections::HashMap;

/// The most words of a `CONTEXT` that are looked at; it has 9 to 11, and some more
/// where Tokio was built to dump its tasks.
const MOST_WORDS: usize = 32;

/// The most values of a word that are remembered.
const MOST_VALUES: usize = 512;

/// So often must a word have become the id of a task that was seen on a stack.
const ENOUGH: u32 = 4;

/// A thread-local variable: offset in the module's block, and size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TlsRange {
    pub offset: u64,
    pub size: u64,
}

impl TlsRange {
    /// The variables whose full name begins with `prefix`.
    pub fn all(module: &Module, prefix: &str) -> Vec<Self> {
        let variables = module.symbols().variables();
        variables
            .filter(|symbol| symbol.kind == SymbolKind::Tls && symbol.size >= 8)
            .filter(|symbol| {
                let path = function_path(Some(symbol.name), &[]).readable;
                path.starts_with(prefix)
            })
            .map(|symbol| Self {
                offset: symbol.svma.0,
                size: symbol.size.min(MOST_WORDS as u64 * 8),
            })
            .collect()
    }

    /// Its words, of the thread whose block stands there.
    pub fn read(&self, block: Avma, memory: &dyn ReadMemory) -> Option<Vec<u64>> {
        words(block.checked_add(self.offset)?, self.size / 8, memory)
    }
}

/// Up to [`MOST_WORDS`] words.
pub(super) fn words(at: Avma, count: u64, memory: &dyn ReadMemory) -> Option<Vec<u64>> {
    let mut bytes = vec![0; (count as usize).min(MOST_WORDS) * 8];
    memory.read(at, &mut bytes).then(|| {
        let words = bytes.chunks_exact(8);
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        words.map(word).collect()
    })
}

/// Whether a word can be a pointer to something with words in it.
pub(super) fn is_pointer(word: u64) -> bool {
    (0x1_0000..1 << 47).contains(&word) && word.is_multiple_of(8)
}

/// A worker's core, found from its thread's `CONTEXT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundCore {
    /// The value of the discriminant of `scheduler::Context`; `None` where it has
    /// none.
    pub flavor: Option<u64>,
    /// Offset in `scheduler::Context` of the pointer to the core.
    pub slot: u64,
    pub core: Avma,
}

impl FoundCore {
    /// The core, if a `scheduler::Context` stands at `at`: it must lead back to the
    /// runtime's handle, which the thread has in its `CONTEXT` too (`Context.current`).
    ///
    /// `scheduler::Context` is one of `current_thread::Context { handle, core, defer }`
    /// and `multi_thread::worker::Context { worker, core, defer }`, where `core` is a
    /// `RefCell<Option<Box<Core>>>`; and `worker` begins with the handle.
    pub fn at(at: u64, context: &[u64], memory: &dyn ReadMemory) -> Option<Self> {
        if !is_pointer(at) {
            return None;
        }
        let found = words(Avma(at), 4, memory)?;
        let (flavor, first, slot) = match found[..] {
            [tag, first, _, _] if tag < 8 => (Some(tag), first, 3),
            [first, ..] => (None, first, 2),
            [] => return None,
        };
        let core = found[slot];
        let is_handle = |word: &u64| *word != at && is_pointer(*word) && context.contains(word);
        let leads_back = is_handle(&first)
            || is_pointer(first) && words(Avma(first), 6, memory)?.iter().any(is_handle);
        (leads_back && is_pointer(core)).then_some(Self {
            flavor,
            slot: slot as u64 * 8,
            core: Avma(core),
        })
    }
}

/// Finds the word that has the current task's id.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskWord {
    /// For every word, how often it became which value.
    became: Vec<HashMap<u64, u32>>,
}

impl TaskWord {
    /// The context of a thread was seen twice in a row.
    pub fn note(&mut self, before: &[u64], now: &[u64]) {
        self.became.resize_with(now.len(), HashMap::new);
        for ((values, now), before) in self.became.iter_mut().zip(now).zip(before) {
            if now != before && *now != 0 {
                if values.len() >= MOST_VALUES {
                    values.clear();
                }
                *values.entry(*now).or_default() += 1;
            }
        }
    }

    /// The word that became ids of tasks that were seen on stacks, and did so more
    /// often than any other. Half of what it became at the least must be such, or ids
    /// of different tasks: a flag becomes 1 now and then, which is an id too.
    pub fn find(&self, ids: &SeenIds) -> Option<usize> {
        let known: Vec<u32> = ids.with(|is_id| {
            let known = |values: &HashMap<u64, u32>| {
                let ids = values.iter().filter(|(value, _)| is_id(**value));
                let (distinct, moves) = ids.fold((0, 0), |(distinct, moves), (_, times)| {
                    (distinct + 1, moves + times)
                });
                let all: u32 = values.values().sum();
                if distinct >= 2 || moves * 2 > all {
                    moves
                } else {
                    0
                }
            };
            self.became.iter().map(known).collect()
        });
        let (index, best) = known.iter().enumerate().max_by_key(|(_, moves)| **moves)?;
        let mut others = known
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let alone = others.all(|(_, moves)| moves * 2 <= *best);
        (*best >= ENOUGH && alone).then_some(index)
    }
}
