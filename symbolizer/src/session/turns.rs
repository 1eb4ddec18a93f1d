//! How often workers turned: how many polls they did, nearly.
//!
//! A worker of Tokio counts the turns of its loop in a tick of 32 bits (8 before 1.26),
//! which pulses read with its progress (tokio
//! `runtime/scheduler/multi_thread/worker.rs`, `Context::run`). In each turn it polls a
//! task out of a queue, or finds none and goes to sleep; the kernel tells the sleeps.
//! Up to three more tasks that one has just woken are polled in the same turn: they
//! waited for nothing else, and are not counted.

use awaitscope_sampler::{Nanos, Tid};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

const SECOND: u64 = 1_000_000_000;

/// The most workers that are followed.
const MOST_WORKERS: usize = 4096;

/// The most seconds that are kept. A capture can claim any.
const MOST_SECONDS: usize = 1 << 20;

/// More turns than this between two pulses are none: the thread has taken on another
/// worker's loop.
const MOST_TURNS: u32 = 1 << 20;

/// A tick of eight bits comes round too soon to count by.
const NARROW: u32 = 0xff;

/// What all workers did in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns {
    /// How often their loops turned.
    pub turns: u64,
    /// How often they went to sleep.
    pub sleeps: u64,
}

/// Counts turns.
#[derive(Debug, Default)]
pub(super) struct TurnCounter {
    start: Nanos,
    last: HashMap<Tid, u32>,
    seconds: BTreeMap<u32, Turns>,
}

impl TurnCounter {
    pub fn new(start: Nanos) -> Self {
        Self {
            start,
            ..Self::default()
        }
    }

    /// How far a worker is.
    pub fn pulse(&mut self, tid: Tid, time: Nanos, epoch: u64) {
        // What is above is of a `LocalSet` within.
        let tick = (epoch & 0xffff_ffff) as u32;
        if self.last.len() >= MOST_WORKERS && !self.last.contains_key(&tid) {
            return;
        }
        let Some(last) = self.last.insert(tid, tick) else {
            return;
        };
        let turned = tick.wrapping_sub(last);
        if turned <= MOST_TURNS && (tick > NARROW || last > NARROW) {
            self.add(time, u64::from(turned), 0);
        }
    }

    /// A thread goes to sleep.
    pub fn sleep(&mut self, tid: Tid, time: Nanos) {
        if self.last.contains_key(&tid) {
            self.add(time, 0, 1);
        }
    }

    /// A thread ended.
    pub fn ends(&mut self, tid: Tid) {
        self.last.remove(&tid);
    }

    /// What was counted from a second on: all before is forgotten.
    pub fn since(&mut self, second: u32) -> BTreeMap<u32, Turns> {
        self.seconds = self.seconds.split_off(&second);
        self.seconds.clone()
    }

    /// What was counted, by second.
    pub fn finish(self) -> BTreeMap<u32, Turns> {
        self.seconds
    }

    fn add(&mut self, time: Nanos, turns: u64, sleeps: u64) {
        let second = time.since(self.start).0 / SECOND;
        let second = u32::try_from(second).unwrap_or(u32::MAX);
        if self.seconds.len() >= MOST_SECONDS && !self.seconds.contains_key(&second) {
            return;
        }
        let sum = self.seconds.entry(second).or_default();
        sum.turns += turns;
        sum.sleeps += sleeps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(ticks: &[u64]) -> u64 {
        let mut counter = TurnCounter::new(Nanos::ZERO);
        for (at, tick) in ticks.iter().enumerate() {
            counter.pulse(Tid(1), Nanos(at as u64), *tick);
        }
        counter.finish().values().map(|sum| sum.turns).sum()
    }

    #[test]
    fn turns_are_counted_through_the_end_of_the_tick() {
        assert_eq!(count(&[1000, 1010, 1010, 1500]), 500);
        assert_eq!(count(&[0xffff_fff0, 4]), 20);
        assert_eq!(
            count(&[0x7_0000_1000, 0x9_0000_1005]),
            5,
            "a `LocalSet` within"
        );
    }

    #[test]
    fn another_loop_and_a_narrow_tick_count_for_nothing() {
        assert_eq!(count(&[1000, 0xf000_0000, 0xf000_0007]), 7);
        assert_eq!(count(&[10, 200, 3, 180]), 0);
    }

    #[test]
    fn only_workers_sleeps_are_counted() {
        let mut counter = TurnCounter::new(Nanos::ZERO);
        counter.pulse(Tid(1), Nanos(1), 1000);
        counter.sleep(Tid(1), Nanos(2 * SECOND));
        counter.sleep(Tid(2), Nanos(2 * SECOND));
        let seconds = counter.finish();
        assert_eq!(seconds[&2].sleeps, 1);
    }
}
