//! Sums of samples, held within a fixed number of entries however long the
//! recording is and however many tasks it sees.

use super::stacks::StackId;
use crate::runtime::TaskId;
use awaitscope_sampler::{Nanos, Tid};
use std::collections::HashMap;

/// The most sums that are kept, at some fifty bytes each.
pub(super) const MOST: usize = 400_000;

/// When room is short, so many tasks are still kept one by one: those that used
/// the most time.
const TASKS_KEPT: usize = 10_000;

/// The longest stretch of time, in seconds, that is made one.
const LONGEST_STRETCH: u32 = 1 << 12;

/// Whose samples they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    /// No task with an id.
    Nobody,
    /// One task.
    Task(TaskId),
    /// Tasks that are not kept one by one.
    Others,
}

impl Owner {
    pub fn task(self) -> Option<TaskId> {
        match self {
            Self::Task(task) => Some(task),
            Self::Nobody | Self::Others => None,
        }
    }
}

/// What samples must have in common to be summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupKey {
    pub stack: StackId,
    pub owner: Owner,
    pub tid: Tid,
    /// The second in which the stretch of time begins.
    pub second: u32,
}

/// The CPU time that samples stand for, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Weight {
    pub time: Nanos,
    pub count: u32,
}

impl Weight {
    fn add(&mut self, other: Self) {
        self.time = self.time + other.time;
        self.count = self.count.saturating_add(other.count);
    }
}

/// A sum of samples and the index of its named stack.
pub(super) type Group = (GroupKey, Weight, usize);

/// All sums.
#[derive(Debug)]
pub(super) struct Groups {
    sums: HashMap<GroupKey, Weight>,
    /// How many seconds are one stretch.
    stretch: u32,
    /// Room cannot be made any more.
    crowded: bool,
    limit: usize,
    tasks_kept: usize,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            sums: HashMap::new(),
            stretch: 1,
            crowded: false,
            limit: MOST,
            tasks_kept: TASKS_KEPT,
        }
    }
}

impl Groups {
    /// Adds to a sum. Where there is no room for another, the time goes to the
    /// stack that called: `outer` tells which that is.
    pub fn add(
        &mut self,
        mut key: GroupKey,
        weight: Weight,
        outer: impl Fn(StackId) -> Option<StackId>,
    ) {
        key.second -= key.second % self.stretch;
        if self.sums.len() >= self.limit && !self.sums.contains_key(&key) {
            if !self.crowded {
                self.make_room();
                key.second -= key.second % self.stretch;
            }
            while self.sums.len() >= self.limit && !self.sums.contains_key(&key) {
                match outer(key.stack) {
                    Some(stack) => key.stack = stack,
                    None => break,
                }
            }
        }
        self.sums.entry(key).or_default().add(weight);
    }

    /// The stacks that have sums.
    pub fn stacks(&self) -> impl Iterator<Item = StackId> {
        self.sums.keys().map(|key| key.stack)
    }

    /// How many sums there are.
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Stacks have become others.
    pub fn fold(&mut self, become_of: &[StackId]) {
        self.rekey(|mut key| {
            key.stack = become_of[key.stack.0 as usize];
            key
        });
        self.crowded &= self.sums.len() >= self.limit;
    }

    /// How many seconds are summed in one stretch.
    pub fn stretch(&self) -> u32 {
        self.stretch
    }

    /// How many samples belong to tasks that are not kept one by one.
    pub fn summed_tasks(&self) -> u64 {
        let others = self
            .sums
            .iter()
            .filter(|(key, _)| key.owner == Owner::Others);
        others.map(|(_, weight)| u64::from(weight.count)).sum()
    }

    /// Whether time went to callers for want of room.
    pub fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The sums from a second on: all others are forgotten.
    pub fn since(&mut self, second: u32) -> Vec<(GroupKey, Weight)> {
        self.sums.retain(|key, _| key.second >= second);
        self.crowded &= self.sums.len() >= self.limit;
        let mut sums: Vec<_> = self.sums.iter().map(|(key, sum)| (*key, *sum)).collect();
        sums.sort_unstable_by_key(|(key, _)| *key);
        sums
    }

    /// All sums, in order.
    pub fn into_sums(self) -> Vec<(GroupKey, Weight)> {
        let mut sums: Vec<_> = self.sums.into_iter().collect();
        sums.sort_unstable_by_key(|(key, _)| *key);
        sums
    }

