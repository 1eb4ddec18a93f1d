//! Each kind's share of the CPU time is what the service itself measured.

use anyhow::Result;
use awaitscope_tests::compare::share_errors;
use awaitscope_tests::report::Report;
use awaitscope_tests::{Profiler, RunningService, ServiceBuild, Truth, alone};

fn record_mix(args: &[&str]) -> Result<(Truth, Report)> {
    record("mix", &[], args)
}

fn record(service: &'static str, with: &[&str], args: &[&str]) -> Result<(Truth, Report)> {
    let service = ServiceBuild::new(service).build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&service, with)?;
    service.mark()?;
    let recording = profiler.record(service.pid(), args)?;
    let truth = service.truth()?;
    Ok((truth, recording.report()?))
}

#[test]
fn shares_are_right_to_3_points_at_99_hz() -> Result<()> {
    let (truth, report) = record_mix(&["-d", "20s", "-F", "99"])?;
    let errors = share_errors(&truth, &report.kinds);
    assert!(errors[0].points().abs() <= 3.0, "{errors:#?}");
    Ok(())
}

#[test]
fn shares_are_right_to_a_point_and_a_half_at_999_hz() -> Result<()> {
    let (truth, report) = record_mix(&["-d", "20s", "-F", "999"])?;
    let errors = share_errors(&truth, &report.kinds);
    assert!(errors[0].points().abs() <= 1.5, "{errors:#?}");
    Ok(())
}

#[test]
fn shares_are_right_beside_tokio() -> Result<()> {
    let (truth, report) = record(
        "executors",
        &["--only", "split"],
        &["-d", "10s", "-F", "499"],
    )?;
    let errors = share_errors(&truth, &report.kinds);
    assert!(errors[0].points().abs() <= 3.0, "{errors:#?}");
    let told: f64 = report.tasks.iter().map(|task| task.cpu_share).sum();
    let in_tasks = report.cpu.in_tasks_ms / report.cpu.total_ms;
    assert_eq!(report.tasks.len(), 3, "{:?}", report.tasks);
    assert!(
        told > 0.99 * in_tasks,
        "{told} of {in_tasks} in tasks that are told"
    );
    Ok(())
}

#[test]
fn tasks_of_one_kind_are_told_apart() -> Result<()> {
    let (truth, report) = record_mix(&["-d", "10s", "-F", "499"])?;
    for task in truth.tasks.iter().filter(|task| task.cpu_ns > 100_000_000) {
        let share = task.cpu_ns as f64 / truth.process_cpu_ns as f64;
        let found = report
            .tasks
            .iter()
            .find(|found| found.id == task.id.to_string() && found.kind == task.kind);
        let found = found.map_or(0.0, |found| found.cpu_share);
        assert!(
            (found - share).abs() < 0.03,
            "{task:?} has {share}, not {found}"
        );
    }
    Ok(())
}

#[test]
fn the_whole_is_the_sum_of_its_parts_and_unwinds_to_its_end() -> Result<()> {
    let (truth, report) = record_mix(&["-d", "10s", "-F", "499"])?;
    let in_tasks: f64 = report.kinds.iter().map(|kind| kind.cpu_ms).sum();
    assert!((in_tasks - report.cpu.in_tasks_ms).abs() < 0.01 * report.cpu.total_ms);
    for kind in &report.kinds {
        let share = kind.cpu_ms / report.cpu.total_ms;
        assert!((kind.cpu_share - share).abs() < 0.001, "{kind:?}");
        let [low, high] = kind.cpu_share_ci95;
        assert!(low <= kind.cpu_share && kind.cpu_share <= high, "{kind:?}");
    }
    let window_ms = (truth.now_ns - truth.mark_ns) as f64 / 1e6;
    let rate = truth.process_cpu_ns as f64 / 1e6 / window_ms;
    let found_rate = report.cpu.total_ms / (report.time.duration_s * 1000.0);
    assert!(
        (found_rate / rate - 1.0).abs() < 0.1,
        "{found_rate} of {rate}"
    );
    let quality = &report.quality;
    assert_eq!(quality.lost, 0);
    assert!(quality.truncated * 100 <= quality.samples, "{quality:?}");
    assert!(quality.unsymbolized_share <= 0.01, "{quality:?}");
    Ok(())
}
