//! The report as it is written to JSON: names and shapes are the contract's.

use crate::profile::{Cause, FrameView, KindClass, RuntimeInfo, Target};
use awaitscope_symbolizer::snapshot::WaitsOn;
use awaitscope_symbolizer::{FrameKind, Origin};
use serde::Serialize;

/// What a profile says, in numbers and sentences.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub(super) schema: u32,
    pub(super) target: Target,
    pub(super) runtimes: Vec<RuntimeInfo>,
    pub(super) time: Time,
    pub(super) quality: QualityRow,
    pub(super) cpu: Cpu,
    pub(super) outside_tasks: Outside,
    pub(super) kinds: Vec<KindRow>,
    pub(super) tasks: Vec<TaskRow>,
    pub(super) stalls: Vec<HotSpot>,
    /// Where tasks waited, the most first; empty without snapshots.
    pub(super) waits: Vec<WaitRow>,
    /// How many there are: only the first are listed.
    pub(super) waits_total: usize,
    /// Locks that tasks waited for, the longest queue first.
    pub(super) locks: Vec<LockRow>,
    /// Tasks that wait for each other.
    pub(super) circles: Vec<CircleRow>,
    pub(super) workers: Vec<WorkerRow>,
    /// How long ready tasks waited for a worker; `None` where that cannot be told.
    pub(super) lag: Option<LagRow>,
    pub(super) series: SeriesRows,
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Time {
    pub(super) start: String,
    pub(super) duration_s: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct QualityRow {
    pub(super) samples: u64,
    pub(super) lost: u64,
    pub(super) throttled: u64,
    pub(super) truncated: u64,
    /// Stacks and tasks that moved while they were read.
    pub(super) torn: u64,
    pub(super) unsymbolized_share: f64,
    pub(super) unidentified: u64,
    pub(super) rate_hz: u32,
    pub(super) snapshots: u64,
    /// Tasks of all snapshots together.
    pub(super) snapshot_tasks: u64,
    pub(super) torn_tasks: u64,
    pub(super) unresolved: u64,
    pub(super) snapshot_ms: Option<SnapshotCost>,
    pub(super) stall_threshold_ms: f64,
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Cpu {
    pub(super) total_ms: f64,
    pub(super) in_tasks_ms: f64,
}

/// The CPU time that no task used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outside {
    pub(super) cpu_ms: f64,
    pub(super) cpu_share: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct KindRow {
    pub(super) kind: String,
    pub(super) class: KindClass,
    pub(super) runtime: Option<u32>,
    pub(super) tasks_seen: u64,
    pub(super) cpu_ms: f64,
    pub(super) cpu_share: f64,
    pub(super) cpu_share_ci95: [f64; 2],
    /// How many were alive on average; unknown without snapshots.
    pub(super) live_mean: Option<f64>,
    pub(super) stalls: u64,
    pub(super) stalled_ms: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct TaskRow {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) cpu_ms: f64,
    pub(super) cpu_share: f64,
}

/// Stalls of one kind of task, at one place, for one cause.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct HotSpot {
    /// `None` where the task could not be told.
    pub(super) kind: Option<String>,
    pub(super) cause: Cause,
    pub(super) syscall: Option<String>,
    pub(super) count: u64,
    pub(super) total_ms: f64,
    pub(super) max_ms: f64,
    pub(super) p50_ms: f64,
    /// When the last of them ended, since the start.
    #[serde(skip)]
    pub(super) last_ms: f64,
    /// The longest of them was there when the recording began.
    #[serde(skip)]
    pub(super) starts_with_recording: bool,
    /// From the root to the leaf.
    pub(super) stack: Vec<FrameRow>,
    pub(super) culprit: Option<Culprit>,
    pub(super) advice: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FrameRow {
    pub(super) function: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) kind: FrameKind,
    pub(super) origin: Origin,
}

impl FrameRow {
    pub(super) fn of(frame: &FrameView<'_>) -> Self {
        Self {
            function: frame.function.to_owned(),
            file: frame.file.map(str::to_owned),
            line: frame.line,
            kind: frame.kind,
            origin: frame.origin,
        }
    }
}

/// How long a snapshot took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SnapshotCost {
    pub(super) mean: f64,
    pub(super) max: f64,
}

