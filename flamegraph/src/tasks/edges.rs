//! Who waits for whom.

use super::{TaskList, WaitedFor};
use std::collections::HashMap;

/// What tasks have to do with each other.
#[derive(Debug)]
pub(super) struct Edges {
    by_address: HashMap<u64, u32>,
    /// The tasks that wait for a task.
    awaited_by: HashMap<u32, Vec<u32>>,
    /// The tasks that hold a lock.
    holders: HashMap<u64, Vec<u32>>,
}

impl Edges {
    pub(super) fn of(list: &TaskList) -> Self {
        // There are fewer than 2³² tasks: each takes some of the memory that we have.
        let tasks = || (0..).zip(&list.tasks);
        let by_address: HashMap<u64, u32> =
            tasks().map(|(index, task)| (task.address, index)).collect();
        let mut awaited_by: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut holders: HashMap<u64, Vec<u32>> = HashMap::new();
        for (index, task) in tasks() {
            for wait in &task.waits {
                let WaitedFor::Task(address) = wait.on else {
                    continue;
                };
                let Some(awaited) = by_address.get(&address) else {
                    continue;
                };
                let waiters = awaited_by.entry(*awaited).or_default();
                // A task can wait for another at several leaves, which stand together.
                if waiters.last() != Some(&index) {
                    waiters.push(index);
                }
            }
            for lock in &task.holds {
                holders.entry(*lock).or_default().push(index);
            }
        }
        Self {
            by_address,
            awaited_by,
            holders,
        }
    }

    /// The task at an address.
    pub(super) fn task_at(&self, address: u64) -> Option<u32> {
        self.by_address.get(&address).copied()
    }

    /// The tasks that wait for a task.
    pub(super) fn awaited_by(&self, task: u32) -> &[u32] {
        self.awaited_by.get(&task).map_or(&[], Vec::as_slice)
    }

    /// The tasks that hold the lock at an address.
    pub(super) fn holders(&self, lock: u64) -> &[u32] {
        self.holders.get(&lock).map_or(&[], Vec::as_slice)
    }
}
