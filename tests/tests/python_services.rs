//! The services in Python know their own truth, on every CPython there is.

use anyhow::Result;
use awaitscope_tests::Truth;
use awaitscope_tests::python::Python;
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

const MS: u64 = 1_000_000;

#[test]
fn every_cpython_that_must_be_there_is() -> Result<()> {
    let pythons = Python::all()?;
    for python in pythons {
        let output = python.command(&["--version"]).output()?;
        let said = String::from_utf8(output.stdout)?;
        let version = format!("Python {}.", python.version());
        assert!(said.starts_with(&version), "{python} says {said}");
    }
    Ok(())
}

#[test]
fn kinds_and_stalls_are_measured() -> Result<()> {
    for python in Python::all()? {
        let mut service = python.start("truth", &[])?;
        service.mark()?;
        sleep(Duration::from_secs(2));
        let truth = service.truth()?;
        assert_eq!(truth.pid, service.pid());
        for kind in ["direct", "deep", "helped", "consumes", "on_another_loop"] {
            let share = truth.share(&format!("truth.{kind}"));
            assert!(share > 0.02, "{python}: {kind} of {:?}", truth.kinds);
        }
        assert!(truth.share_outside() < 0.3, "{python}: {truth:?}");
        every_stall_is_measured(&python, &truth);
    }
    Ok(())
}

fn every_stall_is_measured(python: &Python, truth: &Truth) {
    assert_eq!(truth.planted.len(), 6, "{python}");
    for planted in &truth.planted {
        let mut stalls = truth.long_polls_of(&planted.kind, 15 * MS, 0..u64::MAX);
        assert!(stalls.next().is_some(), "{python}: {planted:?}");
        assert!(planted.line > 0 && planted.file == "truth.py");
    }
}

/// The service itself holds its markers against what the interpreter says, before it is ready.
#[test]
fn every_await_point_is_where_the_interpreter_says() -> Result<()> {
    for python in Python::all()? {
        let mut service = python.start("waits", &[])?;
        let truth = service.truth()?;
        let least = if python.is_at_least(11) { 90 } else { 80 };
        assert!(
            truth.waits.len() >= least,
            "{python}: {}",
            truth.waits.len()
        );
        let ids: BTreeSet<_> = truth.waits.iter().map(|task| task.id).collect();
        assert_eq!(ids.len(), truth.waits.len());
    }
    Ok(())
}

#[test]
fn a_crowd_is_as_large_as_it_is_told_to_be() -> Result<()> {
    for python in Python::all()? {
        let mut service = python.start("crowd", &["200"])?;
        let truth = service.truth()?;
        let live = truth.crowd("crowd").map(|crowd| crowd.live());
        assert_eq!(live, Some(200), "{python}");
    }
    Ok(())
}
