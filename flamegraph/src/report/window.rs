//! The report of a short stretch, as rows for a screen that is drawn anew all the time: every
//! text is printable already, and every number has what it was made of beside it.

use super::model::{HotSpot, KindRow, Report, WaitRow};
use super::shares::ms;
use super::trouble::place;
use crate::fold::with_class;
use crate::printable::printable;
use crate::profile::{Cause, KindClass, Profile, State};
use awaitscope_symbolizer::snapshot::WaitsOn;
use std::collections::HashMap;

/// What time outside any task is called.
pub(crate) const OUTSIDE: &str = "[outside tasks]";

/// What a profile of a short stretch shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The short name of the process.
    pub name: String,
    /// Its number.
    pub pid: u32,
    /// The runtimes: `tokio 1.54.1 multi_thread, 2 workers`.
    pub runtimes: Vec<String>,
    /// How long the stretch is.
    pub duration_s: f64,
    /// When it began, in seconds since 1970.
    pub start_s: f64,
    /// Time on a CPU, of all threads together.
    pub cpu_ms: f64,
    /// The kinds of tasks, and in the end what ran outside any.
    pub kinds: Vec<KindNow>,
    /// Stalls by culprit, the longest together first.
    pub stalls: Vec<StallNow>,
    /// Where tasks wait, the most first.
    pub waits: Vec<WaitNow>,
    /// The workers, those held longest first.
    pub workers: Vec<WorkerNow>,
    /// How long ready tasks waited for a worker, on average: unknown where too little ran.
    pub lag_ms: Option<f64>,
    /// Living tasks, ready tasks and lag in milliseconds, second by second.
    pub series: [Vec<Option<f64>>; 3],
    /// How good the data is.
    pub quality: QualityNow,
}

/// A kind of tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct KindNow {
    /// Its root function, and its class where that is not the usual one.
    pub name: String,
    /// Time on a CPU.
    pub cpu_ms: f64,
    /// The same, second by second.
    pub seconds_ms: Vec<f64>,
    /// Of all time on a CPU, with its 95 % interval: unknown without a sample.
    pub share: Option<[f64; 3]>,
    /// How many were alive on average, where snapshots tell.
    pub live: Option<f64>,
    /// Of those, how many waited for a worker.
    pub ready: Option<f64>,
    /// Different tasks that ran, as far as samples met them.
    pub ran: u64,
    /// Polls that held their worker,
    pub stalls: u64,
    /// and for how long.
    pub stalled_ms: f64,
    /// It stands for what ran outside any task.
    pub is_outside: bool,
}

/// Stalls of one kind with one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct StallNow {
    /// The kind of the tasks.
    pub kind: String,
    /// What held the worker: `in clock_nanosleep`.
    pub cause: String,
    /// The function to blame.
    pub culprit: String,
    /// Its file and line.
    pub place: Option<String>,
    /// What to do about it.
    pub advice: Option<&'static str>,
    /// How many.
    pub count: u64,
    /// Their length together, the usual one, and the longest.
    pub total_ms: f64,
    /// Half of them were shorter.
    pub median_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// How long ago the last one ended.
    pub ago_ms: f64,
    /// The longest goes back to the beginning of the stretch: it may have begun before.
    pub is_cut: bool,
}

/// An await point.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitNow {
    /// The kind of the tasks.
    pub kind: String,
    /// The innermost function of the user's own, with file and line.
    pub place: String,
    /// The sort of thing that is waited for.
    pub what: Option<WaitsOn>,
    /// Its type.
    pub type_name: String,
    /// How many tasks waited there on average,
    pub tasks: f64,
    /// and had been woken, but waited for a worker.
    pub ready: f64,
    /// How many there were in the first snapshot,
    pub first: u32,
    /// and in the last.
    pub last: u32,
}

