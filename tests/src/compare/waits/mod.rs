//! Await trees: every task that waits, once, with its whole tree; and no other.

mod crowds;
mod edges;
mod tree;

use crate::tasks::{Task, Tasks};
use crate::truth::Truth;
use crate::waiting::{TaskClass, TaskState, TaskWait};
use edges::edge_mismatches;
use std::collections::HashMap;
use tree::{same_function, shown, tree_mismatches};

/// More complaints than this are only counted.
const MOST_TOLD: usize = 30;

/// What is wrong with the tasks that were found, in words; empty when nothing is.
///
/// `truth` must have been asked for after `found`, so that it knows all tasks that
/// could be seen. Frames of libraries are not compared: how much of the machinery on
/// the way a tool shows is its own choice. Those of the service must be all there, in
/// order, at their lines.
#[must_use]
pub fn wait_mismatches(truth: &Truth, found: &Tasks) -> Vec<String> {
    let known = Known::new(truth, found);
    let mut wrong = Vec::new();
    for task in &truth.waits {
        let told = known.task_mismatches(task);
        wrong.extend(told.map(|what| format!("{} {what}", called(task))));
    }
    wrong.extend(known.invented());
    wrong.extend(edge_mismatches(truth, found));
    wrong.extend(crowds::mismatches(truth, found));
    if found.counts.unresolved > 0 {
        wrong.push(format!("{} are not resolved", found.counts.unresolved));
    }
    let more = wrong.len().saturating_sub(MOST_TOLD);
    if more > 0 {
        wrong.truncate(MOST_TOLD);
        wrong.push(format!("… and {more} more"));
    }
    wrong
}

fn called(task: &TaskWait) -> String {
    match task.id {
        Some(id) => format!("task {id} ({})", task.name),
        None => format!("the root ({})", task.name),
    }
}

/// What was found, by what it should be.
struct Known<'a> {
    truth: &'a Truth,
    found: &'a Tasks,
    by_id: HashMap<u64, Vec<&'a Task>>,
}

impl<'a> Known<'a> {
    fn new(truth: &'a Truth, found: &'a Tasks) -> Self {
        let mut by_id: HashMap<u64, Vec<&Task>> = HashMap::new();
        for task in &found.tasks {
            if let Some(id) = task.number() {
                by_id.entry(id).or_default().push(task);
            }
        }
        Self {
            truth,
            found,
            by_id,
        }
    }

    /// The tasks that stand for this one: one, if all is well.
    fn standing_for(&self, task: &TaskWait) -> Vec<&'a Task> {
        match task.id {
            Some(id) => self.by_id.get(&id).cloned().unwrap_or_default(),
            None => {
                let is_it = |found: &&Task| found.id.is_none() && same_kind(task.kind(), found);
                self.found.tasks.iter().filter(is_it).collect()
            }
        }
    }

    fn task_mismatches(&self, task: &TaskWait) -> impl Iterator<Item = String> {
        let standing = self.standing_for(task);
        let mut wrong = Vec::new();
        match standing.as_slice() {
            [] if may_be_missing(task) => {}
            [] => wrong.push("is missing".to_owned()),
            [found] => self.compare(task, found, &mut wrong),
            several => wrong.push(format!("is there {} times", several.len())),
        }
        wrong.into_iter()
    }

    fn compare(&self, task: &TaskWait, found: &Task, wrong: &mut Vec<String>) {
        if !same_kind(task.kind(), found) {
            wrong.push(format!(
                "is of the kind {:?}, not {:?}",
                found.kind,
                task.kind().unwrap_or_default()
            ));
        }
        if let (Some(name), Some(told)) = (&task.task_name, &found.name)
            && name != told
        {
            wrong.push(format!("is called {told}, not {name}"));
        }
        if found.state != task.state {
            wrong.push(format!("is {}, not {}", found.state, task.state));
        }
        // The memory of a task that runs says nothing of where it is, and a closure has
        // no await points.
        let has_tree = matches!(task.state, TaskState::Suspended | TaskState::Ready);
        if has_tree && task.class != TaskClass::Blocking {
            wrong.extend(tree_mismatches(self.truth, &task.leaves, found));
        }
    }

    /// Tasks that are not there.
    fn invented(&self) -> impl Iterator<Item = String> {
        let by_id = |id| self.truth.waits.iter().any(|task| task.id == Some(id));
        let unknown = self
            .found
            .tasks
            .iter()
            .filter(move |found| !match found.number() {
                Some(id) => by_id(id) || self.truth.crowds.iter().any(|crowd| crowd.has(id)),
                None => {
                    let roots = self.truth.waits.iter().filter(|task| task.id.is_none());
                    roots.clone().any(|root| same_kind(root.kind(), found))
                }
            });
        unknown.map(|found| {
            let id = found.id.as_deref().unwrap_or("without an id");
            let kind = found.kind.as_deref().unwrap_or("no kind");
            let state = found.state;
            format!(
                "task {id} of {kind} ({state}) is not there: {}",
                shown(&found.stack)
            )
        })
    }
}

/// A task that is done may be gone, and what is no task of a list need not be listed.
fn may_be_missing(task: &TaskWait) -> bool {
    task.state == TaskState::Complete || task.class != TaskClass::Async
}

fn same_kind(expected: Option<&str>, found: &Task) -> bool {
    match (expected, &found.kind) {
        (Some(expected), Some(kind)) => same_function(expected, kind),
        (Some(_), None) => false,
        (None, _) => true,
    }
}

#[cfg(test)]
mod tests;
