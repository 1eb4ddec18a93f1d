//! What was seen of a worker, and what it says of a poll.

use super::{OffEvidence, StallCause};
use crate::runtime::TaskId;
use crate::session::batch::Sleep;
use crate::session::stacks::StackId;
use awaitscope_sampler::{Nanos, SwitchReason};

/// One thing that was seen of a worker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Evidence {
    Sample {
        time: Nanos,
        stack: StackId,
        task: Option<TaskId>,
    },
    Off {
        from: Nanos,
        to: Nanos,
        reason: SwitchReason,
        seen: Option<OffEvidence>,
    },
}

impl Evidence {
    pub(super) fn end(&self) -> Nanos {
        match *self {
            Self::Sample { time, .. } => time,
            Self::Off { to, .. } => to,
        }
    }
}

pub(super) fn off_cause(reason: SwitchReason, seen: Option<OffEvidence>) -> StallCause {
    match (reason, seen) {
        (SwitchReason::Preempted, _) => StallCause::Preempted,
        (SwitchReason::Waiting, Some(seen)) if seen.sleep == Sleep::Fault => StallCause::Fault,
        (SwitchReason::Waiting, _) => StallCause::Syscall,
    }
}

/// What held a worker between two moments.
#[derive(Debug, Default)]
pub(super) struct Held {
    samples: Vec<StackId>,
    off: Vec<(StackId, Nanos)>,
    syscall_time: Nanos,
    fault_time: Nanos,
    preempted_time: Nanos,
    longest_syscall: Nanos,
    pub(super) syscall: Option<u64>,
}

impl Held {
    pub(super) fn of(
        evidence: &[Evidence],
        task: Option<TaskId>,
        start: Nanos,
        end: Nanos,
    ) -> Self {
        let mut held = Self::default();
        for piece in evidence {
            match *piece {
                Evidence::Sample {
                    time,
                    stack,
                    task: sampled,
                } if start <= time && time <= end && sampled == task => {
                    held.samples.push(stack);
                }
                Evidence::Off {
                    from,
                    to,
                    reason,
                    seen,
                } => {
                    let seen = seen.filter(|seen| seen.task == task);
                    held.add_off(to.min(end).since(from.max(start)), reason, seen);
                }
                Evidence::Sample { .. } => {}
            }
        }
        held
    }

    fn add_off(&mut self, length: Nanos, reason: SwitchReason, seen: Option<OffEvidence>) {
        let total = match off_cause(reason, seen) {
            StallCause::Preempted => &mut self.preempted_time,
            StallCause::Fault => &mut self.fault_time,
            StallCause::Cpu | StallCause::Syscall => &mut self.syscall_time,
        };
        *total = *total + length;
        let Some(seen) = seen else {
            return;
        };
        self.off.push((seen.stack, length));
        let syscall = seen.sleep.syscall();
        if syscall.is_some() && length > self.longest_syscall {
            self.longest_syscall = length;
            self.syscall = syscall;
        }
    }

    pub(super) fn asleep(&self) -> Nanos {
        self.syscall_time + self.fault_time
    }

    fn off_cpu(&self) -> Nanos {
        self.asleep() + self.preempted_time
    }

    pub(super) fn cause(&self, duration: Nanos) -> StallCause {
        let causes = [
            (duration.since(self.off_cpu()), StallCause::Cpu),
            (self.preempted_time, StallCause::Preempted),
            (self.fault_time, StallCause::Fault),
            (self.syscall_time, StallCause::Syscall),
        ];
        let longest = causes.iter().max_by_key(|(length, _)| *length);
        longest.map_or(StallCause::Cpu, |(_, cause)| *cause)
    }

    /// The time off the CPU belongs to the stacks that slept, the rest to the
    /// samples evenly.
    pub(super) fn stacks(mut self, duration: Nanos) -> Vec<(StackId, Nanos)> {
        let slept = self.off.iter().map(|(_, length)| *length);
        let slept = slept.fold(Nanos::ZERO, |sum, length| sum + length);
        let rest = duration.since(slept);
        let each = rest.0.checked_div(self.samples.len() as u64).map(Nanos);
        let mut out = std::mem::take(&mut self.off);
        match each {
            Some(each) => out.extend(self.samples.iter().map(|stack| (*stack, each))),
            // Nothing else was seen: what slept stands for all of it.
            None => {
                if let Some((_, length)) = out.iter_mut().max_by_key(|(_, length)| *length) {
                    *length = *length + rest;
                }
            }
        }
        out
    }
}

/// When between two moments other tasks than `task` were seen on the CPU: the poll
/// of `task` had not begun by then, or was over.
pub(super) fn others(
    evidence: &[Evidence],
    task: Option<TaskId>,
    from: Nanos,
    to: Nanos,
) -> impl Iterator<Item = Nanos> {
    evidence.iter().filter_map(move |piece| match *piece {
        Evidence::Sample {
            time,
            task: Some(sampled),
            ..
        } if Some(sampled) != task && from < time && time < to => Some(time),
        Evidence::Sample { .. } | Evidence::Off { .. } => None,
    })
}

/// The moment between two others by which a worker had used half of the CPU time that
/// it used between them: a poll begins and ends only while its worker runs.
pub(super) fn middle_of_work(evidence: &[Evidence], from: Nanos, to: Nanos) -> Nanos {
    let mut pauses: Vec<(Nanos, Nanos)> = evidence
        .iter()
        .filter_map(|piece| match *piece {
            Evidence::Off {
                from: off, to: on, ..
            } => Some((off.max(from), on.min(to))),
            Evidence::Sample { .. } => None,
        })
        .filter(|(off, on)| off < on)
        .collect();
    pauses.sort_unstable();
    let paused: u64 = pauses.iter().map(|(off, on)| on.since(*off).0).sum();
    let mut left = Nanos(to.since(from).0.saturating_sub(paused) / 2);
    let mut at = from;
    for (off, on) in pauses {
        let work = off.since(at);
        if left <= work {
            break;
        }
        left = left.since(work);
        at = on;
    }
    (at + left).min(to)
}
