//! What is exported is read by the tools it is for, and they come to the totals of the report.

use anyhow::{Context, Result, ensure};
use awaitscope_tests::readers::{FirefoxProfiler, check_speedscope, pprof_label, pprof_total};
use awaitscope_tests::report::Report;
use awaitscope_tests::{Profiler, Recording, RunningService, ServiceBuild, alone};
use std::path::PathBuf;
use tempfile::TempDir;

/// A recording of a service with known kinds and stalls, and what the report says of it.
fn record() -> Result<(Recording, Report)> {
    let mix = ServiceBuild::new("mix").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let service = RunningService::start(&mix, &[])?;
    let recording = profiler.record(service.pid(), &["-d", "4s", "-F", "499"])?;
    let report = recording.report()?;
    ensure!(report.cpu.total_ms > 100.0, "it was busy: {:?}", report.cpu);
    ensure!(!report.stalls.is_empty(), "it stalled");
    Ok((recording, report))
}

/// Exports a recording into a folder that is removed with the test.
fn export(recording: &Recording, format: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("exported");
    let name = path.to_string_lossy().into_owned();
    let file = recording.file.to_string_lossy().into_owned();
    let args = ["export", &file, "--format", format, "-o", &name];
    let output = Profiler::get()?.run(&args)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    ensure!(said.contains(&name), "it says where it is: {said}");
    Ok((folder, path))
}

fn assert_about(found: f64, expected: f64, allowed: f64) {
    assert!(
        (found - expected).abs() <= allowed,
        "{found}, not {expected}"
    );
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[test]
fn collapsed_stacks_have_all_the_cpu_time_kind_by_kind() -> Result<()> {
    let (recording, report) = record()?;
    let lines = recording.collapsed()?;
    let lines = lines.lines().map(|line| {
        let (stack, ns) = line.rsplit_once(' ').context("no weight")?;
        let kind = stack.split(';').next().unwrap_or_default();
        Ok((kind.to_owned(), ns.parse::<u64>()?))
    });
    let lines: Vec<(String, u64)> = lines.collect::<Result<_>>()?;
    let all: u64 = lines.iter().map(|(_, ns)| ns).sum();
    assert_about(ms(all), report.cpu.total_ms, 1e-6);
    for kind in report.kinds.iter().filter(|kind| kind.cpu_ms > 0.0) {
        let of_kind = lines.iter().filter(|(name, _)| *name == kind.kind);
        assert_about(ms(of_kind.map(|(_, ns)| ns).sum()), kind.cpu_ms, 1e-6);
    }
    Ok(())
}

#[test]
fn pprof_shows_the_totals_and_tells_kinds_and_states_apart() -> Result<()> {
    let (recording, report) = record()?;
    let (_folder, file) = export(&recording, "pprof")?;
    assert_about(ms(pprof_total(&file, "cpu")?), report.cpu.total_ms, 0.001);
    let kinds = pprof_label(&file, "cpu", "kind")?;
    for kind in report.kinds.iter().filter(|kind| kind.cpu_ms > 0.0) {
        let found = kinds
            .get(&kind.kind)
            .with_context(|| format!("{kinds:?}"))?;
        assert_about(ms(*found), kind.cpu_ms, 0.001);
    }
    let held: f64 = report.stalls.iter().map(|stall| stall.total_ms).sum();
    assert_about(ms(pprof_total(&file, "stall")?), held, 0.001);
    let count: u64 = report.stalls.iter().map(|stall| stall.count).sum();
    let states = pprof_label(&file, "stalls", "state")?;
    assert_eq!(states.values().sum::<u64>(), count, "{states:?}");
    let asleep = report
        .stalls
        .iter()
        .filter(|stall| stall.cause == "syscall");
    let asleep: u64 = asleep.map(|stall| stall.count).sum();
    assert_eq!(
        states.get("stalled-in-syscall"),
        Some(&asleep),
        "{states:?}"
    );
    assert!(pprof_total(&file, "waiting")? > 0, "its idle tasks wait");
    Ok(())
}

#[test]
fn speedscope_takes_the_file_for_one_of_its_own() -> Result<()> {
    let (recording, report) = record()?;
    let (_folder, file) = export(&recording, "speedscope")?;
    check_speedscope(&file)?;
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let profiles = json["profiles"].as_array().context("profiles")?;
    let all = profiles.iter().map(|profile| profile["endValue"].as_u64());
    let all: u64 = all
        .collect::<Option<Vec<u64>>>()
        .context("weights")?
        .iter()
        .sum();
    assert_about(ms(all), report.cpu.total_ms, 1e-6);
    let first = profiles[0]["name"].as_str().context("a name")?;
    assert!(first.starts_with(&report.kinds[0].kind), "{first}");
    Ok(())
}

#[test]
fn the_firefox_profiler_shows_threads_kinds_and_stalls() -> Result<()> {
    let (recording, report) = record()?;
    let (_folder, file) = export(&recording, "firefox")?;
    let profiler = FirefoxProfiler::load(&file)?;
    let tracks = profiler.tracks()?;
    let on_cpu = |group: &str| -> f64 {
        let tracks = tracks
            .iter()
            .filter(|track| track.process_name.ends_with(group));
        tracks.map(|track| track.cpu_ms).sum()
    };
    // It counts microseconds of each sample.
    let allowed = report.quality.samples as f64 / 1e3;
    assert_about(on_cpu("mix"), report.cpu.total_ms, allowed);
    assert_about(on_cpu("on CPU"), report.cpu.in_tasks_ms, allowed);
    for kind in report.kinds.iter().filter(|kind| kind.cpu_ms > 0.0) {
        let mut tracks = tracks.iter();
        let found = tracks.find(|track| track.name == kind.kind && track.cpu_ms > 0.0);
        let found = found.with_context(|| format!("no track of {}", kind.kind))?;
        assert_about(found.cpu_ms, kind.cpu_ms, allowed);
    }
    let stalls = profiler.markers("Stall")?;
    let count: u64 = report.stalls.iter().map(|stall| stall.count).sum();
    assert_eq!(stalls.len() as u64, count);
    let held: f64 = stalls.iter().map(|stall| stall.duration).sum();
    let expected: f64 = report.stalls.iter().map(|stall| stall.total_ms).sum();
    assert_about(held, expected, 0.01);
    let worst = &report.stalls[0];
    let culprit = worst.culprit.as_ref().context("a culprit")?;
    let blamed = stalls
        .iter()
        .filter(|stall| stall.data["culprit"] == culprit.function.as_str())
        .filter(|stall| stall.data["kind"] == worst.kind.as_str());
    assert!(blamed.count() as u64 >= worst.count, "{culprit:?}");
    assert!(!profiler.markers("Mean")?.is_empty(), "tasks over time");
    Ok(())
}

#[test]
fn what_a_format_has_no_place_for_is_refused() -> Result<()> {
    let mix = ServiceBuild::new("mix").build()?;
    let profiler = Profiler::get()?;
    let service = RunningService::start(&mix, &[])?;
    let recording = profiler.record(service.pid(), &["-d", "1s"])?;
    let file = recording.file.to_string_lossy().into_owned();
    for args in [
        &["--format", "pprof", "--group", "kind"][..],
        &["--format", "firefox", "--view", "cpu"],
        &[
            "--format",
            "collapsed",
            "--view",
            "wait",
            "--group",
            "thread",
        ],
    ] {
        let output = profiler.run(&[&["export", &file], args].concat())?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(
            output.stdout.is_empty() && !said.contains("panicked"),
            "{said}"
        );
    }
    let output = profiler.run(&["export", &file, "--format", "perf"])?;
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}
