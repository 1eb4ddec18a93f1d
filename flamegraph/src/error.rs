//! What can go wrong with a profile and its outputs.

use std::io;
use std::path::PathBuf;

/// Why a profile or a result cannot be read, drawn or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written. Nothing half-written is left behind.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is something else.
    #[error("this is not an awaitscope profile; `awaitscope record` writes them")]
    Foreign,
    /// The file is of another version.
    #[error(
        "this profile has format version {found}, and this awaitscope reads version {known}; \
         read it with the awaitscope that wrote it, or record it again"
    )]
    Version {
        /// The version of the file.
        found: u32,
        /// The version this reader knows.
        known: u32,
    },
    /// The file ends too early.
    #[error("this profile ends too early: it was not copied or written completely")]
    Truncated,
    /// The file is larger inside than a profile can be.
    #[error("this profile unpacks to more than {limit} bytes, which no recording makes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The file's content contradicts itself.
    #[error("this profile is damaged: {0}")]
    Damaged(String),
}
