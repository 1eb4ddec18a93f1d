//! asyncio of CPython 3.8 to 3.14: its tasks, their coroutines, and the frames of every
//! Python thread.
//!
//! An interpreter is found by its `_PyRuntime`, and read by a table of where its version
//! keeps things (`layout`). Its objects (`objects`), its code (`code`) and its threads
//! (`threads`) are read for both sides: what runs, and what waits.

mod code;
mod detect;
mod glue;
mod identity;
mod layout;
mod objects;
mod progress;
mod recorder;
mod running;
mod suspended;
#[cfg(test)]
mod tests;
mod threads;

use super::{
    Anchor, Interpreted, Polled, ProgressReader, Runtime, RuntimeInfo, SeenStack, TaskClass,
    TaskReader,
};
use crate::module::AddressSpace;
use crate::names::SourceFrame;
use awaitscope_sampler::{AtSample, MemoryCopy, Process};
use detect::Detected;
pub(super) use detect::Refused;
use running::Interpreter;
use std::sync::Arc;

/// asyncio in a process.
#[derive(Debug)]
pub(super) struct Asyncio {
    detected: Arc<Detected>,
    interpreter: Interpreter,
}

impl Asyncio {
    /// asyncio, if CPython is in the process.
    pub fn detect(space: &AddressSpace, process: &dyn Process) -> Option<Result<Self, Refused>> {
        let detected = Detected::find(space, process)?;
        Some(detected.map(|detected| {
            let detected = Arc::new(detected);
            Self {
                interpreter: Interpreter::new(&detected, process),
                detected,
            }
        }))
    }
}

impl Runtime for Asyncio {
    fn info(&self) -> RuntimeInfo {
        RuntimeInfo {
            name: "asyncio".to_owned(),
            version: Some(self.detected.version.to_string()),
            flavor: self.detected.uvloop.then(|| "uvloop".to_owned()),
            progress: true,
            learns: false,
            types: true,
        }
    }

    fn anchor(&self, frames: &[SourceFrame]) -> Option<Anchor> {
        running::anchor(frames)
    }

    fn numbers(&self, class: TaskClass) -> bool {
        class == TaskClass::Async
    }

    fn folds_executor(&self) -> bool {
        false
    }

    fn is_glue(&self, frame: &SourceFrame) -> bool {
        let is_async = frame.function.path.is_async;
        frame
            .file
            .as_ref()
            .is_some_and(|file| glue::is_machinery(&file.short, is_async))
    }

    fn polled(&mut self, _seen: &SeenStack<'_>) -> Polled {
        Polled::Nothing
    }

    fn at_sample(&self) -> Option<Arc<dyn AtSample>> {
        Some(Arc::clone(self.interpreter.at_moment()) as Arc<_>)
    }

    fn interpret(
        &mut self,
        seen: &SeenStack<'_>,
        copy: Option<&MemoryCopy>,
    ) -> Option<Interpreted> {
        self.interpreter.interpret(seen, copy)
    }

    fn progress(&self) -> Option<Box<dyn ProgressReader>> {
        Some(Box::new(progress::Turns::new(&self.detected)))
    }

    fn tasks(&self) -> Box<dyn TaskReader> {
        Box::new(suspended::Tasks::new(&self.detected))
    }
}
