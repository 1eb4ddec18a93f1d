//! Every shape of stack comes out whole, in every flavour of build.

use anyhow::{Result, bail};
use awaitscope_tests::compare::stack_mismatch;
use awaitscope_tests::{
    ExpectedFrame, Flavour, FoundStack, Profiler, RunningService, ServiceBuild, alone, cpu_stacks,
};

/// Fewer samples than this say nothing.
const ENOUGH: u64 = 30;

#[test]
fn full() -> Result<()> {
    every_shape_is_whole(Flavour::Full)
}

#[test]
fn line_tables_only() -> Result<()> {
    every_shape_is_whole(Flavour::LineTables)
}

#[test]
fn stripped_with_a_debug_link() -> Result<()> {
    every_shape_is_whole(Flavour::DebugLink)
}

#[test]
fn stripped_with_a_debug_file_that_is_named() -> Result<()> {
    every_shape_is_whole(Flavour::BuildId)
}

#[test]
fn compressed() -> Result<()> {
    every_shape_is_whole(Flavour::Compressed)
}

#[test]
fn thin_lto() -> Result<()> {
    every_shape_is_whole(Flavour::ThinLto)
}

#[test]
fn fat_lto() -> Result<()> {
    every_shape_is_whole(Flavour::FatLto)
}

#[test]
fn v0_mangling() -> Result<()> {
    every_shape_is_whole(Flavour::V0)
}

fn every_shape_is_whole(flavour: Flavour) -> Result<()> {
    let shapes = ServiceBuild::new("shapes").flavour(flavour).build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&shapes, &[])?;
    let mut args = vec!["-d", "6s", "-F", "999"];
    let debug_file = shapes
        .debug_file
        .as_ref()
        .map(|file| file.to_string_lossy());
    if let (Flavour::BuildId, Some(file)) = (flavour, &debug_file) {
        args.extend(["--debug-file", file]);
    }
    let recording = profiler.record(service.pid(), &args)?;
    let truth = service.truth()?;
    let stacks = cpu_stacks(&recording.profile()?)?;
    // Without types, rustc tells neither the path nor the symbol of an inlined
    // function.
    let names = flavour != Flavour::LineTables;
    let wrong: Vec<String> = truth
        .stacks()
        .iter()
        // The rest of a deep stack is believed only where the worker's progress proves
        // that it is still the same, which needs types.
        .filter(|(shape, _)| names || !shape.ends_with("deep"))
        .filter_map(|(shape, frames)| {
            let told = shape_is_whole(frames, &stacks, names);
            told.err().map(|error| format!("{shape}: {error}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// At least 95 % of the whole samples that ended in the shape's leaf have its stack, and
/// the kind that stands at its root.
fn shape_is_whole(expected: &[&ExpectedFrame], stacks: &[FoundStack], names: bool) -> Result<()> {
    let Some(leaf) = expected.last() else {
        bail!("there is nothing to expect");
    };
    let root = expected.iter().find(|frame| !frame.optional);
    let mut right = 0;
    let mut all = 0;
    let mut first_wrong = None;
    for stack in stacks {
        let own = |file: &str| file.starts_with("src/");
        let last = stack
            .frames
            .iter()
            .rfind(|frame| frame.file.as_deref().is_some_and(own));
        let here = last.is_some_and(|frame| {
            frame.file.as_deref() == Some(leaf.file.as_str()) && frame.line == Some(leaf.line)
        });
        if !here {
            continue;
        }
        // A stack deeper than its copy can have moved on before the rest was read.
        // It says so, and shows nothing that was not seen.
        if stack.frames[0].function == "[truncated stack]" && leaf.function.contains("deep") {
            continue;
        }
        all += stack.samples;
        let wrong_kind = (stack.kind.as_deref() != root.map(|root| root.function.as_str()))
            .then(|| format!("its kind is {:?}", stack.kind));
        let wrong = stack_mismatch(expected, &stack.frames, names).or(wrong_kind);
        if wrong.is_none() {
            right += stack.samples;
        }
        first_wrong = first_wrong.or(wrong);
    }
    if all < ENOUGH || right * 100 < all * 95 {
        bail!("{right} of {all} samples are right; {first_wrong:?}");
    }
    Ok(())
}
