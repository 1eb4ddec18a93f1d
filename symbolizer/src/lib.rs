//! Turns raw samples into logical async stacks: from registers and copied stacks to
//! *which task ran, in which async functions, at which line*.
//!
//! # What it does
//!
//! - [`AddressSpace`] knows the modules of a process, opens each file through the
//!   process itself (never the wrong one on disk), and finds separate debug files.
//! - [`Unwinder`] walks a stack by `.eh_frame` and recovers, in every frame, all
//!   registers that a callee must keep: that is where a poll function holds its task.
//! - [`names`] gives the functions at an address, inlined ones included, under the path
//!   a person would write, and tells async functions, async blocks and closures apart.
//! - [`types`] finds the layout of the target's types by name, so that no table of
//!   versions is needed.
//! - [`runtime`] has a folder for each async runtime: which task a stack runs, and how
//!   far each worker is.
//! - [`logical_stack`] puts it together: what is machinery is marked, nothing is dropped.
//! - [`session`] does all of this for a recording in progress, finds the polls that held
//!   a worker too long, and gives an [`Outcome`](session::Outcome).
//! - [`snapshot`] walks the tasks of a process in its memory, and tells where each waits
//!   and for what.
//!
//! # What you bring
//!
//! Events and answers of a process, from `awaitscope-sampler`: live, or out of a capture.
//!
//! # What it does not do
//!
//! It never asks the kernel for anything but files, formats nothing, and neither prints
//! nor exits. Binaries, debug information and memory of the target are untrusted: reads
//! are bounded, and what does not fit is left out and counted, not believed.
//!
//! # How it gets its speed
//!
//! Nothing is parsed that no sample needs: units of debug information are opened when an
//! address in them is first asked for. Unwinding keeps a rule for each address it met.
//! Names are looked up on threads of their own while the recording goes on, so that little
//! is left to do at its end. A stack is kept once, as a node of a prefix tree.

mod debugfile;
mod frame;
mod futures;
mod logical;
mod module;
pub mod names;
pub mod runtime;
pub mod session;
pub mod snapshot;
pub mod types;
mod unwind;

pub use debugfile::DebugFiles;
pub use frame::{Frame, FrameKind, Origin};
pub use logical::{LogicalStack, StackTask, logical_stack};
pub use module::{
    AddressSpace, Binaries, Build, BuildId, DebugTier, DwarfReader, Image, Module, ModuleError,
    ModuleId, Place, Root, SectionBytes, Svma, Symbol, SymbolKind, SymbolTable, TlsSegment,
};
pub use unwind::{PhysicalFrame, ReadStack, StackReader, UnwindEnd, Unwinder};
