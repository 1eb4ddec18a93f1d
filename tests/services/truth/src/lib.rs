//! What a service under test knows of itself.
//!
//! A service wraps its futures in [`Measured`], which notes the CPU time and the
//! length of every poll, and then hands its main thread to [`control::serve`],
//! which answers `mark` and `truth` on standard input and ends the process in
//! time. Where the profiler should point is written as comments in the service's
//! own source, on the very line that is meant ([`marker`]), so the lines keep
//! themselves right. What waits, and on what, is told in the same way, with what
//! only the running service knows added to it ([`parked`]).
//!
//! Nothing here depends on a runtime: the same code measures every version of
//! every runtime.

pub mod clock;
pub mod control;
pub mod crowd;
mod json;
mod ledger;
pub mod marker;
mod measured;
pub mod parked;
mod spin;
mod tree;

pub use ledger::Meter;
use ledger::task_id;
pub use measured::Measured;
pub use spin::{calibrate, rounds};
