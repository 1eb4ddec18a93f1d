//! Stalls, one by one as long as there is room.

use crate::profile::{Cause, KindId, StackId, Stall, StallSum, ThreadId, limits};
use std::collections::HashMap;

/// What summed stalls have in common.
type Likeness = (
    Option<KindId>,
    ThreadId,
    Cause,
    Option<String>,
    Option<StackId>,
);

/// What is summed of stalls.
struct Totals {
    count: u64,
    total_ns: u64,
    max_ns: u64,
}

#[derive(Debug, Default)]
pub(super) struct Stalls {
    kept: Vec<Stall>,
    sums: HashMap<Likeness, StallSum>,
    uncounted: u64,
    total_ns: u64,
}

impl Stalls {
    pub(super) fn add(&mut self, mut stall: Stall) {
        self.bound(&mut stall);
        if self.kept.len() < limits::STALLS {
            self.kept.push(stall);
            return;
        }
        let heaviest = stall.stacks.iter().max_by_key(|&&(_, ns)| ns);
        let stack = heaviest.map(|&(stack, _)| stack);
        let likeness = (stall.kind, stall.thread, stall.cause, stall.syscall, stack);
        self.sum(
            likeness,
            Totals {
                count: 1,
                total_ns: stall.duration_ns,
                max_ns: stall.duration_ns,
            },
        );
    }

    /// Adds stalls that another profile kept only as a sum.
    pub(super) fn add_sum(&mut self, sum: StallSum) {
        let total_ns = sum.total_ns.min(limits::TIME - self.total_ns);
        self.total_ns += total_ns;
        let likeness = (sum.kind, sum.thread, sum.cause, sum.syscall, sum.stack);
        self.sum(
            likeness,
            Totals {
                count: sum.count,
                total_ns,
                max_ns: sum.max_ns,
            },
        );
    }

    fn sum(&mut self, likeness: Likeness, totals: Totals) {
        if self.sums.len() >= limits::STALLS && !self.sums.contains_key(&likeness) {
            self.uncounted = self.uncounted.saturating_add(totals.count);
            return;
        }
        let (kind, thread, cause, _, stack) = likeness;
        let sum = self
            .sums
            .entry(likeness)
            .or_insert_with_key(|likeness| StallSum {
                kind,
                thread,
                cause,
                syscall: likeness.3.clone(),
                stack,
                count: 0,
                total_ns: 0,
                max_ns: 0,
            });
        sum.count = sum.count.saturating_add(totals.count);
        sum.total_ns += totals.total_ns;
        sum.max_ns = sum.max_ns.max(totals.max_ns);
    }

    /// Keeps the heaviest stacks only, and all times within bounds.
    fn bound(&mut self, stall: &mut Stall) {
        if stall.stacks.len() > limits::STALL_STACKS {
            stall.stacks.sort_by_key(|&(_, ns)| std::cmp::Reverse(ns));
            stall.stacks.truncate(limits::STALL_STACKS);
        }
        let room = limits::TIME - self.total_ns;
        stall.duration_ns = stall.duration_ns.min(room);
        self.total_ns += stall.duration_ns;
        stall.start_ns = stall.start_ns.min(limits::TIME);
        stall.uncertainty_ns = stall.uncertainty_ns.min(limits::TIME);
        let mut left = stall.duration_ns;
        for (_, ns) in &mut stall.stacks {
            *ns = (*ns).min(left);
            left -= *ns;
        }
    }

    pub(super) fn count(&self) -> u64 {
        let summed: u64 = self.sums.values().map(|sum| sum.count).sum();
        self.kept.len() as u64 + summed + self.uncounted
    }

    pub(super) fn remark(&self, notes: &mut Vec<String>) {
        if !self.sums.is_empty() {
            notes.push(format!(
                "the first {} stalls are kept one by one, all later ones as sums",
                limits::STALLS
            ));
        }
        if self.uncounted > 0 {
            notes.push(format!(
                "{} stalls were too many of too many sorts to be kept",
                self.uncounted
            ));
        }
    }

    pub(super) fn finish(mut self) -> (Vec<Stall>, Vec<StallSum>) {
        self.kept
            .sort_by_key(|stall| (stall.start_ns, stall.thread));
        let mut sums: Vec<(Likeness, StallSum)> = self.sums.into_iter().collect();
        sums.sort_by(|(left, _), (right, _)| left.cmp(right));
        (self.kept, sums.into_iter().map(|(_, sum)| sum).collect())
    }
}
