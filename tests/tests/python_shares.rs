//! Each kind's share of the CPU time is what the service itself measured, on every CPython.

use anyhow::Result;
use awaitscope_tests::compare::share_errors;
use awaitscope_tests::python::Python;
use awaitscope_tests::report::Report;
use awaitscope_tests::{Profiler, Truth, alone};

fn record_split(python: &Python, args: &[&str]) -> Result<(Truth, Report)> {
    let mut service = python.start("truth", &["--only", "split"])?;
    service.mark()?;
    let recording = Profiler::get()?.record(service.pid(), args)?;
    Ok((service.truth()?, recording.report()?))
}

#[test]
fn shares_are_right_to_3_points_at_99_hz() -> Result<()> {
    let _alone = alone();
    for version in ["3.11", "3.14"] {
        let python = Python::get(version)?;
        let (truth, report) = record_split(&python, &["-d", "20s", "-F", "99"])?;
        let errors = share_errors(&truth, &report.kinds);
        assert!(errors[0].points().abs() <= 3.0, "{python}: {errors:#?}");
    }
    Ok(())
}

#[test]
fn shares_are_right_on_every_cpython() -> Result<()> {
    let _alone = alone();
    for python in Python::all()? {
        let (truth, report) = record_split(&python, &["-d", "5s", "-F", "499"])?;
        let errors = share_errors(&truth, &report.kinds);
        assert!(errors[0].points().abs() <= 3.0, "{python}: {errors:#?}");
        let quality = &report.quality;
        assert!(quality.samples > 1000, "{python}: {quality:?}");
        assert_eq!(quality.lost, 0, "{python}");
        // Some of them are torn: the interpreter ran on while it was read.
        assert!(
            quality.truncated * 50 <= quality.samples,
            "{python}: {quality:?}"
        );
        // Not all of a stripped interpreter has names.
        assert!(quality.unsymbolized_share <= 0.02, "{python}: {quality:?}");
        let runtime = &report.runtimes[0];
        assert_eq!(runtime.name, "asyncio");
        let version = runtime.version.as_deref().unwrap_or_default();
        assert!(
            version.starts_with(python.version()),
            "{python}: {runtime:?}"
        );
    }
    Ok(())
}
