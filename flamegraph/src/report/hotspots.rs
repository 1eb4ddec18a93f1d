//! Stalls of the same make, together.

use super::culprit::culprit;
use super::model::{Culprit, FrameRow, HotSpot};
use super::shares::ms;
use crate::profile::{Cause, KindId, Profile, StackId};
use std::collections::{BTreeMap, HashMap};

/// What stalls of one hot spot have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Make {
    kind: Option<KindId>,
    cause: Cause,
    syscall: Option<String>,
    culprit: Option<Culprit>,
}

#[derive(Default)]
struct Spot {
    count: u64,
    total_ns: u64,
    max_ns: u64,
    last_ns: u64,
    starts_with_recording: bool,
    durations: Vec<u64>,
    /// Indices into the profile's stalls.
    stalls: Vec<usize>,
    stacks: HashMap<StackId, u64>,
    advice: Option<&'static str>,
}

/// The hot spots of a profile, those that took the most time first, and to which of them
/// each stall belongs, in the order of [`Profile::stalls`].
pub(super) fn hot_spots(profile: &Profile) -> (Vec<HotSpot>, Vec<usize>) {
    let mut spots: BTreeMap<Make, Spot> = BTreeMap::new();
    let mut blame = Blame::of(profile);
    for (index, stall) in profile.stalls.iter().enumerate() {
        let heaviest = stall.stacks.iter().max_by_key(|&&(_, ns)| ns);
        let stack = heaviest.map(|&(stack, _)| stack);
        let (culprit, advice) =
            blame.of_stack(stack, stall.kind, stall.cause, stall.syscall.as_deref());
        let make = Make {
            kind: stall.kind,
            cause: stall.cause,
            syscall: stall.syscall.clone(),
            culprit,
        };
        let spot = spots.entry(make).or_default();
        spot.count += 1;
        spot.total_ns += stall.duration_ns;
        if stall.duration_ns >= spot.max_ns {
            spot.max_ns = stall.duration_ns;
            spot.starts_with_recording = stall.start_ns == 0;
        }
        let end = stall.start_ns.saturating_add(stall.duration_ns);
        spot.last_ns = spot.last_ns.max(end);
        spot.durations.push(stall.duration_ns);
        spot.stalls.push(index);
        spot.advice = advice;
        for &(stack, ns) in &stall.stacks {
            *spot.stacks.entry(stack).or_default() += ns;
        }
    }
    for sum in &profile.stall_sums {
        let (culprit, advice) =
            blame.of_stack(sum.stack, sum.kind, sum.cause, sum.syscall.as_deref());
        let make = Make {
            kind: sum.kind,
            cause: sum.cause,
            syscall: sum.syscall.clone(),
            culprit,
        };
        let spot = spots.entry(make).or_default();
        spot.count += sum.count;
        spot.total_ns += sum.total_ns;
        spot.max_ns = spot.max_ns.max(sum.max_ns);
        spot.advice = advice;
        if let Some(stack) = sum.stack {
            *spot.stacks.entry(stack).or_default() += sum.total_ns;
        }
        if spot.durations.is_empty() {
            // All that is known of their middle is their mean.
            spot.durations.push(sum.total_ns / sum.count.max(1));
        }
    }
    let mut rows: Vec<(HotSpot, Vec<usize>)> = spots
        .into_iter()
        .map(|(make, mut spot)| {
            let stalls = std::mem::take(&mut spot.stalls);
            (row(profile, make, spot), stalls)
        })
        .collect();
    // A stable sort: those of the same length stay in the order of their make.
    rows.sort_by(|(left, _), (right, _)| right.total_ms.total_cmp(&left.total_ms));
    let mut spot_of = vec![0; profile.stalls.len()];
    for (number, (_, stalls)) in rows.iter().enumerate() {
        stalls.iter().for_each(|&stall| spot_of[stall] = number);
    }
    (rows.into_iter().map(|(row, _)| row).collect(), spot_of)
}

fn row(profile: &Profile, make: Make, mut spot: Spot) -> HotSpot {
    // The heaviest; of equals, the first.
    let heaviest = spot
        .stacks
        .into_iter()
        .max_by_key(|&(stack, ns)| (ns, std::cmp::Reverse(stack)));
    let stack = heaviest.map_or_else(Vec::new, |(stack, _)| profile.stack(stack));
    HotSpot {
        kind: make.kind.map(|kind| profile.kind(kind).name.clone()),
        cause: make.cause,
        syscall: make.syscall,
        count: spot.count,
        total_ms: ms(spot.total_ns),
        max_ms: ms(spot.max_ns),
        p50_ms: ms(median(&mut spot.durations)),
        last_ms: ms(spot.last_ns),
        starts_with_recording: spot.starts_with_recording,
        stack: stack.iter().map(FrameRow::of).collect(),
        culprit: make.culprit,
        advice: spot.advice,
    }
}

fn median(durations: &mut [u64]) -> u64 {
    durations.sort_unstable();
    let Some(middle) = durations.get(durations.len() / 2) else {
        return 0;
    };
    if durations.len() % 2 == 1 {
        *middle
    } else {
        durations[durations.len() / 2 - 1].midpoint(*middle)
    }
}

/// What culprit and advice depend on.
type Case = (Option<StackId>, Option<KindId>, Cause, Option<String>);

/// Culprits, each worked out once.
pub(crate) struct Blame<'a> {
    profile: &'a Profile,
    known: HashMap<Case, (Option<Culprit>, Option<&'static str>)>,
}

impl<'a> Blame<'a> {
    pub(crate) fn of(profile: &'a Profile) -> Self {
        Self {
            profile,
            known: HashMap::new(),
        }
    }

    /// Who is to blame for a stall, and what to do about it.
    pub(crate) fn of_stack(
        &mut self,
        stack: Option<StackId>,
        kind: Option<KindId>,
        cause: Cause,
        syscall: Option<&str>,
    ) -> (Option<Culprit>, Option<&'static str>) {
        let profile = self.profile;
        let case = (stack, kind, cause, syscall.map(str::to_owned));
        self.known
            .entry(case)
            .or_insert_with(|| {
                let frames = stack.map_or_else(Vec::new, |stack| profile.stack(stack));
                culprit(&frames, cause, syscall, runtime_name(profile, kind))
            })
            .clone()
    }
}

fn runtime_name(profile: &Profile, kind: Option<KindId>) -> Option<&str> {
    let index = profile.kind(kind?).runtime?;
    let runtime = profile
        .runtimes
        .iter()
        .find(|runtime| runtime.index == index);
    runtime.map(|runtime| &*runtime.name)
}
