//! Turns raw samples into logical async stacks.
mod frame;

pub use frame::{Frame, FrameKind, Origin};
pub mod names;
pub mod types;
