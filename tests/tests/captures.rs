//! A capture replays without the process and without privileges, and gives the same
//! profile.

use anyhow::{Context, Result, ensure};
use awaitscope_tests::{
    BuiltService, NOBODY, Profiler, PublicFolder, RunningService, ServiceBuild, alone,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A recording, the service of which has ended, and the capture of it, in a folder
/// that everybody may read.
struct Captured {
    recorded: awaitscope_tests::Recording,
    capture: PathBuf,
    folder: PublicFolder,
}

fn capture(service: &BuiltService, args: &[&str], how: &[&str]) -> Result<Captured> {
    let folder = PublicFolder::new()?;
    let capture = folder.path().join("service.capture");
    let service = RunningService::start_as(service, args, NOBODY, &folder)?;
    let name = capture.to_string_lossy().into_owned();
    let how = [how, &["--capture", &name]].concat();
    let recorded = Profiler::get()?.record(service.pid(), &how)?;
    drop(service);
    let mode = fs::metadata(&capture)?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");
    assert!(recorded.said.contains("memory"), "{}", recorded.said);
    Ok(Captured {
        recorded,
        capture,
        folder,
    })
}

fn json(profiler: &Profiler, file: &Path) -> Result<String> {
    let file = file.to_string_lossy();
    let output = profiler.run(&["report", &file, "--format", "json"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The report of the capture, made by somebody without any rights, is that of the
/// profile to the last letter.
fn assert_replays(captured: &Captured) -> Result<()> {
    let Captured {
        recorded,
        capture,
        folder,
    } = captured;
    let expected = json(&Profiler::get()?, &recorded.file)?;
    fs::set_permissions(capture, Permissions::from_mode(0o644))?;
    let by_nobody = Profiler::get()?.run_by(NOBODY, folder)?;
    for _ in 0..2 {
        let replayed = json(&by_nobody, capture)?;
        let difference = expected
            .lines()
            .zip(replayed.lines())
            .find(|(one, other)| one != other);
        assert!(expected == replayed, "{difference:?}");
    }
    Ok(())
}

#[test]
fn a_capture_of_a_mixed_service_gives_the_same_profile() -> Result<()> {
    let _alone = alone();
    let mix = ServiceBuild::new("mix").build()?;
    let captured = capture(&mix, &[], &["-d", "6s"])?;
    let report = captured.recorded.report()?;
    assert!(report.quality.samples > 100, "{:?}", report.quality);
    assert!(!report.stalls.is_empty());
    assert_replays(&captured)?;

    let svg = captured.folder.path().join("out.svg");
    let (file, out) = (captured.capture.to_string_lossy(), svg.to_string_lossy());
    let drawn = Profiler::get()?.run(&["flamegraph", &file, "-o", &out])?;
    assert!(drawn.status.success(), "{drawn:?}");
    assert!(fs::read_to_string(&svg)?.contains("burn_hot"));
    Ok(())
}

#[test]
fn a_capture_of_deep_and_odd_stacks_gives_the_same_profile() -> Result<()> {
    let _alone = alone();
    let shapes = ServiceBuild::new("shapes").build()?;
    // Small copies, so that stacks are read on from memory; and many.
    let how = ["-d", "3s", "-F", "499", "--stack-size", "4"];
    let captured = capture(&shapes, &[], &how)?;
    let report = captured.recorded.report()?;
    assert!(report.quality.samples > 100, "{:?}", report.quality);
    assert_replays(&captured)
}

#[test]
fn a_program_that_is_not_there_any_more_is_named() -> Result<()> {
    let plain = ServiceBuild::new("plain").build()?;
    let captured = capture(&plain, &[], &["-d", "1s"])?;
    let program = captured.folder.path().join("plain");
    // Another build at the same path is not taken for the one that ran.
    fs::copy("/bin/true", &program).context("replacing the program")?;
    let file = captured.capture.to_string_lossy();
    let output = Profiler::get()?.run(&["report", &file])?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let name = program.to_string_lossy().into_owned();
    assert!(
        said.contains(&name) && said.contains("another build"),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_damaged_capture_is_refused() -> Result<()> {
    let plain = ServiceBuild::new("plain").build()?;
    let captured = capture(&plain, &[], &["-d", "1s"])?;
    let whole = fs::read(&captured.capture)?;
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    let half = whole.len() / 2;
    let damaged = [
        &whole[..10],
        &whole[..half],
        &whole[..whole.len() - 1],
        &flipped,
    ];
    let file = captured.folder.path().join("damaged");
    let svg = captured.folder.path().join("out.svg");
    let (name, out) = (file.to_string_lossy(), svg.to_string_lossy());
    for bytes in damaged {
        fs::write(&file, bytes)?;
        for args in [
            vec!["report", &*name],
            vec!["flamegraph", &name, "-o", &out],
        ] {
            let output = Profiler::get()?.run(&args)?;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(
                said.contains(&*name) && !said.contains("panicked"),
                "{said}"
            );
            assert!(output.stdout.is_empty() && !svg.exists());
        }
    }
    Ok(())
}

#[test]
fn a_capture_that_cannot_be_written_is_refused_before_recording() -> Result<()> {
    let plain = ServiceBuild::new("plain").build()?;
    let service = RunningService::start(&plain, &[])?;
    let (pid, folder) = (service.pid().to_string(), tempfile::tempdir()?);
    let profile = folder.path().join("x").to_string_lossy().into_owned();
    for file in ["/nonexistent/folder/x", "/dev/full", "/tmp"] {
        let args = [
            "record",
            "-p",
            &pid,
            "-d",
            "60s",
            "-o",
            &profile,
            "--capture",
            file,
        ];
        let output = Profiler::get()?.run(&args)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(file), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path())?.count(), 0);
    Ok(())
}
