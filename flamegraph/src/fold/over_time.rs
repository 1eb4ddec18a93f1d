//! The folded tree with the time of every stretch of the recording, for a page that
//! shows any part of it.

use super::drawn::{Drawn, Part, drawn};
use super::groups::Groups;
use super::{Folding, Node};
use crate::error::Error;
use crate::profile::{KindId, Profile, StackId, StringId};
use crate::view::{Grouping, RuntimeFrames, View};
use std::collections::HashMap;

/// A view over time, grouped by kind.
#[derive(Debug)]
pub(crate) struct OverTime {
    /// The boxes, as [`fold`](super::fold) makes them.
    pub(crate) nodes: Vec<Node>,
    /// The boxes, divided by the lines they stand at: parents first, and the first is
    /// all of it.
    pub(crate) spots: Vec<Spot>,
    /// When they took how much time, in the order of the stretches.
    pub(crate) moments: Vec<Moment>,
}

/// A box, as far as it stands at one line below one caller.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) parent: usize,
    pub(crate) node: usize,
    pub(crate) file: Option<StringId>,
    pub(crate) line: Option<u32>,
}

/// Time of a spot itself in a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Which; `None` where it is not known.
    pub(crate) stretch: Option<u32>,
    pub(crate) spot: usize,
    pub(crate) ns: u64,
}

/// Folds what `view` shows, with the runtime's frames folded and with them shown.
/// `per_stretch` buckets make a stretch.
pub(crate) fn fold_over_time(
    profile: &Profile,
    view: View,
    per_stretch: u32,
) -> Result<[OverTime; 2], Error> {
    let weights = summed(drawn(profile, view, Grouping::Kind)?, per_stretch);
    let fold = |runtime_frames| folded(profile, &weights, runtime_frames);
    Ok([fold(RuntimeFrames::Folded)?, fold(RuntimeFrames::Shown)?])
}

/// Threads and tasks are not told apart here: what differs in nothing else is summed.
fn summed(mut weights: Vec<Drawn>, per_stretch: u32) -> Vec<Drawn> {
    weights.retain(|weight| weight.ns > 0);
    for weight in &mut weights {
        weight.bucket = weight.bucket.map(|bucket| bucket / per_stretch.max(1));
    }
    weights.sort_unstable_by_key(|weight| (place_of(weight), weight.bucket));
    weights.dedup_by(|later, kept| {
        let same = place_of(later) == place_of(kept) && later.bucket == kept.bucket;
        if same {
            kept.ns = kept.ns.saturating_add(later.ns);
        }
        same
    });
    weights
}

fn place_of(weight: &Drawn) -> (Option<KindId>, Part, Option<StackId>) {
    (weight.kind, weight.part, weight.stack)
}

fn folded(
    profile: &Profile,
    weights: &[Drawn],
    runtime_frames: RuntimeFrames,
) -> Result<OverTime, Error> {
    let groups = Groups::of(Grouping::Kind, weights);
    let mut folding = Folding::new(profile, runtime_frames);
    let mut spots = Spots::default();
    let mut moments = Vec::with_capacity(weights.len());
    for together in weights.chunk_by(|one, next| place_of(one) == place_of(next)) {
        let mut sum = together[0];
        sum.ns = together.iter().map(|weight| weight.ns).sum();
        let group = groups.node(&sum, profile, &mut folding);
        let (node, place) = folding.add(group, &sum)?;
        let spot = spots.of(&folding, node, place);
        moments.extend(together.iter().map(|weight| Moment {
            stretch: weight.bucket,
            spot,
            ns: weight.ns,
        }));
    }
    moments.sort_by_key(|moment| moment.stretch);
    Ok(OverTime {
        nodes: folding.finish(),
        spots: spots.all,
        moments,
    })
}

/// A box, and the place of its own or of the box above that tells its callers' lines.
type Key = (usize, Option<usize>);

struct Spots {
    all: Vec<Spot>,
    of_end: HashMap<Key, usize>,
    known: HashMap<Key, usize>,
}

impl Default for Spots {
    fn default() -> Self {
        let root = Spot {
            parent: 0,
            node: 0,
            file: None,
            line: None,
        };
        Self {
            all: vec![root],
            of_end: HashMap::new(),
            known: HashMap::from([((0, None), 0)]),
        }
    }
}

