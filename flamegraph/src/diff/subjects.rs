//! What of a tree can change: functions, with what they call and by themselves, and
//! kinds of tasks; and the time of each in each window.

use super::names::{NameId, Names};
use super::tree::{SIDES, Tree};
use crate::fold::Sort;
use std::collections::HashMap;

/// What uses less than this share of the time on both sides is not asked about.
const SMALLEST: f64 = 0.001;
/// So many are asked about, the heaviest first.
const MOST: usize = 4000;

/// A function or kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) name: NameId,
    pub(super) is_kind: bool,
    pub(super) part: Part,
}

/// What of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    /// All of it.
    Inclusive,
    /// Not that of what it calls.
    Own,
}

/// The subjects of a tree.
pub(super) struct Subjects<'a> {
    tree: &'a Tree,
    pub(super) all: Vec<Subject>,
    /// Which subject a box counts for with all below it, and by itself.
    inclusive_of: Vec<Option<u32>>,
    own_of: Vec<Option<u32>>,
}

/// The time of each subject, window by window.
pub(super) struct Measured {
    pub(super) parts: Vec<Vec<f64>>,
    pub(super) total: Vec<f64>,
}

impl<'a> Subjects<'a> {
    pub(super) fn of(tree: &'a Tree, names: &Names) -> Self {
        let outermost = outermost(tree);
        let all = heaviest(tree, &outermost, names);
        let index: HashMap<Subject, u32> = all.iter().copied().zip(0..).collect();
        let find = |number: usize, part| {
            let (name, is_kind) = named(tree, number)?;
            index
                .get(&Subject {
                    name,
                    is_kind,
                    part,
                })
                .copied()
        };
        let boxes = 0..tree.boxes.len();
        let inclusive = |number: usize| find(number, Part::Inclusive).filter(|_| outermost[number]);
        Self {
            tree,
            inclusive_of: boxes.clone().map(inclusive).collect(),
            own_of: boxes.map(|number| find(number, Part::Own)).collect(),
            all,
        }
    }

    /// The boxes whose own time belongs to one of the subjects.
    pub(super) fn belonging(&self, listed: &[usize]) -> Vec<bool> {
        let mut inclusive = vec![false; self.all.len()];
        let mut own = inclusive.clone();
        for &subject in listed {
            match self.all[subject].part {
                Part::Inclusive => inclusive[subject] = true,
                Part::Own => own[subject] = true,
            }
        }
        let is = |marked: &[bool], of: Option<u32>| of.is_some_and(|of| marked[of as usize]);
        let mut under = vec![false; self.tree.boxes.len()];
        for number in 1..under.len() {
            under[number] =
                under[self.tree.boxes[number].parent] || is(&inclusive, self.inclusive_of[number]);
        }
        let own_of = self.own_of.iter();
        under
            .iter()
            .zip(own_of)
            .map(|(&under, &of)| under || is(&own, of))
            .collect()
    }

    /// The time of each subject on a side, without what is left out.
    pub(super) fn measure(&self, side: usize, left_out: &[bool]) -> Measured {
        let windows = &self.tree.sides[side].windows;
        let mut measured = Measured {
            parts: vec![vec![0.0; windows.len()]; self.all.len()],
            total: vec![0.0; windows.len()],
        };
        let mut sums = vec![0_u64; self.tree.boxes.len()];
        let mut times = vec![0_u64; self.all.len()];
        for (number, window) in windows.iter().enumerate() {
            for &(place, ns) in window
                .iter()
                .filter(|(place, _)| !left_out[*place as usize])
            {
                sums[place as usize] = ns;
                if let Some(own) = self.own_of[place as usize] {
                    times[own as usize] += ns;
                }
            }
            for place in (1..sums.len()).rev() {
                let ns = std::mem::take(&mut sums[place]);
                if ns == 0 {
                    continue;
                }
                if let Some(inclusive) = self.inclusive_of[place] {
                    times[inclusive as usize] += ns;
                }
                sums[self.tree.boxes[place].parent] += ns;
            }
            measured.total[number] = std::mem::take(&mut sums[0]) as f64;
            for (part, ns) in measured.parts.iter_mut().zip(&mut times) {
                part[number] = std::mem::take(ns) as f64;
            }
        }
        measured
    }

