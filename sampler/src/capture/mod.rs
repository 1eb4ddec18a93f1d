//! Captures: all that was learnt from a live process, in a file, to be learnt again from
//! there.
//!
//! A [`Recording`] stands between a live process and whoever looks at it, and writes down every event
//! handed over and every answer given. A [`Replay`] gives the same events by the same drains, and the
//! same answers to the same questions, without privileges and without the process; so that a case that
//! was hard once becomes an ordinary, exact test.
//!
//! **A capture holds memory of the process**: stacks and whatever was read, with all secrets in them. It
//! is made only when asked for, and readable by its owner only (mode 0600).
//!
//! The file is eight bytes of magic, a version, and a zstd stream of entries: each a length and so many
//! bytes of postcard. A capture may come from anywhere, so reading one is bounded: by
//! [`ENTRY_LIMIT`] for each entry and [`ANSWERS_LIMIT`] for what is held of it at once.

mod recording;
mod replay;

pub use recording::{RecordedProcess, RecordedSource, Recording};
pub use replay::{Replay, ReplayProcess, ReplaySource};

use crate::event::Event;
use crate::ids::{Avma, Nanos, Tid};
use crate::live::Facts;
use crate::process::{BlockedThread, Mapping};
use crate::source::Abilities;
use serde::{Deserialize, Serialize};

const MAGIC: [u8; 8] = *b"awscapt\n";
const VERSION: u32 = 1;

/// No entry is longer. A sample has 65 KiB at most; a list of mappings is the longest.
const ENTRY_LIMIT: usize = 16 << 20;

/// More answers are not held.
const ANSWERS_LIMIT: usize = 1 << 30;

/// What a capture says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureHeader {
    /// The process.
    pub facts: Facts,
    /// What its events carry.
    pub abilities: Abilities,
    /// When it was attached, on the clock of the events.
    pub begin: Nanos,
    /// The CPU time between two samples.
    pub period: Nanos,
    /// Whatever the caller wants to find again.
    pub note: String,
}

/// One thing that was learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    // The first two must stay the first: `is_event` goes by that.
    Event(Event),
    Drained(Nanos),
    Header(CaptureHeader),
    Mappings(Option<Vec<Mapping>>),
    Threads(Option<Vec<Tid>>),
    ThreadName(Tid, Option<String>),
    BlockedIn(Tid, Option<BlockedThread>),
    OwnNumber(Tid, Option<u32>),
    Read(Avma, Vec<u8>),
    Unread(Avma, u32),
}

impl Entry {
    /// Whether the entry encoded in `bytes` is one of the stream of events, and not an answer. Postcard
    /// begins an enum with the number of its variant.
    fn is_of_stream(bytes: &[u8]) -> bool {
        matches!(bytes.first(), Some(0 | 1))
    }
}

#[cfg(test)]
mod tests;
