//! Which task a stack runs, and where the task's own frames begin.

use super::detect::Detected;
use super::layout;
use super::vtables::Vtables;
use crate::frame::Origin;
use crate::names::{SourceFrame, template_arguments};
use crate::runtime::rust::names::root_coroutine;
use crate::runtime::rust::stacks::pointers_of;
use crate::runtime::{Anchor, Polled, SeenStack, TaskClass, TaskId};
use awaitscope_sampler::Avma;
use std::sync::Arc;

/// Packages of which all that is not asked for by name is machinery.
const GLUE_PACKAGES: &[&str] = &[
    "async-executor-",
    "async-global-executor-",
    "async-io-",
    "async-task-",
    "futures-lite-",
    "parking-",
];

/// The same by path, for code without line tables.
const GLUE_PATHS: &[&str] = &[
    "async_executor::",
    "async_global_executor::",
    "async_io::driver::",
    "async_task::",
    "futures_lite::",
    "parking::",
];

/// Where the task's own frames begin: inside the innermost `RawTask::run`.
pub(super) fn anchor(frames: &[SourceFrame]) -> Option<Anchor> {
    let index = frames.iter().rposition(is_run)?;
    let arguments = template_arguments(frames[index].function.own_name());
    Some(Anchor {
        first: index + 1,
        class: TaskClass::Async,
        root: arguments.first().and_then(|future| root_coroutine(future)),
    })
}

fn is_run(frame: &SourceFrame) -> bool {
    let chain = &frame.function.chain;
    if chain.len() > 1 {
        let ours = chain[0] == "async_task" && chain[1] == "raw";
        return ours && frame.function.own_name().starts_with("run<");
    }
    let path = frame.function.path.readable.trim_start_matches('<');
    path.starts_with("async_task::raw::RawTask") && path.ends_with("::run")
}

/// Whether a frame is the executor's machinery.
pub(super) fn is_glue(frame: &SourceFrame) -> bool {
    match &frame.file {
        Some(file) => {
            file.origin == Origin::Library
                && GLUE_PACKAGES
                    .iter()
                    .any(|package| file.short.starts_with(package))
        }
        None => {
            let path = frame.function.path.readable.trim_start_matches('<');
            GLUE_PATHS.iter().any(|glue| path.starts_with(glue))
        }
    }
}

/// Finds the task of a run frame: of the words that it kept across its call, the one that
/// points to a task whose vtable's `run` is the function that the frame belongs to.
#[derive(Debug)]
pub(super) struct RunFrames {
    detected: Arc<Detected>,
    /// `None` where there are no types.
    vtables: Option<Vtables>,
}

impl RunFrames {
    pub fn new(detected: &Arc<Detected>) -> Self {
        Self {
            detected: Arc::clone(detected),
            vtables: Vtables::new(detected),
        }
    }

    pub fn polled(&mut self, seen: &SeenStack<'_>) -> Polled {
        let found = seen.frames.iter().find_map(|frame| {
            let (module, svma) = seen.space.lookup(frame.lookup)?;
            let symbols = seen.space.module(module)?.symbols();
            let function = symbols.function_at(svma)?.svma;
            let is_run = module == self.detected.module && self.detected.runs.contains(&function);
            Some((frame, seen.space.avma(module, function)?)).filter(|_| is_run)
        });
        let Some((frame, run)) = found else {
            return Polled::Nothing;
        };
        let pointers = pointers_of(frame, seen.stack);
        let vtables = self.vtables.as_mut();
        Polled::Task {
            class: TaskClass::Async,
            id: vtables.and_then(|vtables| task_among(&pointers, run, vtables, seen)),
        }
    }
}

/// A task has no number: it is told by where it stands.
fn task_among(
    pointers: &[u64],
    run: Avma,
    vtables: &mut Vtables,
    seen: &SeenStack<'_>,
) -> Option<TaskId> {
    let headers = vtables
        .layout()
        .headers(pointers.iter().copied(), seen.memory);
    let mut tasks = headers.into_iter().flatten();
    let found = tasks.find(|header| {
        layout::is_alive(header.state)
            && vtables
                .get(header.vtable, seen.space, seen.memory)
                .is_some_and(|vtable| vtable.run == run)
    });
    found.map(|header| TaskId(header.address))
}
