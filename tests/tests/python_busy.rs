//! No frame is invented: in a service whose functions call each other all the time, each caller
//! calls its callee in the line that is told.

use anyhow::{Context, Result};
use awaitscope_tests::python::{COVERED, Python};
use awaitscope_tests::report::Frame;
use awaitscope_tests::{FoundStack, Profiler, alone, cpu_stacks};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the service knows of the program that it wrote.
#[derive(Deserialize)]
struct Program {
    /// From each line the functions that it may call.
    edges: BTreeMap<u32, Vec<String>>,
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    first: u32,
    last: u32,
}

#[test]
fn every_caller_calls_its_callee() -> Result<()> {
    for version in COVERED {
        let python = Python::get(version)?;
        let (seen, wrong) = wrong_stacks(&python, &["-d", "5s", "-F", "999"])?;
        assert!(seen > 3000, "{python}: only {seen} samples");
        assert!(wrong.is_empty(), "{python}: {}", wrong.join("\n"));
    }
    Ok(())
}

/// Takes six minutes for all of them; run with `--ignored`.
#[test]
#[ignore = "records each CPython for 40 seconds at 4000 Hz"]
fn every_caller_calls_its_callee_in_100_000_samples() -> Result<()> {
    for python in Python::all()? {
        let (seen, wrong) = wrong_stacks(&python, &["-d", "40s", "-F", "4000"])?;
        eprintln!("{python}: {seen} samples, {} wrong stacks", wrong.len());
        assert!(seen > 100_000, "{python}: only {seen} samples");
        assert!(wrong.is_empty(), "{python}: {}", wrong.join("\n"));
    }
    Ok(())
}

/// How many samples have frames of the program, and the stacks that cannot be.
fn wrong_stacks(python: &Python, args: &[&str]) -> Result<(u64, Vec<String>)> {
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = python.start("busy", &[])?;
    let recording = profiler.record(service.pid(), args)?;
    let program: Program = service.truth_as()?;
    let profile = recording.profile()?;
    let quality = &profile.quality;
    assert!(
        quality.torn * 50 <= quality.samples,
        "{python}: {} of {} samples are torn",
        quality.torn,
        quality.samples
    );
    let mut seen = 0;
    let mut wrong = Vec::new();
    for stack in cpu_stacks(&profile)? {
        let own = own_frames(&stack);
        if own.is_empty() || says_that_it_is_torn(&stack) {
            continue;
        }
        seen += stack.samples;
        if let Err(why) = program.check(&own) {
            let shown: Vec<String> = own.iter().map(|frame| shown(frame)).collect();
            wrong.push(format!("{why:#}: {}", shown.join(" > ")));
        }
    }
    Ok((seen, wrong))
}

/// The interpreter ran on while it was read, and a part of the stack is said to be unknown.
fn says_that_it_is_torn(stack: &FoundStack) -> bool {
    let unknown = ["[a Python function]", "[Python, not read]"];
    let mut functions = stack.frames.iter().map(|frame| frame.function.as_str());
    functions.any(|function| unknown.contains(&function))
}

fn own_frames(stack: &FoundStack) -> Vec<&Frame> {
    let is_own = |frame: &&Frame| {
        let file = frame.file.as_deref().unwrap_or_default();
        file.ends_with("written.py")
    };
    stack.frames.iter().filter(is_own).collect()
}

fn shown(frame: &Frame) -> String {
    format!("{}:{}", frame.function, frame.line.unwrap_or(0))
}

/// Without its module; up to 3.10 code knows no more of its name than the last part.
fn is_called(name: &str, function: &str) -> bool {
    let own = function.strip_prefix("written.").unwrap_or(function);
    own == name || name.rsplit('.').next() == Some(own)
}

impl Program {
    /// Root first.
    fn check(&self, stack: &[&Frame]) -> Result<()> {
        let root = stack.first().context("a frame")?;
        anyhow::ensure!(root.function.contains("task"), "{} is no root", shown(root));
        for (index, frame) in stack.iter().enumerate() {
            // The first instructions of a function belong to no line.
            let begins = index + 1 == stack.len() && frame.line.is_none();
            anyhow::ensure!(begins || self.has(frame), "{} is elsewhere", shown(frame));
        }
        for pair in stack.windows(2) {
            let line = pair[0].line.unwrap_or(0);
            let callees = self.edges.get(&line).map(Vec::as_slice).unwrap_or_default();
            let calls = callees
                .iter()
                .any(|name| is_called(name, &pair[1].function));
            // A comprehension is a function of its own up to 3.11, with one line.
            let inside = pair[1].function.ends_with("<listcomp>") && pair[1].line == pair[0].line;
            anyhow::ensure!(
                calls || inside,
                "{} does not call {}",
                shown(pair[0]),
                shown(pair[1])
            );
        }
        Ok(())
    }

    /// Whether the line is one of the function's.
    fn has(&self, frame: &Frame) -> bool {
        let line = frame.line.unwrap_or(0);
        let around = self.functions.iter();
        let mut around = around.filter(|it| (it.first..=it.last).contains(&line));
        around.any(|it| is_called(&it.name, &frame.function))
            || frame.function.ends_with("<listcomp>")
    }
}
