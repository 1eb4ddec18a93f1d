//! What the words of a stack point to.

use super::ranges::{Range, Ranges};
use crate::runtime::SeenThreads;
use crate::unwind::PhysicalFrame;
use awaitscope_sampler::{Avma, Mapping, Register};

/// The most words of a stack that are followed.
const MOST_WORDS: usize = 8192;

/// The most words of a poll frame that are looked at. Poll frames hold the output of a
/// future while it is moved, so they can be large; what was spilled is near their ends.
const MOST_SLOTS: u64 = 256;

/// The words that can be pointers, each once, which a frame kept across its call: first
/// those in registers, then its slots.
pub(in crate::runtime) fn pointers_of(
    frame: &PhysicalFrame,
    stack: &dyn Fn(Avma) -> Option<u64>,
) -> Vec<u64> {
    let registers = Register::CALLEE_SAVED.iter();
    let registers = registers.filter_map(|register| frame.registers.get(*register));
    let start = frame.registers.sp().0;
    let words = frame.cfa.map_or(0, |cfa| cfa.0.saturating_sub(start) / 8);
    let slots =
        (0..words.min(MOST_SLOTS)).filter_map(|word| stack(Avma(start.checked_add(word * 8)?)));
    let mut pointers: Vec<u64> = Vec::new();
    for word in registers.chain(slots) {
        if is_pointer(word) && !pointers.contains(&word) {
            pointers.push(word);
        }
    }
    pointers
}

/// Addresses that pointers of a program hold.
pub(in crate::runtime) fn is_pointer(word: u64) -> bool {
    word > 4096 && word.is_multiple_of(8) && word < 1 << 47
}

/// The places in memory that can be written which the words in `range` point to, each
/// once.
pub(in crate::runtime) fn pointers_in(range: Range, seen: &SeenThreads<'_>) -> Vec<u64> {
    let words = Ranges::read(&[range], seen.process);
    let mut pointers: Vec<u64> = (0..range.length() / 8)
        .filter_map(|word| words.word(range.start + word * 8))
        .filter(|word| is_pointer(*word))
        .collect();
    pointers.sort_unstable();
    pointers.dedup();
    pointers.retain(|word| is_data(seen.mappings, *word));
    pointers.truncate(MOST_WORDS);
    pointers
}

/// The mapping that an address is in.
pub(in crate::runtime) fn mapping_of(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
    let after = mappings.partition_point(|mapping| mapping.start.0 <= address);
    let mapping = mappings.get(after.checked_sub(1)?)?;
    (address < mapping.end.0).then_some(mapping)
}

fn is_data(mappings: &[Mapping], address: u64) -> bool {
    mapping_of(mappings, address).is_some_and(|mapping| mapping.permissions.write)
}
