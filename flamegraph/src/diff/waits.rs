//! Where tasks wait, and how many of each kind are alive.

use super::counted::{Counted, Counting};
use super::cpu::{kind, path};
use super::model::{Change, Fate, Moved, Of, Unit, Value};
use super::moved;
use super::names::Names;
use super::options::{DiffOptions, false_discoveries};
use super::tree::{SIDES, Tree};
use super::windows::Windows;
use crate::profile::{COVERED, Profile, State};
use std::collections::BTreeMap;

/// Await points and kinds that are compared, those with the most tasks.
const MOST: usize = 2000;
/// How many tasks vary more than CPU times do: a change is this many times as much.
const RELATIVE: f64 = 2.0;
/// Where the tasks of a kind changed by less than this part of what a place of theirs
/// did, they wait there instead of elsewhere.
const ELSEWHERE: f64 = 0.5;
/// Fewer tasks than this are none.
const LEAST_WAITING: f64 = 0.02;
const LEAST_LIVING: f64 = 0.2;

/// What snapshots cover of each window, and how long there is between two of them.
#[derive(Debug)]
pub(super) struct Snapshots {
    covered: [Vec<f64>; 2],
    grain: f64,
}

impl Snapshots {
    /// `None` where a recording has none.
    pub(super) fn of(sides: [&[Profile]; 2]) -> Option<Self> {
        let all = || sides.into_iter().flatten();
        if all().any(|profile| profile.waiting.is_none() || profile.quality.snapshots == 0) {
            return None;
        }
        let periods = all().filter_map(|profile| Some(profile.waiting.as_ref()?.period_ns));
        Some(Self {
            covered: sides.map(|profiles| profiles.iter().flat_map(covered).collect()),
            grain: periods.max().unwrap_or(0) as f64,
        })
    }

    pub(super) fn counting<'a>(
        &'a self,
        tree: &'a Tree,
        work: Option<f64>,
        options: &DiffOptions,
        least: f64,
        false_discoveries: f64,
    ) -> Counting<'a> {
        Counting {
            wholes: [&self.covered[0], &self.covered[1]],
            runs: [&tree.sides[0].runs, &tree.sides[1].runs],
            work,
            least_relative: options.minimum.relative * RELATIVE,
            least,
            false_discoveries,
        }
    }
}

fn covered(profile: &Profile) -> Vec<f64> {
    let windows = Windows::of(profile);
    let mut covered = vec![0.0; windows.count()];
    let series = profile
        .series
        .iter()
        .filter(|series| series.name == COVERED);
    for point in series.flat_map(|series| &series.points) {
        covered[windows.at(point.bucket)] += point.sum;
    }
    covered
}

/// Compares how many tasks wait at each await point.
pub(super) fn wait_changes(
    tree: &Tree,
    names: &Names,
    snapshots: &Snapshots,
    work: Option<f64>,
    options: &DiffOptions,
) -> Vec<Change> {
    let points = await_points(tree, snapshots.grain);
    let tasks = |side: usize| {
        let times = tree.sides[side].windows.iter().flatten();
        times.map(|&(_, ns)| ns as f64).sum::<f64>()
            / snapshots.covered[side].iter().sum::<f64>().max(1.0)
    };
    let least = (options.minimum.absolute * (tasks(0) + tasks(1)) / 2.0).max(LEAST_WAITING);
    let counting = snapshots.counting(tree, work, options, least, false_discoveries::WAIT);
    let counted: Vec<&Counted> = points.iter().map(|(_, counted)| counted).collect();
    let compared = counting.compare(&counted);
    points
        .iter()
        .zip(compared)
        .map(|((place, _), (compared, significant))| {
            let stack = path(tree, names, *place);
            let innermost = stack[stack.len().saturating_sub(2)..].join(" → ");
            let what = ("wait", Of::AwaitPoint, Unit::Tasks);
            Change {
                kind: kind(tree, names, *place),
                stack,
                place: *place,
                ..Change::of(what, innermost, Value::from(compared), significant)
            }
        })
        .collect()
}

