//! The folded tree, and when time ended in which of its boxes.

use super::drawn::drawn;
use super::groups::Groups;
use super::{Folding, Node};
use crate::error::Error;
use crate::profile::Profile;
use crate::view::{Grouping, RuntimeFrames, View};

/// A view with its times still apart.
#[derive(Debug)]
pub(crate) struct Traced {
    /// The boxes, as [`fold`](super::fold) makes them, grouped by kind.
    pub(crate) nodes: Vec<Node>,
    /// The time of each box itself, as it was recorded.
    pub(crate) ends: Vec<End>,
}

/// Time in a box itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// The bucket it began in; `None` where that is not known.
    pub(crate) bucket: Option<u32>,
    pub(crate) node: usize,
    pub(crate) ns: u64,
}

/// Folds what `view` shows by kind, without the machinery.
pub(crate) fn trace(profile: &Profile, view: View) -> Result<Traced, Error> {
    let weights = drawn(profile, view, Grouping::Kind)?;
    let groups = Groups::of(Grouping::Kind, &weights);
    let mut folding = Folding::new(profile, RuntimeFrames::Folded);
    let mut ends = Vec::with_capacity(weights.len());
    for weight in weights.iter().filter(|weight| weight.ns > 0) {
        let group = groups.node(weight, profile, &mut folding);
        let (node, _) = folding.add(group, weight)?;
        ends.push(End {
            bucket: weight.bucket,
            node,
            ns: weight.ns,
        });
    }
    Ok(Traced {
        nodes: folding.finish(),
        ends,
    })
}
