//! Beside other tools at the same services: what they see, we see.

use anyhow::{Context, Result, ensure};
use awaitscope_tests::python::Python;
use awaitscope_tests::report::Frame;
use awaitscope_tests::tasks::Task;
use awaitscope_tests::{Profiler, alone, cpu_stacks};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What CPython itself finds when `python -m asyncio pstree` asks it, as JSON.
const ASK: &str = r#"
import json, sys
from asyncio.tools import get_all_awaited_by
tasks = [task for thread in get_all_awaited_by(int(sys.argv[1])) for task in thread.awaited_by]
print(json.dumps([
    {"name": task.task_name,
     "frames": [{"file": frame.filename, "line": frame.lineno, "function": frame.funcname}
                for stack in task.coroutine_stack for frame in stack.call_stack]}
    for task in tasks]))
"#;

#[derive(Debug, Deserialize)]
struct TheirTask {
    name: String,
    /// The innermost first.
    frames: Vec<TheirFrame>,
}

#[derive(Debug, Deserialize)]
struct TheirFrame {
    file: String,
    line: u32,
    function: String,
}

#[test]
fn our_tree_of_tasks_contains_that_of_cpython() -> Result<()> {
    let python = Python::get("3.14")?;
    let mut service = python.start("waits", &[])?;
    let pid = service.pid().to_string();
    // It does not look into other mount namespaces, so it is run in that of the service.
    let mut command = Command::new("nsenter");
    command.args(["--target", &pid, "--mount", "--root", "--wd", "python3.14"]);
    let output = command.args(["-c", ASK, &pid]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let theirs: Vec<TheirTask> = serde_json::from_slice(&output.stdout)?;
    ensure!(theirs.len() > 80, "{} tasks", theirs.len());
    let ours = Profiler::get()?.tasks(service.pid(), &[])?;
    // Who has which name, the service says.
    let truth = service.truth()?;
    let ids: BTreeMap<&str, u64> = truth
        .waits
        .iter()
        .filter_map(|task| Some((task.task_name.as_deref()?, task.id?)))
        .collect();
    for their in &theirs {
        let id = ids.get(their.name.as_str()).copied();
        // Two loops have each a task of that name, perhaps.
        let id = id.with_context(|| format!("{} is unknown", their.name))?;
        let our = ours.tasks.iter().find(|task| task.number() == Some(id));
        let our = our.with_context(|| format!("{} is missing", their.name))?;
        contains(our, their)?;
    }
    Ok(())
}

fn contains(our: &Task, their: &TheirTask) -> Result<()> {
    let stacks: Vec<_> = our.leaves().map(|(stack, _)| stack).collect();
    for frame in &their.frames {
        let found = stacks
            .iter()
            .any(|stack| stack.iter().any(|it| is(it, frame)));
        // What runs just now has no stack of awaits.
        let runs = our.stack.is_empty();
        ensure!(
            found || runs,
            "{frame:?} of {their:?} is not in {stacks:#?}"
        );
    }
    Ok(())
}

fn is(our: &Frame, their: &TheirFrame) -> bool {
    let file = our.file.as_deref().unwrap_or("?");
    their.file.ends_with(file)
        && our.line == Some(their.line)
        && our.function.ends_with(&their.function)
}

#[test]
fn our_running_stacks_contain_those_of_py_spy() -> Result<()> {
    let profiler = Profiler::get()?;
    let _alone = alone();
    for version in ["3.9", "3.11", "3.13"] {
        let python = Python::get(version)?;
        let service = python.start("truth", &["--only", "split"])?;
        let recording = profiler.record(service.pid(), &["-d", "4s", "-F", "499"])?;
        let mut ours: BTreeSet<Vec<String>> = BTreeSet::new();
        for stack in cpu_stacks(&recording.profile()?)? {
            let own = stack.frames.iter().filter(|frame| {
                let file = frame.file.as_deref() == Some("truth.py");
                file && !frame.function.ends_with("<module>")
            });
            ours.insert(own.map(|frame| last_part(&frame.function)).collect());
        }
        let mut seen = 0;
        for (stack, samples) in py_spy(&python, service.pid())? {
            seen += samples;
            // Rare ones may have been missed by either; and py-spy sees a thread that has the
            // interpreter's lock also when it has no CPU.
            let known = ours.iter().any(|our| our.starts_with(&stack));
            ensure!(
                samples < 4 || known,
                "{python}: {stack:?} ({samples} samples) is not in {ours:#?}"
            );
        }
        ensure!(seen > 50, "{python}: py-spy saw {seen} samples");
    }
    Ok(())
}

/// The stacks of the service's own functions, with how often py-spy saw each.
fn py_spy(python: &Python, pid: u32) -> Result<BTreeMap<Vec<String>, u64>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("raw");
    let mut command = Command::new(python.tool("py-spy")?);
    let pid = pid.to_string();
    command.args(["record", "--pid", &pid, "--duration", "3", "--rate", "99"]);
    command.args(["--format", "raw", "--nolineno", "--gil", "--output"]);
    let output = command.arg(&file).output().context("cannot run py-spy")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "py-spy: {said}");
    let mut stacks = BTreeMap::new();
    for line in std::fs::read_to_string(file)?.lines() {
        let (stack, samples) = line.rsplit_once(' ').context("samples")?;
        let own = stack
            .split(';')
            .filter(|frame| frame.ends_with("(truth.py)"));
        let own: Vec<String> = own
            .filter_map(|frame| Some(last_part(frame.split_once(' ')?.0)))
            .collect();
        // Ours begin at the root of the task; what is above it is folded.
        let in_task = own.iter().filter(|function| *function != "<module>");
        let own: Vec<String> = in_task.cloned().collect();
        if !own.is_empty() {
            *stacks.entry(own).or_insert(0) += samples.parse::<u64>()?;
        }
    }
    Ok(stacks)
}

fn last_part(function: &str) -> String {
    function.rsplit('.').next().unwrap_or(function).to_owned()
}
