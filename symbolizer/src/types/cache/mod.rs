//! Indexes on disk, so that the second look at a program need not read all of its
//! debug information.

mod folder;
mod format;

pub use folder::TypeCache;

use super::Index;
use crate::module::{BuildId, DwarfReader, Module};
use gimli::{Dwarf, Reader, Section};

/// How many pieces of the debug information are compared, and how large each is.
const PIECES: usize = 32;
const PIECE: usize = 4096;

/// Which debug information an index is of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    build_id: BuildId,
    /// How long `.debug_info` is.
    length: u64,
    /// The checksum of pieces of it. A program can be given the build-id of another.
    checksum: u32,
}

impl Key {
    /// Nothing where the linker wrote no build-id: no other name is safe.
    fn of(module: &Module, dwarf: &Dwarf<DwarfReader>) -> Option<Self> {
        let info = dwarf.debug_info.reader();
        Some(Self {
            build_id: module.build_id()?.clone(),
            length: info.len() as u64,
            checksum: checksum_of_pieces(info.bytes()),
        })
    }

    /// `types-0123abcd….index`.
    fn file_name(&self) -> String {
        format!("{}{}{}", folder::PREFIX, self.build_id, folder::SUFFIX)
    }
}

fn checksum_of_pieces(bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    let step = (bytes.len() / PIECES).max(PIECE);
    for piece in bytes.chunks(step) {
        sum.update(&piece[..piece.len().min(PIECE)]);
    }
    sum.finalize()
}

/// The index of `module`, out of `cache` if it is there; else it is made, and kept.
pub(super) fn load_or_make(
    module: &Module,
    dwarf: &Dwarf<DwarfReader>,
    cache: Option<&TypeCache>,
    make: impl FnOnce() -> Index,
) -> Index {
    let Some((cache, key)) = cache.zip(Key::of(module, dwarf)) else {
        return make();
    };
    let name = key.file_name();
    let kept = cache.read(&name);
    if let Some(index) = kept.and_then(|bytes| format::decode(&bytes, &key)) {
        return index;
    }
    let index = make();
    // A cache that cannot be written is none.
    let _ = cache.write(&name, &format::encode(&index, &key));
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_anywhere_in_small_debug_information_is_seen() {
        let bytes = vec![7; 10_000];
        let sum = checksum_of_pieces(&bytes);
        for at in [0, 4095, 4096, 9_999] {
            let mut other = bytes.clone();
            other[at] = 8;
            assert_ne!(checksum_of_pieces(&other), sum, "at {at}");
        }
        assert_eq!(checksum_of_pieces(&[]), checksum_of_pieces(&[]));
    }
}
