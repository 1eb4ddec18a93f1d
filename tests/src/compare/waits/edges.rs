//! Which task waits for which.

use crate::tasks::Tasks;
use crate::truth::Truth;
use crate::waiting::{LeafTruth, TaskState, TaskWait};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Edges that are missing, and those that are not there in truth.
pub(super) fn edge_mismatches(truth: &Truth, found: &Tasks) -> Vec<String> {
    let listed: HashSet<u64> = found
        .tasks
        .iter()
        .filter_map(|task| task.number())
        .collect();
    let mut wrong = Vec::new();
    let mut told: BTreeSet<(u64, u64)> = BTreeSet::new();
    for task in &found.tasks {
        let waiting = task.awaited_by.iter().filter_map(|by| by.parse().ok());
        if let Some(id) = task.number() {
            told.extend(waiting.map(|by| (by, id)));
        }
    }
    let by_id: HashMap<u64, &TaskWait> = truth
        .waits
        .iter()
        .filter_map(|task| Some((task.id?, task)))
        .collect();
    for (&id, task) in &by_id {
        let by_leaf = task.leaves.iter().filter_map(|leaf| leaf.task);
        for joined in by_leaf.chain(task.awaits.iter().copied()) {
            let both = listed.contains(&id) && listed.contains(&joined);
            if both && !told.contains(&(id, joined)) {
                wrong.push(format!("task {joined} is not told to be awaited by {id}"));
            }
        }
    }
    for (by, id) in told {
        let waits = by_id.get(&by);
        let may =
            waits.is_some_and(|task| task.state != TaskState::Complete && may_await(task, id));
        if !may {
            wrong.push(format!(
                "task {id} is said to be awaited by {by}, and is not"
            ));
        }
    }
    wrong.sort();
    wrong
}

fn may_await(task: &TaskWait, id: u64) -> bool {
    if !task.awaits.is_empty() {
        return task.awaits.contains(&id);
    }
    task.leaves.iter().any(|leaf| may_join(leaf, id))
}

/// Where the service does not say which task a leaf waits for, it can be any.
fn may_join(leaf: &LeafTruth, id: u64) -> bool {
    match leaf.task {
        Some(task) => task == id,
        None => leaf.what.iter().any(|what| what == "task"),
    }
}
