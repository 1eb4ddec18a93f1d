//! The `awaitscope` command.
fn main() {}
