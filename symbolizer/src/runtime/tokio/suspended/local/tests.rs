//! A made-up process of one thread, which sleeps on a `LocalSet`.

use super::*;
use crate::module::{AddressSpace, Binaries};
use crate::runtime::ThreadBase;
use crate::runtime::tokio::suspended::layout::EndsLayout;
use awaitscope_sampler::{
    Avma, BlockedThread, Error, Mapped, Mapping, Permissions, Pid, Process, ReadRequest,
};
use proptest::prelude::*;
use std::cell::RefCell;

const STACK_AT: u64 = 0x20_0000;
const SP: u64 = 0x20_1000;
const HEAP: u64 = 0x10_0000;
const SIZE: u64 = 0x2000;
const BASE: u64 = STACK_AT + SIZE - 0x100;
const THREAD: u64 = 9;
const OWNER: u64 = 4;

const LAYOUT: LocalSetLayout = LocalSetLayout {
    tls_offset: 0x20,
    context: 8,
    shared: 16,
    strong: 0,
    thread_id: 16,
    id: 24,
    ends: EndsLayout { head: 32, tail: 40 },
    queued: 48,
};

/// Words of a stack and a heap; all others are zero.
struct Made(RefCell<HashMap<u64, u64>>);

impl ReadMemory for Made {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            let start = request.address.0;
            let end = start.saturating_add(request.into.len() as u64);
            let inside = |from: u64| start >= from && end <= from + SIZE;
            request.done = inside(STACK_AT) || inside(HEAP);
            if !request.done {
                continue;
            }
            let words = self.0.borrow();
            for (at, into) in (start..).step_by(8).zip(request.into.chunks_mut(8)) {
                let word = words.get(&at).copied().unwrap_or_default();
                into.copy_from_slice(&word.to_le_bytes()[..into.len()]);
            }
        }
    }
}

impl Process for Made {
    fn pid(&self) -> Pid {
        Pid(1)
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Error> {
        Ok(mappings())
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        Ok(vec![Tid(1)])
    }

    fn thread_name(&self, _: Tid) -> Option<String> {
        None
    }

    fn blocked_in(&self, _: Tid) -> Option<BlockedThread> {
        Some(BlockedThread {
            syscall: None,
            sp: Avma(SP),
            ip: Avma(0),
        })
    }
}

fn mappings() -> Vec<Mapping> {
    let mapping = |start: u64| Mapping {
        start: Avma(start),
        end: Avma(start + SIZE),
        file_offset: 0,
        permissions: Permissions {
            read: true,
            write: true,
            execute: false,
        },
        what: Mapped::Anonymous { name: None },
    };
    vec![mapping(HEAP), mapping(STACK_AT)]
}

fn sets() -> LocalSets {
    LocalSets {
        layout: LAYOUT,
        block: 0x80,
        thread_id: 0x28,
        known: BTreeMap::new(),
        pauses: HashMap::new(),
    }
}

fn read(sets: &mut LocalSets, process: &Made) -> Vec<LocalSet> {
    let space = AddressSpace::new(Binaries::OfProcess(Pid(1)), Default::default());
    let threads = [ThreadBase {
        tid: Tid(1),
        tls_base: Avma(BASE),
    }];
    sets.read(&SeenThreads {
        threads: &threads,
        space: &space,
        mappings: &mappings(),
        process,
    })
}

const SHARED: u64 = HEAP + 0x400;
const CONTEXT: u64 = HEAP + 0x200;
const SET: u64 = HEAP + 0x100;
const TASK: u64 = HEAP + 0x800;

/// A set with one task, and what of it the stack points to.
fn process(on_stack: u64) -> Made {
    let words = [
        (BASE - 0x80 + 0x28, THREAD),
        (SP + 0x40, on_stack),
        (SET + LAYOUT.context, CONTEXT),
        (CONTEXT + LAYOUT.shared, SHARED),
        (SHARED, 2),
        (SHARED + LAYOUT.thread_id, THREAD),
        (SHARED + LAYOUT.id, OWNER),
        (SHARED + LAYOUT.ends.head, TASK),
        (SHARED + LAYOUT.ends.tail, TASK),
        (SHARED + LAYOUT.queued, 1),
        (TASK + Header::OWNER, OWNER),
    ];
    Made(RefCell::new(words.into()))
}

#[test]
fn a_set_that_nobody_polls_is_found_on_the_stack_of_its_thread() {
    for on_stack in [SET, CONTEXT, SHARED] {
        let found = read(&mut sets(), &process(on_stack));
        let [set] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(set.chain.owner, OWNER);
        assert_eq!(set.chain.address, SHARED);
        assert_eq!(set.queued, 1);
    }
}

#[test]
fn a_set_that_is_polled_is_found_without_the_stack() {
    let made = process(0);
    let place = BASE - 0x80 + LAYOUT.tls_offset;
    made.0.borrow_mut().insert(place, CONTEXT);
    assert_eq!(read(&mut sets(), &made).len(), 1);
}

#[test]
fn what_belongs_to_another_thread_or_has_strange_tasks_is_no_set() {
    for place in [SHARED + LAYOUT.thread_id, TASK + Header::OWNER] {
        let made = process(SET);
        made.0.borrow_mut().insert(place, 77);
        assert_eq!(read(&mut sets(), &made), []);
    }
}

#[test]
fn a_set_is_remembered_while_it_is_there() {
    let made = process(SET);
    let mut sets = sets();
    assert_eq!(read(&mut sets, &made).len(), 1);
    made.0.borrow_mut().remove(&(SP + 0x40));
    // Empty, it is still the same.
    for end in [LAYOUT.ends.head, LAYOUT.ends.tail] {
        made.0.borrow_mut().remove(&(SHARED + end));
    }
    assert_eq!(read(&mut sets, &made).len(), 1);
    // Its last reference is gone.
    made.0.borrow_mut().remove(&SHARED);
    assert_eq!(read(&mut sets, &made), []);
}

#[test]
fn a_stack_without_sets_is_looked_at_less_and_less() {
    let made = process(0);
    let mut sets = sets();
    for _ in 0..20 {
        assert_eq!(read(&mut sets, &made), []);
    }
    made.0.borrow_mut().insert(SP + 0x40, SET);
    let found = (0..=2 * LONGEST_PAUSE).find(|_| !read(&mut sets, &made).is_empty());
    assert!(found.is_some_and(|round| round > 0), "{found:?}");
}

proptest! {
    #[test]
    fn a_stack_of_any_contents_gives_at_most_what_is_there(
        words in prop::collection::vec((0u64..SIZE / 8, any::<u64>(), 0u64..SIZE / 8, any::<bool>()), 0..300),
    ) {
        let made = process(SET);
        for (at, any, inside, stack) in words {
            let place = if stack { STACK_AT + at * 8 } else { HEAP + 0x1000 + at % 512 * 8 };
            let value = if any % 2 == 0 { HEAP + inside * 8 } else { any };
            if place != SP + 0x40 && place < BASE - 0x80 {
                made.0.borrow_mut().insert(place, value);
            }
        }
        let found = read(&mut sets(), &made);
        prop_assert!(found.iter().any(|set| set.chain.address == SHARED));
        prop_assert!(found.len() < 3, "{found:?}");
    }
}
