//! Who uses more or less CPU time.

use super::discoveries::threshold;
use super::model::{Change, Fate, Of, PartOf, Unit, Value};
use super::names::Names;
use super::options::{DiffOptions, Normalization, false_discoveries};
use super::search::{Clock, Found, change, search};
use super::subjects::{Part, Subjects, totals};
use super::tree::{SIDES, Tree};
use super::welch::{BetweenRuns, Compared, Seen};
use crate::profile::Profile;

/// How alike runs are is told by what uses at least this share.
const TELLING: f64 = 0.01;
/// What is worth to be seen when it changes.
const WEIGHTY: f64 = 0.1;
/// What was found must still be so sure at the end.
const STILL: f64 = 0.001;
/// By so much two runs of the same build differ by themselves, as a rule.
const RUN_TO_RUN: f64 = 0.01;
/// Standard errors of a change that is found for sure, nearly.
const FOUND: f64 = 5.0;

/// What the comparison of CPU times says.
pub(super) struct CpuChanges {
    pub(super) changes: Vec<Change>,
    pub(super) total: Value,
    /// The time of what did not change, by the clock: how much more work was done.
    pub(super) work: f64,
    pub(super) detectable: Option<f64>,
    pub(super) gave_up: bool,
    /// What values are in.
    pub(super) unit: Unit,
    /// Of the boxes of the tree.
    pub(super) fates: Vec<(Fate, Option<Value>)>,
}

/// The windows of both sides, and what they are divided by.
pub(super) fn clock<'a>(
    tree: &'a Tree,
    lengths: [Vec<f64>; 2],
    sides: [&[Profile]; 2],
    options: &DiffOptions,
) -> Clock<'a> {
    let grain = |side: usize| {
        let samples: u64 = sides[side]
            .iter()
            .map(|profile| profile.quality.samples)
            .sum();
        let time = tree.sides[side].windows.iter().flatten();
        time.map(|&(_, ns)| ns as f64).sum::<f64>() / samples.max(1) as f64
    };
    let by = |rates: [f64; 2]| {
        SIDES.map(|side| {
            lengths[side]
                .iter()
                .map(|ns| ns * rates[side])
                .collect::<Vec<f64>>()
        })
    };
    Clock {
        times: [&tree.sides[0], &tree.sides[1]],
        grain: [grain(0), grain(1)],
        divisors: match options.normalization {
            Normalization::Cpu => None,
            Normalization::Wall => Some(lengths.clone()),
            Normalization::Requests { base, new } => Some(by([base, new])),
        },
        lengths,
        between_runs: None,
        // Where runs are compared by their windows alone, a little is taken for nothing.
        margin: match sides.iter().any(|profiles| profiles.len() < 2) {
            true => RUN_TO_RUN,
            false => 0.0,
        },
    }
}

