//! Every task that waits is told once, whole, and in the right place.

use anyhow::Result;
use awaitscope_tests::compare::wait_mismatches;
use awaitscope_tests::{BuiltService, Profiler, RunningService, ServiceBuild, alone};

#[test]
fn every_tree_on_several_workers() -> Result<()> {
    every_tree_is_whole(ServiceBuild::new("waits"), &[])
}

#[test]
fn every_tree_on_one_thread() -> Result<()> {
    every_tree_is_whole(ServiceBuild::new("waits"), &["--flavor", "current"])
}

#[test]
fn every_tree_in_a_local_set() -> Result<()> {
    every_tree_is_whole(ServiceBuild::new("waits"), &["--flavor", "local"])
}

#[test]
fn those_that_are_ready_wait_for_a_worker() -> Result<()> {
    every_tree_is_whole(ServiceBuild::new("waits"), &["--starve"])
}

/// Tasks of smol, of an executor of the program's own, and of one on a thread's stack.
#[test]
fn every_tree_of_other_executors() -> Result<()> {
    let executors = ServiceBuild::new("executors").build()?;
    let profiler = Profiler::get()?;
    let mut running = RunningService::start(&executors, &["--only", "parked"])?;
    let mut found = profiler.tasks(running.pid(), &[])?;
    // One that smol starts for itself.
    let driver = |kind: Option<&str>| kind == Some("async_process::driver::{async block#0}");
    let all = found.tasks.len();
    found.tasks.retain(|task| !driver(task.kind.as_deref()));
    assert_eq!(all - found.tasks.len(), 1);
    let wrong = wait_mismatches(&running.truth()?, &found);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(found.runtimes.len(), 3);
    Ok(())
}

fn every_tree_is_whole(build: ServiceBuild, args: &[&str]) -> Result<()> {
    let waits = build.build()?;
    let wrong = wrong_in(&waits, args)?;
    assert!(wrong.is_empty(), "{build} {args:?}:\n{}", wrong.join("\n"));
    Ok(())
}

/// Starts the service, looks at its tasks once, and holds them against what it says.
fn wrong_in(service: &BuiltService, args: &[&str]) -> Result<Vec<String>> {
    let profiler = Profiler::get()?;
    let mut running = RunningService::start(service, args)?;
    let mut options = Vec::new();
    let debug_file = service
        .debug_file
        .as_ref()
        .map(|file| file.to_string_lossy());
    if let Some(file) = &debug_file {
        options.extend(["--debug-file", file]);
    }
    let found = profiler.tasks(running.pid(), &options)?;
    let truth = running.truth()?;
    Ok(wait_mismatches(&truth, &found))
}

#[test]
fn a_crowd_is_told_to_the_last() -> Result<()> {
    let crowd = ServiceBuild::new("crowd").build()?;
    let wrong = wrong_in(&crowd, &["--tasks", "100000"])?;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Fifty thousand tasks a second are made and end while we look, ten times: those that
/// stay are told, and none that is not there.
#[test]
fn nothing_is_invented_where_tasks_come_and_go() -> Result<()> {
    let crowd = ServiceBuild::new("crowd").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let args = ["--tasks", "10000", "--churn", "50000"];
    let mut running = RunningService::start(&crowd, &args)?;
    for look in 0..10 {
        let found = profiler.tasks(running.pid(), &[])?;
        let truth = running.truth()?;
        let wrong = wait_mismatches(&truth, &found);
        assert!(wrong.is_empty(), "look {look}:\n{}", wrong.join("\n"));
    }
    let truth = running.truth()?;
    let finished: u64 = truth.crowds.iter().map(|crowd| crowd.finished).sum();
    assert!(finished > 50_000, "only {finished} tasks ended");
    Ok(())
}
