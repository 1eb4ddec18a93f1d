//! How busy the workers were, and how long they were held.

use super::model::WorkerRow;
use crate::profile::{Cause, Profile, State, ThreadId, ThreadRole};

/// The workers of all runtimes, those held longest first.
pub(super) fn workers(profile: &Profile) -> Vec<(WorkerRow, ThreadId)> {
    let times = Times::of(profile);
    let duration = profile.duration_ns.max(1) as f64;
    let share = |ns: u64| (ns as f64 / duration).min(1.0);
    let mut rows: Vec<(WorkerRow, ThreadId)> = profile
        .threads
        .iter()
        .enumerate()
        .filter_map(|(index, thread)| {
            let ThreadRole::Worker { runtime } = thread.role else {
                return None;
            };
            let row = WorkerRow {
                thread: thread.name.clone(),
                tid: thread.tid,
                runtime,
                busy_share: share(times.busy(index)),
                stalled_share: share(times.stalled[index]),
                lag_ms: (),
            };
            Some((row, ThreadId::at(index)))
        })
        .collect();
    rows.sort_by(|(left, _), (right, _)| {
        let order = right.stalled_share.total_cmp(&left.stalled_share);
        order
            .then_with(|| right.busy_share.total_cmp(&left.busy_share))
            .then_with(|| left.tid.cmp(&right.tid))
    });
    rows
}

/// Times of each thread.
struct Times {
    /// On a CPU, exactly.
    on_cpu: Vec<u64>,
    /// On a CPU, by samples.
    sampled: Vec<u64>,
    /// Asleep inside a poll.
    blocked: Vec<u64>,
    /// In stalls.
    stalled: Vec<u64>,
    /// In stalls, without computing.
    stalled_off_cpu: Vec<u64>,
}

impl Times {
    fn of(profile: &Profile) -> Self {
        let none = || vec![0_u64; profile.threads.len()];
        let mut times = Self {
            on_cpu: none(),
            sampled: none(),
            blocked: none(),
            stalled: none(),
            stalled_off_cpu: none(),
        };
        for bucket in &profile.buckets {
            for time in &bucket.threads {
                times.on_cpu[time.thread.index()] += time.on_cpu_ns;
            }
            for weight in &bucket.weights {
                let Some(thread) = weight.key.thread.map(ThreadId::index) else {
                    continue;
                };
                match weight.key.state {
                    State::OnCpu => times.sampled[thread] += weight.ns,
                    State::Blocked => times.blocked[thread] += weight.ns,
                    State::Waiting | State::Ready => {}
                }
            }
        }
        let kept = profile
            .stalls
            .iter()
            .map(|stall| (stall.thread, stall.cause, stall.duration_ns));
        let summed = profile
            .stall_sums
            .iter()
            .map(|sum| (sum.thread, sum.cause, sum.total_ns));
        for (thread, cause, ns) in kept.chain(summed) {
            times.stalled[thread.index()] += ns;
            if cause != Cause::Cpu {
                times.stalled_off_cpu[thread.index()] += ns;
            }
        }
        times
    }

    /// On a CPU, or asleep inside a poll. Where not every such sleep was
    /// recorded, the long ones are known from the stalls.
    fn busy(&self, thread: usize) -> u64 {
        let on_cpu = match self.on_cpu[thread] {
            0 => self.sampled[thread],
            exact => exact,
        };
        on_cpu + self.blocked[thread].max(self.stalled_off_cpu[thread])
    }
}
