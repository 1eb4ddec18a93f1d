//! What `diff` says of two releases of a service of which we know what is different.

use anyhow::Result;
use awaitscope_tests::release::{diff, record_release, run_diff};
use awaitscope_tests::{Recording, ServiceBuild, alone};

/// Long and often enough to see a change by half.
const HOW: [&str; 4] = ["-d", "30s", "-F", "777"];

fn recorded(args: &[&str]) -> Result<Recording> {
    let release = ServiceBuild::new("release").build()?;
    record_release(&release, args, &HOW)
}

/// One pair of twenty may look changed by chance, two hardly ever.
#[test]
fn the_same_release_has_not_changed_and_keeps_its_rules() -> Result<()> {
    let _alone = alone();
    let mut wrong = Vec::new();
    for _ in 0..2 {
        let (base, new) = (recorded(&[])?, recorded(&[])?);
        let said = diff(&base, &new)?;
        let rules = [
            "--fail-on",
            "cpu:*>5%",
            "--fail-on",
            "tasks:release::serves>2x",
        ];
        let output = run_diff(&base, &new, &rules)?;
        if said.changed().next().is_none() {
            assert_ne!(said.verdict, "regressed");
            assert!(output.status.success(), "{output:?}");
            return Ok(());
        }
        wrong.push(said.reasons);
    }
    panic!("{wrong:#?}")
}

#[test]
fn a_function_that_costs_half_as_much_again_is_first_and_breaks_its_rule() -> Result<()> {
    let _alone = alone();
    let (base, new) = (recorded(&[])?, recorded(&["--parse", "150"])?);
    let said = diff(&base, &new)?;
    assert_eq!(said.verdict, "regressed");
    assert!(
        said.begins_with("cpu", "release::parses", "grown"),
        "{:#?}",
        said.changes.first()
    );
    let ratio = said.changes[0].ratio.unwrap_or(0.0);
    assert!((1.3..1.7).contains(&ratio), "{ratio}");
    let output = run_diff(&base, &new, &["--fail-on", "cpu:release::parses>5%"])?;
    assert_eq!(output.status.code(), Some(3));
    let why = String::from_utf8(output.stderr)?;
    assert!(why.contains("release::parses costs"), "{why}");
    Ok(())
}

#[test]
fn a_new_stall_and_a_new_await_point_are_found() -> Result<()> {
    let _alone = alone();
    let base = recorded(&[])?;
    let stall = diff(&base, &recorded(&["--stall", "20"])?)?;
    assert!(
        stall.begins_with("stall", "release::logs", "appeared"),
        "{:#?}",
        stall.changes.first()
    );
    let wait = diff(&base, &recorded(&["--audit", "5"])?)?;
    assert!(
        wait.begins_with("wait", "release::audits", "appeared"),
        "{:#?}",
        wait.changes.first()
    );
    Ok(())
}

#[test]
fn a_picture_is_no_profile_and_a_percentile_of_lag_is_not_known() -> Result<()> {
    let _alone = alone();
    let release = ServiceBuild::new("release").build()?;
    let base = record_release(&release, &[], &["-d", "2s"])?;
    let file = base.file.to_string_lossy();
    let profiler = awaitscope_tests::Profiler::get()?;
    let folder = tempfile::tempdir()?;
    let picture = folder.path().join("cpu.svg");
    let picture = picture.to_string_lossy();
    assert!(
        profiler
            .run(&["flamegraph", &file, "-o", &picture])?
            .status
            .success()
    );
    let output = profiler.run(&["diff", &file, &picture])?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("cpu.svg is a picture"), "{said}");

    let output = run_diff(&base, &base, &["--fail-on", "lag-p99>20ms"])?;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("lag-mean>20ms"), "{said}");
    let output = run_diff(&base, &base, &["--fail-on", "cpu:*>5"])?;
    assert_eq!(
        output.status.code(),
        Some(2),
        "a rule that is none is a wrong usage"
    );

    let said = diff(&base, &base)?;
    assert_eq!(
        said.verdict, "inconclusive",
        "two seconds are too short: {:?}",
        said.reasons
    );
    Ok(())
}
