//! End-to-end tests of awaitscope, and what they need: real services that know
//! their own truth, built in many flavours, and the profiler attached to them.
//!
//! A test reads like this:
//!
//! ```no_run
//! use awaitscope_tests::{Flavour, Profiler, RunningService, ServiceBuild};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mix = ServiceBuild::new("mix").tokio("1.40.0").flavour(Flavour::ThinLto);
//! let mut service = RunningService::start(&mix.build()?, &["--only", "split"])?;
//! service.mark()?;
//! let recording = Profiler::get()?.record(service.pid(), &["-d", "20s", "-F", "99"])?;
//! let truth = service.truth()?;
//! # Ok(())
//! # }
//! ```
//!
//! The services stand in `tests/services/`, each a small Cargo project of its
//! own, outside the workspace: they depend on the versions of Tokio that users
//! have, not on ours. They are built below `target/services/`, where they are
//! found fresh the next time.
mod browser;
mod build;
pub mod compare;
mod elf;
mod flavour;
mod found;
mod profiler;
mod public;
pub mod python;
pub mod readers;
pub mod release;
pub mod report;
mod service;
pub mod tasks;
mod terminal;
mod truth;
mod waiting;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use browser::Browser;
pub use build::{BuiltService, NEWEST_TOKIO, ServiceBuild, TOKIO_VERSIONS};
pub use flavour::Flavour;
pub use found::{FoundStack, cpu_stacks, found_stalls, recorded_window};
pub use profiler::{Profiler, Recording};
pub use public::{NOBODY, PublicFolder};
pub use service::RunningService;
pub use terminal::OnTerminal;
pub use truth::{ExpectedFrame, KindTruth, LongPoll, Planted, TaskTruth, Truth};
pub use waiting::{AwaitFrame, CrowdTruth, LeafTruth, TaskClass, TaskState, TaskWait};

/// Waits until no other test of this binary measures anything, and keeps them
/// waiting. Tests that measure times disturb each other.
pub fn alone() -> MutexGuard<'static, ()> {
    static MEASURING: Mutex<()> = Mutex::new(());
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}
