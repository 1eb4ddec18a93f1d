//! What cannot be done is refused with a message that helps, exit code 1, and
//! nothing left behind.

use anyhow::{Context, Result, ensure};
use awaitscope_tests::{Profiler, PublicFolder, RunningService, ServiceBuild};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Exit code 1, a message with all these words, no panic, nothing on standard
/// output.
fn assert_refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said:?}");
    }
}

fn assert_empty(folder: &Path) -> Result<()> {
    let left: Vec<_> = fs::read_dir(folder)?.flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn a_process_that_does_not_exist() -> Result<()> {
    let mut ended = Command::new("true").spawn()?;
    let pid = ended.id().to_string();
    ended.wait()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("x").to_string_lossy().into_owned();
    let output = Profiler::get()?.run(&["record", "-p", &pid, "-d", "1s", "-o", &file])?;
    assert_refused(&output, &[&pid]);
    let output = Profiler::get()?.run(&["tasks", "-p", &pid, "-o", &file])?;
    assert_refused(&output, &[&pid]);
    assert_empty(folder.path())
}

#[test]
fn a_process_of_another_user() -> Result<()> {
    let folder = PublicFolder::new()?;
    let results = PublicFolder::new()?;
    // Root's own first process belongs to another user than nobody, and than us
    // if we are not root.
    let (_, profiler) = Profiler::get()?.without_rights(&folder)?;
    let file = results.path().join("x").to_string_lossy().into_owned();
    let output = profiler.run(&["record", "-p", "1", "-d", "1s", "-o", &file])?;
    assert_refused(&output, &["user"]);
    let output = profiler.run(&["tasks", "-p", "1", "-o", &file])?;
    assert_refused(&output, &["user", "CAP_SYS_PTRACE"]);
    assert_empty(results.path())
}

#[test]
fn a_kernel_thread() -> Result<()> {
    let pid = kernel_thread()?.to_string();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("x").to_string_lossy().into_owned();
    let output = Profiler::get()?.run(&["record", "-p", &pid, "-d", "1s", "-o", &file])?;
    assert_refused(&output, &[&pid, "kernel"]);
    let output = Profiler::get()?.run(&["tasks", "-p", &pid, "-o", &file])?;
    assert_refused(&output, &[&pid, "kernel"]);
    assert_empty(folder.path())
}

/// One that we can see: a process without a program.
fn kernel_thread() -> Result<u32> {
    fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid| {
            // Flag PF_KTHREAD, include/linux/sched.h; field 9 of stat, proc(5).
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            let flags = after_name.split(' ').nth(6).unwrap_or_default();
            flags.parse::<u64>().unwrap_or(0) & 0x0020_0000 != 0
        })
        .context("no kernel thread can be seen here: run the tests outside a container")
}

#[test]
fn a_process_that_exits_while_we_attach() -> Result<()> {
    let profiler = Profiler::get()?;
    let plain = ServiceBuild::new("plain").build()?;
    for round in 0..20_u64 {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x");
        let service = RunningService::start(&plain, &[])?;
        let pid = service.pid().to_string();
        let mut command = profiler.command(&["record", "-p", &pid, "-d", "60s", "-o"]);
        let begin = Instant::now();
        let child = command
            .arg(&path)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()?;
        sleep(Duration::from_millis(round * 10));
        drop(service);
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            begin.elapsed() < Duration::from_secs(20),
            "it waits: {said}"
        );
        if output.status.success() {
            // It had begun: the profile up to then is saved, and whole.
            let name = path.to_string_lossy();
            let report = profiler.run(&["report", &name, "--format", "json"])?;
            ensure!(report.status.success(), "round {round}: {report:?}");
        } else {
            assert_refused(&output, &[&pid]);
            assert_empty(folder.path())?;
        }
    }
    Ok(())
}

#[test]
fn a_profile_that_is_none() -> Result<()> {
    let profiler = Profiler::get()?;
    let plain = ServiceBuild::new("plain").build()?;
    let service = RunningService::start(&plain, &[])?;
    let recording = profiler.record(service.pid(), &["-d", "1s"])?;
    let whole = fs::read(&recording.file)?;
    let folder = tempfile::tempdir()?;
    let beginnings = [0, 1, 7, 20, whole.len() / 2, whole.len() - 1];
    let mut cases: Vec<Vec<u8>> = beginnings
        .iter()
        .map(|&end| whole[..end].to_vec())
        .collect();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    cases.push(flipped);
    cases.push(fs::read("/bin/true")?);
    cases.push(b"{}".to_vec());
    for (number, bytes) in cases.iter().enumerate() {
        let file = folder.path().join(format!("case-{number}"));
        fs::write(&file, bytes)?;
        let name = file.to_string_lossy().into_owned();
        let svg = folder.path().join("out.svg").to_string_lossy().into_owned();
        assert_refused(&profiler.run(&["report", &name])?, &[&name]);
        assert_refused(&profiler.run(&["flamegraph", &name, "-o", &svg])?, &[&name]);
        assert_refused(&profiler.run(&["tasks", &name])?, &[&name]);
        assert!(!Path::new(&svg).exists());
    }
    let name = folder.path().to_string_lossy().into_owned();
    assert_refused(&profiler.run(&["report", &name])?, &[&name]);
    assert_refused(
        &profiler.run(&["report", "/nonexistent"])?,
        &["/nonexistent"],
    );
    Ok(())
}

#[test]
fn a_profile_without_snapshots_has_no_tasks_to_list() -> Result<()> {
    let profiler = Profiler::get()?;
    let plain = ServiceBuild::new("plain").build()?;
    let service = RunningService::start(&plain, &[])?;
    let recording = profiler.record(service.pid(), &["-d", "1s", "--snapshot-rate", "0"])?;
    let name = recording.file.to_string_lossy().into_owned();
    assert_refused(&profiler.run(&["tasks", &name])?, &[&name, "snapshot"]);
    Ok(())
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_recording() -> Result<()> {
    let profiler = Profiler::get()?;
    let plain = ServiceBuild::new("plain").build()?;
    let service = RunningService::start(&plain, &[])?;
    let pid = service.pid().to_string();
    for file in ["/nonexistent/folder/x", "/proc/x", "/tmp"] {
        let begin = Instant::now();
        let output = profiler.run(&["record", "-p", &pid, "-d", "30s", "-o", file])?;
        assert_refused(&output, &[file]);
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "it recorded first"
        );
    }
    Ok(())
}

#[test]
fn a_full_disk_leaves_nothing_half_written() -> Result<()> {
    let profiler = Profiler::get()?;
    let plain = ServiceBuild::new("plain").build()?;
    let service = RunningService::start(&plain, &[])?;
    let pid = service.pid().to_string();
    let output = profiler.run(&["record", "-p", &pid, "-d", "1s", "-o", "/dev/full"])?;
    assert_refused(&output, &["/dev/full"]);
    Ok(())
}

#[test]
fn words_that_are_not_understood_are_a_usage_error() -> Result<()> {
    let profiler = Profiler::get()?;
    let wrong: [&[&str]; 8] = [
        &["recrod"],
        &["record"],
        &["record", "-p", "one"],
        &["record", "-p", "1", "-F", "0"],
        &["record", "-p", "1", "-d", "soon"],
        &["tasks"],
        &["tasks", "-p", "1", "a-file"],
        &["tasks", "a-file", "--consistent"],
    ];
    for args in wrong {
        let output = profiler.run(args)?;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
    }
    Ok(())
}
