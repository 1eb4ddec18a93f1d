//! Where a `LocalSet` that is being polled keeps its queue.
//!
//! A `LocalSet` polls up to 61 of its tasks in one poll of its own
//! (`MAX_TASKS_PER_TICK`, tokio `task/local.rs`), in which the worker's tick stands
//! still. What moves with each of them is the head of its local queue, which is a
//! ring of 64 at first: equal heads by chance, time after time, are rare.

use super::find;
use crate::module::Symbol;
use crate::types::{TypeId, Types};
use awaitscope_sampler::Avma;
use gimli::Reader;

/// The way from a thread to the head of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime::tokio) struct LocalLayout {
    /// From the start of the module's thread-local block to the pointer to the
    /// `Context` of the `LocalSet`; null while none is polled.
    pub tls_offset: u64,
    /// From there, to the pointer to `Shared`.
    pub shared: u64,
    /// From there, to `local_state.local_queue.head`.
    pub head: u64,
}

/// The way from a thread to what the `LocalSet` shares that it polls.
pub(in crate::runtime::tokio) struct WayToShared {
    /// From the start of the module's thread-local block to the pointer to a counted
    /// `Context`.
    pub tls_offset: u64,
    /// From there, to the pointer to `Shared`.
    pub shared: u64,
    /// The type of the `ArcInner` around `Shared`.
    pub arc: TypeId,
}

impl WayToShared {
    /// `None` where the debug information has no types of it.
    pub fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        symbols: &[Symbol<'_>],
    ) -> Option<Self> {
        let data = types.find("tokio::task::local::LocalData")?;
        let in_block = find::thread_local(types, symbols, "tokio::task::local::CURRENT::", data)?;
        let (in_data, counted) = find::pointer_to(types, data, "value")?;
        let (in_counted, context) = types.walk(counted, &["value"])?;
        let (in_context, arc) = find::pointer_to(types, context, "data")?;
        Some(Self {
            tls_offset: in_block.checked_add(in_data)?,
            shared: in_counted.checked_add(in_context)?,
            arc,
        })
    }
}

impl LocalLayout {
    /// Where the pointer stands that is null while a thread polls no `LocalSet`. `block` is the
    /// thread's block of the module.
    pub fn current(&self, block: Avma) -> Option<Avma> {
        block.checked_add(self.tls_offset)
    }

    /// `None` where the debug information has no types of it.
    pub fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        symbols: &[Symbol<'_>],
    ) -> Option<Self> {
        let way = WayToShared::find(types, symbols)?;
        let (in_shared, queue) = types.walk(way.arc, &["data", "local_state", "local_queue"])?;
        let in_queue = find::member_within(types, queue, "head")?;
        Some(Self {
            tls_offset: way.tls_offset,
            shared: way.shared,
            head: in_shared.checked_add(in_queue)?,
        })
    }
}
