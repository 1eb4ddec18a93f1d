//! Walks suspended Rust futures in the memory of a process.
//!
//! What the compiler makes of an `async fn` is an enum with a variant for each place
//! where it can be suspended, and in that variant a member `__awaitee`: the future it
//! waits for (rustc_mir_transform, `coroutine.rs`). The debug information has both, with
//! the line of the `.await`. So where a task waits is found by following members, from
//! its root future down to something that holds no future.
//!
//! There is no list of combinators. What a type holds is worked out once, out of the
//! debug information, as a [`Shape`](shape::Shape): which of its parts can lead to a
//! coroutine, to a `dyn Future` or to something that is known to wait. `join!`,
//! `select!`, `Timeout` and wrappers of anybody's making are followed alike: a part is
//! followed if it is held by value, by `Box` or by `&mut`, because nobody can poll a
//! future who has it otherwise. Only containers that hide what they hold behind raw
//! pointers have to be known (`containers`).
//!
//! The process runs on meanwhile. What was read is read again at the end
//! (`walk`): unless all that led the way is the same, the task moved.

mod compile;
mod containers;
mod name;
mod parse;
mod shape;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use compile::{Knowledge, Known, Rule, Shapes};
pub(crate) use name::readable_type;
pub(crate) use parse::{NOT_POLLED, Tree};
pub(crate) use shape::ShapeId;
pub(crate) use walk::{GUARDED, Ground, Job, Walked, Walker};