/// The boxes in which tasks wait, those with the most first.
fn await_points(tree: &Tree, grain: f64) -> Vec<(usize, Counted)> {
    let mut own: BTreeMap<usize, [u64; 2]> = BTreeMap::new();
    for side in SIDES {
        for &(place, ns) in tree.sides[side].windows.iter().flatten() {
            own.entry(place as usize).or_default()[side] += ns;
        }
    }
    let mut heaviest: Vec<(usize, [u64; 2])> = own.into_iter().collect();
    heaviest.sort_by_key(|&(_, [base, new])| std::cmp::Reverse(base.max(new)));
    heaviest.truncate(MOST);
    let none = SIDES.map(|side| vec![0.0; tree.sides[side].windows.len()]);
    let mut points: BTreeMap<usize, Counted> = heaviest
        .iter()
        .map(|&(place, _)| {
            (
                place,
                Counted {
                    parts: none.clone(),
                    grain,
                },
            )
        })
        .collect();
    for side in SIDES {
        for (window, times) in tree.sides[side].windows.iter().enumerate() {
            for (place, ns) in times {
                if let Some(point) = points.get_mut(&(*place as usize)) {
                    point.parts[side][window] = *ns as f64;
                }
            }
        }
    }
    points.into_iter().collect()
}

/// Compares how many tasks of each kind are alive.
pub(super) fn task_changes(
    sides: [&[Profile]; 2],
    tree: &Tree,
    snapshots: &Snapshots,
    work: Option<f64>,
    options: &DiffOptions,
) -> Vec<Change> {
    let kinds = kinds(sides, tree, snapshots.grain);
    let counting = snapshots.counting(tree, work, options, LEAST_LIVING, false_discoveries::TASKS);
    let counted: Vec<&Counted> = kinds.values().collect();
    let compared = counting.compare(&counted);
    kinds
        .keys()
        .zip(compared)
        .map(|(kind, (compared, significant))| {
            let what = ("tasks", Of::LiveTasks, Unit::Tasks);
            Change {
                kind: Some(kind.clone()),
                ..Change::of(what, kind.clone(), Value::from(compared), significant)
            }
        })
        .collect()
}

/// Of tasks that are as many as they were, some only wait elsewhere: marks those, and
/// says where cost moved from and to.
///
/// What is new is new all the same, unless something else is gone for it.
pub(super) fn mark_moved(
    waits: &mut [Change],
    tasks: &[Change],
    tree: &Tree,
    names: &Names,
) -> Vec<Moved> {
    let deltas: Vec<(Vec<usize>, f64)> = waits
        .iter()
        .map(|wait| (tree.path(wait.place), wait.value.delta))
        .collect();
    let moved = moved::mark_moved(waits, tree, names, |within| {
        let inside = deltas.iter().filter(|(path, _)| path.contains(&within));
        Some((inside.map(|(_, delta)| delta).sum(), false))
    });
    let living: BTreeMap<&str, f64> = tasks
        .iter()
        .map(|kind| (&*kind.function, kind.value.delta))
        .collect();
    for wait in waits.iter_mut().filter(|wait| wait.leading) {
        let more = wait
            .kind
            .as_deref()
            .and_then(|kind| living.get(kind))
            .copied();
        let is_elsewhere = more.is_some_and(|more| more / wait.value.delta < ELSEWHERE);
        wait.moved |= is_elsewhere && matches!(wait.fate, Fate::Grown | Fate::Shrunk);
    }
    moved
}

/// The tasks of each kind: those that snapshots saw wait or ready, and those on a CPU.
fn kinds(sides: [&[Profile]; 2], tree: &Tree, grain: f64) -> BTreeMap<String, Counted> {
    let none = SIDES.map(|side| vec![0.0; tree.sides[side].windows.len()]);
    let mut kinds: BTreeMap<String, Counted> = BTreeMap::new();
    for side in SIDES {
        let runs = tree.sides[side].runs.iter();
        for (profile, run) in sides[side].iter().zip(runs) {
            let windows = Windows::of(profile);
            let names: Vec<String> = profile
                .kinds
                .iter()
                .map(|kind| super::names::lasting(&kind.name).into_owned())
                .collect();
            for bucket in &profile.buckets {
                let window = run.start + windows.at(bucket.number);
                for weight in &bucket.weights {
                    let (Some(kind), State::Waiting | State::Ready | State::OnCpu) =
                        (weight.key.kind, weight.key.state)
                    else {
                        continue;
                    };
                    let name = &names[kind.index()];
                    if !kinds.contains_key(name) {
                        kinds.insert(
                            name.clone(),
                            Counted {
                                parts: none.clone(),
                                grain,
                            },
                        );
                    }
                    if let Some(counted) = kinds.get_mut(name) {
                        counted.parts[side][window] += weight.ns as f64;
                    }
                }
            }
        }
    }
    let mut heaviest: Vec<(String, Counted)> = kinds.into_iter().collect();
    let weight = |counted: &Counted| {
        let sum = |side: usize| counted.parts[side].iter().sum::<f64>();
        sum(0).max(sum(1))
    };
    heaviest.sort_by(|(_, left), (_, right)| weight(right).total_cmp(&weight(left)));
    heaviest.truncate(MOST);
    heaviest.into_iter().collect()
}
