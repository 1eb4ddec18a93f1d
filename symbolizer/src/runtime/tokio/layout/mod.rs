//! Where Tokio's structures keep what we read.
//!
//! `Header` and the vtable's order are stable over the versions we support
//! (tokio 1.23 to 1.54, `runtime/task/core.rs` and `runtime/task/raw.rs`); the
//! thread-local context moves, and is found by its members' names in the debug
//! information.

pub(super) mod find;
mod local;

pub(super) use local::{LocalLayout, WayToShared};

use crate::module::Symbol;
use crate::types::{TypeId, Types};
use awaitscope_sampler::{Avma, ReadMemory};
use gimli::Reader;

/// The first words of a task: `state`, `queue_next`, `vtable`, `owner_id`
/// (`#[repr(C)] struct Header`).
pub(super) struct Header<'a>(pub &'a [u8; Header::SIZE]);

impl Header<'_> {
    pub const SIZE: usize = 32;
    /// Where the pointer to the vtable stands.
    pub const VTABLE: u64 = 16;
    /// Where the number of the list stands that the task is in.
    pub const OWNER: u64 = 24;

    pub fn state(&self) -> u64 {
        self.word(0)
    }

    pub fn owner(&self) -> u64 {
        self.word(3)
    }

    pub fn vtable(&self) -> Avma {
        Avma(self.word(2))
    }

    /// Whether the state word is that of a living task: it counts references from
    /// bit 6 on (tokio `runtime/task/state.rs`). The allocator writes into the first
    /// words of what was freed, which makes numbers of references that nobody has.
    pub fn is_alive(&self) -> bool {
        (1..1 << 24).contains(&(self.word(0) >> 6))
    }

    fn word(&self, index: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.0[index * 8..index * 8 + 8]);
        u64::from_le_bytes(word)
    }
}

/// What we need of a `struct Vtable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vtable {
    /// The function that polls the task.
    pub poll: Avma,
    /// Offset in the task of its trailer, which begins with its neighbours in the list
    /// of its owner.
    pub trailer: u64,
    /// Offset in the task of its id.
    pub id: u64,
}

impl Vtable {
    /// Reads one: seven functions (poll first), then the offsets of the trailer, the
    /// scheduler and the id. Nothing if what stands there cannot be a vtable.
    pub fn read(address: Avma, memory: &dyn ReadMemory) -> Option<Self> {
        const WORDS: usize = 10;
        let mut bytes = [0; WORDS * 8];
        if !memory.read(address, &mut bytes) {
            return None;
        }
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
            u64::from_le_bytes(word)
        };
        let (trailer, scheduler, id) = (word(7), word(8), word(9));
        let header = Header::SIZE as u64;
        let ordered = header <= scheduler && scheduler <= id && id < trailer;
        let plausible = ordered && trailer < 1 << 32 && id.is_multiple_of(8);
        (plausible && word(0) != 0).then_some(Self {
            poll: Avma(word(0)),
            trailer,
            id,
        })
    }
}

/// The poll function and the id's offset of the vtable at `address`, if one is there.
pub(super) fn read_vtable(address: Avma, memory: &dyn ReadMemory) -> Option<(Avma, u64)> {
    Vtable::read(address, memory).map(|vtable| (vtable.poll, vtable.id))
}

/// Where a thread's context and its worker's progress stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContextLayout {
    /// From the start of the module's thread-local block to
    /// `tokio::runtime::context::Context`.
    pub tls_offset: u64,
    /// Offset in the context of the current task's id.
    pub task_id: u64,
    /// Offset in the context of the pointer to `scheduler::Context`.
    pub scheduler: u64,
    /// How `scheduler::Context` tells its variants apart.
    pub discriminant: Option<(u64, u64)>,
    /// Its variants.
    pub flavors: Vec<FlavorLayout>,
    /// Where a `LocalSet` that is being polled keeps its queue.
    pub local: Option<LocalLayout>,
}

/// A variant of `scheduler::Context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FlavorLayout {
    /// The discriminant's value, or `None` for the one that others mean.
    pub value: Option<u64>,
    /// Offset in `scheduler::Context` of the pointer to the worker's `Core`,
    /// null while the worker has none.
    pub core: u64,
    /// Offset in `Core` and size in bytes of the counter that moves with every
    /// turn of the worker's loop.
    pub tick: (u64, u64),
}

impl ContextLayout {
    /// Works the layout out of Tokio's own debug information; `None` where that
    /// has no types. `symbols` are the thread-local ones of the module.
    pub fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        symbols: &[Symbol<'_>],
    ) -> Option<Self> {
        let context = types.find("tokio::runtime::context::Context")?;
        let tls_offset = find::thread_local(
            types,
            symbols,
            "tokio::runtime::context::CONTEXT::",
            context,
        )?;
        let (task_id, id_type) = types.walk(context, &["current_task_id"])?;
        // Before 1.40 an id could be zero, so `Option<Id>` has a tag word.
        let task_id = match types.size(id_type)? {
            8 => task_id,
            16 => task_id.checked_add(8)?,
            _ => return None,
        };
        let (scheduler, _) = types.walk(context, &["scheduler"])?;
        let enumeration = types.find("tokio::runtime::scheduler::Context")?;
        let variants = types.variants(enumeration)?;
        let flavors = variants
            .variants
            .iter()
            .filter_map(|variant| {
                let (payload, inner) = types.walk(variant.type_id, &["__0"])?;
                flavor(
                    types,
                    variant.value,
                    variant.offset.checked_add(payload)?,
                    inner,
                )
            })
            .collect::<Vec<_>>();
        (!flavors.is_empty()).then_some(Self {
            tls_offset,
            task_id,
            scheduler,
            discriminant: variants.discriminant,
            flavors,
            local: LocalLayout::find(types, symbols),
        })
    }
}

fn flavor<R: Reader<Offset = usize>>(
    types: &mut Types<R>,
    value: Option<u64>,
    offset: u64,
    context: TypeId,
) -> Option<FlavorLayout> {
    let (in_cell, core_option) = types.walk(context, &["core", "value"])?;
    let (_, core) = find::pointer_to(types, core_option, "tick")?;
    let (tick, tick_type) = types.walk(core, &["tick"])?;
    let size = types.size(tick_type)?;
    Some(FlavorLayout {
        value,
        core: offset.checked_add(in_cell)?,
        tick: (tick, size),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(state: u64) -> [u8; Header::SIZE] {
        let mut bytes = [0; Header::SIZE];
        bytes[..8].copy_from_slice(&state.to_le_bytes());
        bytes
    }

    #[test]
    fn a_task_that_was_freed_is_not_alive() {
        // Running, with a join handle and three references.
        assert!(Header(&header(0b1001 | 3 << 6)).is_alive());
        // What glibc's allocator leaves in a freed chunk: a mangled pointer.
        assert!(!Header(&header(0x5_5a1b_3c4d)).is_alive());
        assert!(!Header(&header(0)).is_alive());
    }
}
