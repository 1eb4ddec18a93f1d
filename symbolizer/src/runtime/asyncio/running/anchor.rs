//! Where on a stack a task's own frames begin.

use super::native::machinery;
use crate::frame::Origin;
use crate::names::{SourceFile, SourceFrame};
use crate::runtime::{Anchor, TaskClass};
use std::borrow::Borrow;
use std::sync::Arc;

/// The C function that takes a task one step further has no frame in Python: it is put where
/// the root coroutine of the task that runs was found.
const STEP: &str = "asyncio.Task.__step";
const STEP_FILE: &str = "cpython/task";

/// What runs a function on a thread of an executor.
const EXECUTOR: &str = "concurrent/futures/thread.py";

/// What runs a callback on a loop.
const HANDLE: &str = "asyncio/events.py";

/// uvloop's own code: `uvloop/loop.cpython-313-x86_64-linux-gnu.so`.
const UVLOOP: &str = "cpython/loop.";

/// Whose code loops are.
const LOOPS: [&str; 4] = ["asyncio/", "uvloop/", "selectors.py", "cpython/"];

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
    let begun = submitted.max(called.map(|called| called.run));
    if let Some(step) = stepped
        && begun.is_none_or(|begun| begun < step)
    {
        return within(frames, step + 1, TaskClass::Async);
    }
    match (submitted, called) {
        (Some(run), called) if called.is_none_or(|called| called.run < run) => Some(Anchor {
            first: run + 1,
            class: TaskClass::Blocking,
            root: None,
        }),
        (_, Some(called)) => within(frames, called.first, TaskClass::Callback),
        _ => None,
    }
}

/// Where the frames of what `first` began are the task's own.
fn within(frames: &[SourceFrame], first: usize, class: TaskClass) -> Option<Anchor> {
    let root = frames.get(first)?;
    Some(Anchor {
        first,
        class,
        root: Some(root.function.chain.clone()),
    })
}

/// The frame that runs a function which was submitted to an executor.
pub(super) fn submitted(frames: &[impl Borrow<SourceFrame>]) -> Option<usize> {
    let runs = frames.iter().rposition(|frame| {
        let frame = frame.borrow();
        let name = frame.function.own_name();
        is_in(frame, EXECUTOR) && (name == "run" || name.ends_with(".run"))
    })?;
    // Something must have been begun, that is no more of the executor.
    frames[runs + 1..]
        .iter()
        .map(Borrow::borrow)
        .any(|frame: &SourceFrame| frame.is_script() && !is_in(frame, EXECUTOR))
        .then_some(runs)
}

/// A callback on a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Called {
    /// The frame with which the loop runs it.
    pub run: usize,
    /// Its own outermost frame.
    pub first: usize,
}

/// The frame of a callback that is not the loop's own: a loop has some, that read its sockets
/// and wake its tasks.
pub(super) fn called_back(frames: &[impl Borrow<SourceFrame>]) -> Option<Called> {
    let runs = frames.iter().rposition(|frame| {
        let frame = frame.borrow();
        let name = frame.function.own_name();
        is_in(frame, HANDLE) && (name == "_run" || name.ends_with("._run")) || is_uvloop(frame)
    })?;
    let inside = frames[runs + 1..].iter().map(Borrow::borrow);
    let mut inside = inside.zip(runs + 1..);
    let (_, first) = inside.find(|(frame, _)| frame.is_script() && !is_of_loop(frame))?;
    Some(Called { run: runs, first })
}

/// Whether a frame is one of a thread that runs a loop.
pub(super) fn runs_loop(frame: &SourceFrame) -> bool {
    is_in(frame, "asyncio/base_events.py") || is_in(frame, "asyncio/runners.py")
}

fn is_step(frame: &SourceFrame) -> bool {
    is_in(frame, STEP_FILE) && frame.function.path.readable == STEP
}

/// Whether a frame is one of uvloop's, which runs callbacks without a frame of Python.
fn is_uvloop(frame: &SourceFrame) -> bool {
    let file = frame.file.as_ref();
    file.is_some_and(|file| file.short.starts_with(UVLOOP))
}

fn is_of_loop(frame: &SourceFrame) -> bool {
    frame.file.as_ref().is_none_or(|file| {
        let of = |folder: &&str| file.short.starts_with(folder);
        LOOPS.iter().any(of)
    })
}

fn is_in(frame: &SourceFrame, file: &str) -> bool {
    frame.file.as_ref().is_some_and(|own| own.short == file)
}
