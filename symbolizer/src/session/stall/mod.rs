//! Polls that held their worker too long.
//!
//! A *pulse* is a look at how far a worker is: which task it polls, and a counter
//! that moves with every poll ([`Progress`]). Two pulses that see the same are
//! inside one poll, so a run of equal pulses bounds the poll from both sides: it
//! began after the last pulse that saw something else, and no later than the
//! first of the run. A thread that is off its CPU cannot move, so a pulse then
//! holds for the whole time it is off, which the kernel tells exactly.
//!
//! Between the bounds, a poll that mostly slept is taken to be as short as it can
//! be: what it computed unseen around its sleep was less than a pulse, and mostly
//! next to nothing. For one that computed, the middle of the bounds is taken, counted in
//! time on the CPU: a poll begins and ends only while its worker runs.
//!
//! Without progress (it cannot be read, or is not learned yet) only sleeps inside a
//! poll can be told: each is a stall of its own, of exactly its length.

mod held;
#[cfg(test)]
mod tests;

use super::batch::Sleep;
use super::stacks::StackId;
use crate::runtime::{Progress, TaskId};
use awaitscope_sampler::{Nanos, SwitchReason, Tid};
use held::{Evidence, Held, middle_of_work, off_cause, others};
use std::collections::HashMap;

/// The most pieces of evidence that are kept of one poll. A poll that lasts
/// minutes repeats itself.
const MOST_EVIDENCE: usize = 4096;

/// A poll that held its worker for the threshold or longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// The worker.
    pub tid: Tid,
    /// The task that was polled, where it has an id.
    pub task: Option<TaskId>,
    /// When the poll began, as near as can be told.
    pub start: Nanos,
    /// How long it lasted.
    pub duration: Nanos,
    /// How far the duration can be off, to either side.
    pub uncertainty: Nanos,
    /// What held the worker, most of all.
    pub cause: StallCause,
    /// The number of the system call, when the cause is one and it is known.
    pub syscall: Option<u64>,
    /// The stacks that were seen in it, and the time each stands for.
    pub stacks: Vec<(StackId, Nanos)>,
}

/// What held a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StallCause {
    /// It was computing.
    Cpu,
    /// It waited in a system call.
    Syscall,
    /// It waited for memory to be brought in.
    Fault,
    /// It could have gone on, but the kernel ran something else.
    Preempted,
}

/// What was seen of a thread while it was off its CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffEvidence {
    /// Its stack.
    pub stack: StackId,
    /// What it slept in.
    pub sleep: Sleep,
    /// A task is being polled on this stack.
    pub in_poll: bool,
    /// That task's id.
    pub task: Option<TaskId>,
}

/// Follows every worker and finds its long polls. Everything must come in the
/// order of time.
#[derive(Debug, Clone)]
pub struct Stalls {
    threshold: Nanos,
    workers: HashMap<Tid, Worker>,
    found: Vec<Stall>,
}

#[derive(Debug, Clone, Default)]
struct Worker {
    off: Option<Off>,
    /// Until when the last pulse is known to hold.
    seen_until: Nanos,
    run: Option<Run>,
    evidence: Vec<Evidence>,
    /// The id that the thread shows while it polls nothing.
    idle: Option<TaskId>,
    /// Pulses come for this thread.
    pulsed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Off {
    since: Nanos,
    reason: SwitchReason,
    evidence: Option<OffEvidence>,
}

/// A run of equal pulses.
#[derive(Debug, Clone, Copy)]
struct Run {
    progress: Progress,
    /// The poll began after this,
    after: Nanos,
    /// and not after this.
    first: Nanos,
}

impl Stalls {
    /// Looks for polls of `threshold` and more.
    #[must_use]
    pub fn new(threshold: Nanos) -> Self {
        Self {
            threshold,
            workers: HashMap::new(),
            found: Vec::new(),
        }
    }

    /// Stacks have become others.
    pub(super) fn fold(&mut self, become_of: &[StackId]) {
        self.each_stack(|stack| *stack = become_of[stack.0 as usize]);
    }

