//! From the frames of a stack to the logical stack of its task.

use crate::frame::{Frame, FrameKind, Origin};
use crate::names::{SourceFrame, function_path};
use crate::runtime::{Anchor, Runtime, TaskClass, is_standard_glue};
use std::sync::Arc;

/// A stack as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalStack {
    /// From the outermost frame to the innermost, nothing dropped: what is
    /// folded is marked [`FrameKind::Runtime`].
    pub frames: Vec<Frame>,
    /// The task it runs, if it runs one.
    pub task: Option<StackTask>,
}

/// What a stack says of the task it runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StackTask {
    /// What sort of task.
    pub class: TaskClass,
    /// Its root function, if this stack shows it.
    pub kind: Option<Arc<str>>,
    /// Index of its runtime.
    pub runtime: usize,
}

/// Makes a logical stack of `frames` (outermost first) and the kernel functions
/// below them (outermost first).
#[must_use]
pub fn logical_stack(
    frames: &[SourceFrame],
    kernel: &[Arc<str>],
    runtimes: &[Box<dyn Runtime>],
) -> LogicalStack {
    let anchor = runtimes
        .iter()
        .enumerate()
        .filter_map(|(index, runtime)| Some((index, runtime.anchor(frames)?)))
        .max_by_key(|(_, anchor)| anchor.first);
    let first = anchor.as_ref().map(|(_, anchor)| anchor.first);
    let class = anchor.as_ref().map(|(_, anchor)| anchor.class);
    let mut kinds = frame_kinds(frames, runtimes, first, class);
    if first.is_none() {
        fold_executor(frames, &mut kinds, runtimes);
    }
    let mut out: Vec<Frame> = frames
        .iter()
        .zip(kinds)
        .enumerate()
        .map(|(index, (frame, kind))| shown(frame, shown_name(frames, index, class), kind))
        .collect();
    name_the_nameless(frames, &mut out, anchor.as_ref().map(|(_, anchor)| anchor));
    out.extend(kernel.iter().map(kernel_frame));
    LogicalStack {
        frames: out,
        task: anchor.map(|(runtime, anchor)| StackTask {
            kind: kind_of(frames, &anchor),
            class: anchor.class,
            runtime,
        }),
    }
}

/// Line-tables-only debug information has no paths, so an async function that was
/// inlined is just `{async_fn#0}`. The root's path is known from the type that the
/// poll frame names; any other is called by the place that awaits it, which is
/// known exactly.
fn name_the_nameless(frames: &[SourceFrame], out: &mut [Frame], anchor: Option<&Anchor>) {
    let Some(anchor) = anchor else {
        return;
    };
    if let (Some(root), Some(index)) = (&anchor.root, root_frame(frames, anchor))
        && frames[index].function.chain.len() <= 1
    {
        out[index].function = function_path(None, root).readable.into();
    }
    for index in anchor.first..frames.len() {
        if !frames[index].function.path.is_async || !out[index].function.starts_with('{') {
            continue;
        }
        let caller = out[..index].iter().rev();
        let mut caller = caller.filter(|frame| frame.kind != FrameKind::Runtime);
        if let Some((file, line)) = caller.next().and_then(|f| f.file.as_ref().zip(f.line)) {
            out[index].function = format!("{{async fn awaited at {file}:{line}}}").into();
        }
    }
}

/// The frame of a task's root function: the user's own, where a library's only
/// runs it.
fn root_frame(frames: &[SourceFrame], anchor: &Anchor) -> Option<usize> {
    let inside = anchor.first..frames.len();
    let is_users = |index: &usize| frames[*index].origin() == Origin::User;
    if anchor.class == TaskClass::Blocking {
        return inside.clone().find(is_users);
    }
    let is_async = |index: &usize| {
        frames[*index].function.path.is_async
            || is_polled_closure(frames, *index, Some(anchor.class))
    };
    let mut users = inside.clone().filter(is_async);
    users
        .find(is_users)
        .or_else(|| inside.clone().find(is_async))
}

/// The name of a task's root function: the frame whose chain is the one that
/// the poll frame names, or the outermost async frame.
fn kind_of(frames: &[SourceFrame], anchor: &Anchor) -> Option<Arc<str>> {
    if let Some(root) = &anchor.root {
        let inside = &frames[anchor.first..];
        let named = inside.iter().find(|frame| same_chain(frame, root));
        return Some(match named {
            Some(frame) => frame.function.path.readable.as_str().into(),
            None => function_path(None, root).readable.into(),
        });
    }
    let root = root_frame(frames, anchor)?;
    Some(shown_name(frames, root, Some(anchor.class)).into())
}