/// Compares the CPU times of both sides.
pub(super) fn cpu_changes(
    tree: &Tree,
    names: &Names,
    mut clock: Clock<'_>,
    options: &DiffOptions,
) -> CpuChanges {
    let subjects = Subjects::of(tree, names);
    let nothing = subjects.belonging(&[]);
    let measured = SIDES.map(|side| subjects.measure(side, &nothing));
    let totals_of = SIDES.map(|side| &*measured[side].total);
    clock.between_runs = {
        let wholes = SIDES.map(|side| clock.whole(side, totals_of[side]));
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let all = (0..subjects.all.len()).map(|subject| {
            SIDES.map(|side| Seen {
                part: &measured[side].parts[subject],
                whole: wholes[side],
                runs: &clock.times[side].runs,
                grain: clock.grain[side],
            })
        });
        BetweenRuns::of(all.filter(|seen| {
            SIDES
                .iter()
                .any(|&side| sum(seen[side].part) > TELLING * sum(totals_of[side]))
        }))
    };
    let found = search(&subjects, &clock, options.minimum);
    let judge = Judge::new(&clock, &found, totals_of, options);
    let parts = |subject: usize| SIDES.map(|side| &*measured[side].parts[subject]);
    let all: Vec<Judged> = (0..subjects.all.len())
        .map(|subject| judge.judge(parts(subject)))
        .collect();
    let sure = match found.changed.is_empty() {
        true => -1.0,
        false => threshold(
            all.iter().map(|judged| judged.against_rest.p),
            false_discoveries::CPU,
        ),
    };
    let box_totals = totals(tree);
    let mut changes = Vec::new();
    for (subject, judged) in all.iter().enumerate() {
        let listed = found.changed.contains(&subject);
        // What was found may be less clear beside all that was found after it.
        let sure = if listed { sure.max(STILL) } else { sure };
        let significant = judged.against_rest.p <= sure && judge.is_large(judged);
        let place = subjects.heaviest_box(subject, &box_totals);
        let of = subjects.all[subject];
        let value = judge.value(judged);
        changes.push(Change {
            view: "cpu",
            of: if of.is_kind { Of::Kind } else { Of::Function },
            part: Some(match of.part {
                Part::Inclusive => PartOf::Inclusive,
                Part::Own => PartOf::Own,
            }),
            function: names.name(of.name).to_string(),
            kind: kind(tree, names, place),
            stack: path(tree, names, place),
            unit: judge.unit,
            fate: Fate::of(&value, significant),
            value,
            significant,
            leading: listed && significant,
            moved: false,
            place,
            stalls: None,
        });
    }
    let total = clock.compare(totals_of, [&clock.lengths[0], &clock.lengths[1]]);
    let work = clock.compare(
        [&found.reference[0], &found.reference[1]],
        [&clock.lengths[0], &clock.lengths[1]],
    );
    CpuChanges {
        total: total.into(),
        work: work.ratio.unwrap_or(1.0),
        detectable: detectable(&all, &judge),
        gave_up: found.gave_up,
        unit: judge.unit,
        fates: boxes(tree, &box_totals, &judge, sure),
        changes,
    }
}

/// A thing, compared by all time and by what did not change.
struct Judged {
    plain: Compared,
    against_rest: Compared,
}