    /// Every stack that is known here.
    pub(super) fn each_stack(&mut self, mut each: impl FnMut(&mut StackId)) {
        let found = self.found.iter_mut().flat_map(|stall| &mut stall.stacks);
        found.for_each(|(stack, _)| each(stack));
        for worker in self.workers.values_mut() {
            if let Some(seen) = worker.off.as_mut().and_then(|off| off.evidence.as_mut()) {
                each(&mut seen.stack);
            }
            for piece in &mut worker.evidence {
                match piece {
                    Evidence::Sample { stack, .. } => each(stack),
                    Evidence::Off { seen, .. } => {
                        if let Some(seen) = seen {
                            each(&mut seen.stack);
                        }
                    }
                }
            }
        }
    }

    /// The long polls since a moment, in the order of time, each with the part of it that is
    /// since then: also those that go on, as far as they were seen. What ended before is
    /// forgotten.
    pub(super) fn since(&mut self, begin: Nanos, now: Nanos) -> Vec<Stall> {
        let end = |stall: &Stall| stall.start + stall.duration;
        self.found.retain(|stall| end(stall) > begin);
        // As if the recording ended here.
        let mut stalls = self.clone().finish(now);
        for stall in &mut stalls {
            let until = end(stall);
            stall.start = stall.start.max(begin);
            stall.duration = until.since(stall.start);
        }
        stalls
    }

    /// How many were found so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// A thread left its CPU.
    pub fn switch_out(&mut self, tid: Tid, time: Nanos, reason: SwitchReason) {
        let worker = self.workers.entry(tid).or_default();
        worker.off = Some(Off {
            since: time,
            reason,
            evidence: None,
        });
    }

    /// A thread came back.
    pub fn switch_in(&mut self, tid: Tid, time: Nanos) {
        let Some(worker) = self.workers.get_mut(&tid) else {
            return;
        };
        let Some(off) = worker.off.take() else {
            return;
        };
        if worker.is_idle_sleep(off) {
            // The poll before it ended at the latest as it began.
            self.found
                .extend(worker.close(tid, off.since, self.threshold));
            worker.evidence.clear();
            worker.seen_until = time;
            return;
        }
        worker.note(Evidence::Off {
            from: off.since,
            to: time,
            reason: off.reason,
            seen: off.evidence,
        });
        if worker.pulsed {
            if worker.seen_until >= off.since {
                worker.seen_until = time;
            }
        } else {
            self.found.extend(sleep(tid, off, time, self.threshold));
            worker.evidence.clear();
        }
    }

    /// A thread that is off its CPU since `since` was looked at. If it is not
    /// off any more, or off anew, what was seen may be torn and is left out.
    pub fn off_stack(&mut self, tid: Tid, since: Nanos, evidence: OffEvidence) {
        let off = self.workers.get_mut(&tid).and_then(|w| w.off.as_mut());
        if let Some(off) = off.filter(|off| off.since == since) {
            off.evidence = Some(evidence);
        }
    }

    /// A thread was sampled on its CPU, while it polled `task`.
    pub fn sample(&mut self, tid: Tid, time: Nanos, stack: StackId, task: Option<TaskId>) {
        let worker = self.workers.entry(tid).or_default();
        // It runs: if it was thought to be off its CPU, the record of its coming was
        // lost, and nothing is known of how long it slept.
        worker.off = None;
        if worker.pulsed {
            worker.note(Evidence::Sample { time, stack, task });
        }
    }

    /// A worker polls nothing while it shows this task.
    pub fn idle_shows(&mut self, tid: Tid, task: TaskId) {
        self.workers.entry(tid).or_default().idle = Some(task);
    }

    /// How far a worker is.
    pub fn pulse(&mut self, tid: Tid, time: Nanos, progress: Progress) {
        let worker = self.workers.entry(tid).or_default();
        if !worker.pulsed {
            worker.pulsed = true;
            worker.seen_until = time;
        }
        let from = worker.off.map_or(time, |off| off.since.min(time));
        let same = worker.run.is_some_and(|run| run.progress == progress);
        if !same {
            let after = worker.seen_until.min(from);
            self.found.extend(worker.close(tid, from, self.threshold));
            worker.run = Some(Run {
                progress,
                after,
                first: from,
            });
        }
        worker.seen_until = worker.seen_until.max(time);
    }

