//! Frames as people read them.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One function of a logical stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// The source path a person would write: `app::handler`,
    /// `app::main::{async block#0}`, `<app::Session as app::Store>::load`.
    pub function: Arc<str>,
    /// The source file, shortened: `src/main.rs` in the user's own packages,
    /// `tokio-1.54.1/src/time/sleep.rs` in a dependency,
    /// `std/src/thread/mod.rs` in the standard library.
    pub file: Option<Arc<str>>,
    /// The line that was being run, or awaited.
    pub line: Option<u32>,
    /// What it is.
    pub kind: FrameKind,
    /// Whose code it is.
    pub origin: Origin,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// An async function or block.
    Async,
    /// An ordinary function.
    Sync,
    /// What a suspended task waits on.
    Leaf,
    /// Machinery of the executor or the standard library between the user's
    /// frames: folded away by default.
    Runtime,
    /// A function of the kernel.
    Kernel,
}

/// Whose code a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The packages of the service itself.
    User,
    /// A dependency or a shared library.
    Library,
    /// The language's standard library.
    Std,
    /// The kernel.
    Kernel,
    /// It cannot be told.
    Unknown,
}