/// Where tasks of a kind wait.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct WaitRow {
    pub(super) kind: Option<String>,
    /// From the root to the leaf.
    pub(super) stack: Vec<FrameRow>,
    /// `None` where it could not be read.
    pub(super) waits_on: Option<WaitsOnRow>,
    pub(super) mean_tasks: f64,
    /// How many had been woken here and waited for a worker.
    pub(super) ready_mean: f64,
    /// Of the waiting time of all tasks.
    pub(super) share: f64,
    pub(super) stayed_ms: Option<StayedRow>,
    /// How many were here in the first snapshot, and in the last.
    pub(super) first: u32,
    pub(super) last: u32,
    /// Tasks that were not seen to move in the whole recording.
    pub(super) unmoved: u32,
    pub(super) unmoved_tasks: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct WaitsOnRow {
    pub(super) what: WaitsOn,
    #[serde(rename = "type")]
    pub(super) type_name: String,
}

/// How long tasks stayed, of the stays that were seen: those shorter than the time
/// between two snapshots are too few, and a task that goes on and comes back to just the
/// same thing in between stays, as far as can be seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct StayedRow {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) max: f64,
    pub(super) count: u64,
    /// Stays whose beginning or end was not seen: they were longer than they count here.
    pub(super) censored: u64,
    /// The time between two snapshots.
    pub(super) resolution: f64,
}

/// A lock, or anything that gives permits, that tasks waited for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LockRow {
    pub(super) waiters_mean: f64,
    pub(super) waiters_max: u32,
    /// In what share of the snapshots somebody waited.
    pub(super) waited_share: f64,
    /// In what share of those nobody was seen to hold it: whoever did was running, or
    /// is no task.
    pub(super) unseen_holder_share: f64,
    /// Whether its holder was not seen to move in the whole recording.
    pub(super) holder_unmoved: bool,
    pub(super) waited_at: Vec<PlaceRow>,
    /// Where its holders waited meanwhile.
    pub(super) held_at: Vec<PlaceRow>,
    /// Some of those that held it last.
    pub(super) holders: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct PlaceRow {
    pub(super) kind: Option<String>,
    pub(super) stack: Vec<FrameRow>,
    pub(super) waits_on: Option<WaitsOnRow>,
    pub(super) share: f64,
}

/// Tasks that wait each for the next, and the last for the first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct CircleRow {
    pub(super) tasks: Vec<LinkRow>,
    /// Further tasks that wait for one of these.
    pub(super) behind: u32,
    pub(super) snapshots: u32,
    pub(super) seen_for_s: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LinkRow {
    pub(super) id: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) stack: Vec<FrameRow>,
    /// Whether it waits for a lock that the next task holds, and not for that task.
    pub(super) for_lock: bool,
}

/// What to look at to get rid of a stall.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(crate) struct Culprit {
    pub(crate) function: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct WorkerRow {
    pub(super) thread: String,
    pub(super) tid: u32,
    pub(super) runtime: u32,
    pub(super) busy_share: f64,
    pub(super) stalled_share: f64,
    /// Percentiles are not known: null. What is known is in [`Report::lag`].
    pub(super) lag_ms: (),
}

/// How long ready tasks waited for a worker, all runtimes together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LagRow {
    /// `little`: by Little's law, from the ready tasks of snapshots and the polls of
    /// workers. That gives means, and no percentiles.
    pub(super) lag_source: &'static str,
    pub(super) mean_ms: f64,
    /// The mean of the worst stretch of time.
    pub(super) worst_ms: f64,
    pub(super) polls_per_s: f64,
}

/// Values over time; `null` where a stretch has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct SeriesRows {
    pub(super) period_s: f64,
    pub(super) live_tasks: Vec<Option<f64>>,
    pub(super) running_tasks: Vec<Option<f64>>,
    pub(super) ready_tasks: Vec<Option<f64>>,
    pub(super) local_queue: Vec<Option<f64>>,
    pub(super) injection_queue: Vec<Option<f64>>,
    pub(super) blocking_queue: Vec<Option<f64>>,
    pub(super) lag_ms: Vec<Option<f64>>,
}

/// Something worth knowing at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) text: String,
    /// Where in the report it shows.
    pub(super) evidence: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    High,
    Medium,
    Low,
}
