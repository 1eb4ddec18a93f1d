//! The tree of one task.

use super::super::stacks::without_generics;
use crate::report::Frame;
use crate::tasks::{Task, WaitsOn};
use crate::truth::Truth;
use crate::waiting::{AwaitFrame, LeafTruth};
use serde_json::Value;
use std::path::Path;

/// A timer is set a moment after the service says when it is to end, on a busy machine.
const SET_WITHIN_MS: f64 = 500.0;

/// The service tells the time so long, at most, after the tasks were looked at.
const TOLD_WITHIN_MS: f64 = 60_000.0;

/// What is wrong with the leaves of a task.
pub(super) fn tree_mismatches(truth: &Truth, leaves: &[LeafTruth], found: &Task) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut counts = vec![0; leaves.len()];
    for (stack, waits_on) in found.leaves() {
        let own = own_frames(&truth.service, stack);
        let fitting = leaves.iter().zip(&counts).position(|(leaf, &count)| {
            count < leaf.most && frames_fit(&leaf.frames, &own) && what_fits(leaf, waits_on)
        });
        match fitting {
            Some(index) => {
                counts[index] += 1;
                wrong.extend(detail_mismatches(&leaves[index], waits_on, truth.now_ns));
            }
            None => wrong.push(format!(
                "has a leaf too much: {}\n    waiting on {}",
                shown(stack),
                shown_wait(waits_on)
            )),
        }
    }
    for (leaf, count) in leaves.iter().zip(counts) {
        if count < leaf.least {
            wrong.push(format!(
                "has {count} of {} leaves {}: {}\n    waiting on {}",
                leaf.least,
                leaf.leaf,
                planned(&leaf.frames),
                leaf.what.join(" or ")
            ));
        }
    }
    wrong
}

/// The frames of the service's own async functions: of its package, or of its files in Python,
/// whose names begin with the service's.
pub(super) fn own_frames<'a>(package: &str, stack: &'a [Frame]) -> Vec<&'a Frame> {
    let is_own = |frame: &&Frame| {
        let function = frame.function.trim_start_matches('<');
        let in_package = || {
            let rest = function.strip_prefix(package);
            rest.is_some_and(|rest| rest.starts_with("::"))
        };
        let file = frame.file.as_deref().unwrap_or_default();
        matches!(frame.kind.as_str(), "async" | "sync")
            && (in_package() || is_python(file) && file.starts_with(package))
    };
    stack.iter().filter(is_own).collect()
}

/// Whether these are the frames, all of them and in order.
pub(super) fn frames_fit(expected: &[AwaitFrame], own: &[&Frame]) -> bool {
    let mut left = own.iter().peekable();
    for frame in expected {
        for _ in 0..frame.times {
            if left.next_if(|found| frame_fits(frame, found)).is_none() && !frame.optional {
                return false;
            }
        }
    }
    left.peek().is_none()
}

fn is_python(file: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|extension| extension == "py")
}

fn frame_fits(expected: &AwaitFrame, found: &Frame) -> bool {
    let at = |file: &str| file == expected.file;
    let there = found.file.as_deref().is_some_and(at) && found.line == Some(expected.line);
    // Where the macro of a library stands is no line of the service's.
    let elsewhere = !found
        .file
        .as_deref()
        .is_some_and(|file| file.starts_with("src/"));
    let free = expected.line_free && (found.line.is_none() || elsewhere);
    // A generator of Python, as `__await__` often is, is no async function.
    let awaits = found.kind == "async" || is_python(&expected.file) && found.kind == "sync";
    awaits && (there || free) && same_function(&expected.function, &found.function)
}

pub(super) fn same_function(expected: &str, found: &str) -> bool {
    without_generics(expected) == without_generics(found)
}

fn what_fits(leaf: &LeafTruth, waits_on: Option<&WaitsOn>) -> bool {
    leaf.what.is_empty() || waits_on.is_some_and(|wait| leaf.what.contains(&wait.what))
}

/// What is told of a leaf must be right; it need not be told.
fn detail_mismatches(leaf: &LeafTruth, waits_on: Option<&WaitsOn>, now_ns: u64) -> Vec<String> {
    let Some(wait) = waits_on else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    let mut hold = |name: &str, found: Option<&str>, expected: Option<String>| {
        if let (Some(found), Some(expected)) = (found, expected)
            && found != expected
        {
            wrong.push(format!(
                "is said to have in {} the {name} {found}, not {expected}",
                leaf.leaf
            ));
        }
    };
    let text = |name: &str| wait.more.get(name).and_then(Value::as_str);
    hold("local", text("local"), leaf.local.clone());
    hold("peer", text("peer"), leaf.peer.clone());
    let task = wait.more.get("task").and_then(|task| task.get("id"));
    // Of a task that is not listed itself, its address may be all that is known.
    let task = task
        .and_then(Value::as_str)
        .filter(|id| !id.starts_with("0x"));
    hold("task", task, leaf.task.map(|id| id.to_string()));
    let holders = wait.more.get("held_by").and_then(Value::as_array);
    for holder in holders.into_iter().flatten() {
        hold(
            "holder",
            holder.as_str(),
            leaf.holder.map(|id| id.to_string()),
        );
    }
    let left = wait.more.get("remaining_ms").and_then(Value::as_f64);
    if let (Some(deadline), Some(left)) = (leaf.deadline_ns, left) {
        let expected = deadline.saturating_sub(now_ns) as f64 / 1e6;
        if !(-SET_WITHIN_MS..TOLD_WITHIN_MS).contains(&(left - expected)) {
            wrong.push(format!(
                "has {left} ms left in {}, not {expected}",
                leaf.leaf
            ));
        }
    }
    wrong
}

pub(super) fn shown(stack: &[Frame]) -> String {
    let lines = stack.iter().map(|frame| {
        format!(
            "\n    {} {}:{} ({})",
            frame.function,
            frame.file.as_deref().unwrap_or("?"),
            frame.line.map_or("?".to_owned(), |line| line.to_string()),
            frame.kind
        )
    });
    lines.collect()
}

fn planned(frames: &[AwaitFrame]) -> String {
    let lines = frames.iter().map(|frame| {
        let times = match frame.times {
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        let free = if frame.line_free { " or no line" } else { "" };
        format!(
            "\n    {} {}:{}{free}{times}",
            frame.function, frame.file, frame.line
        )
    });
    lines.collect()
}

fn shown_wait(waits_on: Option<&WaitsOn>) -> String {
    waits_on.map_or("nothing".to_owned(), |wait| {
        let type_name = wait.type_name.as_deref().unwrap_or("?");
        format!("{} ({type_name})", wait.what)
    })
}
