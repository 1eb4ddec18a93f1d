//! Every poll that held a worker is found, with its length, its cause and its
//! line; and none that never was.

use anyhow::{Context, Result};
use awaitscope_tests::compare::{culprit_at, every_culprit_leads, score_stalls};
use awaitscope_tests::report::Stall;
use awaitscope_tests::{
    Planted, Profiler, RunningService, ServiceBuild, Truth, alone, found_stalls, recorded_window,
};

const MS: u64 = 1_000_000;

#[test]
fn stalls_are_found_with_their_lengths_at_99_hz() -> Result<()> {
    let mix = ServiceBuild::new("mix").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&mix, &[])?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "20s", "-F", "99"])?;
    let truth = service.truth()?;
    let profile = recording.profile()?;
    let window = recorded_window(&profile)?;
    // The profiler says that it records before it is at every thread.
    let window = window.start + 500 * MS..window.end - 100 * MS;
    let score = score_stalls(&truth.long_polls, &found_stalls(&profile)?, 15 * MS, window);
    assert!(score.matched.len() > 100, "{}", score.matched.len());
    assert!(score.recall() >= 0.95, "missed: {:#?}", score.missed);
    assert!(
        score.false_share() <= 0.05,
        "invented: {:#?}",
        score.invented
    );
    let off_cpu = score.right_durations(&kinds_caused_by("syscall", &truth), MS);
    assert!(off_cpu >= 0.95, "{off_cpu}: {:#?}", score.matched);
    let on_cpu = score.right_durations(&kinds_caused_by("cpu", &truth), 4 * MS);
    assert!(on_cpu >= 0.95, "{on_cpu}: {:#?}", score.matched);
    every_culprit_leads(&truth, &recording.report()?, is_culprit)
}

#[test]
fn a_single_thread_is_held_in_the_same_way() -> Result<()> {
    let single = ServiceBuild::new("single").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&single, &[])?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "10s", "-F", "99"])?;
    let truth = service.truth()?;
    let profile = recording.profile()?;
    let window = recorded_window(&profile)?;
    let window = window.start + 500 * MS..window.end - 100 * MS;
    // The root future, which polls all the others, does not measure itself.
    let mut found = found_stalls(&profile)?;
    found.retain(|stall| truth.kinds.iter().any(|kind| kind.kind == stall.kind));
    let score = score_stalls(&truth.long_polls, &found, 15 * MS, window);
    assert!(score.recall() >= 0.95, "missed: {:#?}", score.missed);
    assert!(
        score.false_share() <= 0.05,
        "invented: {:#?}",
        score.invented
    );
    every_culprit_leads(&truth, &recording.report()?, is_culprit)
}

#[test]
fn a_handler_that_blocks_an_actix_worker_is_named() -> Result<()> {
    let actix = ServiceBuild::new("actix").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&actix, &[])?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "10s", "-F", "99"])?;
    let truth = service.truth()?;
    let report = recording.report()?;
    let planted = truth.planted.first().context("a planted stall")?;
    let named: u64 = report
        .stalls
        .iter()
        .filter(|stall| is_culprit(planted, stall))
        .map(|stall| stall.count)
        .sum();
    let stalls = truth.long_polls_of("actix::blocking", 15 * MS, 0..u64::MAX);
    let true_count = stalls.count() as u64;
    assert!(
        named.abs_diff(true_count) <= 2,
        "{named} of {true_count}: {:#?}",
        report.stalls
    );
    Ok(())
}

#[test]
fn what_is_polled_often_and_what_is_idle_never_stalls() -> Result<()> {
    let mix = ServiceBuild::new("mix").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&mix, &[])?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "10s", "-F", "99"])?;
    let truth = service.truth()?;
    let report = recording.report()?;
    for kind in report.kinds.iter().filter(|kind| kind.stalls > 0) {
        let true_ones = truth.long_polls_of(&kind.kind, 8 * MS, 0..u64::MAX).count();
        assert!(true_ones > 0, "{kind:?} never stalled");
    }
    Ok(())
}

#[test]
fn a_local_set_that_polls_one_task_again_and_again_never_stalls() -> Result<()> {
    let single = ServiceBuild::new("single").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&single, &["--only", "often"])?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "6s"])?;
    let truth = service.truth()?;
    let report = recording.report()?;
    let often = report
        .kinds
        .iter()
        .find(|kind| kind.kind == "single::polled_often");
    let often = often.expect("it used the CPU more than any other");
    assert!(often.cpu_share > 0.8, "{:#?}", report.kinds);
    // In between, the thread waits for time to pass.
    let waits = |stall: &&Stall| stall.syscall.as_deref() == Some("epoll_wait");
    let waited: Vec<&Stall> = report.stalls.iter().filter(waits).collect();
    assert!(waited.is_empty(), "{waited:#?}");
    // On a busy machine single polls can be held back for long; they are told then.
    let true_ones = truth
        .long_polls_of(&often.kind, 8 * MS, 0..u64::MAX)
        .count();
    assert!(
        often.stalls <= true_ones as u64,
        "{often:?}, {true_ones} true ones"
    );
    Ok(())
}

fn kinds_caused_by<'a>(cause: &str, truth: &'a Truth) -> Vec<&'a str> {
    let planted = truth
        .planted
        .iter()
        .filter(|planted| planted.cause == cause);
    planted.map(|planted| planted.kind.as_str()).collect()
}

fn is_culprit(planted: &Planted, stall: &Stall) -> bool {
    let syscall = stall.syscall.as_deref().unwrap_or("-");
    // A machine with more to do than CPUs takes the CPU from those that compute.
    let cause =
        stall.cause == planted.cause || (planted.cause == "cpu" && stall.cause == "preempted");
    cause
        && syscall == planted.syscall
        && culprit_at(planted, stall).is_some_and(|culprit| {
            // Or the library function called on that line.
            culprit.function == planted.function || culprit.function.starts_with("std::")
        })
}
