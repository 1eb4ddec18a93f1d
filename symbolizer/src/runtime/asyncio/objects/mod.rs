//! Python's objects, read out of the memory of a process.
//!
//! Whatever stands there, every read is bounded and every loop ends: what does not look as
//! it should gives `None`.

mod attributes;
mod containers;
mod dict;
mod scalars;
mod types;

pub(in crate::runtime::asyncio) use containers::MOST_ITEMS;
pub(in crate::runtime::asyncio) use types::{TypeInfo, Types, flag};

use super::layout::Layout;
use awaitscope_sampler::{Avma, ReadMemory};

/// `PyModuleObject.md_dict`.
const MD_DICT: u64 = 16;

/// What an object begins with: a reference count and a pointer to its type.
const OB_TYPE: u64 = 8;

/// The objects of an interpreter.
#[derive(Clone, Copy)]
pub(in crate::runtime::asyncio) struct Heap<'a> {
    /// The process.
    pub memory: &'a dyn ReadMemory,
    /// How its version keeps things.
    pub layout: &'a Layout,
}

impl std::fmt::Debug for Heap<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heap")
            .field("minor", &self.layout.minor)
            .finish_non_exhaustive()
    }
}

/// An address so many bytes further on.
pub(in crate::runtime::asyncio) fn at(base: Avma, offset: u64) -> Avma {
    Avma(base.0.wrapping_add(offset))
}

impl Heap<'_> {
    /// The word there.
    pub fn word(&self, base: Avma, offset: u64) -> Option<u64> {
        self.memory.read_word(at(base, offset))
    }

    /// The pointer there, if it is none to nothing.
    pub fn pointer(&self, base: Avma, offset: u64) -> Option<Avma> {
        self.word(base, offset).filter(|word| *word != 0).map(Avma)
    }

    /// The `int` of C there.
    pub fn int32(&self, base: Avma, offset: u64) -> Option<i32> {
        let mut bytes = [0; 4];
        self.memory
            .read(at(base, offset), &mut bytes)
            .then(|| i32::from_le_bytes(bytes))
    }

    /// The byte there.
    pub fn byte(&self, base: Avma, offset: u64) -> Option<u8> {
        let mut byte = [0];
        self.memory
            .read(at(base, offset), &mut byte)
            .then_some(byte[0])
    }

    /// `length` bytes, if that is not more than `most`.
    pub fn block(&self, address: Avma, length: u64, most: usize) -> Option<Vec<u8>> {
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= most)?;
        let mut bytes = vec![0; length];
        self.memory.read(address, &mut bytes).then_some(bytes)
    }

    /// `count` words, if that is not more than `most`.
    pub fn words(&self, address: Avma, count: u64, most: usize) -> Option<Vec<u64>> {
        let bytes = self.block(address, count.checked_mul(8)?, most.saturating_mul(8))?;
        let words = bytes.chunks_exact(8);
        Some(
            words
                .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()))
                .collect(),
        )
    }

    /// The dict of the names in a module.
    pub fn names_of(&self, module: Avma) -> Option<Avma> {
        self.pointer(module, MD_DICT)
    }

    /// The type of an object.
    pub fn type_of(&self, object: Avma) -> Option<Avma> {
        // Objects are aligned to words: anything else is none.
        object
            .0
            .is_multiple_of(8)
            .then(|| self.pointer(object, OB_TYPE))
            .flatten()
    }
}
