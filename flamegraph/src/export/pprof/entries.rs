//! What the samples of a pprof profile count.

use crate::error::Error;
use crate::fold::{Drawn, Part, drawn};
use crate::profile::{Cause, KindId, Profile, StackId, State, TaskId, ThreadId, WeightKey};
use crate::view::{Grouping, View};
use std::collections::HashMap;

/// A value that every sample has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Samples,
    Cpu,
    Blocked,
    Waiting,
    Ready,
    Wall,
    Stalls,
    Stalled,
}

impl Column {
    /// Its type and its unit, as pprof names them.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Samples => ("samples", "count"),
            Self::Cpu => ("cpu", "nanoseconds"),
            Self::Blocked => ("blocked", "nanoseconds"),
            Self::Waiting => ("waiting", "nanoseconds"),
            Self::Ready => ("ready", "nanoseconds"),
            Self::Wall => ("wall", "nanoseconds"),
            Self::Stalls => ("stalls", "count"),
            Self::Stalled => ("stall", "nanoseconds"),
        }
    }
}

/// Time of one sort, with all that is known of it.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) thread: Option<ThreadId>,
    pub(super) kind: Option<KindId>,
    pub(super) task: Option<TaskId>,
    pub(super) stack: Option<StackId>,
    pub(super) part: Part,
    /// The state, or what held a worker.
    pub(super) state: &'static str,
    pub(super) syscall: Option<&'a str>,
    pub(super) values: [(Column, u64); 2],
}

/// The columns and entries of a view, or of all that was measured: what was not has no column.
pub(super) fn entries(
    profile: &Profile,
    view: Option<View>,
) -> Result<(Vec<Column>, Vec<Entry<'_>>), Error> {
    match view {
        None => Ok(everything(profile)),
        Some(View::Cpu) => {
            let entries = of_states(profile, &[State::OnCpu]);
            Ok((vec![Column::Samples, Column::Cpu], entries))
        }
        Some(View::Stall) => {
            let entries = stalls(profile);
            Ok((vec![Column::Stalls, Column::Stalled], entries))
        }
        Some(View::Wait) => {
            let weights = drawn(profile, View::Wait, Grouping::None)?;
            Ok((vec![Column::Waiting], all(&weights, Column::Waiting)))
        }
        Some(View::Wall) => {
            let weights = drawn(profile, View::Wall, Grouping::None)?;
            Ok((vec![Column::Wall], all(&weights, Column::Wall)))
        }
    }
}

fn everything(profile: &Profile) -> (Vec<Column>, Vec<Entry<'_>>) {
    let states = [State::OnCpu, State::Blocked, State::Waiting, State::Ready];
    let mut entries = of_states(profile, &states);
    let mut columns = vec![Column::Samples, Column::Cpu];
    if entries.iter().any(|entry| entry.part == Part::Blocked) {
        columns.push(Column::Blocked);
    }
    if profile.waiting.is_some() {
        columns.extend([Column::Waiting, Column::Ready]);
    }
    if !profile.runtimes.is_empty() {
        columns.extend([Column::Stalls, Column::Stalled]);
        entries.extend(stalls(profile));
    }
    (columns, entries)
}

/// The times in these states, over the whole recording.
fn of_states<'a>(profile: &'a Profile, states: &[State]) -> Vec<Entry<'a>> {
    let mut sums: HashMap<WeightKey, (u64, u64)> = HashMap::new();
    for weight in profile.weights() {
        if states.contains(&weight.key.state) {
            let (samples, ns) = sums.entry(weight.key).or_default();
            *samples += u64::from(weight.samples);
            *ns += weight.ns;
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_unstable_by_key(|&(key, _)| key);
    let entry = |(key, (samples, ns)): (WeightKey, (u64, u64))| {
        let (part, column) = match key.state {
            State::OnCpu => (Part::OnCpu, Column::Cpu),
            State::Blocked => (Part::Blocked, Column::Blocked),
            State::Waiting => (Part::Waiting, Column::Waiting),
            State::Ready => (Part::Ready, Column::Ready),
        };
        Entry {
            thread: key.thread,
            kind: key.kind,
            task: key.task,
            stack: Some(key.stack),
            part,
            state: state(part),
            syscall: None,
            values: [(column, ns), (Column::Samples, samples)],
        }
    };
    sums.into_iter().map(entry).collect()
}

fn state(part: Part) -> &'static str {
    match part {
        Part::Only | Part::OnCpu => "on-cpu",
        Part::Blocked => "blocked",
        Part::Ready => "ready",
        Part::Waiting => "waiting",
    }
}

/// One entry for each of `weights`, all in one column.
fn all<'a>(weights: &[Drawn], column: Column) -> Vec<Entry<'a>> {
    let entry = |weight: &Drawn| Entry {
        thread: weight.thread,
        kind: weight.kind,
        task: weight.task,
        stack: weight.stack,
        part: weight.part,
        state: state(weight.part),
        syscall: None,
        values: [(column, weight.ns), (Column::Samples, 0)],
    };
    weights.iter().map(entry).collect()
}

/// The stalls: each counts once, at the stack that held the worker longest.
fn stalls(profile: &Profile) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    for stall in &profile.stalls {
        let mut entry = Entry {
            thread: Some(stall.thread),
            kind: stall.kind,
            task: stall.task,
            stack: None,
            part: Part::Blocked,
            state: held(stall.cause),
            syscall: stall.syscall.as_deref(),
            values: [(Column::Stalled, 0), (Column::Stalls, 1)],
        };
        let mut left = stall.duration_ns;
        let mut stacks = stall.stacks.clone();
        stacks.sort_by_key(|&(_, ns)| std::cmp::Reverse(ns));
        for (stack, ns) in stacks {
            let ns = ns.min(left);
            left -= ns;
            entry.stack = Some(stack);
            entry.values[0].1 = ns;
            entries.push(entry.clone());
            entry.values[1].1 = 0;
        }
        if left > 0 || entry.values[1].1 > 0 {
            entry.stack = None;
            entry.values[0].1 = left;
            entries.push(entry);
        }
    }
    entries.extend(profile.stall_sums.iter().map(|sum| Entry {
        thread: Some(sum.thread),
        kind: sum.kind,
        task: None,
        stack: sum.stack,
        part: Part::Blocked,
        state: held(sum.cause),
        syscall: sum.syscall.as_deref(),
        values: [(Column::Stalled, sum.total_ns), (Column::Stalls, sum.count)],
    }));
    entries
}

fn held(cause: Cause) -> &'static str {
    match cause {
        Cause::Cpu => "stalled-computing",
        Cause::Syscall => "stalled-in-syscall",
        Cause::Fault => "stalled-on-page-fault",
        Cause::Preempted => "stalled-preempted",
    }
}
