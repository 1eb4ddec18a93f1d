//! A list that changes at every read, as Tokio changes its own.

use super::*;
use crate::runtime::tokio::suspended::layout::TaskLayout;
use awaitscope_sampler::{Avma, ReadRequest};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

const POLL: u64 = 0x40_0000;
const VTABLE: u64 = 0x50_0000;
const LIST: u64 = 0x60_0000;
const HEAP: u64 = 0x100_0000;
const TRAILER: u64 = 0x100;
const OWNER: u64 = 7;
const ALIVE: u64 = 3 << 6;

const ENDS: EndsLayout = EndsLayout { head: 8, tail: 16 };
const CHAIN: Chain = Chain {
    owner: OWNER,
    address: LIST,
    ends: ENDS,
};
const TASK: TaskLayout = TaskLayout {
    vtable_size: 80,
    poll: 0,
    trailer_offset: 56,
    id_offset: 72,
    prev: 0,
    next: 8,
};

/// What happens to the list between two reads.
#[derive(Debug, Clone, Copy)]
enum Change {
    Push,
    /// Takes out the task at that place and frees its memory, which the next one gets.
    Remove(usize),
    /// The same, and the memory is used for something else.
    Overwrite(usize),
}

#[derive(Default)]
struct World {
    words: HashMap<u64, u64>,
    /// From head to tail.
    list: Vec<u64>,
    free: Vec<u64>,
    made: u64,
    ids: u64,
    /// From one task to the next in memory.
    stride: u64,
    changes: Vec<Vec<Change>>,
    /// Those that were in the list at some time, and those that left it.
    ever: HashSet<u64>,
    left: HashSet<u64>,
}

impl World {
    fn live(tasks: usize, stride: u64, changes: Vec<Vec<Change>>) -> Live {
        let mut world = Self {
            stride,
            ..Self::default()
        };
        let vtable = [(VTABLE, POLL), (VTABLE + 56, TRAILER), (VTABLE + 72, 40)];
        world.words.extend(vtable);
        for _ in 0..tasks {
            world.push();
        }
        world.changes = changes;
        Live(RefCell::new(world))
    }

    fn set(&mut self, at: u64, word: u64) {
        self.words.insert(at, word);
    }

    fn link(&mut self) {
        let ends = [self.list.first(), self.list.last()].map(|end| end.copied().unwrap_or(0));
        self.set(LIST + ENDS.head, ends[0]);
        self.set(LIST + ENDS.tail, ends[1]);
        let list = self.list.clone();
        for (index, task) in list.iter().enumerate() {
            let before = index.checked_sub(1).map_or(0, |index| list[index]);
            let after = list.get(index + 1).copied().unwrap_or(0);
            self.set(task + TRAILER, before);
            self.set(task + TRAILER + 8, after);
        }
    }

    fn push(&mut self) {
        let task = self.free.pop().unwrap_or_else(|| {
            self.made += 1;
            HEAP + self.made * self.stride
        });
        self.set(task, ALIVE);
        self.set(task + 16, VTABLE);
        self.set(task + 24, OWNER);
        self.ids += 1;
        self.set(task + 40, self.ids);
        self.list.insert(0, task);
        self.ever.insert(task);
        self.link();
    }

    fn remove(&mut self, index: usize) -> Option<u64> {
        if self.list.is_empty() {
            return None;
        }
        let task = self.list.remove(index % self.list.len());
        self.set(task + TRAILER, 0);
        self.set(task + TRAILER + 8, 0);
        // Nobody refers to it any more.
        self.set(task, 0b10);
        self.left.insert(task);
        self.link();
        Some(task)
    }

    fn change(&mut self) {
        for change in self.changes.pop().unwrap_or_default() {
            match change {
                Change::Push => self.push(),
                Change::Remove(index) => {
                    let task = self.remove(index);
                    self.free.extend(task);
                }
                Change::Overwrite(index) => {
                    if let Some(task) = self.remove(index) {
                        for word in (0..TRAILER + 16).step_by(8) {
                            self.set(task + word, 0x4141_4141_4141_4140);
                        }
                    }
                }
            }
        }
    }
}

struct Live(RefCell<World>);

impl ReadMemory for Live {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        let mut world = self.0.borrow_mut();
        for request in requests {
            let start = request.address.0;
            for (index, into) in request.into.chunks_mut(8).enumerate() {
                let at = start.wrapping_add(index as u64 * 8);
                let word = world.words.get(&at).copied().unwrap_or_default();
                into.copy_from_slice(&word.to_le_bytes()[..into.len()]);
            }
            request.done = true;
        }
        world.change();
    }
}

