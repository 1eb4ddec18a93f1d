//! Every version of Tokio is read, every flavour of build gives kinds, and what
//! has no runtime or no names gives what it can.

use anyhow::Result;
use awaitscope_tests::compare::share_errors;
use awaitscope_tests::report::{Report, Stall};
use awaitscope_tests::{
    Flavour, Profiler, RunningService, ServiceBuild, TOKIO_VERSIONS, Truth, alone,
};
use std::time::Duration;

#[test]
fn every_version_of_tokio_is_known_and_read() -> Result<()> {
    for version in TOKIO_VERSIONS {
        let report = kinds_are_right(ServiceBuild::new("mix").tokio(version))?;
        let runtime = &report.runtimes[0];
        assert_eq!(runtime.name, "tokio");
        assert_eq!(runtime.version.as_deref(), Some(version));
        assert_eq!(runtime.flavor.as_deref(), Some("multi_thread"));
        assert_eq!(runtime.workers, Some(2));
    }
    Ok(())
}

#[test]
fn every_flavour_of_build_gives_kinds_and_stalls() -> Result<()> {
    for flavour in Flavour::ALL {
        if !matches!(flavour, Flavour::Symbols | Flavour::Stripped) {
            kinds_are_right(ServiceBuild::new("mix").flavour(flavour))?;
        }
    }
    Ok(())
}

#[test]
fn without_types_the_progress_of_workers_is_learned_from_every_version() -> Result<()> {
    for version in TOKIO_VERSIONS {
        let build = ServiceBuild::new("mix").tokio(version);
        kinds_are_right(build.flavour(Flavour::LineTables))?;
    }
    Ok(())
}

#[test]
fn without_types_every_task_is_listed_by_what_it_looks_like() -> Result<()> {
    let profiler = Profiler::get()?;
    for (flavour, named) in [(Flavour::LineTables, true), (Flavour::Symbols, false)] {
        let mix = ServiceBuild::new("mix").flavour(flavour).build()?;
        let mut service = RunningService::start(&mix, &[])?;
        let listed = profiler.tasks(service.pid(), &[])?;
        for task in service.truth()?.tasks {
            let is_it = |id: &str| id == task.id.to_string();
            let mut found = listed
                .tasks
                .iter()
                .filter(|t| t.id.as_deref().is_some_and(is_it));
            let kind = found.next().map(|found| found.kind.clone());
            assert!(
                kind.is_some() && found.next().is_none(),
                "{flavour:?}: {task:?}"
            );
            if named {
                assert_eq!(kind, Some(Some(task.kind)), "{flavour:?}");
            }
        }
    }
    Ok(())
}

/// Records for a few seconds: the shares are about right, and every planted
/// culprit is there.
fn kinds_are_right(build: ServiceBuild) -> Result<Report> {
    let mix = build.build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&mix, &[])?;
    service.mark()?;
    let debug_file = mix.debug_file.as_ref().map(|file| file.to_string_lossy());
    let mut args = vec!["-d", "6s", "-F", "499"];
    if let Some(file) = &debug_file {
        args.extend(["--debug-file", file]);
    }
    let recording = profiler.record(service.pid(), &args)?;
    let truth = service.truth()?;
    assert!(!recording.said.contains("not where it computes"), "{build}");
    let report = recording.report()?;
    let errors = share_errors(&truth, &report.kinds);
    assert!(errors[0].points().abs() <= 4.0, "{build}: {errors:#?}");
    for planted in &truth.planted {
        let found = report.stalls.iter().any(|stall| {
            let at = stall.culprit.as_ref().and_then(|culprit| culprit.line);
            stall.kind == planted.kind && at == Some(planted.line)
        });
        assert!(found, "{build}: no {planted:?} in {:#?}", report.stalls);
    }
    Ok(report)
}

#[test]
fn a_program_with_symbols_alone_gives_kinds_and_stalls() -> Result<()> {
    let mix = ServiceBuild::new("mix").flavour(Flavour::Symbols).build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&mix, &[])?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "6s", "-F", "499"])?;
    let truth = service.truth()?;
    let report = recording.report()?;
    let in_tasks: f64 = report.kinds.iter().map(|kind| kind.cpu_share).sum();
    let expected = 1.0 - truth.share_outside();
    assert!(
        (in_tasks - expected).abs() < 0.05,
        "{in_tasks} of {expected}"
    );
    let sleeps = |stall: &Stall| stall.syscall.as_deref() == Some("clock_nanosleep");
    assert!(report.stalls.iter().any(sleeps), "{:#?}", report.stalls);
    let computes = |stall: &Stall| {
        let culprit = stall.culprit.as_ref();
        culprit.is_some_and(|culprit| culprit.function == "mix::stalls::spin_for")
    };
    assert!(report.stalls.iter().any(computes), "{:#?}", report.stalls);

    // A symbol calls an async function a closure; that it is polled tells that it is
    // none, and not whether it is a function or a block.
    let shapes = ServiceBuild::new("shapes")
        .flavour(Flavour::Symbols)
        .build()?;
    let service = RunningService::start(&shapes, &[])?;
    let report = profiler
        .record(service.pid(), &["-d", "3s", "-F", "499"])?
        .report()?;
    let has = |name: &str| report.kinds.iter().any(|kind| kind.kind == name);
    assert!(
        has("shapes::functions::generic::{async#0}"),
        "{:#?}",
        report.kinds
    );
    Ok(())
}

