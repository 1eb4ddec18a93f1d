//! The loop of a thread, and where its tasks are told.

use crate::runtime::asyncio::layout::Layout;
use crate::runtime::asyncio::objects::{Heap, Types};
use crate::runtime::asyncio::threads::ThreadState;
use awaitscope_sampler::{Avma, Nanos, ReadMemory};
use std::collections::HashMap;

/// Where a thread keeps its loop up to 3.12 (`asyncio/events.py`, `_asynciomodule.c`).
const RUNNING_LOOP: &str = "__asyncio_running_event_loop__";

/// `PyRunningLoopHolder.rl_loop` (up to 3.11).
const RL_LOOP: u64 = 16;

/// The loop of uvloop is a C structure: its deque is looked for in so many words of it.
const MOST_WORDS: u64 = 256;

/// How many loops can run tasks at one time.
const MOST_LOOPS: usize = 512;

const SOUGHT_AFTER: Nanos = Nanos::from_millis(500);

/// A loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loop {
    /// Where it stands.
    pub address: Avma,
    /// What it has to run: its `_ready`.
    pub ready: Avma,
    /// The type of that, which is `collections.deque`.
    pub ready_type: Avma,
}

/// Finds loops.
#[derive(Debug, Default)]
pub(super) struct Loops {
    types: Types,
}

impl Loops {
    pub fn begin_round(&mut self) {
        self.types.begin_round();
    }

    /// The loop that a thread runs.
    pub fn of_thread(&mut self, heap: &Heap<'_>, thread: ThreadState) -> Option<Loop> {
        let address = match heap.layout.thread.running_loop {
            Some(offset) => heap.pointer(thread.address, offset)?,
            None => {
                let names = heap.pointer(thread.address, heap.layout.thread.dict)?;
                let told = heap.dict_get(names, RUNNING_LOOP)?;
                let class = heap.type_name(heap.type_of(told)?)?;
                match class.ends_with("_RunningLoopHolder") {
                    true => heap.pointer(told, RL_LOOP)?,
                    false => told,
                }
            }
        };
        let ready = self
            .types
            .get(address, "_ready", heap)
            .filter(|ready| is_deque(heap, *ready))
            .or_else(|| self.deque_in(heap, address))?;
        Some(Loop {
            address,
            ready,
            ready_type: heap.type_of(ready)?,
        })
    }

    /// The one deque of a loop that has no attributes in Python.
    fn deque_in(&mut self, heap: &Heap<'_>, event_loop: Avma) -> Option<Avma> {
        let class = self.types.of(event_loop, heap)?;
        let words = (class.basic_size / 8).min(MOST_WORDS);
        let words = heap.words(event_loop, words, MOST_WORDS as usize)?;
        let found = words.into_iter().map(Avma);
        let mut found = found.filter(|word| word.0 > 4096 && is_deque(heap, *word));
        found.next()
    }
}

fn is_deque(heap: &Heap<'_>, object: Avma) -> bool {
    let name = heap.type_of(object).and_then(|class| heap.type_name(class));
    name.is_some_and(|name| name == "collections.deque")
}

/// `_asyncio._current_tasks` of each interpreter (up to 3.13).
#[derive(Debug, Default)]
pub(in crate::runtime::asyncio) struct CurrentTasks {
    known: HashMap<Avma, Avma>,
    sought: Nanos,
}

impl CurrentTasks {
    /// That of an interpreter, once asyncio is imported there. It takes long to find, and is
    /// looked for again only now and then.
    pub fn of(
        &mut self,
        interpreter: Avma,
        memory: &dyn ReadMemory,
        layout: &Layout,
    ) -> Option<Avma> {
        if layout.thread.running_task.is_some() {
            return None;
        }
        if let Some(known) = self.known.get(&interpreter) {
            return Some(*known);
        }
        let now = Nanos::now();
        if now.since(self.sought) < SOUGHT_AFTER {
            return None;
        }
        self.sought = now;
        let heap = Heap { memory, layout };
        let modules = heap.pointer(interpreter, layout.interpreter.modules)?;
        let asyncio = heap.dict_get(modules, "_asyncio")?;
        let names = heap.names_of(asyncio)?;
        let tasks = heap.dict_get(names, "_current_tasks")?;
        self.known.insert(interpreter, tasks);
        Some(tasks)
    }
}

/// The task that a loop runs, by `_current_tasks`.
pub(super) fn task_of(heap: &Heap<'_>, current_tasks: Avma, event_loop: Avma) -> Option<Avma> {
    let loops = heap.dict(current_tasks, MOST_LOOPS)?;
    let mut loops = loops.into_iter();
    loops
        .find(|(of, _)| *of == event_loop)
        .map(|(_, task)| task)
}
