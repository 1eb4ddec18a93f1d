//! Where the tasks of an interpreter are kept.

use super::super::objects::{Heap, MOST_ITEMS, at};
use super::super::threads::threads;
use super::look::Look;
use awaitscope_sampler::Avma;
use std::collections::HashSet;

/// No module has more names, and none more modules.
const MOST_NAMES: usize = 1 << 16;

/// Where tasks are kept under a name: in a `WeakSet`, or in a set as they are.
const SETS: &[&str] = &["_all_tasks", "_scheduled_tasks", "_eager_tasks"];

/// The modules that have those names. What a program makes of its own goes to the second.
const MODULES: &[&str] = &["_asyncio", "asyncio.tasks"];

/// All that may be a task in an interpreter, each once.
pub(super) fn tasks(look: &mut Look<'_>, interpreter: Avma) -> Vec<Avma> {
    let mut found = HashSet::new();
    for set in sets(&look.heap, interpreter) {
        let members = members(look, set).unwrap_or_default();
        found.extend(members);
    }
    linked(&look.heap, interpreter, &mut found);
    let mut found: Vec<Avma> = found.into_iter().take(MOST_ITEMS).collect();
    // Those that stand together are read together.
    found.sort_unstable();
    found
}

fn sets(heap: &Heap<'_>, interpreter: Avma) -> Vec<Avma> {
    let modules = heap.pointer(interpreter, heap.layout.interpreter.modules);
    let modules = modules.and_then(|modules| heap.dict(modules, MOST_NAMES));
    let mut found = Vec::new();
    for (key, module) in modules.unwrap_or_default() {
        // Longer names are none of them, and not read.
        if !MODULES.iter().any(|name| heap.is_text(key, name)) {
            continue;
        }
        let names = heap.names_of(module);
        let names = names.and_then(|names| heap.dict(names, MOST_NAMES));
        for (key, value) in names.unwrap_or_default() {
            if SETS.iter().any(|name| heap.is_text(key, name)) && !found.contains(&value) {
                found.push(value);
            }
        }
    }
    found
}

fn members(look: &mut Look<'_>, set: Avma) -> Option<Vec<Avma>> {
    let class = look.class(set)?;
    if &*class.name == "set" {
        return look.heap.set(set, MOST_ITEMS);
    }
    // `_weakrefset.WeakSet`.
    let data = look.get(set, "data")?;
    let references = look.heap.set(data, MOST_ITEMS)?;
    let heap = &look.heap;
    let living = references
        .into_iter()
        .filter_map(|reference| heap.weakref(reference));
    Some(living.collect())
}

/// The lists of 3.14: one for each thread, and one of tasks whose threads have ended.
fn linked(heap: &Heap<'_>, interpreter: Avma, found: &mut HashSet<Avma>) {
    let Some(node) = heap.layout.task.node else {
        return;
    };
    let of_interpreter = heap.layout.interpreter.tasks_head;
    let mut heads: Vec<Avma> = of_interpreter
        .map(|offset| at(interpreter, offset))
        .into_iter()
        .collect();
    if let Some(offset) = heap.layout.thread.tasks_head {
        let threads = threads(heap, interpreter);
        heads.extend(threads.iter().map(|thread| at(thread.address, offset)));
    }
    for head in heads {
        // A list that changes while it is read can lead anywhere, also in a circle.
        let mut next = heap.pointer(head, 0);
        while let Some(here) = next.filter(|next| *next != head) {
            let task = Avma(here.0.wrapping_sub(node));
            if found.len() >= MOST_ITEMS || !found.insert(task) {
                break;
            }
            next = heap.pointer(here, 0);
        }
    }
}
