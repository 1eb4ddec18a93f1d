//! What the tasks of a recording are.

use super::groups::Group;
use super::naming::NamedStack;
use super::outcome::TaskKind;
use super::stall::Stall;
use crate::logical::StackTask;
use crate::runtime::{TaskClass, TaskId};
use awaitscope_sampler::Nanos;
use std::collections::HashMap;
use std::sync::Arc;

/// What each task is: what most of its stacks say.
pub(super) fn kinds_of_tasks(
    groups: &[Group],
    stalls: &[(Stall, Vec<(usize, Nanos)>)],
    stacks: &[NamedStack],
) -> HashMap<TaskId, TaskKind> {
    let (kinds, of_stack) = kinds_of_stacks(stacks);
    let sampled = groups
        .iter()
        .map(|(key, _, stack)| (key.owner.task(), *stack));
    let stalled = stalls
        .iter()
        .flat_map(|(stall, stacks)| stacks.iter().map(|(stack, _)| (stall.task, *stack)));
    let mut votes: Vec<(TaskId, u32)> = sampled
        .chain(stalled)
        .filter_map(|(task, stack)| Some((task?, of_stack[stack]?)))
        .collect();
    votes.sort_unstable();
    votes
        .chunk_by(|(one, _), (other, _)| one == other)
        .filter_map(|votes| {
            let same = votes.chunk_by(|one, other| one == other);
            let (task, kind) = same.max_by_key(|same| same.len())?.first()?;
            Some((*task, kinds[*kind as usize].clone()))
        })
        .collect()
}

/// The kinds, in order, and for each stack the index of the one that it tells.
fn kinds_of_stacks(stacks: &[NamedStack]) -> (Vec<TaskKind>, Vec<Option<u32>>) {
    let told: Vec<Option<TaskKind>> = stacks
        .iter()
        .map(|stack| told_kind(stack.task.as_ref()?))
        .collect();
    let mut kinds: Vec<TaskKind> = told.iter().flatten().cloned().collect();
    kinds.sort_unstable();
    kinds.dedup();
    let index = |kind: &TaskKind| u32::try_from(kinds.binary_search(kind).ok()?).ok();
    let of_stack = told.iter().map(|kind| index(kind.as_ref()?)).collect();
    (kinds, of_stack)
}

fn told_kind(told: &StackTask) -> Option<TaskKind> {
    Some(TaskKind {
        name: Arc::clone(told.kind.as_ref()?),
        class: told.class,
        runtime: told.runtime,
    })
}

/// What a task is, or else what its stack says that it is.
pub(super) fn kind_of(
    task: Option<TaskId>,
    stack: &NamedStack,
    kinds: &HashMap<TaskId, TaskKind>,
) -> Option<TaskKind> {
    let told = stack.task.as_ref()?;
    if let Some(kind) = task.and_then(|task| kinds.get(&task)) {
        return Some(kind.clone());
    }
    let name = told.kind.as_ref().map_or_else(
        || {
            Arc::from(match told.class {
                TaskClass::Async => "[unnamed future]",
                TaskClass::Blocking => "[unnamed closure]",
                TaskClass::BlockOn => "[unnamed block_on]",
                TaskClass::Callback => "[unnamed callback]",
            })
        },
        Arc::clone,
    );
    Some(TaskKind {
        name,
        class: told.class,
        runtime: told.runtime,
    })
}
