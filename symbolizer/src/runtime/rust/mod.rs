//! What the executors of Rust futures have in common, whoever wrote them: a task is a
//! future behind a header, and its future is walked by its type.

pub(super) mod leaves;
pub(super) mod names;
pub(super) mod ranges;
pub(super) mod roots;
pub(super) mod settle;
pub(super) mod stacks;
pub(super) mod version;
