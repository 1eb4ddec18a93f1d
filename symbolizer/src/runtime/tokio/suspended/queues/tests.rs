//! Queues as they stand in memory, and as nobody would make them.

use super::*;
use awaitscope_sampler::ReadRequest;
use proptest::prelude::*;
use std::collections::HashMap;

const POOL: u64 = 0x1000;
const BUFFER: u64 = 0x8000;

/// Any address can be read: what is not there is zero.
struct Made(HashMap<u64, u64>);

impl ReadMemory for Made {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            let start = request.address.0;
            for (index, into) in request.into.chunks_mut(8).enumerate() {
                let at = start.wrapping_add(index as u64 * 8);
                let word = self.0.get(&at).copied().unwrap_or_default();
                into.copy_from_slice(&word.to_le_bytes()[..into.len()]);
            }
            request.done = true;
        }
    }
}

fn layout() -> PoolLayout {
    let deque = DequeLayout {
        head: 16,
        length: 24,
        buffer: 8,
        capacity: 0,
    };
    PoolLayout {
        pointer: 0,
        depth: 0x100,
        queue: Some((
            0x40,
            Tagged {
                tag: Some((32, 8)),
                arms: vec![(Some(0), Some(deque)), (Some(1), None)],
            },
        )),
        stride: 16,
        task: 0,
    }
}

fn tasks(words: [(u64, u64); 4], tasks: &[(u64, u64)]) -> Option<Vec<u64>> {
    let deque = words.map(|(offset, word)| (POOL + 0x40 + offset, word));
    let tasks = tasks
        .iter()
        .map(|(index, task)| (BUFFER + index * 16, *task));
    let memory = Made(deque.into_iter().chain(tasks).collect());
    let layout = layout();
    let mut words = Words::default();
    layout.ask(POOL, &mut words);
    layout.tasks(POOL, &words.read(&memory), &memory)
}

#[test]
fn a_queue_that_goes_round_its_buffers_end_is_read_in_order() {
    let words = [(0, 4), (8, BUFFER), (16, 3), (24, 3)];
    let found = tasks(words, &[(3, 30), (0, 31), (1, 32), (2, 99)]);
    assert_eq!(found, Some(vec![30, 31, 32]));
}

#[test]
fn a_queue_of_another_sort_is_not_guessed_at() {
    let words = [(0, 4), (8, BUFFER), (32, 1), (24, 3)];
    assert_eq!(tasks(words, &[]), None);
}

#[test]
fn a_queue_that_claims_billions_of_tasks_costs_no_more_than_a_long_one() {
    let words = [(0, 1 << 39), (8, BUFFER), (16, 0), (24, 1 << 38)];
    let found = tasks(words, &[]).unwrap_or_default();
    assert_eq!(found.len() as u64, MOST_QUEUED);
    // More in it than there is room for.
    let words = [(0, 4), (8, BUFFER), (16, 0), (24, 5)];
    assert_eq!(tasks(words, &[]), None);
}

#[test]
fn a_worker_counts_what_its_queue_holds_and_what_it_runs_next() {
    let workers = WorkersLayout {
        list: 0,
        stride: 32,
        queue: 8,
        head: 16,
        tail: 24,
    };
    let layout = QueueLayout {
        injection: Some(8),
        workers: Some(workers),
        pool: None,
    };
    let core = Core {
        scheduler: POOL,
        address: 0x5000,
        layout: CoreLayout {
            length: None,
            next: Some(8),
        },
    };
    // The second one's numbers go round the end of 32 bits, and some are being stolen.
    let memory = Made(HashMap::from([
        (POOL, 0x2000),
        (POOL + 8, 7),
        (0x2008, 0x3000),
        (0x2028, 0x4000),
        (0x3010, 5 << 32 | 5),
        (0x3018, 9),
        (0x4010, 0xffff_fff0 << 32 | 0xffff_fffe),
        (0x4018, 2),
        (0x5008, 0x7777),
    ]));
    let scheduler = Scheduler::of_workers(2);
    let queued = read(&[(POOL, &scheduler, &layout)], &[core], &memory);
    let expected = Queues {
        local: Some(4 + 4 + 1),
        injection: Some(7),
        blocking: None,
    };
    assert_eq!(queued[0].queues, expected);
}

proptest! {
    #[test]
    fn no_queue_makes_us_panic_or_read_without_end(words in any::<[u64; 4]>()) {
        let [capacity, buffer, head, length] = words;
        let words = [(0, capacity), (8, buffer), (16, head), (24, length)];
        let found = tasks(words, &[]);
        prop_assert!(found.is_none_or(|tasks| tasks.len() as u64 <= MOST_QUEUED));
    }
}
