//! What the page's tables sum up over time.

use super::cells::{Cell, Cells};
use super::stretches::Stretches;
use crate::profile::{KindId, Profile, StackId, State, TaskId, ThreadId};
use crate::report::Origins;
use serde::Serialize;
use std::collections::HashMap;

/// Times of the rows of all tables.
#[derive(Debug, Serialize)]
pub(super) struct Tables {
    /// The kinds' time on a CPU; behind them that of no task, and that of kinds not listed,
    kind_cpu: Cells,
    /// and suspended.
    kind_waiting: Cells,
    task_cpu: Cells,
    /// The await points' tasks × time suspended,
    wait_waiting: Cells,
    /// and ready.
    wait_ready: Cells,
    /// The workers' exact time on a CPU,
    worker_cpu: Cells,
    /// by samples,
    worker_sampled: Cells,
    /// and asleep inside a poll.
    worker_blocked: Cells,
    stalls: Stalls,
}

/// The stalls, by columns.
#[derive(Debug, Default, Serialize)]
struct Stalls {
    start_us: Vec<u64>,
    us: Vec<u64>,
    /// Its row in the table of stalls.
    spot: Vec<usize>,
    /// The kind's row and one; zero where it is not known or not listed.
    kind: Vec<usize>,
    /// The worker's row and one.
    worker: Vec<usize>,
    /// How many more there were, of which no time is known.
    more: u64,
}

/// Which rows there are, by what they are about.
struct Rows {
    kinds: HashMap<KindId, usize>,
    tasks: HashMap<TaskId, usize>,
    waits: HashMap<(Option<KindId>, StackId), usize>,
    threads: HashMap<ThreadId, usize>,
}

impl Rows {
    fn of(origins: &Origins, rows: usize) -> Self {
        fn numbered<K: Copy + Eq + std::hash::Hash>(keys: &[K], rows: usize) -> HashMap<K, usize> {
            let keys = keys.iter().take(rows);
            keys.enumerate().map(|(row, key)| (*key, row)).collect()
        }
        Self {
            kinds: numbered(&origins.kinds, rows),
            tasks: numbered(&origins.tasks, rows),
            waits: numbered(&origins.waits, rows),
            threads: numbered(&origins.threads, rows),
        }
    }
}

/// Times that are collected.
#[derive(Default)]
struct Collected {
    kind_cpu: Vec<Cell>,
    kind_waiting: Vec<Cell>,
    task_cpu: Vec<Cell>,
    wait_waiting: Vec<Cell>,
    wait_ready: Vec<Cell>,
    worker_cpu: Vec<Cell>,
    worker_sampled: Vec<Cell>,
    worker_blocked: Vec<Cell>,
}

impl Tables {
    /// The tables' first `rows`.
    pub(super) fn of(
        profile: &Profile,
        origins: &Origins,
        stretches: &Stretches,
        rows: usize,
    ) -> Self {
        let rows = Rows::of(origins, rows);
        let mut all = Collected::default();
        for bucket in &profile.buckets {
            let at = Some(stretches.at(bucket.number) as u32);
            for weight in &bucket.weights {
                all.add(&rows, at, weight);
            }
            for time in &bucket.threads {
                let row = rows.threads.get(&time.thread);
                let cell = row.map(|&row| (at, row, time.on_cpu_ns));
                all.worker_cpu.extend(cell);
            }
        }
        let cells = |cells| Cells::of(cells, stretches.count);
        Self {
            kind_cpu: cells(all.kind_cpu),
            kind_waiting: cells(all.kind_waiting),
            task_cpu: cells(all.task_cpu),
            wait_waiting: cells(all.wait_waiting),
            wait_ready: cells(all.wait_ready),
            worker_cpu: cells(all.worker_cpu),
            worker_sampled: cells(all.worker_sampled),
            worker_blocked: cells(all.worker_blocked),
            stalls: Stalls::of(profile, origins, &rows),
        }
    }
}

impl Collected {
    fn add(&mut self, rows: &Rows, at: Option<u32>, weight: &crate::profile::Weight) {
        let (key, ns) = (weight.key, weight.ns);
        // Behind the listed kinds come what is in none, and those not listed.
        let (outside, unlisted) = (rows.kinds.len(), rows.kinds.len() + 1);
        let kind = key.kind.map_or(outside, |kind| {
            rows.kinds.get(&kind).copied().unwrap_or(unlisted)
        });
        let kind = (at, kind, ns);
        let task = key.task.and_then(|task| rows.tasks.get(&task));
        let worker = key.thread.and_then(|thread| rows.threads.get(&thread));
        let worker = worker.map(|&row| (at, row, ns));
        let wait = || {
            rows.waits
                .get(&(key.kind, key.stack))
                .map(|&row| (at, row, ns))
        };
        match key.state {
            State::OnCpu => {
                self.kind_cpu.push(kind);
                self.task_cpu.extend(task.map(|&row| (at, row, ns)));
                self.worker_sampled.extend(worker);
            }
            State::Blocked => self.worker_blocked.extend(worker),
            State::Waiting => {
                self.kind_waiting.push(kind);
                self.wait_waiting.extend(wait());
            }
            State::Ready => self.wait_ready.extend(wait()),
        }
    }
}

impl Stalls {
    fn of(profile: &Profile, origins: &Origins, rows: &Rows) -> Self {
        let mut stalls = Self {
            more: profile.stall_sums.iter().map(|sum| sum.count).sum(),
            ..Self::default()
        };
        for (stall, spot) in profile.stalls.iter().zip(&origins.spot_of_stall) {
            let number = |row: Option<&usize>| row.map_or(0, |row| row + 1);
            let kind = stall.kind.and_then(|kind| rows.kinds.get(&kind));
            stalls.start_us.push(stall.start_ns / 1000);
            stalls.us.push(stall.duration_ns / 1000);
            stalls.spot.push(*spot);
            stalls.kind.push(number(kind));
            stalls.worker.push(number(rows.threads.get(&stall.thread)));
        }
        stalls
    }
}
