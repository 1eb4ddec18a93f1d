//! What names a module, and a place in it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A *stated virtual memory address*: where something stands in an ELF file's
/// own address space, as its section headers, symbols and DWARF say it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Svma(pub u64);

impl fmt::Display for Svma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Svma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One file of an [`AddressSpace`](crate::AddressSpace). An id is never given
/// to another file, and stays with its file over every update.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ModuleId(pub(crate) u32);

/// What the linker calls a build: the descriptor of an `NT_GNU_BUILD_ID` note.
/// The file that runs and its separate debug file carry the same one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BuildId(Box<[u8]>);

impl BuildId {
    /// Build-ids are hashes: 8 bytes (lld's `fast`), 16 (`md5`, `uuid`) or 20
    /// (`sha1`). What is far longer is not one.
    const LONGEST: usize = 64;

    /// The build-id of these bytes, if they can be one.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len() <= Self::LONGEST).then(|| Self(bytes.into()))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What was recorded of a file, to tell it from another at the same path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Build {
    /// Its build-id.
    Id(BuildId),
    /// It has none: any file will do that is there.
    Unmarked,
    /// It could not be read, so nothing can tell it from another.
    Unread,
}

impl Build {
    /// What there is to record of a module.
    #[must_use]
    pub fn of(module: &super::Module) -> Self {
        match module.image() {
            Ok(image) => image.build_id().cloned().map_or(Self::Unmarked, Self::Id),
            Err(_) => Self::Unread,
        }
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
