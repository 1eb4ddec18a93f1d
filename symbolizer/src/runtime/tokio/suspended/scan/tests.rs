//! A made-up process: one page of constants with a vtable, a heap, and a stack.

use super::*;
use awaitscope_sampler::{Mapped, Permissions, ReadRequest, Tid};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;

const POLL: u64 = 0x40_0000;
const CONSTANTS: u64 = 0x50_0000;
const VTABLE: u64 = CONSTANTS + 0x48;
const HEAP: u64 = 0x10_0000;
const STACK: u64 = 0x20_0000;
const SIZE: u64 = 0x4000;
const ID: u64 = 40;
const TRAILER: u64 = 0x100;

/// Suspended, with one reference.
const IDLE: u64 = 1 << 6;
/// As a task begins: notified, with a join handle and three references.
const INITIAL: u64 = 0xcc;

/// Words of memory; all others are zero. What is to be is so after the first read of
/// the word at an address.
#[derive(Default)]
struct Memory {
    words: RefCell<HashMap<u64, u64>>,
    later: RefCell<HashMap<u64, Vec<(u64, u64)>>>,
}

impl ReadMemory for Memory {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            let start = request.address.0;
            let mut words = self.words.borrow_mut();
            for (at, into) in (start..).step_by(8).zip(request.into.chunks_mut(8)) {
                let word = words.get(&at).copied().unwrap_or_default();
                into.copy_from_slice(&word.to_le_bytes()[..into.len()]);
            }
            request.done = true;
            words.extend(self.later.borrow_mut().remove(&start).unwrap_or_default());
        }
    }
}

/// A task, and the neighbours it knows.
#[derive(Debug, Clone, Copy)]
struct Task {
    at: u64,
    state: u64,
    owner: u64,
    id: u64,
    prev: u64,
    next: u64,
}

impl Task {
    const fn new(at: u64, id: u64) -> Self {
        Self {
            at,
            state: IDLE,
            owner: 1,
            id,
            prev: 0,
            next: 0,
        }
    }

    fn words(self) -> [(u64, u64); 6] {
        [
            (self.at, self.state),
            (self.at + 16, VTABLE),
            (self.at + 24, self.owner),
            (self.at + ID, self.id),
            (self.at + TRAILER, self.prev),
            (self.at + TRAILER + 8, self.next),
        ]
    }
}

impl Memory {
    fn with(tasks: &[Task]) -> Self {
        let memory = Self::default();
        let vtable = [POLL, 1, 2, 3, 4, 5, 6, TRAILER, 32, ID];
        let vtable = (VTABLE..).step_by(8).zip(vtable);
        memory.words.borrow_mut().extend(vtable);
        for task in tasks {
            memory.words.borrow_mut().extend(task.words());
        }
        memory
    }
}

/// The tasks in a list.
fn list(tasks: &[Task]) -> Vec<Task> {
    let at = |index: Option<usize>| {
        let task = index.and_then(|index| tasks.get(index));
        task.map_or(0, |task| task.at)
    };
    let linked = tasks.iter().enumerate().map(|(index, task)| Task {
        prev: at(index.checked_sub(1)),
        next: at(index.checked_add(1)),
        ..*task
    });
    linked.collect()
}

fn mapping(start: u64, end: u64, usable: bool) -> Mapping {
    Mapping {
        start: Avma(start),
        end: Avma(end),
        file_offset: 0,
        permissions: Permissions {
            read: usable,
            write: usable,
            execute: false,
        },
        what: Mapped::Anonymous { name: None },
    }
}

fn mappings() -> [Mapping; 3] {
    [
        mapping(HEAP, HEAP + SIZE, true),
        mapping(STACK - 0x1000, STACK, false),
        mapping(STACK, STACK + SIZE, true),
    ]
}

fn scan_of(memory: &Memory) -> HeaderScan {
    let mut scan = HeaderScan::new(ModuleId(0), [Svma(POLL)]);
    let constants = [(CONSTANTS, CONSTANTS + 0x1000)];
    scan.vtables = Vtables::find(&HashSet::from([Avma(POLL)]), &constants, memory);
    scan
}

fn found_in(memory: &Memory) -> Vec<u64> {
    let scanned = scan_of(memory).scan_memory(&mappings(), &[], memory);
    assert_eq!((scanned.torn, scanned.unseen), (0, 0));
    let ids = scanned.headers.iter().map(|header| header.id.0);
    ids.collect()
}

#[test]
fn tasks_are_found_with_all_they_say() {
    let tasks = list(&[Task::new(HEAP + 0x180, 8), Task::new(HEAP + 0x800, 16)]);
    let memory = Memory::with(&tasks);
    let scanned = scan_of(&memory).scan_memory(&mappings(), &[], &memory);
    let first = FoundHeader {
        address: Avma(HEAP + 0x180),
        vtable: Avma(VTABLE),
        state: IDLE,
        owner: 1,
        id: TaskId(8),
    };
    assert_eq!(scanned.headers[0], first);
    assert_eq!(scanned.headers.len(), 2);
}