/// A worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerNow {
    /// Its thread's name.
    pub thread: String,
    /// Its thread's number.
    pub tid: u32,
    /// What part of the time it ran, or was held.
    pub busy: f64,
    /// What part of the time a stall held it.
    pub stalled: f64,
}

/// How good the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityNow {
    /// Samples taken.
    pub samples: u64,
    /// Samples for which there was no room.
    pub lost: u64,
    /// Stacks that are cut off.
    pub truncated: u64,
    /// Snapshots of all tasks.
    pub snapshots: u64,
    /// Stacks and tasks that moved while they were read.
    pub torn: u64,
    /// Samples a second that were asked for.
    pub rate_hz: u32,
    /// What else is to be said.
    pub notes: Vec<String>,
}

impl Window {
    /// What a profile shows.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        let report = Report::of(profile);
        Self {
            name: text(&report.target.name),
            pid: report.target.pid,
            runtimes: runtimes(&report),
            duration_s: report.time.duration_s,
            start_s: profile.start_unix_ns as f64 / 1e9,
            cpu_ms: report.cpu.total_ms,
            kinds: kinds(profile, &report),
            stalls: report
                .stalls
                .iter()
                .map(|spot| stall(spot, &report))
                .collect(),
            waits: report.waits.iter().map(wait).collect(),
            workers: report
                .workers
                .iter()
                .map(|worker| WorkerNow {
                    thread: text(&worker.thread),
                    tid: worker.tid,
                    busy: worker.busy_share,
                    stalled: worker.stalled_share,
                })
                .collect(),
            lag_ms: report.lag.as_ref().map(|lag| lag.mean_ms),
            quality: QualityNow {
                samples: report.quality.samples,
                lost: report.quality.lost,
                truncated: report.quality.truncated,
                snapshots: report.quality.snapshots,
                torn: report.quality.torn,
                rate_hz: report.quality.rate_hz,
                notes: report.quality.notes.iter().map(|note| text(note)).collect(),
            },
            series: [
                report.series.live_tasks,
                report.series.ready_tasks,
                report.series.lag_ms,
            ],
        }
    }
}

fn text(text: &str) -> String {
    printable(text).into_owned()
}

fn runtimes(report: &Report) -> Vec<String> {
    let runtimes = report.runtimes.iter();
    let words = runtimes.map(|runtime| {
        let version = runtime.version.as_deref().unwrap_or("(version unknown)");
        let said = format!("{} {version} {}", runtime.name, runtime.flavor);
        let workers = match runtime.workers {
            0 => String::new(),
            1 => ", 1 worker".to_owned(),
            more => format!(", {more} workers"),
        };
        text(&format!("{}{workers}", said.trim_end()))
    });
    words.collect()
}

fn kinds(profile: &Profile, report: &Report) -> Vec<KindNow> {
    let seconds = Seconds::of(profile);
    let ready = ready(report);
    let sampled = report.quality.samples > 0 && report.cpu.total_ms > 0.0;
    let row = |row: &KindRow| {
        let name = with_class(&row.kind, row.class);
        KindNow {
            cpu_ms: row.cpu_ms,
            seconds_ms: seconds.of_kind(Some((&row.kind, row.class))),
            share: sampled.then(|| {
                let [low, high] = row.cpu_share_ci95;
                [row.cpu_share, low, high]
            }),
            live: row.live_mean,
            ready: row
                .live_mean
                .map(|_| ready.get(&*row.kind).copied().unwrap_or(0.0)),
            ran: row.tasks_seen,
            stalls: row.stalls,
            stalled_ms: row.stalled_ms,
            name: text(&name),
            is_outside: false,
        }
    };
    let mut rows: Vec<KindNow> = report.kinds.iter().map(row).collect();
    let outside = &report.outside_tasks;
    rows.push(KindNow {
        name: OUTSIDE.to_owned(),
        cpu_ms: outside.cpu_ms,
        seconds_ms: seconds.of_kind(None),
        share: sampled.then_some([outside.cpu_share; 3]),
        live: None,
        ready: None,
        ran: 0,
        stalls: 0,
        stalled_ms: 0.0,
        is_outside: true,
    });
    rows
}

