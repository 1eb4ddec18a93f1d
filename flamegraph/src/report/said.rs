//! What a report says in words, for the text and the page alike.

use super::model::{HotSpot, PlaceRow, Report, StayedRow, WaitRow};
use super::table::shortened;
use super::trouble::place;
use crate::printable::{count, duration, percent, rate};
use crate::profile::{Cause, KindClass};
use awaitscope_symbolizer::snapshot::WaitsOn;
use serde::Serialize;

/// Who was recorded, and for how long.
pub(super) fn head(report: &Report) -> String {
    let target = &report.target;
    let name = shortened(&target.name, 40);
    let head = format!(
        "{name} ({})  {} recorded, {} on CPU",
        target.process(),
        ms(report.time.duration_s * 1e3),
        ms(report.cpu.total_ms)
    );
    head.trim_start().to_owned()
}

/// The runtimes, the binary, the machine and the moment.
pub(super) fn facts(report: &Report) -> Vec<String> {
    let target = &report.target;
    let mut facts: Vec<String> = Vec::new();
    for runtime in report.runtimes.iter().take(3) {
        let version = runtime.version.as_deref().unwrap_or("(version unknown)");
        let mut fact = format!("{} {version} {}", runtime.name, runtime.flavor);
        fact.truncate(fact.trim_end().len());
        if runtime.workers > 0 {
            fact.push_str(&format!(", {} workers", runtime.workers));
        }
        facts.push(fact);
    }
    facts.push(shortened(&target.exe, 44));
    if !target.host.is_empty() {
        facts.push(format!("on {}", target.host));
    }
    facts.push(report.time.start.clone());
    facts
}

/// What stands behind the name of a kind.
pub(super) fn class(class: KindClass) -> &'static str {
    match class {
        KindClass::Async => "",
        KindClass::Blocking => " (blocking)",
        KindClass::BlockOn => " (block_on)",
        KindClass::Callback => " (callback)",
    }
}

/// What the numbers of the workers are, and how long ready tasks waited for one.
pub(super) fn workers(report: &Report) -> String {
    let lag = report.lag.as_ref().map(|lag| {
        format!(
            "; ready tasks waited {} for a worker on average, {} in the worst second",
            ms(lag.mean_ms),
            ms(lag.worst_ms)
        )
    });
    format!("shares of the recorded time{}", lag.unwrap_or_default())
}

/// What the recording could not see.
pub(super) fn quality(report: &Report) -> Vec<String> {
    let quality = &report.quality;
    let samples = quality.samples.max(1) as f64;
    let of = |number: u64| match number {
        0 => "0".to_owned(),
        _ => format!("{} ({})", count(number), percent(number as f64 / samples)),
    };
    let mut said = vec![format!(
        "{} samples {}: lost {}, truncated stacks {}, unsymbolized {}, task not told {}, torn {}",
        count(quality.samples),
        rate(quality.rate_hz),
        of(quality.lost),
        of(quality.truncated),
        percent(quality.unsymbolized_share),
        of(quality.unidentified),
        quality.torn
    )];
    said.extend(quality.snapshot_ms.as_ref().map(|cost| {
        format!(
            "{} snapshots of tasks, each in {} ({} at most): torn {}, await point not known {}",
            count(quality.snapshots),
            ms(cost.mean),
            ms(cost.max),
            count(quality.torn_tasks),
            count(quality.unresolved)
        )
    }));
    said
}

/// What a report says, row by row.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    head: String,
    facts: Vec<String>,
    quality: Vec<String>,
    workers: String,
    threshold: String,
    /// For each place that stalled: the cause and culprit, and where.
    stalls: Vec<[String; 2]>,
    /// For each await point: what for, and where.
    waits: Vec<[String; 2]>,
    /// For each await point: how long half of the stays were at most, and the longest.
    stays: Vec<Option<[String; 2]>>,
    /// For each lock, what is waited for.
    locks: Vec<Vec<String>>,
    held: Vec<Vec<String>>,
}

impl Report {
    /// What the report says in words.
    pub(crate) fn said(&self) -> Said {
        let places = |places: &[PlaceRow]| -> Vec<String> {
            places.iter().map(|at| place(&at.stack)).collect()
        };
        Said {
            head: head(self),
            facts: facts(self),
            quality: quality(self),
            workers: workers(self),
            threshold: ms(self.quality.stall_threshold_ms),
            stalls: self
                .stalls
                .iter()
                .map(|spot| [spot_text(spot), spot_details(spot).join(", ")])
                .collect(),
            waits: self.waits.iter().map(wait_text).collect(),
            stays: self
                .waits
                .iter()
                .map(|row| {
                    let stayed = row.stayed_ms.as_ref()?;
                    Some([stay(stayed, stayed.p50), stay(stayed, stayed.max)])
                })
                .collect(),
            locks: self
                .locks
                .iter()
                .map(|lock| places(&lock.waited_at))
                .collect(),
            held: self
                .locks
                .iter()
                .map(|lock| places(&lock.held_at))
                .collect(),
        }
    }
}

/// What is waited for and in which function, and then where that is.
pub(super) fn wait_text(row: &WaitRow) -> [String; 2] {
    let what = match row.waits_on.as_ref().map(|on| on.what) {
        Some(WaitsOn::Timer) => "timer: ",
        Some(WaitsOn::Socket) => "socket: ",
        Some(WaitsOn::Lock) => "lock: ",
        Some(WaitsOn::Channel) => "channel: ",
        Some(WaitsOn::Task) => "task: ",
        Some(WaitsOn::Io) => "io: ",
        Some(WaitsOn::Other) | None => "",
    };
    let place = place(&row.stack);
    let (function, at) = match place.split_once(" at ") {
        Some((function, at)) => (function, format!("at {at}, ")),
        None => (&*place, String::new()),
    };
    let kind = row
        .kind
        .as_deref()
        .unwrap_or("a kind that could not be told");
    [format!("{what}{function}"), format!("{at}{kind}")]
}

/// A stay. Of one that was seen in a single snapshot it is known only that it was short, and
/// where most were not seen to end, that they are longer.
pub(super) fn stay(stayed: &StayedRow, length: f64) -> String {
    if length <= stayed.resolution * 1.1 {
        format!("≤ {}", ms(stayed.resolution))
    } else if stayed.censored * 2 > stayed.count {
        format!("> {}", ms(length))
    } else {
        ms(length)
    }
}

pub(super) fn spot_text(spot: &HotSpot) -> String {
    let cause = match (spot.cause, &spot.syscall) {
        (Cause::Cpu, _) => "computing".to_owned(),
        (Cause::Syscall, Some(syscall)) => format!("in {syscall}"),
        (Cause::Syscall, None) => "in the kernel".to_owned(),
        (Cause::Fault, _) => "paging in memory".to_owned(),
        (Cause::Preempted, _) => "not scheduled".to_owned(),
    };
    match &spot.culprit {
        Some(culprit) => format!("{cause}: {}", culprit.function),
        None => cause,
    }
}

pub(super) fn spot_details(spot: &HotSpot) -> Vec<String> {
    let place = spot.culprit.as_ref().and_then(|culprit| {
        let file = culprit.file.as_deref()?;
        Some(match culprit.line {
            Some(line) => format!("{file}:{line}"),
            None => file.to_owned(),
        })
    });
    let kind = spot
        .kind
        .as_deref()
        .unwrap_or("a task that could not be told");
    match place {
        Some(place) => vec![format!("at {place}, polling {kind}")],
        None => vec![format!("polling {kind}")],
    }
}

pub(super) fn ms(milliseconds: f64) -> String {
    duration((milliseconds * 1e6).round() as u64)
}
