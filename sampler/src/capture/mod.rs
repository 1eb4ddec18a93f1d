//! Captures: all that was learnt from a live process, in a file, to be learnt again from
//! there.
//!
//! Whoever looks at a process takes what it brings in steps, and asks the process questions at each. A
//! [`Capture`] writes down every step and, through a [`RecordedProcess`], every answer. A [`Replay`]
//! gives the same steps, and at each of them the same answers to the same questions, without
//! privileges and without the process; so that a case that was hard once becomes an ordinary, exact
//! test. What a step is, is the caller's affair, and so is what a capture says of itself.
//!
//! **A capture holds memory of the process**: stacks and whatever was read, with all secrets in them. It
//! is made only when asked for, and readable by its owner only (mode 0600).
//!
//! The file is eight bytes of magic, a version, the number of the process, and a zstd stream of
//! entries; then what the capture says of itself, the length of that, and eight bytes that only a
//! whole capture ends with. An entry is a length, what it is (a step or an answer), and postcard. A
//! capture may come from anywhere, so reading one is bounded: by [`ENTRY_LIMIT`] for each entry and
//! [`ANSWERS_LIMIT`] for the answers of a step.

mod entries;
mod recording;
mod replay;

pub use recording::{Capture, RecordedProcess};
pub use replay::{Replay, ReplayProcess};

use crate::ids::{Avma, Tid};
use crate::process::{BlockedThread, Mapping};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

const MAGIC: [u8; 8] = *b"awscapt\n";
const END: [u8; 8] = *b"whole\r\n\0";
const VERSION: u32 = 2;

/// Magic, version and process.
const START_LENGTH: u64 = 16;

/// No entry is longer, and nothing that a capture says of itself. A stack has 256 KiB at most; a list
/// of mappings is the longest entry, and what was seen of tasks the longest that is said.
const ENTRY_LIMIT: usize = 64 << 20;

/// More answers are not held.
const ANSWERS_LIMIT: usize = 1 << 30;

/// What an entry is.
const STEP: u8 = b'S';
const ANSWER: u8 = b'A';

/// One thing that was asked, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Answer<'a> {
    Mappings(Option<Vec<Mapping>>),
    Threads(Option<Vec<Tid>>),
    ThreadName(Tid, Option<String>),
    BlockedIn(Tid, Option<BlockedThread>),
    OwnNumber(Tid, Option<u32>),
    KernelFunction(u64, Option<String>),
    Read(Avma, Cow<'a, [u8]>),
    Unread(Avma, u32),
}

#[cfg(test)]
mod tests;
