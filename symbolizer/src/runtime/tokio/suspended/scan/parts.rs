//! Which memory is looked at, and how.

use super::ALIGN;
use crate::runtime::ThreadBase;
use awaitscope_sampler::{Avma, Mapped, Mapping, ReadMemory};

/// So much is read at once; what cannot be read whole, in such pieces.
const CHUNK: u64 = 1 << 20;
const PIECE: u64 = 64 << 10;

/// A part of memory where tasks can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub start: u64,
    pub end: u64,
    /// It may begin with a stack.
    pub stack: bool,
}

/// Guard pages below a stack are fewer bytes than this; what glibc reserves for an
/// arena and has not filled is more, nearly always.
const LARGEST_GUARD: u64 = 64 << 10;

/// Where tasks can be. The stack of a thread begins where its mapping does, behind guard
/// pages, and ends with the thread's control block, where that is known.
pub(super) fn parts(mappings: &[Mapping], threads: &[ThreadBase]) -> Vec<Part> {
    let mut guard_end = None;
    let part = |mapping: &Mapping| {
        let permissions = mapping.permissions;
        let behind_guard = guard_end == Some(mapping.start);
        let size = mapping.end.0.saturating_sub(mapping.start.0);
        let none = !permissions.read && !permissions.write && !permissions.execute;
        guard_end = (none && size <= LARGEST_GUARD).then_some(mapping.end);
        let Mapped::Anonymous { name } = &mapping.what else {
            return None;
        };
        if !permissions.read || !permissions.write || name.as_deref() == Some("[stack]") {
            return None;
        }
        let bases = threads.iter().map(|thread| thread.tls_base);
        let inside = bases.filter(|base| (mapping.start..mapping.end).contains(base));
        let known = inside.max();
        let start = known.unwrap_or(mapping.start).0;
        Some(Part {
            start: start.checked_next_multiple_of(ALIGN as u64)?,
            end: mapping.end.0,
            stack: known.is_none() && behind_guard,
        })
    };
    let parts = mappings.iter().filter_map(part);
    parts.filter(|part| part.start < part.end).collect()
}

/// Reads a range in pieces of whole tasks. Returns how many bytes could not be read.
pub(super) fn in_chunks(
    buffer: &mut Vec<u8>,
    (start, end): (u64, u64),
    memory: &dyn ReadMemory,
    mut each: impl FnMut(u64, &[u8]),
) -> u64 {
    let mut unread = 0;
    for at in (start..end).step_by(CHUNK as usize) {
        buffer.resize(CHUNK.min(end - at) as usize, 0);
        if memory.read(Avma(at), buffer) {
            each(at, buffer);
            continue;
        }
        let pieces = buffer.chunks_mut(PIECE as usize);
        for (at, piece) in (at..).step_by(PIECE as usize).zip(pieces) {
            match memory.read(Avma(at), piece) {
                true => each(at, piece),
                false => unread += piece.len() as u64,
            }
        }
    }
    unread
}
