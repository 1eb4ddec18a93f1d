//! async-executor 1.5 and later: the tasks of smol, of async-global-executor, and of any
//! `Executor` or `LocalExecutor` that a program makes.
//!
//! What they run are tasks of async-task, a future behind a header. Those that an executor
//! does not know (async-task used by itself, a `StaticExecutor`) are seen while they run,
//! and in no list.

mod detect;
mod layout;
mod progress;
mod running;
mod suspended;
mod vtables;

use super::{Anchor, Polled, ProgressReader, Runtime, RuntimeInfo, SeenStack, TaskReader};
use crate::module::AddressSpace;
use crate::names::SourceFrame;
use detect::Detected;
use running::RunFrames;
use std::sync::Arc;

/// async-executor in a process.
#[derive(Debug)]
pub(super) struct AsyncExecutor {
    detected: Arc<Detected>,
    runs: RunFrames,
}

impl AsyncExecutor {
    /// async-executor, if a module of the process has it.
    pub fn detect(space: &AddressSpace) -> Option<Self> {
        let detected = Arc::new(Detected::find(space)?);
        Some(Self {
            runs: RunFrames::new(&detected),
            detected,
        })
    }
}

impl Runtime for AsyncExecutor {
    fn info(&self) -> RuntimeInfo {
        RuntimeInfo {
            name: "async-executor".to_owned(),
            version: self.detected.version.clone(),
            flavor: None,
            progress: false,
            learns: false,
            types: self.detected.layout.is_some(),
        }
    }

    fn anchor(&self, frames: &[SourceFrame]) -> Option<Anchor> {
        running::anchor(frames)
    }

    fn is_glue(&self, frame: &SourceFrame) -> bool {
        running::is_glue(frame)
    }

    fn polled(&mut self, seen: &SeenStack<'_>) -> Polled {
        self.runs.polled(seen)
    }

    fn progress(&self) -> Option<Box<dyn ProgressReader>> {
        progress::reader()
    }

    fn tasks(&self) -> Box<dyn TaskReader> {
        Box::new(suspended::Tasks::new(&self.detected))
    }
}
