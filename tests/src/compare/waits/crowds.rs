//! Tasks that are told by their number alone.

use super::same_kind;
use super::tree::{frames_fit, own_frames, same_function, shown, tree_mismatches};
use crate::report::Frame;
use crate::tasks::{Task, Tasks};
use crate::truth::Truth;
use crate::waiting::{CrowdTruth, LeafTruth, TaskState};
use std::collections::HashSet;

impl CrowdTruth {
    /// Whether a task with that id may belong to it.
    pub(super) fn has(&self, id: u64) -> bool {
        (self.first_id..=self.last_id).contains(&id)
    }
}

/// What is wrong with the crowds, in words.
pub(super) fn mismatches(truth: &Truth, found: &Tasks) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen: HashSet<u64> = HashSet::new();
    for task in &found.tasks {
        let Some(id) = task.number() else {
            continue;
        };
        let mut possible = truth.crowds.iter().filter(|crowd| crowd.has(id)).peekable();
        if possible.peek().is_none() {
            continue;
        }
        if !seen.insert(id) {
            wrong.push(format!("task {id} is there several times"));
        }
        match possible.find(|crowd| same_kind(crowd.kind(), task)) {
            Some(crowd) => {
                let told = member_mismatches(truth, crowd, task);
                wrong.extend(told.map(|what| format!("task {id} ({}) {what}", crowd.name)));
            }
            None => wrong.push(format!("task {id} is of the kind {:?}", task.kind)),
        }
    }
    for crowd in truth
        .crowds
        .iter()
        .filter(|crowd| crowd.parked && crowd.spawned > 0)
    {
        let ids = crowd.first_id..=crowd.last_id;
        let missing: Vec<u64> = ids.filter(|id| !seen.contains(id)).collect();
        if let Some(first) = missing.first() {
            let count = missing.len();
            wrong.push(format!(
                "{count} of {} are missing, the first is {first}",
                crowd.name
            ));
        }
    }
    wrong
}

fn member_mismatches(
    truth: &Truth,
    crowd: &CrowdTruth,
    task: &Task,
) -> impl Iterator<Item = String> {
    let mut wrong = Vec::new();
    match task.state {
        TaskState::Suspended => wrong = tree_mismatches(truth, &crowd.leaves, task),
        // Its memory says where it was, or that it never began.
        TaskState::Ready => {
            let stacks = task.leaves().map(|(stack, _)| stack);
            let odd = stacks.filter(|stack| !may_be_ready(&truth.service, &crowd.leaves, stack));
            wrong.extend(odd.map(|stack| format!("is ready in {}", shown(stack))));
        }
        TaskState::Running | TaskState::Complete => {}
    }
    if crowd.parked && task.state != TaskState::Suspended {
        wrong.push(format!("is {}", task.state));
    }
    wrong.into_iter()
}

/// Where a task that was woken was; or its root alone, where it was not polled yet.
fn may_be_ready(package: &str, leaves: &[LeafTruth], stack: &[Frame]) -> bool {
    let own = own_frames(package, stack);
    let begins = |leaf: &LeafTruth| {
        let root = leaf.frames.first();
        let same =
            |frame: &&Frame| root.is_some_and(|it| same_function(&it.function, &frame.function));
        own.len() <= 1 && own.iter().all(same)
    };
    leaves
        .iter()
        .any(|leaf| frames_fit(&leaf.frames, &own) || begins(leaf))
}
