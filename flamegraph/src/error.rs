//! What can go wrong with a profile and its outputs.

use crate::export::Format;
use crate::view::{Grouping, View};
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
    /// The recording took no snapshots, so it knows nothing of waiting tasks.
    #[error(
        "this profile has no snapshots, which the {view} view shows; its cpu and stall views work"
    )]
    NoSnapshots {
        /// The view that was asked for.
        view: View,
    },
    /// The view does not know what it was to be grouped by.
    #[error(
        "the {view} view cannot be grouped by {grouping}: a task that waits is on no thread, and \
         waiting is kept by kind and await point, not task by task; group it by kind, or by none"
    )]
    NotGrouped {
        /// The view that was asked for.
        view: View,
        /// The grouping that was asked for.
        grouping: Grouping,
    },
    /// A side of a comparison has no recording.
    #[error("there is no recording of the {side} to compare")]
    NothingToCompare {
        /// `base` or `new`.
        side: &'static str,
    },
    /// There is nothing to draw.
    #[error(
        "this profile has no samples on a CPU: the target slept all the while, or ended at once"
    )]
    NoSamples,
    /// The profile has no workers that could be held.
    #[error(
        "this profile has no async runtime in it, so there are no stalls to draw; its cpu view works"
    )]
    NoRuntime,
    /// The picture would need more memory than any real one.
    #[error("this profile has too many stacks to draw by this grouping; try another one, or none")]
    TooManyBoxes,
    /// The picture could not be drawn.
    #[error("cannot draw the flamegraph: {0}")]
    Drawing(String),
    /// The format has no place for what was asked for.
    #[error("the {format} format {why}")]
    NotInFormat {
        /// The format.
        format: Format,
        /// Why it has no place for it, and what to do.
        why: &'static str,
    },
    /// There is nothing to merge.
    #[error("there is no profile to merge")]
    NothingToMerge,
    /// Two recordings of one process at one time count its time twice.
    #[error(
        "two of these are recordings of process {pid} on {host:?} at the same time: merged, its \
         time would count twice; leave one away"
    )]
    SameProcess {
        /// The process.
        pid: u32,
        /// Its machine.
        host: String,
    },
    /// A merged profile does not know any more when each of its parts was.
    #[error("one of these was merged already: merge the recordings that it was made of")]
    Merged,
    /// More recordings than one profile can name.
    #[error("these are {count} recordings, and at most {limit} can be merged into one")]
    TooManyRecordings {
        /// How many.
        count: usize,
        /// How many can be.
        limit: usize,
    },
    /// A name that stands for nothing.
    #[error("there is no {what} `{name}`; there are: {known}")]
    UnknownName {
        /// What was to be named.
        what: &'static str,
        /// The name.
        name: String,
        /// Those that exist.
        known: &'static str,
    },
}
