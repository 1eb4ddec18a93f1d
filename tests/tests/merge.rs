//! Profiles of two replicas make one, in which everything adds up.

use anyhow::{Result, ensure};
use awaitscope_tests::report::Report;
use awaitscope_tests::{Profiler, RunningService, ServiceBuild, alone};
use std::path::Path;

fn report(profiler: &Profiler, file: &Path) -> Result<Report> {
    let name = file.to_string_lossy();
    let output = profiler.run(&["report", &name, "--format", "json"])?;
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn cpu_ms(report: &Report, kind: &str) -> f64 {
    let of_kind = report.kinds.iter().filter(|row| row.kind == kind);
    of_kind.map(|row| row.cpu_ms).sum()
}

#[test]
fn kinds_of_two_replicas_add_up() -> Result<()> {
    let mix = ServiceBuild::new("mix").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let services = [
        RunningService::start(&mix, &[])?,
        RunningService::start(&mix, &[])?,
    ];
    let recordings = std::thread::scope(|scope| {
        let record = |service: &RunningService| {
            let (profiler, pid) = (&profiler, service.pid());
            scope.spawn(move || profiler.record(pid, &["-d", "4s", "-F", "199"]))
        };
        let threads = services.iter().map(record).collect::<Vec<_>>();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        joined.collect::<Result<Vec<_>>>()
    })?;
    let folder = tempfile::tempdir()?;
    let merged = folder.path().join("merged.awaitscope");
    let files: Vec<String> = recordings
        .iter()
        .map(|recording| recording.file.to_string_lossy().into_owned())
        .collect();
    let name = merged.to_string_lossy().into_owned();
    let output = profiler.run(&["merge", &files[0], &files[1], "-o", &name])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    ensure!(
        said.contains("merged from 2 recordings at the same time"),
        "{said}"
    );
    let parts = [recordings[0].report()?, recordings[1].report()?];
    let whole = report(&profiler, &merged)?;
    let sum = |of: &dyn Fn(&Report) -> f64| parts.iter().map(of).sum::<f64>();
    let assert_sum = |of: &dyn Fn(&Report) -> f64, what: &str| {
        let (found, expected) = (of(&whole), sum(of));
        assert!(
            (found - expected).abs() < 0.01,
            "{what}: {found}, not {expected}"
        );
    };
    assert_sum(&|report| report.cpu.total_ms, "CPU");
    for kind in &whole.kinds {
        assert_sum(&|report| cpu_ms(report, &kind.kind), &kind.kind);
    }
    assert_sum(&|report| report.quality.samples as f64, "samples");
    assert_sum(&|report| report.workers.len() as f64, "workers");
    let held = |report: &Report| report.stalls.iter().map(|stall| stall.total_ms).sum();
    assert_sum(&held, "stalls");
    assert!(
        whole.kinds.iter().any(|kind| kind.cpu_ms > 10.0),
        "{:?}",
        whole.kinds
    );
    assert!(
        whole.time.duration_s < 8.0,
        "they lie beside each other: {:?}",
        whole.time
    );
    assert_eq!(
        whole.kinds.len(),
        parts[0].kinds.len().max(parts[1].kinds.len())
    );
    Ok(())
}

#[test]
fn one_recording_twice_is_refused() -> Result<()> {
    let plain = ServiceBuild::new("plain").build()?;
    let profiler = Profiler::get()?;
    let service = RunningService::start(&plain, &[])?;
    let recording = profiler.record(service.pid(), &["-d", "1s"])?;
    let file = recording.file.to_string_lossy().into_owned();
    let folder = tempfile::tempdir()?;
    let merged = folder.path().join("merged.awaitscope");
    let name = merged.to_string_lossy().into_owned();
    let output = profiler.run(&["merge", &file, &file, "-o", &name])?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("twice"), "{said}");
    assert!(!merged.exists());
    Ok(())
}
