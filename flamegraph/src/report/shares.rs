//! Who used the CPU: kinds, tasks, and what is outside any.

use super::interval::{Part, Stretches, interval};
use super::model::{Cpu, KindRow, Outside, TaskRow};
use super::waits::Waits;
use crate::profile::{Bucket, KindId, Profile, State, TaskId};
use std::collections::HashMap;

/// The CPU time of a profile, divided.
pub(super) struct Shares {
    whole: Stretches,
    total_ns: u64,
    outside_ns: u64,
    kinds: Vec<(u64, Part)>,
    tasks: Vec<u64>,
}

impl Shares {
    pub(super) fn of(profile: &Profile) -> Self {
        let mut shares = Self {
            whole: Stretches::default(),
            total_ns: 0,
            outside_ns: 0,
            kinds: vec![(0, Part::default()); profile.kinds.len()],
            tasks: vec![0; profile.tasks.len()],
        };
        for bucket in &profile.buckets {
            shares.add(bucket);
        }
        shares
    }

    fn add(&mut self, bucket: &Bucket) {
        let mut total = 0;
        let mut of_kind: HashMap<KindId, u64> = HashMap::new();
        for weight in &bucket.weights {
            if weight.key.state != State::OnCpu {
                continue;
            }
            total += weight.ns;
            self.whole.samples += u64::from(weight.samples);
            match weight.key.kind {
                Some(kind) => *of_kind.entry(kind).or_default() += weight.ns,
                None => self.outside_ns += weight.ns,
            }
            if let Some(task) = weight.key.task {
                self.tasks[task.index()] += weight.ns;
            }
        }
        if total == 0 {
            return;
        }
        self.total_ns += total;
        let y = total as f64;
        self.whole.count += 1;
        self.whole.total += y;
        self.whole.total_squares += y * y;
        for (kind, ns) in of_kind {
            let (sum, part) = &mut self.kinds[kind.index()];
            let x = ns as f64;
            *sum += ns;
            part.time += x;
            part.squares += x * x;
            part.products += x * y;
        }
    }

    fn share(&self, ns: u64) -> f64 {
        // Nothing has no parts.
        ns as f64 / self.total_ns.max(1) as f64
    }

    pub(super) fn cpu(&self) -> Cpu {
        Cpu {
            total_ms: ms(self.total_ns),
            in_tasks_ms: ms(self.total_ns - self.outside_ns),
        }
    }

    pub(super) fn outside(&self) -> Outside {
        Outside {
            cpu_ms: ms(self.outside_ns),
            cpu_share: self.share(self.outside_ns),
        }
    }

    /// The kinds, those that used the most first.
    pub(super) fn kinds(&self, profile: &Profile, waits: &Waits<'_>) -> Vec<(KindRow, KindId)> {
        let mut tasks_seen: Vec<u64> = profile.kinds.iter().map(|k| k.tasks_unlisted).collect();
        for task in &profile.tasks {
            tasks_seen[task.kind.index()] += 1;
        }
        let stalls = stalls_by_kind(profile);
        let rows = profile.kinds.iter().zip(&self.kinds).zip(0..);
        let mut rows: Vec<(KindRow, KindId)> = rows
            .map(|((kind, (ns, part)), index)| {
                let index: usize = index;
                let id = KindId::at(index);
                let life = waits.kinds.get(&id);
                let row = KindRow {
                    kind: kind.name.clone(),
                    class: kind.class,
                    runtime: kind.runtime,
                    // Samples see those that ran, snapshots those that lived long enough.
                    tasks_seen: tasks_seen[index].max(life.map_or(0, |(_, seen)| *seen)),
                    cpu_ms: ms(*ns),
                    cpu_share: self.share(*ns),
                    cpu_share_ci95: interval(&self.whole, part),
                    live_mean: life.map(|(mean, _)| *mean),
                    stalls: stalls[index].0,
                    stalled_ms: ms(stalls[index].1),
                };
                (row, id)
            })
            .collect();
        rows.sort_by(|(left, _), (right, _)| {
            let order = right.cpu_ms.total_cmp(&left.cpu_ms);
            let alive = |row: &KindRow| row.live_mean.unwrap_or(0.0);
            order
                .then_with(|| alive(right).total_cmp(&alive(left)))
                .then_with(|| left.kind.cmp(&right.kind))
        });
        rows
    }

    /// The tasks that used the CPU, those that used the most first.
    pub(super) fn tasks(&self, profile: &Profile) -> Vec<(TaskRow, TaskId)> {
        let used = profile.tasks.iter().zip(&self.tasks).enumerate();
        let mut used: Vec<_> = used.filter(|&(_, (_, &ns))| ns > 0).collect();
        used.sort_by_key(|&(_, (_, &ns))| std::cmp::Reverse(ns));
        used.into_iter()
            .map(|(index, (task, &ns))| {
                let row = TaskRow {
                    id: task.id.clone(),
                    kind: profile.kind(task.kind).name.clone(),
                    cpu_ms: ms(ns),
                    cpu_share: self.share(ns),
                };
                (row, TaskId::at(index))
            })
            .collect()
    }
}

/// Number and length of the stalls of each kind.
fn stalls_by_kind(profile: &Profile) -> Vec<(u64, u64)> {
    let mut of_kind = vec![(0, 0); profile.kinds.len()];
    let kept = profile
        .stalls
        .iter()
        .map(|stall| (stall.kind, 1, stall.duration_ns));
    let summed = profile
        .stall_sums
        .iter()
        .map(|sum| (sum.kind, sum.count, sum.total_ns));
    for (kind, count, ns) in kept.chain(summed) {
        if let Some(kind) = kind {
            let (stalls, stalled) = &mut of_kind[kind.index()];
            *stalls += count;
            *stalled += ns;
        }
    }
    of_kind
}

pub(super) fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
