//! Where on a stack a task's own frames begin, and what sort of task it is.

use crate::names::{SourceFrame, body_chain, template_arguments};
use crate::runtime::rust::names::root_coroutine;
use crate::runtime::{Anchor, TaskClass};

/// Where the task's own frames begin: inside the innermost poll of a task, or
/// else of a `block_on`.
pub(in crate::runtime::tokio) fn anchor(frames: &[SourceFrame]) -> Option<Anchor> {
    for (index, frame) in frames.iter().enumerate().rev() {
        let name = frame.function.own_name();
        if name.starts_with("poll<")
            && is_in(frame, &["tokio", "runtime", "task"], "/src/runtime/task/")
        {
            let arguments = template_arguments(name);
            if let [future, scheduler] = arguments.as_slice() {
                return task_anchor(index, future, scheduler);
            }
        }
    }
    if let Some(index) = frames.iter().rposition(is_poll_symbol) {
        return symbol_anchor(frames, index);
    }
    let (index, name) = frames.iter().enumerate().rev().find_map(|(index, frame)| {
        let name = frame.function.own_name();
        let enters =
            name.starts_with("block_on") && is_in(frame, &["tokio", "runtime"], "/src/runtime/");
        enters.then_some((index, name))
    })?;
    // Where the thread waits for events, it polls nothing.
    if frames[index + 1..].iter().any(is_park) {
        return None;
    }
    Some(Anchor {
        first: index + 1,
        class: TaskClass::BlockOn,
        root: root_coroutine(name),
    })
}

/// Whether a thread that entered the runtime waits in this frame for something to do:
/// `Context::park`, `CachedParkThread::park` and all that they call.
fn is_park(frame: &SourceFrame) -> bool {
    frame.function.own_name().starts_with("park")
        && is_in(frame, &["tokio", "runtime"], "/src/runtime/")
}

/// A poll frame of which only the symbol is known.
fn is_poll_symbol(frame: &SourceFrame) -> bool {
    frame.function.chain.is_empty()
        && matches!(
            frame.function.path.readable.as_str(),
            "tokio::runtime::task::harness::Harness::poll" | "tokio::runtime::task::raw::poll"
        )
}

/// Without debug information, what a poll frame runs is told by its neighbours: a
/// worker has its loop inside, a closure of the blocking pool has no worker outside.
fn symbol_anchor(frames: &[SourceFrame], index: usize) -> Option<Anchor> {
    let is_loop = |frame: &SourceFrame| is_worker_loop(&frame.function.path.readable);
    if frames[index + 1..].iter().any(is_loop) {
        return None;
    }
    let in_pool = |frame: &SourceFrame| {
        let path = &frame.function.path.readable;
        path.starts_with("tokio::runtime::blocking::pool::")
    };
    let runs_tasks = |frame: &SourceFrame| {
        let path = &frame.function.path.readable;
        path.starts_with("tokio::runtime::scheduler::") || path.starts_with("tokio::task::local::")
    };
    let outside = &frames[..index];
    let blocking = outside.iter().any(in_pool) && !outside.iter().any(runs_tasks);
    Some(Anchor {
        first: index + 1,
        class: if blocking {
            TaskClass::Blocking
        } else {
            TaskClass::Async
        },
        root: None,
    })
}

/// The functions that a worker of the multi-thread runtime goes round in.
pub(in crate::runtime::tokio) fn is_worker_loop(path: &str) -> bool {
    let worker = "tokio::runtime::scheduler::multi_thread::worker::";
    path.strip_prefix(worker).is_some_and(|function| {
        matches!(function, "run" | "Context::run" | "Context::run_task")
            || function.starts_with("Context::park")
    })
}

fn task_anchor(index: usize, future: &str, scheduler: &str) -> Option<Anchor> {
    let class = task_class(future, scheduler)?;
    Some(Anchor {
        first: index + 1,
        class,
        root: match class {
            TaskClass::Blocking => closure_in_blocking_task(future),
            TaskClass::Async | TaskClass::BlockOn | TaskClass::Callback => root_coroutine(future),
        },
    })
}

/// Whose tasks `scheduler` runs.
pub(super) fn flavor(scheduler: &str) -> Option<&'static str> {
    if scheduler.contains("multi_thread") {
        Some("multi_thread")
    } else if scheduler.contains("current_thread") || scheduler.contains("task::local") {
        Some("current_thread")
    } else {
        None
    }
}

/// What sort of task `future` on `scheduler` is. `None` for a worker, which is
/// itself a task of the blocking pool and no task to anyone.
pub(in crate::runtime::tokio) fn task_class(future: &str, scheduler: &str) -> Option<TaskClass> {
    if !scheduler.contains("BlockingSchedule") {
        return Some(TaskClass::Async);
    }
    let worker = future.contains("runtime::scheduler::multi_thread");
    (!worker).then_some(TaskClass::Blocking)
}

/// The chain of names of the closure that `BlockingTask<…>` runs.
pub(in crate::runtime::tokio) fn closure_in_blocking_task(future: &str) -> Option<Vec<String>> {
    let arguments = template_arguments(future);
    let closure = arguments.first()?;
    closure
        .contains("{closure_env#")
        .then(|| body_chain(closure))
}

/// Whether a frame is Tokio's, by the namespaces around it or, where there are
/// none (line-tables-only), by its file.
fn is_in(frame: &SourceFrame, namespace: &[&str], folder: &str) -> bool {
    let chain = &frame.function.chain;
    if chain.len() > 1 {
        let mut around = chain.iter();
        return namespace
            .iter()
            .all(|name| around.next().is_some_and(|n| n == name));
    }
    frame
        .file
        .as_ref()
        .is_some_and(|file| is_tokio_file(&file.short) && file.short.contains(folder))
}

pub(in crate::runtime::tokio) fn is_tokio_file(short: &str) -> bool {
    short.starts_with("tokio-") || short.starts_with("tokio/")
}