impl Spots {
    /// The spot of a box in which time ended at a place.
    fn of(&mut self, folding: &Folding<'_>, node: usize, place: Option<usize>) -> usize {
        if let Some(&spot) = self.of_end.get(&(node, place)) {
            return spot;
        }
        let mut missing = Vec::new();
        let mut key = (node, drawn_place(folding, place));
        let mut spot = loop {
            if let Some(&spot) = self.known.get(&key) {
                break spot;
            }
            missing.push(key);
            // Boxes end at the first, which is known.
            key = above(folding, key);
        };
        for key in missing.into_iter().rev() {
            spot = self.add(folding, key, spot);
        }
        self.of_end.insert((node, place), spot);
        spot
    }

    fn add(&mut self, folding: &Folding<'_>, key: Key, parent: usize) -> usize {
        let (node, place) = key;
        let frame = place.filter(|&place| folding.places[place].node == node);
        let frame = frame.map(|place| {
            let stack = folding.places[place].stack;
            let frame = folding.profile.stacks[stack.index()].frame;
            folding.profile.frames[frame.index()]
        });
        self.all.push(Spot {
            parent,
            node,
            file: frame.and_then(|frame| frame.file),
            line: frame.and_then(|frame| frame.line),
        });
        let spot = self.all.len() - 1;
        self.known.insert(key, spot);
        spot
    }
}

fn above(folding: &Folding<'_>, (node, place): Key) -> Key {
    let parent = folding.nodes[node].parent;
    if parent == 0 {
        return (0, None);
    }
    match place {
        Some(at) if folding.places[at].node == node => {
            (parent, drawn_place(folding, folding.places[at].parent))
        }
        // A group, or a box that stands for what has no frame.
        _ => (parent, place),
    }
}

/// The innermost place from here on that has a box of its own.
fn drawn_place(folding: &Folding<'_>, mut place: Option<usize>) -> Option<usize> {
    while let Some(at) = place.filter(|&at| !folding.places[at].drawn) {
        place = folding.places[at].parent;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::{Sort, fold};
    use crate::sample::{self, waits};

    /// The boxes as paths of names with their totals, sorted.
    fn boxes(profile: &Profile, nodes: &[Node], totals: &[u64]) -> Vec<(String, Sort, u64)> {
        assert!(!profile.strings.is_empty());
        let mut paths: Vec<String> = Vec::new();
        let mut boxes = Vec::new();
        for (node, &total) in nodes.iter().zip(totals) {
            let above = paths.get(node.parent).cloned().unwrap_or_default();
            paths.push(format!("{above} / {}", node.name));
            if total > 0 {
                boxes.push((paths[paths.len() - 1].clone(), node.sort, total));
            }
        }
        boxes.sort_by(|left, right| left.0.cmp(&right.0));
        boxes
    }

    #[test]
    fn the_stretches_together_are_the_picture_of_the_whole() {
        for profile in [sample::service(), waits::service()] {
            for view in [View::Cpu, View::Wait, View::Wall, View::Stall] {
                let Ok(both) = fold_over_time(&profile, view, 3) else {
                    assert!(profile.waiting.is_none());
                    continue;
                };
                for (over_time, mode) in both
                    .iter()
                    .zip([RuntimeFrames::Folded, RuntimeFrames::Shown])
                {
                    let whole = fold(&profile, view, Grouping::Kind, mode).unwrap();
                    let mut totals = vec![0_u64; over_time.spots.len()];
                    for moment in &over_time.moments {
                        totals[moment.spot] += moment.ns;
                    }
                    let mut of_node = vec![0_u64; over_time.nodes.len()];
                    for index in (0..totals.len()).rev() {
                        let spot = &over_time.spots[index];
                        of_node[spot.node] += totals[index];
                        if index > 0 {
                            assert!(spot.parent < index);
                            assert_eq!(
                                over_time.nodes[spot.node].parent,
                                over_time.spots[spot.parent].node
                            );
                            totals[spot.parent] += totals[index];
                        }
                    }
                    let expected: Vec<u64> = whole.iter().map(|node| node.total_ns).collect();
                    assert_eq!(
                        boxes(&profile, &over_time.nodes, &of_node),
                        boxes(&profile, &whole, &expected),
                        "{view}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_box_at_two_lines_has_a_spot_for_each() {
        let [folded, _] = fold_over_time(&sample::service(), View::Cpu, 1).unwrap();
        let mut lines: Vec<u32> = folded
            .spots
            .iter()
            .filter(|spot| folded.nodes[spot.node].name == "app::parse_body")
            .filter_map(|spot| spot.line)
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, [17, 29]);
    }
}
