//! Tasks of executors beside Tokio: those of `smol::spawn`, of an `Executor` that a
//! program made and runs on threads of its own, and of a `LocalExecutor` on one thread.
//!
//! `--only parked` starts those that stay where they are, `--only split` those that share
//! the CPU.

mod parked_tasks;
mod split;

use truth::control::{Args, serve};
use truth::marker::Sources;

const SOURCES: Sources = &[
    ("src/main.rs", include_str!("main.rs")),
    ("src/parked_tasks.rs", include_str!("parked_tasks.rs")),
    ("src/split.rs", include_str!("split.rs")),
];

fn main() {
    let args = Args::read();
    if args.wants("parked") {
        parked_tasks::start();
    }
    if args.wants("split") {
        split::start();
    }
    serve(&args, "executors", SOURCES, "")
}
