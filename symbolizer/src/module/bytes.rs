//! The bytes of an ELF file, and pieces of them that keep the whole alive.

use memmap2::Mmap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Files up to this size are read; larger ones are mapped.
///
/// A mapped file that someone truncates afterwards kills us with `SIGBUS` at the
/// next look. A copy cannot do that, and for an ordinary library costs little.
/// Large files stay mapped: copying a gigabyte of debug information to use a few
/// percent of it would cost more than it guards. Linkers and package managers
/// write a new file and rename it, which leaves the mapped one whole.
const READ_UP_TO: u64 = 4 << 20;

/// Larger files are refused. No linker makes such ones, and sparse files can
/// claim any size.
const LARGEST: u64 = 32 << 30;

/// The bytes of a file, or of an ELF image in the target's memory.
pub(crate) enum FileBytes {
    /// A large file.
    Mapped(Mmap),
    /// A small file, an image out of memory, a decompressed section.
    Owned(Box<[u8]>),
}

impl FileBytes {
    /// The bytes of `file`.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let size = metadata.len();
        if size > LARGEST {
            return Err(io::Error::other(format!("it is {} GiB large", size >> 30)));
        }
        if size <= READ_UP_TO {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            file.take(READ_UP_TO).read_to_end(&mut bytes)?;
            return Ok(Self::Owned(bytes.into_boxed_slice()));
        }
        // SAFETY: the mapping is private and read-only. Somebody who writes to
        // the file meanwhile changes bytes under us: all that we read of them is
        // parsed by total functions which take any bytes. See READ_UP_TO for
        // truncation.
        unsafe { Mmap::map(file) }.map(Self::Mapped)
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A section's bytes: a range of a file that is kept open by it, or the
/// decompressed contents. Cheap to clone, and never copied.
#[derive(Clone)]
pub struct SectionBytes {
    owner: Arc<FileBytes>,
    range: Range<usize>,
}

impl SectionBytes {
    /// `range` of `owner`, if it has that many bytes.
    pub(crate) fn new(owner: &Arc<FileBytes>, range: Range<usize>) -> Option<Self> {
        owner.get(range.clone())?;
        Some(Self {
            owner: Arc::clone(owner),
            range,
        })
    }

    /// A part of these bytes; nothing where it goes beyond them.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        let within = range.start <= range.end && range.end <= self.range.len();
        let start = self.range.start;
        let part = if within {
            start + range.start..start + range.end
        } else {
            start..start
        };
        Self {
            owner: Arc::clone(&self.owner),
            range: part,
        }
    }

    /// Bytes of their own.
    pub(crate) fn owned(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        let owner = Arc::new(FileBytes::Owned(bytes.into_boxed_slice()));
        Self { owner, range }
    }
}

impl Default for SectionBytes {
    fn default() -> Self {
        Self::owned(Vec::new())
    }
}

impl Deref for SectionBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.owner.get(self.range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for SectionBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SectionBytes({} bytes)", self.range.len())
    }
}

// SAFETY: the bytes stand in a file mapping or a heap block behind an `Arc`.
// Neither moves when a `SectionBytes` moves, and neither is ever changed by us.
unsafe impl gimli::StableDeref for SectionBytes {}
// SAFETY: a clone shares the `Arc`, so it dereferences to the same bytes.
unsafe impl gimli::CloneStableDeref for SectionBytes {}
