//! Keeps a list short without losing what it says.

use super::groups::Shape;
use super::{ListedTask, Omitted, TaskList};
use std::collections::HashMap;

impl TaskList {
    /// Keeps at most `most` tasks one by one, with at most `most_waits` waits together,
    /// of every shape some. The others are counted, as waiting like one that is kept.
    #[must_use]
    pub fn bounded(mut self, most: usize, most_waits: usize) -> Self {
        let waits: usize = self.tasks.iter().map(weight).sum();
        if self.tasks.len() <= most && waits <= most_waits {
            return self;
        }
        let order = self.fairly();
        let tasks = std::mem::take(&mut self.tasks);
        let mut keep = vec![false; tasks.len()];
        let (mut room, mut room_of_waits) = (most, most_waits);
        for index in order {
            let weight = weight(&tasks[index]);
            if room > 0 && weight <= room_of_waits {
                room -= 1;
                room_of_waits -= weight;
                keep[index] = true;
            }
        }
        let mut like: HashMap<Shape, u32> = HashMap::new();
        let mut gone: HashMap<Shape, u64> = HashMap::new();
        for (task, keep) in tasks.into_iter().zip(keep) {
            let shape = Shape::of(&task);
            if keep {
                // There are at most as many as there were tasks, which are fewer than 2³².
                like.entry(shape).or_insert(self.tasks.len() as u32);
                self.tasks.push(task);
            } else {
                *gone.entry(shape).or_default() += 1;
            }
        }
        let mut omitted: Vec<Omitted> = gone
            .into_iter()
            .map(|(shape, count)| Omitted {
                kind: shape.kind,
                state: shape.state,
                count,
                like: like.get(&shape).copied(),
            })
            .collect();
        omitted.sort_unstable_by_key(|rest| (rest.like, rest.kind, rest.state));
        // Those without a likeness are told apart by no more than their kind and state.
        omitted.dedup_by(|next, kept| {
            let same = next.like.is_none()
                && kept.like.is_none()
                && (next.kind, next.state) == (kept.kind, kept.state);
            if same {
                kept.count += next.count;
            }
            same
        });
        self.omitted.extend(omitted);
        self
    }

    /// The places of all tasks: first one of each shape, then a second of each, and so
    /// on.
    fn fairly(&self) -> Vec<usize> {
        let mut seen: HashMap<Shape, usize> = HashMap::new();
        let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(self.tasks.len());
        for (index, task) in self.tasks.iter().enumerate() {
            let rank = seen.entry(Shape::of(task)).or_default();
            ranked.push((*rank, index));
            *rank += 1;
        }
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, index)| index).collect()
    }
}

fn weight(task: &ListedTask) -> usize {
    task.waits.len() + task.holds.len()
}
