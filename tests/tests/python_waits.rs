//! Every asyncio task that waits is told once, whole, and in the right place, whatever CPython
//! runs it.

use anyhow::Result;
use awaitscope_tests::Profiler;
use awaitscope_tests::compare::wait_mismatches;
use awaitscope_tests::python::{COVERED, Python};
use awaitscope_tests::tasks::Task;
use std::fmt::Write;

#[test]
fn every_tree_on_every_cpython() -> Result<()> {
    let profiler = Profiler::get()?;
    let mut wrong = String::new();
    for python in Python::all()? {
        let mut service = python.start("waits", &[])?;
        let found = profiler.tasks(service.pid(), &[])?;
        let told = wait_mismatches(&service.truth()?, &found);
        if !told.is_empty() {
            writeln!(wrong, "{python}:\n{}", told.join("\n"))?;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    Ok(())
}

#[test]
fn a_process_that_stands_still_tells_the_same() -> Result<()> {
    let profiler = Profiler::get()?;
    for python in Python::all()? {
        let mut service = python.start("waits", &["--only", "combined"])?;
        let found = profiler.tasks(service.pid(), &["--consistent"])?;
        let told = wait_mismatches(&service.truth()?, &found);
        assert!(told.is_empty(), "{python}:\n{}", told.join("\n"));
    }
    Ok(())
}

#[test]
fn a_crowd_is_told_to_the_last() -> Result<()> {
    let profiler = Profiler::get()?;
    for version in COVERED {
        let python = Python::get(version)?;
        let mut service = python.start("crowd", &["10000"])?;
        let found = profiler.tasks(service.pid(), &[])?;
        let truth = service.truth()?;
        let leaf = &truth.crowds[0].leaves[0];
        let stands = |task: &&Task| {
            leaf.frames.iter().zip(&task.stack).all(|(frame, found)| {
                frame.function == found.function && Some(frame.line) == found.line
            })
        };
        let crowd = found.tasks.iter().filter(stands).count();
        assert_eq!(crowd, 10_000, "{python}: {:?}", found.counts);
    }
    Ok(())
}
