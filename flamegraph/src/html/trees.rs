//! The flamegraphs' trees, cut to what can be seen.

use super::cells::{Cell, Cells};
use super::names::Names;
use super::stretches::Stretches;
use crate::error::Error;
use crate::fold::{OverTime, Sort, fold_over_time};
use crate::printable::duration;
use crate::profile::Profile;
use crate::svg::{palette, said_of};
use crate::view::View;
use serde::Serialize;

/// How much of a profile a page holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Boxes of a tree, told apart by line.
    spots: usize,
    /// Their times, each in one stretch.
    cells: usize,
    /// Rows of a table.
    pub(super) rows: usize,
    /// Frames of a stack.
    pub(super) frames: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            spots: 14_000,
            cells: 120_000,
            rows: 400,
            frames: 100,
        }
    }
}

impl Budget {
    /// Half of it, unless there is nothing left to halve.
    pub(super) fn halved(self) -> Option<Self> {
        (self.rows > 1).then(|| Self {
            spots: self.spots.div_ceil(2),
            cells: self.cells.div_ceil(2),
            rows: self.rows / 2,
            frames: self.frames.div_ceil(2),
        })
    }
}

/// All views over time, as far as the profile has them.
pub(super) struct Views {
    pub(super) stretches: Stretches,
    views: [(View, Result<[OverTime; 2], Error>); 4],
}

impl Views {
    pub(super) fn of(profile: &Profile) -> Self {
        let stretches = Stretches::of(profile);
        let view = |view| {
            let folded = match view {
                View::Stall if profile.runtimes.is_empty() => Err(Error::NoRuntime),
                _ => fold_over_time(profile, view, stretches.buckets),
            };
            (view, folded)
        };
        let views = [View::Cpu, View::Wait, View::Wall, View::Stall].map(view);
        Self { stretches, views }
    }

    /// What the page has of them.
    pub(super) fn within(
        &self,
        profile: &Profile,
        budget: Budget,
        names: &mut Names,
    ) -> (Vec<ViewData>, Sorts) {
        let mut sorts = Sorts::default();
        let count = self.stretches.count;
        let mut tree = |over_time| Tree::of(profile, over_time, budget, count, names, &mut sorts);
        let views = self.views.iter().map(|(view, folded)| match folded {
            Ok([folded, shown]) => ViewData {
                name: view.to_string(),
                nothing: nothing(profile, *view),
                trees: Some([tree(folded), tree(shown)]),
            },
            Err(why) => ViewData {
                name: view.to_string(),
                nothing: why.to_string(),
                trees: None,
            },
        });
        (views.collect(), sorts)
    }
}

/// A view, and what to say where it has no time.
#[derive(Debug, Serialize)]
pub(super) struct ViewData {
    name: String,
    nothing: String,
    /// With the runtime's frames folded, and with them shown; `None` where the profile does not
    /// hold the view.
    trees: Option<[Tree; 2]>,
}

fn nothing(profile: &Profile, view: View) -> String {
    match view {
        View::Cpu => Error::NoSamples.to_string(),
        View::Stall => format!(
            "No poll held its worker for {} or more.",
            duration(profile.options.stall_threshold_ns)
        ),
        View::Wait | View::Wall => "No task was seen in any snapshot.".to_owned(),
    }
}

/// The sorts of boxes that there are.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sorts {
    rows: Vec<SortRow>,
    #[serde(skip)]
    known: Vec<Sort>,
}

#[derive(Debug, Serialize)]
struct SortRow {
    class: &'static str,
    /// In the legend.
    legend: &'static str,
    /// In a tooltip.
    said: &'static str,
    /// Hue, saturation, lightness, and how far names turn and lift them.
    ink: [f64; 5],
}

impl Sorts {
    fn number(&mut self, sort: Sort) -> usize {
        if let Some(number) = self.known.iter().position(|known| *known == sort) {
            return number;
        }
        self.known.push(sort);
        self.rows.push(SortRow {
            class: palette::class(sort),
            legend: palette::legend(sort),
            said: said_of(sort),
            ink: palette::ink(sort),
        });
        self.known.len() - 1
    }
}

