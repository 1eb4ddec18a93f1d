//! Every step of an asyncio task that held its loop is found, with its length, its cause and its
//! line; and none that never was.

use anyhow::{Context, Result};
use awaitscope_tests::compare::{culprit_at, every_culprit_leads, score_stalls};
use awaitscope_tests::python::{COVERED, Python};
use awaitscope_tests::report::Stall;
use awaitscope_tests::{Planted, Profiler, Truth, alone, found_stalls, recorded_window};

const MS: u64 = 1_000_000;

#[test]
fn stalls_are_found_with_their_lengths_at_99_hz() -> Result<()> {
    let profiler = Profiler::get()?;
    let _alone = alone();
    for version in COVERED {
        let python = Python::get(version)?;
        let mut service = python.start("truth", &["--only", "stalls"])?;
        service.mark()?;
        let recording = profiler.record(service.pid(), &["-d", "7s", "-F", "99"])?;
        let truth = service.truth()?;
        let profile = recording.profile()?;
        let window = recorded_window(&profile)?;
        // The profiler says that it records before it is at every thread.
        let window = window.start + 500 * MS..window.end - 100 * MS;
        let found = found_stalls(&profile)?;
        let score = score_stalls(&truth.long_polls, &found, 15 * MS, window);
        assert!(score.matched.len() > 35, "{python}: {score:#?}");
        assert!(score.recall() >= 0.95, "{python}: {:#?}", score.missed);
        assert!(
            score.false_share() <= 0.05,
            "{python}: {:#?}",
            score.invented
        );
        let (computing, sleeping) = kinds_that_compute(&truth);
        let off_cpu = score.right_durations(&sleeping, MS);
        assert!(off_cpu >= 0.95, "{python}: {off_cpu}: {:#?}", score.matched);
        // A pulse of 2 ms finds the begin and the end, where it is not held back itself.
        let on_cpu = score.right_durations(&computing, 6 * MS);
        assert!(on_cpu >= 0.9, "{python}: {on_cpu}: {:#?}", score.matched);
        every_culprit_leads(&truth, &recording.report()?, is_culprit)
            .with_context(|| python.to_string())?;
    }
    Ok(())
}

/// The kinds that compute while they hold the loop, if only to start a process, and those that
/// only sleep.
fn kinds_that_compute(truth: &Truth) -> (Vec<&str>, Vec<&str>) {
    let computes = |kind: &&str| {
        let mut stalls = truth.long_polls_of(kind, 15 * MS, 0..u64::MAX);
        stalls.any(|poll| poll.cpu_ns > MS)
    };
    let kinds = truth.planted.iter().map(|planted| planted.kind.as_str());
    kinds.partition(computes)
}

fn is_culprit(planted: &Planted, stall: &Stall) -> bool {
    let syscall = stall.syscall.as_deref().unwrap_or("-");
    // A machine with more to do than CPUs takes the CPU from those that compute; and another
    // thread may have the interpreter's lock.
    let cause = match planted.cause.as_str() {
        "cpu" => stall.cause == "cpu" || stall.cause == "preempted" || syscall == "futex",
        cause => stall.cause == cause && planted.syscall.split('/').any(|one| one == syscall),
    };
    cause && culprit_at(planted, stall).is_some()
}
