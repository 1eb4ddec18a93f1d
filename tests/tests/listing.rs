//! The tasks of a process, listed by those who may, without harm to it.

use anyhow::{Context, Result, ensure};
use awaitscope_tests::{Profiler, PublicFolder, RunningService, ServiceBuild, alone};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// What `tasks --format json` says, with these arguments.
fn listed(profiler: &Profiler, args: &[&str]) -> Result<Value> {
    let output = profiler.run(&[&["tasks", "--format", "json"], args].concat())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {said}");
    serde_json::from_slice(&output.stdout).context("not JSON")
}

fn ids(list: &Value) -> BTreeSet<String> {
    let tasks = list["tasks"].as_array().into_iter().flatten();
    tasks.map(|task| task["id"].to_string()).collect()
}

/// No thread of it is traced or stopped.
fn assert_untouched(pid: u32) -> Result<()> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        assert!(status.contains("\nTracerPid:\t0\n"), "{status}");
        assert!(
            !status.contains("\nState:\tt") && !status.contains("\nState:\tT"),
            "{status}"
        );
    }
    Ok(())
}

#[test]
fn a_process_its_profile_and_its_capture_list_the_same_tasks() -> Result<()> {
    let waits = ServiceBuild::new("waits").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let service = RunningService::start(&waits, &[])?;
    let pid = service.pid().to_string();
    let live = listed(&profiler, &["-p", &pid])?;
    assert!(ids(&live).len() > 50, "{live}");
    assert_eq!(live["counts"]["unresolved"], 0, "{live}");
    let standing = listed(&profiler, &["-p", &pid, "--consistent"])?;
    assert_eq!(ids(&standing), ids(&live));
    assert!(standing["stopped_ms"].is_number());
    assert_untouched(service.pid())?;
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("x").to_string_lossy().into_owned();
    let recording = profiler.record(service.pid(), &["-d", "3s", "--capture", &capture])?;
    let name = recording.file.to_string_lossy().into_owned();
    let kept = listed(&profiler, &[&name])?;
    assert_eq!(ids(&kept), ids(&live));
    assert_eq!(listed(&profiler, &[&capture])?, kept);
    Ok(())
}

#[test]
fn a_look_that_stops_the_process_and_is_killed_leaves_it_running() -> Result<()> {
    let waits = ServiceBuild::new("waits").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let service = RunningService::start(&waits, &[])?;
    let pid = service.pid().to_string();
    for round in 0..40_u64 {
        let mut command =
            profiler.command(&["tasks", "-p", &pid, "--consistent", "-o", "/dev/null"]);
        let mut child = command.spawn()?;
        std::thread::sleep(Duration::from_millis(round * 15));
        child.kill()?;
        child.wait()?;
        assert_untouched(service.pid())?;
    }
    let list = listed(&profiler, &["-p", &pid])?;
    assert!(ids(&list).len() > 50, "{list}");
    Ok(())
}

#[test]
fn its_owner_lists_the_tasks_of_a_process_without_any_rights() -> Result<()> {
    let waits = ServiceBuild::new("waits").build()?;
    let folder = PublicFolder::new()?;
    let (user, profiler) = Profiler::get()?.without_rights(&folder)?;
    let _alone = alone();
    let service = RunningService::start_as(&waits, &[], user, &folder)?;
    let pid = service.pid().to_string();
    let list = listed(&profiler, &["-p", &pid])?;
    assert!(ids(&list).len() > 50, "{list}");
    Ok(())
}
