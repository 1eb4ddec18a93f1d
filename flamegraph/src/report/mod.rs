//! The report: what a profile says, for people and for programs.

mod clock;
mod culprit;
mod findings;
mod growth;
mod hotspots;
mod interval;
mod model;
mod origins;
mod said;
mod shares;
mod table;
mod text;
mod trouble;
mod waits;
mod window;
mod workers;

pub(crate) use clock::rfc3339;
pub(crate) use hotspots::Blame;
pub use model::Report;
pub(crate) use origins::{Extent, Origins};
pub(crate) use said::Said;
pub(crate) use table::{Ink, Sheet, Table, WIDTH, shortened, wrapped};
pub use text::Color;
pub(crate) use window::OUTSIDE;
pub use window::{KindNow, QualityNow, StallNow, WaitNow, Window, WorkerNow};

use crate::profile::{Profile, Series};
use model::{LagRow, QualityRow, SeriesRows, SnapshotCost, Time};
use shares::{Shares, ms};
use waits::Waits;

/// The version of the JSON. Fields may be added under the same number, never
/// renamed or re-typed.
const SCHEMA: u32 = 1;

impl Report {
    /// Works the report out.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        Self::with_origins(profile).0
    }

    /// Works the report out, and keeps what of the profile its rows are about.
    pub(crate) fn with_origins(profile: &Profile) -> (Self, Origins) {
        let shares = Shares::of(profile);
        let waits = Waits::of(profile);
        let trouble = waits.trouble(profile);
        let (kinds, kind_ids) = shares.kinds(profile, &waits).into_iter().unzip();
        let (tasks, task_ids) = shares.tasks(profile).into_iter().unzip();
        let (stalls, spot_of_stall) = hotspots::hot_spots(profile);
        let (workers, threads) = workers::workers(profile).into_iter().unzip();
        let (wait_rows, waits_of) = waits
            .rows
            .into_iter()
            .map(|(row, wait)| (row, (wait.kind, wait.stack)))
            .unzip();
        let mut report = Self {
            schema: SCHEMA,
            target: profile.target.clone(),
            runtimes: profile.runtimes.clone(),
            time: Time {
                start: rfc3339(profile.start_unix_ns),
                duration_s: profile.duration_ns as f64 / 1e9,
            },
            quality: quality(profile),
            cpu: shares.cpu(),
            outside_tasks: shares.outside(),
            kinds,
            tasks,
            stalls,
            waits: wait_rows,
            waits_total: waits.all,
            locks: waits.locks,
            circles: waits.circles,
            workers,
            lag: lag(profile),
            series: series(profile),
            findings: Vec::new(),
        };
        report.findings = findings::findings(&report, trouble);
        let origins = Origins {
            kinds: kind_ids,
            tasks: task_ids,
            waits: waits_of,
            threads,
            spot_of_stall,
        };
        (report, origins)
    }

    /// Keeps the first `rows` of the tasks, stalls, await points and locks. The kinds
    /// stay, because their shares add up only together.
    #[must_use]
    pub fn top(mut self, rows: usize) -> Self {
        self.tasks.truncate(rows);
        self.stalls.truncate(rows);
        self.waits.truncate(rows);
        self.locks.truncate(rows);
        // What is not there any more cannot be evidence.
        self.findings.retain(|finding| {
            let mut cut = ["stalls[", "waits[", "locks["].into_iter();
            let index = cut.find_map(|list| finding.evidence.strip_prefix(list));
            let index = index.and_then(|rest| rest.strip_suffix(']')?.parse().ok());
            index.is_none_or(|index: usize| index < rows)
        });
        self
    }

    /// The report as JSON, in the shape that `report --format json` promises.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serializing to a string fails only for maps with odd keys and for
        // types that refuse; there are none in a report.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

fn quality(profile: &Profile) -> QualityRow {
    let quality = &profile.quality;
    let unsymbolized = quality.unsymbolized_samples as f64 / quality.samples.max(1) as f64;
    QualityRow {
        samples: quality.samples,
        lost: quality.lost,
        throttled: quality.throttled,
        truncated: quality.truncated,
        torn: quality.torn.saturating_add(quality.torn_tasks),
        snapshot_tasks: quality.snapshot_tasks,
        torn_tasks: quality.torn_tasks,
        unresolved: quality.unresolved_tasks,
        snapshot_ms: profile.waiting.as_ref().map(|waiting| SnapshotCost {
            mean: ms(waiting.took_ns) / quality.snapshots.max(1) as f64,
            max: ms(waiting.slowest_ns),
        }),
        unsymbolized_share: unsymbolized.min(1.0),
        unidentified: quality.unidentified_samples,
        rate_hz: profile.options.rate_hz,
        snapshots: quality.snapshots,
        stall_threshold_ms: ms(profile.options.stall_threshold_ns),
        notes: quality.notes.clone(),
    }
}

fn series(profile: &Profile) -> SeriesRows {
    let named = |name: &str| {
        let found = profile.series.iter().find(|series| series.name == name);
        found.map_or_else(Vec::new, values)
    };
    SeriesRows {
        period_s: profile.bucket_ns as f64 / 1e9,
        live_tasks: named("live_tasks"),
        running_tasks: named("running_tasks"),
        ready_tasks: named("ready_tasks"),
        local_queue: named("local_queue"),
        injection_queue: named("injection_queue"),
        blocking_queue: named("blocking_queue"),
        lag_ms: named("lag_ms"),
    }
}

/// The lag of the whole recording: each stretch counts as much as it has polls.
fn lag(profile: &Profile) -> Option<LagRow> {
    let series = |name: &str| {
        let found = profile.series.iter().find(|series| series.name == name);
        found.map(values)
    };
    let (lags, polls) = (series("lag_ms")?, series("polls_per_s")?);
    let known: Vec<(f64, f64)> = lags
        .into_iter()
        .zip(polls)
        .filter_map(|(lag, polls)| Some((lag?, polls?)))
        .collect();
    let all: f64 = known.iter().map(|(_, polls)| polls).sum();
    (all > 0.0).then(|| LagRow {
        lag_source: "little",
        mean_ms: known.iter().map(|(lag, polls)| lag * polls).sum::<f64>() / all,
        worst_ms: known.iter().fold(0.0, |worst, (lag, _)| lag.max(worst)),
        polls_per_s: all / known.len() as f64,
    })
}

/// The mean of each bucket, up to the last one with a value.
fn values(series: &Series) -> Vec<Option<f64>> {
    let length = series.points.iter().map(|point| point.bucket as usize + 1);
    let mut values = vec![None; length.max().unwrap_or(0)];
    for point in &series.points {
        values[point.bucket as usize] = Some(point.sum / point.count as f64);
    }
    values
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wait_tests;