/// How many tasks of each kind were ready, on average.
fn ready(report: &Report) -> HashMap<&str, f64> {
    let mut ready = HashMap::new();
    for row in &report.waits {
        if let Some(kind) = &row.kind {
            *ready.entry(&**kind).or_default() += row.ready_mean;
        }
    }
    ready
}

/// Time on a CPU by kind, bucket by bucket.
struct Seconds<'a>(HashMap<Option<(&'a str, KindClass)>, Vec<u64>>, usize);

impl<'a> Seconds<'a> {
    fn of(profile: &'a Profile) -> Self {
        let buckets = profile.duration_ns.div_ceil(profile.bucket_ns.max(1));
        let buckets = usize::try_from(buckets).unwrap_or(0).min(MOST_SECONDS);
        let mut of = HashMap::new();
        for bucket in &profile.buckets {
            for weight in &bucket.weights {
                let kind = weight.key.kind.map(|kind| profile.kind(kind));
                let kind = kind.map(|kind| (&*kind.name, kind.class));
                let times: &mut Vec<u64> = of.entry(kind).or_insert_with(|| vec![0; buckets]);
                let time = times.get_mut(bucket.number as usize);
                if let (Some(time), State::OnCpu) = (time, weight.key.state) {
                    *time += weight.ns;
                }
            }
        }
        Self(of, buckets)
    }

    fn of_kind(&self, kind: Option<(&str, KindClass)>) -> Vec<f64> {
        let known = self
            .0
            .get(&kind)
            .map(|times| times.iter().map(|ns| ms(*ns)));
        known.map_or_else(|| vec![0.0; self.1], Iterator::collect)
    }
}

/// More of a trend fits on no screen.
const MOST_SECONDS: usize = 600;

fn stall(spot: &HotSpot, report: &Report) -> StallNow {
    let culprit = spot.culprit.as_ref();
    let place = culprit.and_then(|culprit| {
        let file = culprit.file.as_deref()?;
        Some(match culprit.line {
            Some(line) => format!("{file}:{line}"),
            None => file.to_owned(),
        })
    });
    let cause = match (spot.cause, &spot.syscall) {
        (Cause::Cpu, _) => "computing".to_owned(),
        (Cause::Syscall, Some(syscall)) => format!("in {syscall}"),
        (Cause::Syscall, None) => "in the kernel".to_owned(),
        (Cause::Fault, _) => "paging in memory".to_owned(),
        (Cause::Preempted, _) => "not scheduled".to_owned(),
    };
    let end_ms = report.time.duration_s * 1e3;
    StallNow {
        kind: text(
            spot.kind
                .as_deref()
                .unwrap_or("a task that could not be told"),
        ),
        cause: text(&cause),
        culprit: text(culprit.map_or("a function not known", |culprit| &*culprit.function)),
        place: place.map(|place| text(&place)),
        advice: spot.advice,
        count: spot.count,
        total_ms: spot.total_ms,
        median_ms: spot.p50_ms,
        max_ms: spot.max_ms,
        ago_ms: (end_ms - spot.last_ms).max(0.0),
        is_cut: spot.starts_with_recording,
    }
}

fn wait(row: &WaitRow) -> WaitNow {
    WaitNow {
        kind: text(
            row.kind
                .as_deref()
                .unwrap_or("a kind that could not be told"),
        ),
        place: place(&row.stack),
        what: row.waits_on.as_ref().map(|on| on.what),
        type_name: row
            .waits_on
            .as_ref()
            .map_or_else(String::new, |on| text(&on.type_name)),
        tasks: row.mean_tasks,
        ready: row.ready_mean,
        first: row.first,
        last: row.last,
    }
}
