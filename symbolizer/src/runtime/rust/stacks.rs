//! What the words of a stack point to.

use super::ranges::{Range, Ranges};
use crate::runtime::SeenThreads;
use awaitscope_sampler::Mapping;

/// The most words of a stack that are followed.
const MOST_WORDS: usize = 8192;

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
