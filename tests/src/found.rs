//! What a profile holds, in the form that the comparisons take.

use crate::compare::FoundStall;
use crate::report::Frame;
use anyhow::{Context, Result};
use awaitscope_flamegraph::{KindId, Profile, StackId, State};
use nix::time::{ClockId, clock_gettime};
use serde::Deserialize;

/// Time on a CPU that was spent in the same stack.
#[derive(Debug, Clone)]
pub struct FoundStack {
    /// In which kind of task, if in any.
    pub kind: Option<String>,
    /// How many samples say so.
    pub samples: u64,
    /// The frames, root first, machinery among them.
    pub frames: Vec<Frame>,
}

/// Every stall of the profile, at its time on `CLOCK_MONOTONIC` of this machine.
///
/// # Errors
/// The clocks cannot be read.
pub fn found_stalls(profile: &Profile) -> Result<Vec<FoundStall>> {
    let start = profile.start_unix_ns.saturating_sub(boot_unix_ns()?);
    let stalls = profile.stalls.iter().map(|stall| FoundStall {
        kind: kind_name(profile, stall.kind).unwrap_or_default(),
        tid: profile.threads[stall.thread.index()].tid,
        start_ns: start + stall.start_ns,
        duration_ns: stall.duration_ns,
    });
    Ok(stalls.collect())
}

/// The recording's begin and end on `CLOCK_MONOTONIC`.
///
/// # Errors
/// The clocks cannot be read.
pub fn recorded_window(profile: &Profile) -> Result<std::ops::Range<u64>> {
    let start = profile.start_unix_ns.saturating_sub(boot_unix_ns()?);
    Ok(start..start + profile.duration_ns)
}

/// When `CLOCK_MONOTONIC` was zero.
fn boot_unix_ns() -> Result<u64> {
    let read = |clock| -> Result<u64> {
        let time = clock_gettime(clock)?;
        Ok(u64::try_from(time.tv_sec())? * 1_000_000_000 + u64::try_from(time.tv_nsec())?)
    };
    let monotonic = read(ClockId::CLOCK_MONOTONIC)?;
    Ok(read(ClockId::CLOCK_REALTIME)?.saturating_sub(monotonic))
}

fn kind_name(profile: &Profile, kind: Option<KindId>) -> Option<String> {
    kind.map(|kind| profile.kinds[kind.index()].name.clone())
}

/// The tables of a profile, as they stand in its file.
#[derive(Deserialize)]
struct Tables {
    strings: Vec<String>,
    frames: Vec<FrameEntry>,
    stacks: Vec<StackEntry>,
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct FrameEntry {
    function: usize,
    file: Option<usize>,
    line: Option<u32>,
    kind: String,
}

#[derive(Deserialize)]
struct StackEntry {
    parent: Option<usize>,
    frame: usize,
}

#[derive(Deserialize)]
struct Bucket {
    state: Vec<State>,
    kind: Vec<Option<KindId>>,
    stack: Vec<StackId>,
    samples: Vec<u64>,
}

/// Every stack of the profile that was on a CPU.
///
/// # Errors
/// The profile's file has another form than we know.
pub fn cpu_stacks(profile: &Profile) -> Result<Vec<FoundStack>> {
    let value = serde_json::to_value(profile)?;
    let tables: Tables = serde_json::from_value(value).context("the profile's tables")?;
    let mut found = Vec::new();
    for bucket in &tables.buckets {
        for row in 0..bucket.stack.len() {
            if bucket.state[row] == State::OnCpu {
                found.push(FoundStack {
                    kind: kind_name(profile, bucket.kind[row]),
                    samples: bucket.samples[row],
                    frames: tables.frames_of(bucket.stack[row].index()),
                });
            }
        }
    }
    Ok(found)
}

impl Tables {
    /// Root first. A parent stands before its children, so this ends.
    fn frames_of(&self, leaf: usize) -> Vec<Frame> {
        let above = |&stack: &usize| self.stacks[stack].parent;
        let mut frames: Vec<Frame> = std::iter::successors(Some(leaf), above)
            .map(|stack| &self.frames[self.stacks[stack].frame])
            .map(|frame| Frame {
                function: self.strings[frame.function].clone(),
                file: frame.file.map(|file| self.strings[file].clone()),
                line: frame.line,
                kind: frame.kind.clone(),
            })
            .collect();
        frames.reverse();
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use awaitscope_flamegraph::{
        Cause, KindClass, ProfileBuilder, RecordingOptions, Stall, Target, ThreadRole, WeightKey,
    };
    use awaitscope_symbolizer::{Frame as LogicalFrame, FrameKind, Origin};

    fn frame(function: &str, line: u32) -> LogicalFrame {
        LogicalFrame {
            function: function.into(),
            file: Some("src/main.rs".into()),
            line: Some(line),
            kind: FrameKind::Async,
            origin: Origin::User,
        }
    }

    #[test]
    fn stacks_and_stalls_come_back_as_they_went_in() -> Result<()> {
        let start = boot_unix_ns()? + 1_000;
        let mut builder =
            ProfileBuilder::new(Target::default(), RecordingOptions::default(), start);
        let kind = builder.kind("app::root", KindClass::Async, None);
        let thread = builder.thread(7, "worker", ThreadRole::Other);
        let root = builder.frame(&frame("app::root", 1));
        let root = builder.stack(None, root);
        let leaf = builder.frame(&frame("app::leaf", 2));
        let stack = builder.stack(Some(root), leaf);
        let key = WeightKey {
            thread: Some(thread),
            state: State::OnCpu,
            kind: Some(kind),
            task: None,
            stack,
        };
        builder.add_weight(key, 0, 10, 3);
        builder.add_stall(Stall {
            start_ns: 500,
            duration_ns: 20,
            uncertainty_ns: 0,
            kind: Some(kind),
            task: None,
            thread,
            cause: Cause::Cpu,
            syscall: None,
            stacks: vec![(stack, 20)],
        });
        let profile = builder.finish(1_000_000);

        let stacks = cpu_stacks(&profile)?;
        let names: Vec<&str> = stacks[0]
            .frames
            .iter()
            .map(|f| f.function.as_str())
            .collect();
        assert_eq!(names, ["app::root", "app::leaf"]);
        assert_eq!(
            (stacks[0].samples, stacks[0].frames[1].kind.as_str()),
            (3, "async")
        );
        let stalls = found_stalls(&profile)?;
        // The two clocks are not read at once, and may drift apart meanwhile.
        assert!(stalls[0].start_ns.abs_diff(1_500) < 1_000_000, "{stalls:?}");
        assert_eq!((stalls[0].tid, stalls[0].kind.as_str()), (7, "app::root"));
        Ok(())
    }
}
