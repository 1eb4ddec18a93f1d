//! What holds workers longer, or more often.

use super::counted::{Counted, Counting};
use super::model::{Change, Of, StallCounts, Unit, Value};
use super::names::lasting;
use super::options::{DiffOptions, false_discoveries};
use super::tree::SIDES;
use super::windows::Windows;
use crate::profile::{Cause, KindId, Profile, StackId};
use crate::report::Blame;
use awaitscope_symbolizer::Origin;
use std::collections::BTreeMap;
use std::ops::Range;

/// Makes of stalls that are compared, those that took the most time.
const MOST: usize = 2000;
/// Stalls vary more than CPU times do: a change is this many times as much.
const RELATIVE: f64 = 8.0;
/// Of the time of a worker, this part of what of CPU time is too little.
const ABSOLUTE: f64 = 0.2;

/// The windows of both sides.
pub(super) struct Spans<'a> {
    pub(super) lengths: &'a [Vec<f64>; 2],
    pub(super) runs: [&'a [Range<usize>]; 2],
}

/// What stalls of a make have in common in every build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Make {
    kind: Option<String>,
    culprit: String,
}

struct Stalls {
    total: Counted,
    count: [u64; 2],
    max_ns: [u64; 2],
}

/// What the comparison of stalls says.
#[derive(Default)]
pub(super) struct StallChanges {
    pub(super) changes: Vec<Change>,
    /// How much of a worker's time went to polls that the kernel did not let run.
    pub(super) preempted: [f64; 2],
    /// Stalls that are kept only as sums, without their time.
    pub(super) summed: u64,
}

/// The least length of a poll that all recordings take for a stall.
pub(super) fn threshold_ns(sides: [&[Profile]; 2]) -> u64 {
    let all = sides.into_iter().flatten();
    all.map(|profile| profile.options.stall_threshold_ns)
        .max()
        .unwrap_or(0)
}

/// Compares what held workers.
pub(super) fn stall_changes(
    sides: [&[Profile]; 2],
    spans: &Spans<'_>,
    work: Option<f64>,
    options: &DiffOptions,
) -> StallChanges {
    let mut found = StallChanges::default();
    let mut makes = makes(sides, spans, &mut found);
    let all: Vec<(&Make, &Stalls)> = makes.iter().collect();
    let counting = Counting {
        wholes: [&spans.lengths[0], &spans.lengths[1]],
        runs: spans.runs,
        work,
        least_relative: options.minimum.relative * RELATIVE,
        least: options.minimum.absolute * ABSOLUTE,
        false_discoveries: false_discoveries::STALL,
    };
    let counted: Vec<&Counted> = all.iter().map(|(_, stalls)| &stalls.total).collect();
    let compared = counting.compare(&counted);
    let length_s = SIDES.map(|side| spans.lengths[side].iter().sum::<f64>() / 1e9);
    let per_s = |stalls: &Stalls, side: usize| stalls.count[side] as f64 / length_s[side].max(1e-9);
    let ms = |ns: u64| ns as f64 / 1e6;
    let changes = all
        .iter()
        .zip(compared)
        .map(|((make, stalls), (compared, significant))| {
            let value = Value::from(compared).scaled(1e3);
            let what = ("stall", Of::Stalls, Unit::MsPerS);
            Change {
                kind: make.kind.clone(),
                stalls: Some(StallCounts {
                    base_per_s: per_s(stalls, 0),
                    new_per_s: per_s(stalls, 1),
                    base_max_ms: ms(stalls.max_ns[0]),
                    new_max_ms: ms(stalls.max_ns[1]),
                }),
                ..Change::of(what, make.culprit.clone(), value, significant)
            }
        });
    found.changes = changes.collect();
    makes.clear();
    found
}

fn makes(
    sides: [&[Profile]; 2],
    spans: &Spans<'_>,
    found: &mut StallChanges,
) -> BTreeMap<Make, Stalls> {
    let threshold_ns = threshold_ns(sides);
    let none = SIDES.map(|side| vec![0.0; spans.lengths[side].len()]);
    let mut makes: BTreeMap<Make, Stalls> = BTreeMap::new();
    for side in SIDES {
        let length: f64 = spans.lengths[side].iter().sum();
        for (profile, run) in sides[side].iter().zip(spans.runs[side]) {
            let windows = Windows::of(profile);
            let mut blame = Blame::of(profile);
            for stall in &profile.stalls {
                if stall.duration_ns < threshold_ns {
                    continue;
                }
                // What the machine did besides, the service cannot help.
                if stall.cause == Cause::Preempted {
                    found.preempted[side] += stall.duration_ns as f64 / length.max(1.0);
                    continue;
                }
                let heaviest = stall.stacks.iter().max_by_key(|&&(_, ns)| ns);
                let stack = heaviest.map(|&(stack, _)| stack);
                let make = make(
                    profile,
                    &mut blame,
                    stack,
                    stall.kind,
                    stall.cause,
                    stall.syscall.as_deref(),
                );
                let bucket = stall.start_ns / profile.bucket_ns.max(1);
                let window = windows.at(u32::try_from(bucket).unwrap_or(u32::MAX));
                let stalls = makes.entry(make).or_insert_with(|| Stalls {
                    total: Counted {
                        parts: none.clone(),
                        grain: 0.0,
                    },
                    count: [0; 2],
                    max_ns: [0; 2],
                });
                stalls.total.parts[side][run.start + window] += stall.duration_ns as f64;
                stalls.count[side] += 1;
                stalls.max_ns[side] = stalls.max_ns[side].max(stall.duration_ns);
            }
            let summed = profile.stall_sums.iter().map(|sum| sum.count);
            found.summed = summed.fold(found.summed, u64::saturating_add);
        }
    }
    for stalls in makes.values_mut() {
        let time: f64 = stalls.total.parts.iter().flatten().sum();
        stalls.total.grain = time / (stalls.count[0] + stalls.count[1]).max(1) as f64;
    }
    heaviest(makes)
}

fn heaviest(makes: BTreeMap<Make, Stalls>) -> BTreeMap<Make, Stalls> {
    let time = |stalls: &Stalls| stalls.total.parts.iter().flatten().sum::<f64>();
    let mut all: Vec<(Make, Stalls)> = makes.into_iter().collect();
    all.sort_by(|(_, left), (_, right)| time(right).total_cmp(&time(left)));
    all.truncate(MOST);
    all.into_iter().collect()
}

fn make(
    profile: &Profile,
    blame: &mut Blame<'_>,
    stack: Option<StackId>,
    kind: Option<KindId>,
    cause: Cause,
    syscall: Option<&str>,
) -> Make {
    let (culprit, _) = blame.of_stack(stack, kind, cause, syscall);
    let culprit = culprit.map(|culprit| lasting(&culprit.function).into_owned());
    // Two functions may block in the same call.
    let frames = stack.map_or_else(Vec::new, |stack| profile.stack(stack));
    let own = frames.iter().rfind(|frame| frame.origin == Origin::User);
    let own = own.map(|frame| lasting(frame.function).into_owned());
    Make {
        kind: kind.map(|kind| lasting(&profile.kind(kind).name).into_owned()),
        culprit: match (culprit, own) {
            (Some(culprit), Some(own)) if culprit != own => format!("{culprit} in {own}"),
            (culprit, own) => culprit.or(own).unwrap_or_else(|| "[no stack]".to_owned()),
        },
    }
}