/// A function's name, where it matters that an async body is not a closure.
fn shown_name(frames: &[SourceFrame], index: usize, class: Option<TaskClass>) -> String {
    let name = &frames[index].function.path.readable;
    if is_polled_closure(frames, index, class) {
        // Whether an async function or block is not told by a symbol.
        return match name.rsplit_once("{closure#") {
            Some((path, number)) => format!("{path}{{async#{number}"),
            None => name.clone(),
        };
    }
    name.clone()
}

fn same_chain(frame: &SourceFrame, root: &[String]) -> bool {
    let chain = &frame.function.chain;
    chain.len() == root.len()
        && chain
            .iter()
            .zip(root)
            .all(|(a, b)| a.split('<').next() == b.split('<').next())
}

fn frame_kinds(
    frames: &[SourceFrame],
    runtimes: &[Box<dyn Runtime>],
    first: Option<usize>,
    class: Option<TaskClass>,
) -> Vec<FrameKind> {
    let last_async = frames
        .iter()
        .rposition(|frame| frame.function.path.is_async);
    frames
        .iter()
        .enumerate()
        .map(|(index, frame)| {
            let above_task = first.is_some_and(|first| index < first);
            let wraps_async = last_async.is_some_and(|last| index < last) && is_wrapper(frame);
            let is_async = frame.function.path.is_async || is_polled_closure(frames, index, class);
            let is_glue = runtimes.iter().any(|runtime| runtime.is_glue(frame));
            // What an interpreter's machinery awaits is machinery, too; a native async function of a
            // runtime is one that people call.
            if is_async && !above_task && !(is_glue && frame.is_script()) {
                FrameKind::Async
            } else if above_task || is_standard_glue(frame) || wraps_async || is_glue {
                FrameKind::Runtime
            } else {
                FrameKind::Sync
            }
        })
        .collect()
}

/// In line-tables-only debug information a function that inlines nothing has no
/// entry, and a symbol calls an async body a closure. What `Future::poll` runs is one
/// all the same.
fn is_polled_closure(frames: &[SourceFrame], index: usize, class: Option<TaskClass>) -> bool {
    let function = &frames[index].function;
    let closure = function.chain.is_empty() && function.path.readable.ends_with('}');
    let Some(caller) = index.checked_sub(1).map(|caller| &frames[caller]) else {
        return false;
    };
    let polls = match &caller.file {
        Some(file) => file.short == "core/src/future/future.rs",
        None => caller.function.path.readable.ends_with("::poll"),
    };
    // What a task of the blocking pool runs is a closure.
    closure && polls && class != Some(TaskClass::Blocking)
}

/// Somebody else's future or stream around an async function: `Instrumented`,
/// `Map`, `FuturesUnordered`.
fn is_wrapper(frame: &SourceFrame) -> bool {
    if frame.origin() == Origin::User {
        return false;
    }
    let name = frame.function.own_name();
    let name = name.split('<').next().unwrap_or(name);
    let path = &frame.function.path.readable;
    matches!(
        name,
        "poll" | "poll_next" | "poll_unpin" | "poll_next_unpin" | "try_poll"
    ) || path.contains(" as core::future::future::Future>::poll")
        || path.contains("::poll_fn")
}

/// On a thread of the runtime that polls nothing, all up to the innermost frame
/// of the runtime is machinery, and so is what that calls to sleep.
fn fold_executor(frames: &[SourceFrame], kinds: &mut [FrameKind], runtimes: &[Box<dyn Runtime>]) {
    let mut folding = runtimes.iter().filter(|runtime| runtime.folds_executor());
    let on_executor = folding.any(|runtime| frames.iter().any(|frame| runtime.is_glue(frame)));
    if on_executor {
        kinds.fill(FrameKind::Runtime);
    }
}

fn shown(frame: &SourceFrame, name: String, kind: FrameKind) -> Frame {
    Frame {
        function: name.into(),
        file: frame.file.as_ref().map(|file| file.short.as_str().into()),
        line: frame.line,
        kind,
        origin: frame.origin(),
    }
}

fn kernel_frame(name: &Arc<str>) -> Frame {
    Frame {
        function: Arc::clone(name),
        file: None,
        line: None,
        kind: FrameKind::Kernel,
        origin: Origin::Kernel,
    }
}
