//! Where on a stack a task's own frames begin.

use super::native::machinery;
use crate::frame::Origin;
use crate::names::{SourceFile, SourceFrame};
use crate::runtime::{Anchor, TaskClass};
use std::sync::Arc;

/// The C function that takes a task one step further has no frame in Python: it is put where
/// the root coroutine of the task that runs was found.
const STEP: &str = "asyncio.Task.__step";
const STEP_FILE: &str = "cpython/task";

/// What runs a function on a thread of an executor.
const EXECUTOR: &str = "concurrent/futures/thread.py";

/// What runs a callback on a loop.
const HANDLE: &str = "asyncio/events.py";

/// The frame of the step of a task.
pub(super) fn step() -> SourceFrame {
    let file = SourceFile {
        short: STEP_FILE.to_owned(),
        origin: Origin::Std,
    };
    machinery(STEP.to_owned(), &Arc::new(file))
}

/// Where the task's own frames begin: inside the innermost step, inside what a thread of an
/// executor runs, or inside a callback that is no step.
pub(in crate::runtime::asyncio) fn anchor(frames: &[SourceFrame]) -> Option<Anchor> {
    let stepped = frames.iter().rposition(is_step);
    let submitted = submitted(frames);
    let called = called_back(frames);
    match (stepped, submitted.or(called)) {
        (Some(step), other) if other.is_none_or(|other| other < step) => {
            let root = frames.get(step + 1)?;
            Some(Anchor {
                first: step + 1,
                class: TaskClass::Async,
                root: Some(root.function.chain.clone()),
            })
        }
        (_, Some(run)) => Some(Anchor {
            first: run + 1,
            class: match submitted {
                Some(_) => TaskClass::Blocking,
                None => TaskClass::Callback,
            },
            root: None,
        }),
        _ => None,
    }
}

/// The frame that runs a function which was submitted to an executor.
pub(super) fn submitted(frames: &[SourceFrame]) -> Option<usize> {
    let runs = frames.iter().rposition(|frame| {
        let name = frame.function.own_name();
        is_in(frame, EXECUTOR) && (name == "run" || name.ends_with(".run"))
    })?;
    // Something must have been begun, that is no more of the executor.
    frames[runs + 1..]
        .iter()
        .any(|frame| is_script(frame) && !is_in(frame, EXECUTOR))
        .then_some(runs)
}

/// The frame with which a loop runs a callback.
pub(super) fn called_back(frames: &[SourceFrame]) -> Option<usize> {
    let runs = frames.iter().rposition(|frame| {
        let name = frame.function.own_name();
        is_in(frame, HANDLE) && (name == "_run" || name.ends_with("._run"))
    })?;
    frames[runs + 1..].iter().any(is_script).then_some(runs)
}

/// Whether a frame is one of a thread that runs a loop.
pub(super) fn runs_loop(frame: &SourceFrame) -> bool {
    is_in(frame, "asyncio/base_events.py") || is_in(frame, "asyncio/runners.py")
}

fn is_step(frame: &SourceFrame) -> bool {
    is_in(frame, STEP_FILE) && frame.function.path.readable == STEP
}

fn is_script(frame: &SourceFrame) -> bool {
    !frame.function.chain.is_empty()
}

fn is_in(frame: &SourceFrame, file: &str) -> bool {
    frame.file.as_ref().is_some_and(|own| own.short == file)
}
