//! A made-up process with one worker, whose structures stand where nobody said.

use super::SeenIds;
use super::context::TlsRange;
use super::learn::Learner;
use super::learned::LearnedWorkers;
use super::local::LocalSets;
use crate::runtime::{Polled, Progress, ProgressReader, TaskClass, TaskId, ThreadBase};
use awaitscope_sampler::{Avma, ReadMemory, ReadRequest, Tid};
use std::collections::HashMap;

const BLOCK: u64 = 0x100;
const THREAD: ThreadBase = ThreadBase {
    tid: Tid(7),
    tls_base: Avma(0x7000_0100),
};
const CONTEXT: u64 = 0x7000_0000;
const SCHEDULER: u64 = 0x7fff_0000;
const HANDLE: u64 = 0x5000_0000;
const WORKER: u64 = 0x5000_1000;
const CORE: u64 = 0x5000_2000;
const TICK: u64 = CORE + 104;

/// Words of memory; all others are zero.
#[derive(Default)]
struct Memory(HashMap<u64, u64>);

impl ReadMemory for Memory {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            let addresses = (request.address.0..).step_by(8);
            for (at, into) in addresses.zip(request.into.chunks_mut(8)) {
                let word = self.0.get(&at).copied().unwrap_or_default();
                into.copy_from_slice(&word.to_le_bytes()[..into.len()]);
            }
            request.done = true;
        }
    }
}

impl Memory {
    /// `CONTEXT` with the handle, a constant of the thread, the scheduler and the task;
    /// and a worker of the multi-thread runtime.
    fn new() -> Self {
        Self(HashMap::from([
            (CONTEXT + 8, HANDLE),
            (CONTEXT + 16, 2),
            (CONTEXT + 24, SCHEDULER),
            (SCHEDULER, 1),
            (SCHEDULER + 8, WORKER),
            (SCHEDULER + 24, CORE),
            (WORKER + 16, HANDLE),
        ]))
    }

    /// The worker goes on to a task, in its turn `tick`.
    fn polls(&mut self, task: u64, tick: u64) {
        self.0.insert(CONTEXT + 40, task);
        self.0.insert(TICK, tick | 61 << 32);
        // It parks as often.
        self.0.insert(CORE + 56, tick);
    }
}

fn workers(ids: &SeenIds) -> LearnedWorkers {
    let context = TlsRange {
        offset: 0,
        size: 80,
    };
    let learner = Learner::new(vec![context], false, ids.clone());
    LearnedWorkers::with(learner, BLOCK, LocalSets::None)
}

fn seen_on_a_stack(ids: &SeenIds, id: u64) {
    ids.note(Polled::Task {
        class: TaskClass::Async,
        id: Some(TaskId(id)),
    });
}

/// Reads 100 polls of tasks 10 to 14, one after the other.
fn read_polls(workers: &mut LearnedWorkers, memory: &mut Memory) -> Vec<(Tid, Progress)> {
    let mut seen = Vec::new();
    for turn in 0..100 {
        memory.polls(10 + turn % 5, 500 + turn * 3);
        seen = workers.read(&[THREAD], memory);
    }
    seen
}

#[test]
fn what_stands_where_is_learned_from_the_tasks_on_the_stacks() {
    let ids = SeenIds::default();
    let mut workers = workers(&ids);
    let mut memory = Memory::new();
    assert_eq!(read_polls(&mut workers, &mut memory), [], "no id is known");
    for id in 10..15 {
        seen_on_a_stack(&ids, id);
    }
    let seen = read_polls(&mut workers, &mut memory);
    let progress = Progress {
        task: Some(TaskId(14)),
        epoch: 500 + 99 * 3,
    };
    assert_eq!(seen, [(THREAD.tid, progress)]);
    memory.polls(14, 798);
    let next = workers.read(&[THREAD], &memory)[0].1;
    assert_eq!(next.task, progress.task);
    assert_ne!(next.epoch, progress.epoch, "another poll of the same task");
}

#[test]
fn nothing_is_told_of_ids_that_no_stack_ever_has() {
    let ids = SeenIds::default();
    for id in 2..9 {
        seen_on_a_stack(&ids, id);
    }
    let mut workers = workers(&ids);
    let mut memory = Memory::new();
    for _ in 0..5 {
        assert_eq!(read_polls(&mut workers, &mut memory), []);
    }
}

#[test]
fn a_context_that_leads_to_another_runtime_is_not_followed() {
    let ids = SeenIds::default();
    for id in 10..15 {
        seen_on_a_stack(&ids, id);
    }
    let mut workers = workers(&ids);
    let mut memory = Memory::new();
    memory.0.insert(WORKER + 16, HANDLE + 0x100);
    for _ in 0..5 {
        assert_eq!(read_polls(&mut workers, &mut memory), []);
    }
}

#[test]
fn a_tick_that_falls_is_given_up() {
    let ids = SeenIds::default();
    for id in 10..15 {
        seen_on_a_stack(&ids, id);
    }
    let mut workers = workers(&ids);
    let mut memory = Memory::new();
    assert_eq!(read_polls(&mut workers, &mut memory).len(), 1);
    memory.polls(10, 3);
    assert_eq!(workers.read(&[THREAD], &memory), []);
    assert_eq!(read_polls(&mut workers, &mut memory), []);
}
