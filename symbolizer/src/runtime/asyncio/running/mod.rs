//! Which Python frames and which task a thread runs.

mod anchor;
mod at_moment;
mod interpret;
mod native;
mod walk;

pub(super) use anchor::anchor;
pub(super) use interpret::Interpreter;