    /// Where a subject has most of its time on both sides together: the box.
    pub(super) fn heaviest_box(&self, subject: usize, totals: &[[u64; 2]]) -> usize {
        let of = match self.all[subject].part {
            Part::Inclusive => &self.inclusive_of,
            Part::Own => &self.own_of,
        };
        let at = |number: &usize| of[*number] == Some(subject as u32);
        let weight = |number: &usize| {
            let [base, new] = totals[*number];
            base.max(new)
        };
        let boxes = (0..of.len()).filter(at);
        boxes
            .max_by_key(|number| (weight(number), std::cmp::Reverse(*number)))
            .unwrap_or(0)
    }
}

/// What a box is called where it counts for a subject.
fn named(tree: &Tree, number: usize) -> Option<(NameId, bool)> {
    let found = tree.boxes[number];
    match found.sort {
        Sort::All => None,
        Sort::Group => Some((found.name, true)),
        _ => Some((found.name, false)),
    }
}

/// The time of each box with all below it, on both sides.
pub(super) fn totals(tree: &Tree) -> Vec<[u64; 2]> {
    let mut totals = vec![[0_u64; 2]; tree.boxes.len()];
    for side in SIDES {
        for &(place, ns) in tree.sides[side].windows.iter().flatten() {
            totals[place as usize][side] += ns;
        }
    }
    for place in (1..totals.len()).rev() {
        let parent = tree.boxes[place].parent;
        for side in SIDES {
            totals[parent][side] += totals[place][side];
        }
    }
    totals
}

/// Which boxes have none of the same name above them: a function that calls itself
/// is counted once.
fn outermost(tree: &Tree) -> Vec<bool> {
    let count = tree.boxes.len();
    let (mut first, mut next) = (vec![0_usize; count], vec![0_usize; count]);
    for place in (1..count).rev() {
        let parent = tree.boxes[place].parent;
        next[place] = std::mem::replace(&mut first[parent], place);
    }
    let mut on_path: HashMap<(NameId, bool), u32> = HashMap::new();
    let mut outermost = vec![true; count];
    let mut pending = vec![(0, false)];
    while let Some((place, leaving)) = pending.pop() {
        let name = named(tree, place);
        let above = name.map(|name| on_path.entry(name).or_default());
        if leaving {
            above.into_iter().for_each(|above| *above -= 1);
            continue;
        }
        if let Some(above) = above {
            outermost[place] = *above == 0;
            *above += 1;
        }
        pending.push((place, true));
        let mut child = first[place];
        while child != 0 {
            pending.push((child, false));
            child = next[child];
        }
    }
    outermost
}

/// The subjects that are worth asking about.
fn heaviest(tree: &Tree, outermost: &[bool], names: &Names) -> Vec<Subject> {
    let totals = totals(tree);
    let mut own = totals.clone();
    for place in (1..own.len()).rev() {
        let parent = tree.boxes[place].parent;
        for side in SIDES {
            own[parent][side] -= totals[place][side];
        }
    }
    let mut of: HashMap<(NameId, bool), [[u64; 2]; 2]> = HashMap::new();
    for place in 1..totals.len() {
        let Some(name) = named(tree, place) else {
            continue;
        };
        let [inclusive, alone] = of.entry(name).or_default();
        for side in SIDES {
            alone[side] += own[place][side];
            inclusive[side] += totals[place][side] * u64::from(outermost[place]);
        }
    }
    let whole = totals[0].map(|ns| ns.max(1) as f64);
    let share = |times: [u64; 2]| {
        let [base, new] = SIDES.map(|side| times[side] as f64 / whole[side]);
        base.max(new)
    };
    let mut subjects: Vec<(f64, Subject)> = Vec::new();
    for ((name, is_kind), [inclusive, alone]) in of {
        let subject = |part| Subject {
            name,
            is_kind,
            part,
        };
        subjects.push((share(inclusive), subject(Part::Inclusive)));
        // What calls nothing is one subject and not two.
        if alone != inclusive {
            subjects.push((share(alone), subject(Part::Own)));
        }
    }
    subjects.retain(|(share, _)| *share >= SMALLEST);
    subjects.sort_by(|(left, a), (right, b)| {
        let order = right.total_cmp(left);
        let by_name = |of: &Subject| (names.name(of.name), of.is_kind, of.part);
        order.then_with(|| by_name(a).cmp(&by_name(b)))
    });
    subjects.truncate(MOST);
    subjects.into_iter().map(|(_, subject)| subject).collect()
}