#[test]
fn a_task_whose_last_reference_is_gone_is_none() {
    let freed = |state| Task {
        state,
        ..Task::new(HEAP, 8)
    };
    assert_eq!(found_in(&Memory::with(&[freed(0b10)])), []);
    assert_eq!(found_in(&Memory::with(&[freed(0x5_5a1b_3c4d)])), []);
    assert_eq!(found_in(&Memory::with(&[freed(0b11 | IDLE)])), []);
}

#[test]
fn freed_memory_that_looks_alive_is_none_where_its_list_has_others() {
    // The lists of this owner are told apart by two bits of the id.
    let mut tasks = list(&[Task::new(HEAP, 8), Task::new(HEAP + 0x200, 12)]);
    tasks.push(Task::new(HEAP + 0x400, 4));
    tasks.push(Task::new(HEAP + 0x600, 5));
    assert_eq!(found_in(&Memory::with(&tasks)), [8, 12, 5]);
    // One that is done is in no list any more.
    tasks[2].state |= 0b10;
    assert_eq!(found_in(&Memory::with(&tasks)), [8, 12, 4, 5]);
}

#[test]
fn a_task_whose_neighbours_know_nothing_of_it_is_none() {
    let mut tasks = list(&[Task::new(HEAP, 8), Task::new(HEAP + 0x200, 12)]);
    tasks.push(Task {
        next: HEAP,
        ..Task::new(HEAP + 0x400, 4)
    });
    assert_eq!(found_in(&Memory::with(&tasks)), [8, 12]);
    tasks[2].next = HEAP + 0x1000;
    assert_eq!(found_in(&Memory::with(&tasks)), [8, 12]);
}

#[test]
fn a_task_that_is_being_made_is_none_yet() {
    let made = Task {
        state: INITIAL,
        owner: 0,
        ..Task::new(STACK + 0x1000, 9)
    };
    assert_eq!(found_in(&Memory::with(&[made])), [], "on a stack");
    let thread = ThreadBase {
        tid: Tid(1),
        tls_base: Avma(STACK + 0x2000),
    };
    let memory = Memory::with(&[made, Task::new(STACK + 0x3000, 3)]);
    let scanned = scan_of(&memory).scan_memory(&mappings(), &[thread], &memory);
    assert_eq!(scanned.headers.len(), 1, "above the stack");
    let moved = Task {
        at: HEAP + 0x1000,
        ..made
    };
    assert_eq!(found_in(&Memory::with(&[moved])), [9], "a blocking closure");
    assert_eq!(found_in(&Memory::with(&[moved, Task::new(HEAP, 3)])), [3]);
}

#[test]
fn a_task_that_came_meanwhile_is_found_through_its_neighbour() {
    let before = Task::new(HEAP + 0x2000, 8);
    let [new, after] = list(&[Task::new(HEAP, 12), before])[..] else {
        panic!("two tasks");
    };
    let memory = Memory::with(&[before]);
    let change = new.words().into_iter().chain(after.words()).collect();
    // As soon as the heap was read.
    memory.later.borrow_mut().insert(HEAP, change);
    assert_eq!(found_in(&memory), [12, 8]);
}

#[test]
fn a_list_that_never_fits_loses_no_more_than_the_task_that_does_not() {
    let [first, second, third] = list(&[
        Task::new(HEAP, 8),
        Task::new(HEAP + 0x200, 12),
        Task::new(HEAP + 0x400, 16),
    ])[..] else {
        panic!("three tasks");
    };
    let astray = Task {
        prev: HEAP + 0x1000,
        ..third
    };
    let memory = Memory::with(&[first, second, astray]);
    let scanned = scan_of(&memory).scan_memory(&mappings(), &[], &memory);
    let ids: Vec<u64> = scanned.headers.iter().map(|header| header.id.0).collect();
    assert_eq!((ids, scanned.torn), (vec![8, 12], 1));
}

#[test]
fn memory_that_is_too_much_is_counted() {
    let memory = Memory::with(&[Task::new(HEAP, 8)]);
    let huge = mapping(1 << 40, (1 << 40) + (5 << 30), true);
    let [heap, ..] = mappings();
    let scanned = scan_of(&memory).scan_memory(&[heap, huge], &[], &memory);
    assert_eq!(scanned.headers.len(), 1);
    assert_eq!(scanned.unseen, 5 << 30);
}

proptest! {
    #[test]
    fn no_memory_makes_it_panic(
        words in prop::collection::vec((0u64..SIZE / 8, prop_oneof![
            Just(VTABLE), 0u64..300, (0u64..SIZE / 128).prop_map(|n| HEAP + n * 128), any::<u64>(),
        ]), 0..2000),
        offsets in prop::collection::vec(prop_oneof![0u64..400, any::<u64>()], 3),
    ) {
        let memory = Memory::with(&[]);
        let words = words.into_iter().map(|(index, word)| (HEAP + index * 8, word));
        memory.words.borrow_mut().extend(words);
        memory.words.borrow_mut().extend((VTABLE + 56..).step_by(8).zip(offsets));
        scan_of(&memory).scan_memory(&mappings(), &[], &memory);
    }
}