fn walked(world: &Live) -> Walked {
    let mut cells = Cells::new(TASK);
    cells.begin([Avma(POLL)].into(), [OWNER].into());
    let mut walked = walk(&[CHAIN], &mut cells, world);
    walked.remove(0)
}

#[test]
fn all_tasks_of_a_list_are_found_from_the_newest_to_the_oldest() {
    for stride in [0x200, 0x1000, 0x1fc0] {
        let world = World::live(100, stride, Vec::new());
        let walked = walked(&world);
        assert!(walked.complete);
        assert_eq!(walked.tasks, world.0.borrow().list);
    }
}

#[test]
fn a_task_that_leaves_while_we_stand_on_it_costs_no_other() {
    // The reads: the ends, the first task's page, its vtable, and a page each.
    let leave = |read: usize, index: usize| {
        let mut changes = vec![Vec::new(); 40];
        changes[39 - read] = vec![Change::Overwrite(index)];
        changes
    };
    for read in 1..12 {
        for index in 0..10 {
            let world = World::live(10, 0x1000, leave(read, index));
            let walked = walked(&world);
            assert!(walked.complete, "{read} {index}");
            let world = world.0.borrow();
            for task in &world.list {
                assert!(walked.tasks.contains(task), "{read} {index}");
            }
        }
    }
}

#[test]
fn a_list_whose_links_lead_round_in_a_circle_ends() {
    let world = World::live(20, 0x1000, Vec::new());
    {
        let mut world = world.0.borrow_mut();
        let (third, last) = (world.list[2], world.list[19]);
        world.set(last + TRAILER + 8, third);
        world.set(LIST + ENDS.tail, 0xdead_0000);
    }
    let walked = walked(&world);
    assert!(!walked.complete);
    assert_eq!(walked.tasks.len(), 20);
}

#[test]
fn a_list_of_another_number_has_none_of_our_tasks() {
    let world = World::live(5, 0x200, Vec::new());
    let stranger = world.0.borrow().list[2];
    world.0.borrow_mut().set(stranger + 24, OWNER + 1);
    let walked = walked(&world);
    assert!(!walked.complete);
    assert_eq!(walked.tasks.len(), 4, "{walked:?}");
    assert!(!walked.tasks.contains(&stranger));
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![
        3 => Just(Change::Push),
        2 => any::<usize>().prop_map(Change::Remove),
        1 => any::<usize>().prop_map(Change::Overwrite),
    ];
    let between = prop::collection::vec(change, 0..3);
    prop::collection::vec(between, 0..80)
}

proptest! {
    #[test]
    fn whatever_happens_those_that_stay_are_found_and_nobody_is_invented(
        tasks in 0usize..30,
        wide in any::<bool>(),
        changes in changes(),
    ) {
        let world = World::live(tasks, if wide { 0x1000 } else { 0x200 }, changes);
        let before = world.0.borrow().list.clone();
        let walked = walked(&world);
        let world = world.0.borrow();
        let distinct: HashSet<u64> = walked.tasks.iter().copied().collect();
        prop_assert_eq!(distinct.len(), walked.tasks.len());
        prop_assert!(distinct.is_subset(&world.ever));
        let stayed = before.iter().filter(|task| !world.left.contains(task));
        for task in stayed {
            prop_assert!(!walked.complete || distinct.contains(task), "{:#x}", task);
        }
    }

    #[test]
    fn memory_of_any_contents_is_walked_to_an_end(
        words in prop::collection::vec((0u64..64, 0u64..24), 0..200),
    ) {
        let world = World::live(6, 0x200, Vec::new());
        let list = world.0.borrow().list.clone();
        for (at, value) in words {
            let task = list[at as usize % list.len()];
            let places = [0, 16, 24, TRAILER, TRAILER + 8, 40];
            let place = task + places[at as usize / list.len() % places.len()];
            let values = [0, ALIVE, OWNER, VTABLE, LIST, u64::MAX, !63, 64];
            let value = list.iter().copied().chain(values).nth(value as usize);
            world.0.borrow_mut().set(place, value.unwrap_or(1));
        }
        let walked = walked(&world);
        let distinct: HashSet<u64> = walked.tasks.iter().copied().collect();
        prop_assert_eq!(distinct.len(), walked.tasks.len());
        prop_assert!(distinct.iter().all(|task| list.contains(task)));
    }
}