#[test]
fn a_stripped_program_gives_what_it_can_and_says_so() -> Result<()> {
    let mix = ServiceBuild::new("mix")
        .flavour(Flavour::Stripped)
        .build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let service = RunningService::start(&mix, &[])?;
    let recording = profiler.record(service.pid(), &["-d", "3s", "-F", "499"])?;
    let report = recording.report()?;
    assert!(report.cpu.total_ms > 1000.0, "{:?}", report.cpu);
    assert!(report.quality.truncated * 100 <= report.quality.samples);
    assert!(
        recording.said.contains("debug information"),
        "{}",
        recording.said
    );
    Ok(())
}

#[test]
fn a_program_without_a_runtime_gives_a_native_profile_and_a_note() -> Result<()> {
    let plain = ServiceBuild::new("plain").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&plain, &[])?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "5s", "-F", "499"])?;
    let truth = service.truth()?;
    let report = recording.report()?;
    assert!(report.runtimes.is_empty() && report.kinds.is_empty());
    let expected = truth.process_cpu_ns as f64 / (truth.now_ns - truth.mark_ns) as f64;
    let found = report.cpu.total_ms / (1000.0 * report.time.duration_s);
    assert!(
        (found / expected - 1.0).abs() < 0.1,
        "{found} of {expected}"
    );
    assert!(recording.said.contains("runtime"), "{}", recording.said);
    Ok(())
}

#[test]
fn a_single_thread_with_a_local_set_has_its_kinds() -> Result<()> {
    let single = ServiceBuild::new("single").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&single, &[])?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "10s", "-F", "499"])?;
    let truth = service.truth()?;
    let report = recording.report()?;
    let errors = share_errors(&truth, &report.kinds);
    assert!(errors[0].points().abs() <= 3.0, "{errors:#?}");
    assert_eq!(report.runtimes[0].flavor.as_deref(), Some("current_thread"));
    Ok(())
}

#[test]
fn tasks_that_come_and_go_are_counted_to_their_kind() -> Result<()> {
    let (_, truth, report) = record_churn("tasks")?;
    let errors = share_errors(&truth, &report.kinds);
    // The task that spawns them is not measured: it counts as outside. Of these tiny
    // polls a good part is the runtime's own work in the poll (the task's state, its
    // end, its memory): to the service's clock that is outside, to us it is the task's.
    let short = errors
        .iter()
        .find(|error| error.kind == "churn::short_task");
    let right = short.is_some_and(|error| (-4.0..10.0).contains(&error.points()));
    assert!(right, "{errors:#?}");
    assert_eq!(report.quality.lost, 0);
    Ok(())
}

#[test]
fn threads_that_come_and_go_are_followed() -> Result<()> {
    let (unwatched, _, report) = record_churn("threads")?;
    assert_eq!(report.quality.lost, 0);
    // Most of these threads end before their first sample; their time on a CPU is
    // known all the same. It is compared with what they use unwatched: copying perf
    // events to a new thread and ending them costs the kernel about 0.1 ms, most of
    // it after the last record of the thread.
    let expected = unwatched.process_cpu_ns as f64 / (unwatched.now_ns - unwatched.mark_ns) as f64;
    let found = report.cpu.total_ms / (1000.0 * report.time.duration_s);
    assert!(
        (found / expected - 1.0).abs() < 0.25,
        "{found} of {expected}"
    );
    Ok(())
}

/// What the service did before it was watched and while it was, and the report.
fn record_churn(only: &str) -> Result<(Truth, Truth, Report)> {
    let churn = ServiceBuild::new("churn").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&churn, &["--only", only])?;
    service.mark()?;
    std::thread::sleep(Duration::from_secs(5));
    let unwatched = service.truth()?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "10s", "-F", "499"])?;
    let truth = service.truth()?;
    Ok((unwatched, truth, recording.report()?))
}
