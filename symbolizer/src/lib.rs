//! Turns raw samples into logical async stacks.

mod debugfile;
mod frame;
mod logical;
mod module;
pub mod names;
pub mod runtime;
pub mod session;
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