/// The boxes of a view, by columns.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tree {
    /// How many boxes before this one its caller stands.
    up: Vec<usize>,
    name: Vec<usize>,
    sort: Vec<usize>,
    /// The file's number and one; zero for none.
    file: Vec<usize>,
    line: Vec<u32>,
    cells: Cells,
    /// Boxes that are in their callers,
    cut: usize,
    /// each below this share of the time.
    cut_share: f64,
}

impl Tree {
    fn of(
        profile: &Profile,
        over_time: &OverTime,
        budget: Budget,
        stretches: usize,
        names: &mut Names,
        sorts: &mut Sorts,
    ) -> Self {
        let totals = totals(over_time);
        let least = least(over_time, &totals, budget, stretches);
        let mut tree = Self {
            cut_share: least as f64 / totals[0].max(1) as f64,
            ..Self::default()
        };
        // Where each box stands, or the one that has its time.
        let mut place = vec![0; totals.len()];
        for (index, spot) in over_time.spots.iter().enumerate() {
            if index > 0 && totals[index] < least {
                place[index] = place[spot.parent];
                tree.cut += 1;
                continue;
            }
            place[index] = tree.up.len();
            let node = &over_time.nodes[spot.node];
            tree.up.push(tree.up.len() - place[spot.parent]);
            tree.name.push(names.function(&node.name));
            tree.sort.push(sorts.number(node.sort));
            let file = spot.file.map(|file| &*profile.strings[file.index()]);
            tree.file.push(file.map_or(0, |file| names.file(file) + 1));
            tree.line.push(spot.line.unwrap_or(0));
        }
        let cells = over_time.moments.iter();
        let cells: Vec<Cell> = cells
            .map(|moment| (moment.stretch, place[moment.spot], moment.ns))
            .collect();
        tree.cells = Cells::of(cells, stretches);
        tree
    }
}

/// The time of each box and those below it.
fn totals(over_time: &OverTime) -> Vec<u64> {
    let mut totals = vec![0_u64; over_time.spots.len()];
    for moment in &over_time.moments {
        totals[moment.spot] += moment.ns;
    }
    for index in (1..totals.len()).rev() {
        totals[over_time.spots[index].parent] += totals[index];
    }
    totals
}

/// Boxes with less time than this are cut, so that the others are within the budget. Times grow
/// from the leaves to the root: a box that stays has its caller.
fn least(over_time: &OverTime, totals: &[u64], budget: Budget, stretches: usize) -> u64 {
    let mut heaviest = totals.to_vec();
    heaviest.sort_unstable_by_key(|&total| std::cmp::Reverse(total));
    let mut kept = totals.len();
    loop {
        // Of equals, none or all are cut.
        let least = heaviest.get(kept).map_or(0, |&total| total + 1);
        let fits =
            kept <= budget.spots && cells(over_time, totals, least, stretches) <= budget.cells;
        if fits || kept == 0 {
            return least;
        }
        kept = match kept > budget.spots {
            true => budget.spots,
            false => kept * 3 / 4,
        };
    }
}

/// How many cells there are when boxes below `least` are cut.
fn cells(over_time: &OverTime, totals: &[u64], least: u64, stretches: usize) -> usize {
    let mut place = vec![0; totals.len()];
    for (index, spot) in over_time.spots.iter().enumerate().skip(1) {
        place[index] = match totals[index] < least {
            true => place[spot.parent],
            false => index,
        };
    }
    // The moments come in the order of their stretches, those of an unknown one first.
    let unknown = stretches as u32 + 1;
    let mut last = vec![u32::MAX; totals.len()];
    let mut count = 0;
    for moment in &over_time.moments {
        let stretch = moment.stretch.unwrap_or(unknown);
        let last = &mut last[place[moment.spot]];
        count += usize::from(*last != stretch);
        *last = stretch;
    }
    count
}
