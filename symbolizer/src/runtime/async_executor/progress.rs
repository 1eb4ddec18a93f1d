//! What tells one poll of a worker from the next: nothing that can be found.
//!
//! A worker counts its polls (`Runner::ticks`), in a variable of an async function on its
//! stack, whose place differs from program to program. Without it, a task that computes
//! for long is not told from one that is polled often.

use crate::runtime::ProgressReader;

/// There is none.
pub(super) fn reader() -> Option<Box<dyn ProgressReader>> {
    None
}
