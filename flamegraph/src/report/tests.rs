//! Tests of the whole report.

use super::*;
use crate::profile::{Cause, KindClass, Stall, State, ThreadRole, WeightKey};
use crate::sample;
use proptest::prelude::*;
use serde_json::Value;

fn json(report: &Report) -> Value {
    serde_json::from_str(&report.to_json()).unwrap()
}

/// Whether `value` has every field of `shape`, each of the same type. A
/// list's first element stands for all; `null` in the shape stands for
/// what may be unknown.
fn assert_shape(value: &Value, shape: &Value, at: &str) {
    match (value, shape) {
        (Value::Object(value), Value::Object(shape)) => {
            for (name, shape) in shape {
                let field = value.get(name).unwrap_or_else(|| panic!("no {at}.{name}"));
                assert_shape(field, shape, &format!("{at}.{name}"));
            }
        }
        (Value::Array(values), Value::Array(shapes)) => {
            if let Some(shape) = shapes.first() {
                assert!(!values.is_empty(), "{at} is empty");
                for value in values {
                    assert_shape(value, shape, at);
                }
            }
        }
        (Value::Null, Value::Null)
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::String(_), Value::String(_)) => {}
        _ => panic!("{at} is {value}, and should be like {shape}"),
    }
}

#[test]
fn the_json_has_the_shape_of_the_contract() {
    let mut builder = sample::builder();
    builder.add_point("live_tasks", 0, 3.0);
    let mut report = json(&Report::of(&sample::service()));
    // Stacks end in frames without a file, which the contract leaves open.
    for spot in report["stalls"].as_array_mut().unwrap() {
        spot["stack"].as_array_mut().unwrap().truncate(4);
        if spot["cause"] == "cpu" {
            assert!(spot["syscall"].is_null());
            spot["syscall"] = "".into();
        }
    }
    let shape = serde_json::json!({
        "schema": 1,
        "target": { "pid": 1, "exe": "/srv/app", "build_id": "" },
        "runtimes": [ { "index": 0, "name": "tokio", "version": "1", "flavor": "", "workers": 4 } ],
        "time": { "start": "2026-01-01T00:00:00Z", "duration_s": 10.0 },
        "quality": { "samples": 990, "lost": 0, "truncated": 0, "torn": 0,
                     "unsymbolized_share": 0.01, "rate_hz": 99, "snapshots": 100 },
        "cpu": { "total_ms": 4210.0, "in_tasks_ms": 3900.0 },
        "kinds": [ { "kind": "app::handler", "runtime": 0, "tasks_seen": 31, "cpu_ms": 2100.0,
                     "cpu_share": 0.499, "cpu_share_ci95": [0.47], "live_mean": null, "stalls": 3 } ],
        "tasks": [ { "id": "17", "kind": "app::handler", "cpu_ms": 700.0, "cpu_share": 0.166 } ],
        "stalls": [ { "kind": "app::handler", "cause": "syscall", "syscall": "", "count": 98,
                      "total_ms": 2950.0, "max_ms": 31.2, "p50_ms": 30.1,
                      "stack": [ { "function": "", "file": "", "line": 13, "kind": "async" } ],
                      "culprit": { "function": "", "file": "", "line": 21 }, "advice": "" } ],
        "waits": [],
        "workers": [ { "thread": "tokio-rt-worker", "tid": 12, "busy_share": 0.4,
                       "stalled_share": 0.29, "lag_ms": null } ],
        "series": { "period_s": 1.0, "live_tasks": [], "ready_tasks": [], "lag_ms": [] },
        "findings": [ { "severity": "high", "text": "", "evidence": "stalls[0]" } ],
        "outside_tasks": { "cpu_ms": 1.0, "cpu_share": 0.1 }
    });
    assert_shape(&report, &shape, "report");
    assert_eq!(report["schema"], 1);
    for row in report["kinds"].as_array().unwrap() {
        assert_eq!(row["cpu_share_ci95"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn the_service_of_the_sample_is_told_as_it_was() {
    let report = Report::of(&sample::service());
    let spot = &report.stalls[0];
    assert_eq!(spot.kind.as_deref(), Some("app::mailer::run"));
    assert_eq!((spot.count, spot.max_ms, spot.p50_ms), (48, 30.9, 28.0));
    let culprit = spot.culprit.as_ref().unwrap();
    assert_eq!(culprit.function, "std::thread::sleep");
    assert_eq!(
        (culprit.file.as_deref(), culprit.line),
        (Some("src/mailer.rs"), Some(44))
    );
    assert_eq!(spot.advice, Some("use tokio::time::sleep"));
    assert_eq!(report.kinds[0].kind, "app::serve");
    assert_eq!(report.workers.len(), 2);
    let worker = &report.workers[0];
    assert!((worker.stalled_share - 0.084).abs() < 1e-9, "{worker:?}");
    assert!(
        worker.busy_share > 0.5 && worker.busy_share < 0.7,
        "{worker:?}"
    );
}

#[test]
fn findings_point_at_their_evidence() {
    let report = Report::of(&sample::service());
    assert!(report.findings.is_sorted_by_key(|finding| finding.severity));
    let json = json(&report);
    for finding in &report.findings {
        let path = finding
            .evidence
            .replace('[', "/")
            .replace(['.'], "/")
            .replace(']', "");
        assert!(json.pointer(&format!("/{path}")).is_some(), "{finding:?}");
    }
    let texts: Vec<_> = report
        .findings
        .iter()
        .map(|finding| &*finding.text)
        .collect();
    assert!(
        texts[0].starts_with("app::mailer::run held its worker 48 times for 1.34 s"),
        "{texts:?}"
    );
    assert!(
        texts.contains(&"app::serve used 59.4 % of the CPU time"),
        "{texts:?}"
    );
}

#[test]
fn what_was_cut_off_is_no_evidence() {
    let report = Report::of(&sample::service()).top(1);
    assert_eq!((report.stalls.len(), report.tasks.len()), (1, 1));
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.evidence != "stalls[1]")
    );
    assert!(report.kinds.len() > 1, "kinds add up only together");
}

#[test]
fn a_healthy_service_has_no_findings() {
    let mut builder = sample::builder();
    let thread = builder.thread(1, "worker", ThreadRole::Worker { runtime: 0 });
    let stack = sample::stack(&mut builder, &["async user app::serve"]);
    for (name, ns) in [("a", 40), ("b", 35), ("c", 25)] {
        let kind = Some(builder.kind(name, KindClass::Async, Some(0)));
        let key = WeightKey {
            thread: Some(thread),
            state: State::OnCpu,
            kind,
            task: None,
            stack,
        };
        builder.add_weight(key, 0, ns * 10_000_000, ns as u32);
    }
    builder.quality_mut().samples = 1000;
    builder.quality_mut().lost = 1;
    let report = Report::of(&builder.finish(1_000_000_000));
    assert_eq!(report.findings, []);
}

#[test]
fn an_idle_process_is_not_accused_of_its_last_percent() {
    let mut builder = sample::builder();
    let thread = builder.thread(1, "worker", ThreadRole::Worker { runtime: 0 });
    let kind = Some(builder.kind("app::tick", KindClass::Async, Some(0)));
    let stack = sample::stack(&mut builder, &["async user app::tick"]);
    let key = WeightKey {
        thread: Some(thread),
        state: State::OnCpu,
        kind,
        task: None,
        stack,
    };
    builder.add_weight(key, 0, 10_000_000, 1);
    let report = Report::of(&builder.finish(1_000_000_000));
    assert_eq!(report.findings, []);
}

#[test]
fn poor_recordings_say_so() {
    let mut builder = sample::builder();
    let quality = builder.quality_mut();
    quality.samples = 100;
    quality.lost = 10;
    quality.truncated = 9;
    quality.unsymbolized_samples = 20;
    quality.throttled = 1;
    let report = Report::of(&builder.finish(1_000_000_000));
    let evidence: Vec<_> = report
        .findings
        .iter()
        .map(|finding| &*finding.evidence)
        .collect();
    assert_eq!(
        evidence,
        [
            "quality.lost",
            "quality.truncated",
            "quality.unsymbolized_share",
            "quality.throttled"
        ]
    );
}

#[test]
fn stalls_past_the_limit_count_in_their_hot_spot() {
    let mut builder = sample::builder();
    let thread = builder.thread(1, "worker", ThreadRole::Worker { runtime: 0 });
    let kind = builder.kind("app::a", KindClass::Async, Some(0));
    let stack = sample::stack(&mut builder, &["sync user app::work @ src/a.rs:1"]);
    let stall = |number: u64| Stall {
        start_ns: number,
        duration_ns: 10_000_000 + number,
        uncertainty_ns: 0,
        kind: Some(kind),
        task: None,
        thread,
        cause: Cause::Cpu,
        syscall: None,
        stacks: vec![(stack, 10_000_000)],
    };
    for number in 0..60_000 {
        builder.add_stall(stall(number));
    }
    assert_eq!(builder.stall_count(), 60_000);
    let profile = builder.finish(1_000_000_000_000);
    let total: u64 = (0..60_000).map(|number| 10_000_000 + number).sum();
    let report = Report::of(&profile);
    assert_eq!(report.stalls.len(), 1);
    let spot = &report.stalls[0];
    assert_eq!((spot.count, spot.total_ms), (60_000, ms(total)));
    assert_eq!(spot.max_ms, ms(10_059_999));
    assert_eq!(report.kinds[0].stalls, 60_000);
    assert!(
        report.quality.notes[0].contains("one by one"),
        "{:?}",
        report.quality.notes
    );
}

#[test]
fn series_have_their_means_and_gaps() {
    let mut builder = sample::builder();
    for (at, value) in [(0, 2.0), (1, 4.0), (3_000_000_000, 7.0)] {
        builder.add_point("live_tasks", at, value);
    }
    let report = Report::of(&builder.finish(4_000_000_000));
    assert_eq!(report.series.live_tasks, [Some(3.0), None, None, Some(7.0)]);
    assert_eq!(report.series.lag_ms, []);
}

proptest! {
    #[test]
    fn shares_add_up_to_one_and_lie_within_their_intervals(
        weights in prop::collection::vec((0..6_usize, 0..12_u64, 1..50_000_000_u64), 1..80)
    ) {
        let mut builder = sample::builder();
        let thread = builder.thread(1, "worker", ThreadRole::Worker { runtime: 0 });
        let stack = sample::stack(&mut builder, &["async user app::serve"]);
        for (kind, second, ns) in weights {
            let kind = (kind > 0).then(|| {
                builder.kind(&format!("kind{kind}"), KindClass::Async, Some(0))
            });
            let key = WeightKey { thread: Some(thread), state: State::OnCpu, kind, task: None, stack };
            builder.add_weight(key, second * 1_000_000_000, ns, 1 + (ns / 10_000_000) as u32);
        }
        let report = Report::of(&builder.finish(12_000_000_000));
        let kinds: f64 = report.kinds.iter().map(|row| row.cpu_share).sum();
        prop_assert!((kinds + report.outside_tasks.cpu_share - 1.0).abs() < 1e-9);
        for row in &report.kinds {
            let [low, high] = row.cpu_share_ci95;
            prop_assert!(0.0 <= low && low <= row.cpu_share);
            prop_assert!(row.cpu_share <= high && high <= 1.0);
        }
    }
}
