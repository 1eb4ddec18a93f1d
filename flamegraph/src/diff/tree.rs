//! One tree of both sides' stacks, and the time of each box in each window.

use super::names::{NameId, Names};
use super::windows::Windows;
use crate::error::Error;
use crate::fold::{Sort, Traced, trace};
use crate::profile::Profile;
use crate::view::View;
use std::collections::HashMap;
use std::ops::Range;

/// Boxes of both sides together that are taken on. Real profiles stay far below.
const BOXES: usize = 4 << 20;

/// A box, which both sides may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeBox {
    /// The box above, which stands earlier; the first has none.
    pub(super) parent: usize,
    pub(super) name: NameId,
    pub(super) sort: Sort,
}

/// Base, and new.
pub(super) const SIDES: [usize; 2] = [0, 1];

/// The stacks of a view.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) boxes: Vec<TreeBox>,
    pub(super) sides: [Times; 2],
}

/// The time of one side.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// The windows of all its runs, one after the other: the time of each box itself.
    pub(super) windows: Vec<Vec<(u32, u64)>>,
    /// Which windows are of one run.
    pub(super) runs: Vec<Range<usize>>,
    /// Time whose window is not known.
    pub(super) unplaced_ns: u64,
}

impl Tree {
    /// The stacks of a view of all profiles of both sides.
    pub(super) fn of(sides: [&[Profile]; 2], view: View, names: &mut Names) -> Result<Self, Error> {
        let mut growing = Growing::new(names);
        let mut times = [Times::default(), Times::default()];
        for side in SIDES {
            for profile in sides[side] {
                let traced = trace(profile, view)?;
                growing.add(&mut times[side], profile, &traced, names)?;
            }
        }
        Ok(Self {
            boxes: growing.boxes,
            sides: times,
        })
    }

    /// The boxes from below the first to this one.
    pub(super) fn path(&self, mut index: usize) -> Vec<usize> {
        let mut path = Vec::new();
        while index > 0 {
            path.push(index);
            index = self.boxes[index].parent;
        }
        path.reverse();
        path
    }
}

/// What makes a box: where it is, its name, and what it stands for.
type Key = (usize, NameId, Sort);

struct Growing {
    boxes: Vec<TreeBox>,
    known: HashMap<Key, usize>,
}

impl Growing {
    fn new(names: &mut Names) -> Self {
        let all = TreeBox {
            parent: 0,
            name: names.id("all"),
            sort: Sort::All,
        };
        Self {
            boxes: vec![all],
            known: HashMap::new(),
        }
    }

    fn add(
        &mut self,
        times: &mut Times,
        profile: &Profile,
        traced: &Traced,
        names: &mut Names,
    ) -> Result<(), Error> {
        let mut place = Vec::with_capacity(traced.nodes.len());
        for (index, node) in traced.nodes.iter().enumerate() {
            place.push(match index {
                0 => 0,
                // Parents come first.
                _ => self.child(place[node.parent], names.id(&node.name), node.sort)?,
            });
        }
        let windows = Windows::of(profile);
        let first = times.windows.len();
        times.runs.push(first..first + windows.count());
        times.windows.resize(first + windows.count(), Vec::new());
        for end in &traced.ends {
            match end.bucket {
                // A place is below `BOXES`, which is far below 2³².
                Some(bucket) => {
                    times.windows[first + windows.at(bucket)].push((place[end.node] as u32, end.ns))
                }
                None => times.unplaced_ns = times.unplaced_ns.saturating_add(end.ns),
            }
        }
        times.windows[first..].iter_mut().for_each(summed);
        Ok(())
    }

    fn child(&mut self, parent: usize, name: NameId, sort: Sort) -> Result<usize, Error> {
        let boxes = &mut self.boxes;
        if boxes.len() >= BOXES {
            return Err(Error::TooManyBoxes);
        }
        Ok(*self.known.entry((parent, name, sort)).or_insert_with(|| {
            boxes.push(TreeBox { parent, name, sort });
            boxes.len() - 1
        }))
    }
}

/// Each box once, in their order.
fn summed(window: &mut Vec<(u32, u64)>) {
    window.sort_unstable_by_key(|&(place, _)| place);
    window.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(later.1);
        }
        same
    });
    window.shrink_to_fit();
}