    /// A thread ended, or the recording did.
    pub fn thread_ends(&mut self, tid: Tid, time: Nanos) {
        if let Some(mut worker) = self.workers.remove(&tid) {
            if let (true, Some(off)) = (worker.pulsed, worker.off) {
                worker.note(Evidence::Off {
                    from: off.since,
                    to: time,
                    reason: off.reason,
                    seen: off.evidence,
                });
                worker.seen_until = worker.seen_until.max(time);
            }
            // The poll goes on: what was seen of it counts, and nothing more.
            let until = worker.seen_until;
            self.found.extend(worker.close(tid, until, self.threshold));
        }
    }

    /// Ends the recording, and gives what was found, in the order of time.
    #[must_use]
    pub fn finish(mut self, time: Nanos) -> Vec<Stall> {
        let mut tids: Vec<Tid> = self.workers.keys().copied().collect();
        tids.sort_unstable();
        for tid in tids {
            self.thread_ends(tid, time);
        }
        self.found.sort_by_key(|stall| (stall.start, stall.tid));
        self.found
    }
}

impl Worker {
    /// Whether it waited for something to do: it polled no task, and was not seen to run anything
    /// else.
    fn is_idle_sleep(&self, off: Off) -> bool {
        self.pulsed
            && off.reason == SwitchReason::Waiting
            && !off.evidence.is_some_and(|seen| seen.in_poll)
            && self.run.is_some_and(|run| run.progress.task.is_none())
    }

    fn note(&mut self, evidence: Evidence) {
        if self.evidence.len() < MOST_EVIDENCE {
            self.evidence.push(evidence);
        }
    }

    /// Ends the current run at the latest at `before`.
    fn close(&mut self, tid: Tid, before: Nanos, threshold: Nanos) -> Option<Stall> {
        let run = self.run.take();
        let evidence = std::mem::take(&mut self.evidence);
        let last = self.seen_until.min(before);
        // What came after the last pulse may belong to the next poll.
        let later = evidence.iter().filter(|piece| piece.end() > last);
        self.evidence.extend(later.copied());
        let run = run?;
        if self.idle.is_some() && run.progress.task == self.idle {
            return None;
        }
        let task = run.progress.task;
        let after = others(&evidence, task, run.after, run.first).max();
        let after = after.unwrap_or(run.after);
        let before = others(&evidence, task, last, before)
            .min()
            .unwrap_or(before);
        let mut start = middle_of_work(&evidence, after, run.first);
        let mut end = middle_of_work(&evidence, last, before);
        let mut held = Held::of(&evidence, task, start, end);
        if held.asleep() >= Nanos(end.since(start).0 / 2) {
            (start, end) = (run.first, last);
            held = Held::of(&evidence, task, start, end);
        }
        let duration = end.since(start);
        if duration < threshold {
            return None;
        }
        let shortest = last.since(run.first);
        let longest = before.since(after);
        Some(Stall {
            tid,
            task,
            start,
            duration,
            uncertainty: duration.since(shortest).max(longest.since(duration)),
            cause: held.cause(duration),
            syscall: held.syscall,
            stacks: held.stacks(duration),
        })
    }
}

/// A sleep as a stall of its own. A poll that is pushed off its CPU may be a long
/// one or a short one: that is not told without progress.
fn sleep(tid: Tid, off: Off, until: Nanos, threshold: Nanos) -> Option<Stall> {
    if off.reason == SwitchReason::Preempted {
        return None;
    }
    let seen = off.evidence.filter(|seen| seen.in_poll)?;
    let duration = until.since(off.since);
    (duration >= threshold).then(|| Stall {
        tid,
        task: seen.task,
        start: off.since,
        duration,
        uncertainty: Nanos::ZERO,
        cause: off_cause(off.reason, Some(seen)),
        syscall: seen.sleep.syscall(),
        stacks: vec![(seen.stack, duration)],
    })
}