/// Compares what is measured.
struct Judge<'a> {
    clock: &'a Clock<'a>,
    wholes: [&'a [f64]; 2],
    rest: [&'a [f64]; 2],
    /// Everything.
    all: Compared,
    /// The value of everything, by what did not change.
    scale: f64,
    unit: Unit,
    options: &'a DiffOptions,
}

impl<'a> Judge<'a> {
    fn new(
        clock: &'a Clock<'a>,
        found: &'a Found,
        totals: [&'a [f64]; 2],
        options: &'a DiffOptions,
    ) -> Self {
        let wholes = SIDES.map(|side| clock.whole(side, totals[side]));
        let rest = SIDES.map(|side| clock.whole(side, &found.reference[side]));
        let of_all = clock.compare(totals, rest);
        Self {
            clock,
            wholes,
            rest,
            all: clock.compare(totals, wholes),
            scale: (of_all.base + of_all.new) / 2.0,
            unit: match options.normalization {
                Normalization::Cpu => Unit::Share,
                Normalization::Wall => Unit::Cpus,
                Normalization::Requests { .. } => Unit::MsPerRequest,
            },
            options,
        }
    }

    fn judge(&self, parts: [&[f64]; 2]) -> Judged {
        Judged {
            plain: self.clock.compare(parts, self.wholes),
            against_rest: self.clock.compare(parts, self.rest),
        }
    }

    fn is_large(&self, judged: &Judged) -> bool {
        let compared = &judged.against_rest;
        let minimum = self.options.minimum;
        compared.delta.abs() >= minimum.absolute * self.scale
            && change(compared.base, compared.new) >= minimum.relative.ln_1p()
    }

    fn value(&self, judged: &Judged) -> Value {
        let against_rest = Value::from(judged.against_rest);
        let value = Value {
            ratio: against_rest.ratio,
            ratio_ci95: against_rest.ratio_ci95,
            p: against_rest.p,
            ..judged.plain.into()
        };
        match self.unit {
            // Nanoseconds by requests a second times nanoseconds are seconds.
            Unit::MsPerRequest => value.scaled(1e3),
            _ => value,
        }
    }
}

/// By how much what is weighty must change to be found: of half of it.
fn detectable(all: &[Judged], judge: &Judge<'_>) -> Option<f64> {
    let weighty = all.iter().filter(|judged| {
        let (plain, all) = (&judged.plain, &judge.all);
        plain.base >= WEIGHTY * all.base && plain.new >= WEIGHTY * all.new && plain.base > 0.0
    });
    let mut errors: Vec<f64> = weighty
        .filter_map(|judged| {
            let [low, high] = judged.against_rest.ratio_ci95?;
            // The interval is twice two standard errors wide, nearly.
            Some((high.ln() - low.ln()) / 4.0)
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    let middle = errors.get(errors.len() / 2)?;
    Some((FOUND * middle).exp_m1())
}

/// What became of each box of the picture.
fn boxes(
    tree: &Tree,
    totals: &[[u64; 2]],
    judge: &Judge<'_>,
    sure: f64,
) -> Vec<(Fate, Option<Value>)> {
    let whole = totals[0];
    let is_asked = |times: &[u64; 2]| {
        let share = |side: usize| times[side] as f64 / whole[side].max(1) as f64;
        share(0).max(share(1)) >= judge.options.minimum.absolute / 2.0
    };
    let asked: Vec<usize> = (0..totals.len())
        .filter(|&place| is_asked(&totals[place]))
        .collect();
    let asked = &asked[..asked.len().min(MOST_BOXES)];
    let series = SIDES.map(|side| series(tree, side, asked));
    let mut fates = vec![(Fate::Unchanged, None); totals.len()];
    for (number, &place) in asked.iter().enumerate() {
        let judged = judge.judge(SIDES.map(|side| &*series[side][number]));
        let value = judge.value(&judged);
        let significant = judged.against_rest.p <= sure && judge.is_large(&judged);
        fates[place] = (Fate::of(&value, significant), Some(value));
    }
    fates
}

/// Boxes that are compared each by itself.
const MOST_BOXES: usize = 10_000;

/// The time of each of these boxes with all below it, window by window.
fn series(tree: &Tree, side: usize, asked: &[usize]) -> Vec<Vec<f64>> {
    let windows = &tree.sides[side].windows;
    let mut series = vec![vec![0.0; windows.len()]; asked.len()];
    let mut sums = vec![0_u64; tree.boxes.len()];
    for (number, window) in windows.iter().enumerate() {
        for &(place, ns) in window {
            sums[place as usize] = ns;
        }
        for place in (1..sums.len()).rev() {
            let ns = sums[place];
            sums[tree.boxes[place].parent] += ns;
        }
        for (times, &place) in series.iter_mut().zip(asked) {
            times[number] = sums[place] as f64;
        }
        sums.fill(0);
    }
    series
}

/// The kind of tasks that a box belongs to.
pub(super) fn kind(tree: &Tree, names: &Names, place: usize) -> Option<String> {
    let first = *tree.path(place).first()?;
    let found = tree.boxes[first];
    (found.sort == crate::fold::Sort::Group).then(|| names.name(found.name).to_string())
}

/// The functions from the root to a box.
pub(super) fn path(tree: &Tree, names: &Names, place: usize) -> Vec<String> {
    let path = tree.path(place);
    let frames = path
        .iter()
        .filter(|&&place| tree.boxes[place].sort != crate::fold::Sort::Group);
    frames
        .map(|&place| names.name(tree.boxes[place].name).to_string())
        .collect()
}