    /// Gives up resolution in time first, then in tasks, then more of time.
    fn make_room(&mut self) {
        let enough = self.limit - self.limit / 4;
        self.widen();
        if self.sums.len() > enough {
            self.sum_light_tasks();
        }
        while self.sums.len() > enough && self.stretch < LONGEST_STRETCH {
            self.widen();
        }
        self.crowded = self.sums.len() > enough;
    }

    fn widen(&mut self) {
        self.stretch = self.stretch.saturating_mul(2).min(LONGEST_STRETCH);
        let stretch = self.stretch;
        self.rekey(|mut key| {
            key.second -= key.second % stretch;
            key
        });
    }

    fn sum_light_tasks(&mut self) {
        let mut times: HashMap<TaskId, Nanos> = HashMap::new();
        for (key, weight) in &self.sums {
            if let Owner::Task(task) = key.owner {
                let time = times.entry(task).or_default();
                *time = *time + weight.time;
            }
        }
        let mut heaviest: Vec<(Nanos, TaskId)> =
            times.iter().map(|(task, time)| (*time, *task)).collect();
        heaviest.sort_unstable_by(|one, other| other.cmp(one));
        for (_, light) in heaviest.drain(heaviest.len().min(self.tasks_kept)..) {
            times.remove(&light);
        }
        self.rekey(|mut key| {
            if key
                .owner
                .task()
                .is_some_and(|task| !times.contains_key(&task))
            {
                key.owner = Owner::Others;
            }
            key
        });
    }

    fn rekey(&mut self, change: impl Fn(GroupKey) -> GroupKey) {
        let before = std::mem::take(&mut self.sums);
        for (key, weight) in before {
            self.sums.entry(change(key)).or_default().add(weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Groups {
        Groups {
            limit: 100,
            tasks_kept: 5,
            ..Groups::default()
        }
    }

    fn key(stack: u32, task: u64, second: u32) -> GroupKey {
        GroupKey {
            stack: StackId(stack),
            owner: Owner::Task(TaskId(task)),
            tid: Tid(1),
            second,
        }
    }

    fn one() -> Weight {
        Weight {
            time: Nanos(10),
            count: 1,
        }
    }

    fn total(groups: &Groups) -> u64 {
        groups.sums.values().map(|weight| weight.time.0).sum()
    }

    #[test]
    fn a_long_recording_gives_up_seconds_before_tasks() {
        let mut groups = small();
        for second in 0..1000 {
            for task in 0..3 {
                groups.add(key(7, task, second), one(), |_| None);
            }
        }
        assert!(groups.sums.len() <= 100);
        assert!(groups.stretch() > 1);
        assert!(groups.sums.keys().all(|key| key.owner != Owner::Others));
        assert_eq!(total(&groups), 3 * 1000 * 10);
    }

    #[test]
    fn of_a_million_short_tasks_the_heaviest_are_kept() {
        let mut groups = small();
        for task in 100..1_000_000 {
            groups.add(key(7, task, task as u32 / 10_000), one(), |_| None);
            groups.add(key(7, task % 3, task as u32 / 10_000), one(), |_| None);
        }
        assert!(groups.sums.len() <= 100);
        for task in 0..3 {
            let kept = |key: &GroupKey| key.owner == Owner::Task(TaskId(task));
            assert!(groups.sums.keys().any(kept), "task {task} is gone");
        }
        assert_eq!(total(&groups), 2 * 999_900 * 10);
    }

    #[test]
    fn sums_of_stacks_that_have_become_one_are_one() {
        let mut groups = small();
        for stack in 0..10 {
            groups.add(key(stack, 1, 0), one(), |_| None);
        }
        groups.fold(&[StackId(4); 10]);
        assert_eq!(groups.len(), 1);
        assert_eq!(total(&groups), 10 * 10);
    }

    #[test]
    fn when_nothing_else_helps_time_goes_to_the_caller() {
        let mut groups = small();
        for stack in 0..1000 {
            groups.add(key(stack, 1, 0), one(), |inner| {
                (inner != StackId(0)).then_some(StackId(0))
            });
        }
        assert!(groups.sums.len() <= 101);
        assert_eq!(total(&groups), 1000 * 10);
        assert!(groups.sums[&key(0, 1, 0)].count > 800);
    }
}
