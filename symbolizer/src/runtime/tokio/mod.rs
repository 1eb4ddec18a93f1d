//! Tokio, 1.35 and later: multi-thread and current-thread runtimes, `LocalSet`,
//! and the blocking pool.

mod detect;
mod layout;
mod progress;
mod running;
mod suspended;

use super::{Anchor, Polled, ProgressReader, Runtime, RuntimeInfo, SeenStack, TaskReader};
use crate::module::AddressSpace;
use crate::names::SourceFrame;
use detect::Detected;
pub(super) use detect::stripped;
use progress::{LearnedWorkers, SeenIds, Workers};
use running::PollFrames;
use std::sync::Arc;

/// Tokio in a process.
#[derive(Debug)]
pub struct Tokio {
    detected: Arc<Detected>,
    polls: PollFrames,
    workers: Option<Workers>,
    /// For a process whose debug information has no types.
    learning: Option<LearnedWorkers>,
    ids: SeenIds,
}

impl Tokio {
    /// Tokio, if a module of the process has it.
    #[must_use]
    pub fn detect(space: &AddressSpace) -> Option<Self> {
        let detected = Detected::find(space)?;
        let workers = Workers::new(space, &detected);
        let ids = SeenIds::default();
        let learning = match workers {
            Some(_) => None,
            None => LearnedWorkers::new(space, &detected, &ids),
        };
        Some(Self {
            polls: PollFrames::new(&detected),
            workers,
            learning,
            ids,
            detected: Arc::new(detected),
        })
    }
}

impl Runtime for Tokio {
    fn info(&self) -> RuntimeInfo {
        RuntimeInfo {
            name: "tokio".to_owned(),
            version: self.detected.version.clone(),
            flavor: self.polls.flavor().map(str::to_owned),
            progress: self.workers.is_some(),
            learns: self.learning.is_some(),
            types: self.workers.is_some(),
        }
    }

    fn anchor(&self, frames: &[SourceFrame]) -> Option<Anchor> {
        running::anchor(frames)
    }

    fn is_glue(&self, frame: &SourceFrame) -> bool {
        running::is_glue(frame)
    }

    fn polled(&mut self, seen: &SeenStack<'_>) -> Polled {
        let polled = self.polls.polled(seen);
        if self.learning.is_some() {
            self.ids.note(polled);
        }
        polled
    }

    fn progress(&self) -> Option<Box<dyn ProgressReader>> {
        if let Some(workers) = self.workers.clone() {
            return Some(Box::new(workers));
        }
        Some(Box::new(self.learning.clone()?))
    }

    fn tasks(&self) -> Box<dyn TaskReader> {
        Box::new(suspended::Tasks::new(&self.detected))
    }
}
