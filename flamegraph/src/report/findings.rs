//! What a reader should know first. Silent when nothing is wrong.

use super::model::{Finding, HotSpot, Report, Severity};
use crate::printable::{count, duration, percent, printable};
use crate::profile::Cause;

/// Shares of all worker time that a hot spot may hold.
const HELD: f64 = 0.01;
const HELD_LONG: f64 = 0.05;
/// The length of a single stall that users notice.
const NOTICED_MS: f64 = 100.0;
/// The share of the CPU time that makes a kind stand out.
const HUNGRY: f64 = 0.5;
/// The part of a single CPU below which a process is idle, and shares say
/// little.
const IDLE: f64 = 0.1;
/// How long ready tasks may wait for a worker on average.
const LATE_MS: f64 = 20.0;
const LOST: f64 = 0.01;
const TRUNCATED: f64 = 0.01;
const TORN_STACKS: f64 = 0.02;
const UNSYMBOLIZED: f64 = 0.05;
const TORN: f64 = 0.05;
const UNRESOLVED: f64 = 0.05;

/// The findings of a report that is otherwise complete, the worst first; `trouble` is what
/// is wrong with how tasks wait.
pub(super) fn findings(report: &Report, trouble: Vec<Finding>) -> Vec<Finding> {
    let mut findings = trouble;
    held_workers(report, &mut findings);
    late_tasks(report, &mut findings);
    hungry_kinds(report, &mut findings);
    poor_quality(report, &mut findings);
    // Stable: within a severity, the order above.
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn held_workers(report: &Report, findings: &mut Vec<Finding>) {
    let workers = report.workers.len().max(1) as f64;
    let time_ms = (report.time.duration_s * 1e3 * workers).max(1e-9);
    for (index, spot) in report.stalls.iter().enumerate() {
        let held = (spot.total_ms / time_ms).min(1.0);
        let severity = if held >= HELD_LONG || spot.max_ms >= NOTICED_MS {
            Severity::High
        } else if held >= HELD {
            Severity::Medium
        } else {
            continue;
        };
        findings.push(Finding {
            severity,
            text: held_text(spot, held),
            evidence: format!("stalls[{index}]"),
        });
    }
}

fn held_text(spot: &HotSpot, held: f64) -> String {
    let kind = spot.kind.as_deref().unwrap_or("a task");
    let times = match spot.count {
        1 => "once".to_owned(),
        more => format!("{} times", count(more)),
    };
    let total = duration((spot.total_ms * 1e6) as u64);
    let mut text = format!(
        "{} held its worker {times} for {total} in all ({} of worker time)",
        printable(kind),
        percent(held)
    );
    if let Some(culprit) = &spot.culprit {
        text.push_str(match spot.cause {
            Cause::Cpu => ", computing in ",
            Cause::Syscall => ", blocked in ",
            Cause::Fault => ", waiting for memory in ",
            Cause::Preempted => ", without getting a CPU, in ",
        });
        text.push_str(&printable(&culprit.function));
        if let Some(file) = &culprit.file {
            text.push_str(&format!(" at {}", printable(file)));
            if let Some(line) = culprit.line {
                text.push_str(&format!(":{line}"));
            }
        }
    }
    if let Some(advice) = spot.advice {
        text.push_str(&format!(": {advice}"));
    }
    text
}

fn late_tasks(report: &Report, findings: &mut Vec<Finding>) {
    let Some(lag) = &report.lag else {
        return;
    };
    let severity = match lag.mean_ms {
        mean if mean >= LATE_MS => Severity::High,
        _ if lag.worst_ms >= LATE_MS => Severity::Medium,
        _ => return,
    };
    let milliseconds = |ms: f64| duration((ms * 1e6) as u64);
    findings.push(Finding {
        severity,
        text: format!(
            "ready tasks waited {} for a worker on average, and {} in the worst stretch: the \
             workers have more to do than they can, or are held",
            milliseconds(lag.mean_ms),
            milliseconds(lag.worst_ms)
        ),
        evidence: "lag".to_owned(),
    });
}

fn hungry_kinds(report: &Report, findings: &mut Vec<Finding>) {
    if report.cpu.total_ms < report.time.duration_s * 1e3 * IDLE {
        return;
    }
    for (index, row) in report.kinds.iter().enumerate() {
        if row.cpu_share > HUNGRY {
            findings.push(Finding {
                severity: Severity::Medium,
                text: format!(
                    "{} used {} of the CPU time",
                    printable(&row.kind),
                    percent(row.cpu_share)
                ),
                evidence: format!("kinds[{index}]"),
            });
        }
    }
    if !report.runtimes.is_empty() && report.outside_tasks.cpu_share > HUNGRY {
        findings.push(Finding {
            severity: Severity::Low,
            text: format!(
                "{} of the CPU time was used outside any task: group the flamegraph by thread",
                percent(report.outside_tasks.cpu_share)
            ),
            evidence: "outside_tasks".to_owned(),
        });
    }
}

fn poor_quality(report: &Report, findings: &mut Vec<Finding>) {
    let quality = &report.quality;
    let samples = quality.samples.max(1) as f64;
    let lost = quality.lost as f64 / (samples + quality.lost as f64);
    // What is torn is told of stacks and tasks together.
    let torn = quality.torn.saturating_sub(quality.torn_tasks);
    let cut = quality.truncated.saturating_sub(torn) as f64 / samples;
    let torn = torn as f64 / samples;
    let mut find = |share: f64, limit: f64, text: &str, field: &str| {
        if share > limit {
            findings.push(Finding {
                severity: Severity::Medium,
                text: format!("{} {text}", percent(share)),
                evidence: format!("quality.{field}"),
            });
        }
    };
    find(
        lost,
        LOST,
        "of the samples were lost, so times are too short: record at a lower rate",
        "lost",
    );
    find(
        cut,
        TRUNCATED,
        "of the stacks are cut off, so some time is not with its task: copy more of each stack",
        "truncated",
    );
    find(
        torn,
        TORN_STACKS,
        "of the samples had run on before all of their stacks could be read, so some time is not with \
         its task: the CPUs have more to do than they can, or awaitscope may not come first on them \
         (CAP_SYS_NICE)",
        "torn",
    );
    find(
        quality.unsymbolized_share,
        UNSYMBOLIZED,
        "of the samples have functions without a name: give the debug files with --debug-file",
        "unsymbolized_share",
    );
    let tasks = quality.snapshot_tasks.max(1) as f64;
    find(
        quality.torn_tasks as f64 / tasks,
        TORN,
        "of the tasks moved while they were read, so where they waited is not known",
        "torn_tasks",
    );
    find(
        quality.unresolved as f64 / tasks,
        UNRESOLVED,
        "of the tasks wait at a place that the debug information does not tell: build with \
         `debug = 2`",
        "unresolved",
    );
    if quality.throttled > 0 {
        findings.push(Finding {
            severity: Severity::Low,
            text: format!(
                "the kernel held samples back {} times: record at a lower rate",
                count(quality.throttled)
            ),
            evidence: "quality.throttled".to_owned(),
        });
    }
}
