//! Cost that moved: one function costs more, another less, and what calls both costs
//! what it did. A function that was renamed or taken out of another looks so.

use super::model::{Change, Fate, Moved, Value};
use super::names::Names;
use super::tree::Tree;

/// What calls both may change by this part of what moved.
const UNCHANGED: f64 = 0.3;

/// Pairs what grew with what shrank, marks both, and says so. `caller` tells how much
/// what calls both changed, and whether that is sure.
pub(super) fn mark_moved(
    changes: &mut [Change],
    tree: &Tree,
    names: &Names,
    caller: impl Fn(usize) -> Option<(f64, bool)>,
) -> Vec<Moved> {
    let sizes: Vec<f64> = changes.iter().map(|change| size(change).abs()).collect();
    let mut left = sizes.clone();
    let mut moved = Vec::new();
    for (less, more, within) in pairs(changes, tree) {
        let amount = left[less].min(left[more]);
        let largest = sizes[less].max(sizes[more]);
        // What else changed below is no part of it.
        let others = (0..changes.len()).filter(|&other| {
            let is_other = other != less && other != more && changes[other].leading;
            is_other && tree.path(changes[other].place).contains(&within)
        });
        let others: Vec<f64> = others.map(|other| size(&changes[other])).collect();
        let is_unchanged = caller(within).is_some_and(|(delta, is_sure)| {
            let delta = delta - others.iter().sum::<f64>();
            (!is_sure || !others.is_empty()) && delta.abs() <= UNCHANGED * largest
        });
        if !is_unchanged || amount < UNCHANGED * largest {
            continue;
        }
        left[less] -= amount;
        left[more] -= amount;
        moved.push(Moved {
            view: changes[more].view,
            from: changes[less].function.clone(),
            to: changes[more].function.clone(),
            within: names.name(tree.boxes[within].name).to_string(),
            unit: changes[more].unit,
            amount,
        });
    }
    for (change, (left, size)) in changes.iter_mut().zip(left.iter().zip(&sizes)) {
        change.moved = change.leading && *left <= UNCHANGED * size && left < size;
    }
    moved
}

/// What shrank, what grew, and the innermost box that has both: those that share the
/// most of their stacks first.
fn pairs(changes: &[Change], tree: &Tree) -> Vec<(usize, usize, usize)> {
    let is = |fates: [Fate; 2]| {
        let all = changes.iter().enumerate();
        all.filter(move |(_, change)| change.leading && fates.contains(&change.fate))
            .map(|(number, _)| number)
    };
    let mut pairs: Vec<(usize, (usize, usize, usize))> = Vec::new();
    for less in is([Fate::Shrunk, Fate::Vanished]) {
        for more in is([Fate::Grown, Fate::Appeared]) {
            let left = tree.path(changes[less].place);
            let right = tree.path(changes[more].place);
            let shared = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
            // Without a common caller nothing says that they have to do with each other.
            if shared > 0 && is_pair(&changes[less], &changes[more]) {
                pairs.push((shared, (less, more, left[shared - 1])));
            }
        }
    }
    pairs.sort_by_key(|&(shared, (less, more, _))| (std::cmp::Reverse(shared), less, more));
    pairs.into_iter().map(|(_, pair)| pair).collect()
}

/// Whether one may have become the other. Tasks that wait at a new place wait less at
/// others, but the place is new all the same, unless another is gone for it.
fn is_pair(less: &Change, more: &Change) -> bool {
    let (gone, new) = (less.fate == Fate::Vanished, more.fate == Fate::Appeared);
    more.view != "wait" || gone == new
}

/// By how much something changed, measured by what did not.
pub(super) fn size(change: &Change) -> f64 {
    size_of(&change.value)
}

pub(super) fn size_of(value: &Value) -> f64 {
    match value.ratio {
        // The middle of both, so that base and new may change places.
        Some(ratio) => (ratio - 1.0) / (ratio + 1.0) * (value.base + value.new),
        None => value.delta,
    }
}
