//! The vtables of a program's tasks, and what a task that has one of them begins with.

use super::parts::in_chunks;
use super::{ALIGN, word};
use crate::module::{AddressSpace, ModuleId};
use crate::runtime::tokio::layout::{Header, Vtable};
use awaitscope_sampler::{Avma, Mapped, Mapping, ReadMemory};
use std::collections::{HashMap, HashSet};

/// So much of the program's constants is searched.
const CONSTANTS: u64 = 256 << 20;

/// A program has as many vtables as it has sorts of tasks.
const MOST_VTABLES: usize = 1 << 16;

/// `RUNNING` and `COMPLETE`, which are never set at once (`transition_to_complete`
/// in tokio `runtime/task/state.rs`).
const LIFECYCLE: u64 = 0b11;

/// The vtables of a program.
#[derive(Debug, Default)]
pub(super) struct Vtables {
    known: HashMap<u64, Vtable>,
    first: u64,
    last: u64,
}

impl Vtables {
    /// Finds those that begin with one of `polls` in the ranges `constants`.
    pub fn find(polls: &HashSet<Avma>, constants: &[(u64, u64)], memory: &dyn ReadMemory) -> Self {
        let mut places = Vec::new();
        let mut buffer = Vec::new();
        for range in constants {
            in_chunks(&mut buffer, *range, memory, |start, bytes| {
                let words = (0..bytes.len() / 8).map(|index| Avma(word(bytes, index)));
                let found = (start..).step_by(8).zip(words);
                let found = found.filter(|(_, word)| polls.contains(word));
                places.extend(found.map(|(at, _)| at).take(MOST_VTABLES - places.len()));
            });
        }
        let vtable = |at| Some((at, Vtable::read(Avma(at), memory)?));
        let known: HashMap<u64, Vtable> = places.into_iter().filter_map(vtable).collect();
        Self {
            first: known.keys().min().copied().unwrap_or(0),
            last: known.keys().max().copied().unwrap_or(0),
            known,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The vtable of the living task that begins with these bytes, if one can.
    pub fn begins_task(&self, bytes: &[u8]) -> Option<(Avma, Vtable)> {
        let header: &[u8; Header::SIZE] = bytes.first_chunk()?;
        let header = Header(header);
        let vtable = header.vtable();
        // Nearly all that is looked at ends here.
        if vtable.0 < self.first || self.last < vtable.0 {
            return None;
        }
        let members = self.known.get(&vtable.0)?;
        let [state, queue_next, _, owner] = [0, 1, 2, 3].map(|index| word(bytes, index));
        let plausible = header.is_alive()
            && state & LIFECYCLE != LIFECYCLE
            && queue_next.is_multiple_of(ALIGN as u64)
            && queue_next < 1 << 47
            && owner < 1 << 32;
        plausible.then_some((vtable, *members))
    }
}

/// The mapped constants of a module: its vtables are among them.
pub(super) fn constants(
    module: ModuleId,
    space: &AddressSpace,
    mappings: &[Mapping],
) -> Vec<(u64, u64)> {
    let mut left = CONSTANTS;
    let of_module = mappings.iter().filter(|mapping| {
        let at = space.lookup(mapping.start);
        mapping.permissions.read
            && !mapping.permissions.execute
            && matches!(mapping.what, Mapped::File { .. })
            && at.is_some_and(|(id, _)| id == module)
    });
    let ranges = of_module.filter_map(|mapping| {
        let size = mapping.end.0.checked_sub(mapping.start.0)?;
        left = left.checked_sub(size)?;
        Some((mapping.start.0, mapping.end.0))
    });
    ranges.collect()
}
