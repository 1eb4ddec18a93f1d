//! What a session saw in the last while, for those who watch it go on: the same as its
//! outcome, of the last seconds only, and what was before is forgotten. So a session can go
//! on for as long as somebody likes to watch.

use super::Session;
use super::kept::Kept;
use super::naming::{Named, StackNamer};
use super::outcome::{Accumulated, Outcome, Quality};
use super::stacks::StackId;
use awaitscope_sampler::{Nanos, Tid};
use std::collections::VecDeque;

const SECOND: u64 = 1_000_000_000;

/// When so many stacks were kept, those that nobody uses any more are forgotten.
const STACKS: usize = 60_000;

/// When so many were named, they are named anew.
const NAMED: usize = 20_000;

/// How good the data was at each look back.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<(Nanos, Quality)>);

impl Marks {
    /// What came since a moment, as nearly as the last looks back tell it.
    fn since(&mut self, begin: Nanos, now: Nanos, quality: Quality) -> Quality {
        while self.0.get(1).is_some_and(|(time, _)| *time <= begin) {
            self.0.pop_front();
        }
        let first = self.0.front().filter(|(time, _)| *time <= begin);
        let earlier = first.map_or_else(Quality::default, |(_, quality)| *quality);
        self.0.push_back((now, quality));
        quality.since(earlier)
    }
}

impl Session {
    /// What was seen since a moment, as if the recording had begun with the full second
    /// (counted from its start) that the moment lies in. Forgets all before: later calls can
    /// ask for nothing earlier. Polls that go on are told with what was seen of them.
    pub fn recent(&mut self, since: Nanos) -> Outcome {
        let start = self.seen.start;
        let second = u32::try_from(since.since(start).0 / SECOND).unwrap_or(u32::MAX);
        let begin = Nanos(start.0.saturating_add(u64::from(second) * SECOND));
        let now = self.horizon.max(self.last);
        self.seen.settle(now);
        self.seen.forget(second);
        let stalls = self.stalls.since(begin, now);
        let quality = self.marks.since(begin, now, self.seen.quality);
        let kept = self.seen.since(second, begin, quality);
        if self.named.stacks.len() > NAMED {
            self.named = Named::default();
        }
        let reader = StackNamer::new(
            &self.seen.table,
            &self.space,
            &self.names,
            &self.scripts,
            &self.runtimes,
            &*self.process,
            &mut self.named,
        );
        let outcome = kept.outcome(stalls, reader, Named::copied, &self.space, &self.runtimes);
        if self.seen.table.len() > STACKS {
            self.sweep();
        }
        outcome
    }

    /// Until when all is known.
    #[must_use]
    pub fn horizon(&self) -> Nanos {
        self.horizon.max(self.last)
    }

    /// Forgets the stacks that nothing leads to any more.
    fn sweep(&mut self) {
        let mut used: Vec<StackId> = self.seen.groups.stacks().collect();
        self.stalls.each_stack(|stack| used.push(*stack));
        let become_of = self.seen.table.keep(used);
        self.seen.groups.fold(&become_of);
        self.stalls.fold(&become_of);
        self.named.forget_ids();
    }
}

impl Accumulated {
    /// Counts the time of whoever is on a CPU up to now.
    fn settle(&mut self, now: Nanos) {
        let on_cpu = self
            .threads
            .iter()
            .filter(|(_, seen)| seen.on_since.is_some());
        let tids: Vec<Tid> = on_cpu.map(|(tid, _)| *tid).collect();
        for tid in tids {
            self.switch_out(tid, now);
            self.switch_in(tid, now);
        }
    }

    /// Forgets what threads did before a second, and threads of which nothing is left.
    fn forget(&mut self, second: u32) {
        let mut seconds = 0;
        self.threads.retain(|_, thread| {
            thread.on_cpu = thread.on_cpu.split_off(&second);
            seconds += thread.on_cpu.len();
            !(thread.ended && thread.on_cpu.is_empty())
        });
        self.seconds = seconds;
    }

    /// What is kept from a second on, counted from there.
    fn since(&mut self, second: u32, begin: Nanos, quality: Quality) -> Kept {
        let mut sums = self.groups.since(second);
        for (key, _) in &mut sums {
            key.second = key.second.saturating_sub(second);
        }
        let mut threads = self.threads.clone();
        for thread in threads.values_mut() {
            let on_cpu = std::mem::take(&mut thread.on_cpu).into_iter();
            thread.on_cpu = on_cpu.map(|(at, time)| (at - second, time)).collect();
        }
        let turns = self.turns.since(second).into_iter();
        Kept {
            sums,
            threads,
            turns: turns.map(|(at, turns)| (at - second, turns)).collect(),
            quality,
            start: begin,
            stretch: self.groups.stretch(),
            notes: self.notes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: Tid = Tid(7);
    const BRIEF: Tid = Tid(8);

    fn at(seconds: u64) -> Nanos {
        Nanos(seconds * SECOND)
    }

    /// A worker that is on a CPU from the first second on, and a thread that was there for
    /// the first and ended.
    fn accumulated() -> Accumulated {
        let mut seen = Accumulated::new(Nanos::ZERO);
        for tid in [WORKER, BRIEF] {
            seen.thread(tid);
            seen.switch_in(tid, Nanos::ZERO);
        }
        seen.thread_ends(BRIEF, at(1));
        seen
    }

    fn look_back(seen: &mut Accumulated, from: u64, now: u64) -> Kept {
        seen.settle(at(now));
        seen.forget(from as u32);
        seen.since(from as u32, at(from), Quality::default())
    }

    #[test]
    fn a_thread_that_goes_on_running_has_its_time_and_none_twice() {
        let mut seen = accumulated();
        for now in 1..20 {
            let from = u64::saturating_sub(now, 5);
            let kept = look_back(&mut seen, from, now);
            let worker = &kept.threads[&WORKER];
            let total: u64 = worker.on_cpu.values().map(|time| time.0).sum();
            assert_eq!(total, (now - from) * SECOND);
            assert_eq!(
                worker.on_cpu.keys().next(),
                Some(&0),
                "seconds are counted anew"
            );
        }
    }

    #[test]
    fn a_thread_that_ended_is_forgotten_with_its_last_second() {
        let mut seen = accumulated();
        assert!(look_back(&mut seen, 0, 3).threads.contains_key(&BRIEF));
        let later = look_back(&mut seen, 2, 3).threads;
        assert!(!later.contains_key(&BRIEF) && later.contains_key(&WORKER));
    }

    #[test]
    fn quality_is_that_of_the_while() {
        let mut marks = Marks::default();
        let quality = |samples| Quality {
            samples,
            ..Quality::default()
        };
        let mut since = |begin, now, samples| marks.since(at(begin), at(now), quality(samples));
        assert_eq!(since(0, 5, 500).samples, 500);
        assert_eq!(since(0, 10, 900).samples, 900);
        assert_eq!(since(5, 15, 1000).samples, 500);
        assert_eq!(since(11, 20, 1300).samples, 400);
    }
}
