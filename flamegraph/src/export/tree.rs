//! A folded profile as a tree that can be walked, however deep it is.

use crate::error::Error;
use crate::fold::{Node, fold};
use crate::profile::Profile;
use crate::view::{Grouping, RuntimeFrames, View};
use std::cmp::Reverse;

/// The folded stacks of a view.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// Of each node, the nodes below it that have any time, the most first.
    children: Vec<Vec<usize>>,
}

/// A step of a walk: each node is entered, and left after all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Enter(usize),
    Leave(usize),
}

impl Tree {
    /// Folds a view.
    ///
    /// No stalls and no waiting tasks are a result, and give an empty tree; no samples are none.
    pub(super) fn of(
        profile: &Profile,
        view: View,
        grouping: Grouping,
        runtime_frames: RuntimeFrames,
    ) -> Result<Self, Error> {
        let nodes = fold(profile, view, grouping, runtime_frames)?;
        let is_empty = nodes.first().is_none_or(|root| root.total_ns == 0);
        match view {
            View::Cpu if is_empty => return Err(Error::NoSamples),
            View::Stall if is_empty && profile.runtimes.is_empty() => {
                return Err(Error::NoRuntime);
            }
            _ => {}
        }
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (index, node) in nodes.iter().enumerate().skip(1) {
            if node.total_ns > 0 {
                children[node.parent].push(index);
            }
        }
        for siblings in &mut children {
            siblings.sort_by_key(|&child| (Reverse(nodes[child].total_ns), &nodes[child].name));
        }
        Ok(Self { nodes, children })
    }

    /// The nodes right below the root.
    pub(super) fn first_row(&self) -> &[usize] {
        self.children.first().map_or(&[], Vec::as_slice)
    }

    /// Walks the nodes below `from`, without itself.
    pub(super) fn below(&self, from: usize) -> impl Iterator<Item = Step> {
        let mut pending = Vec::new();
        self.push_children(from, &mut pending);
        std::iter::from_fn(move || {
            let step = pending.pop()?;
            if let Step::Enter(node) = step {
                pending.push(Step::Leave(node));
                self.push_children(node, &mut pending);
            }
            Some(step)
        })
    }

    fn push_children(&self, node: usize, pending: &mut Vec<Step>) {
        let children = self.children.get(node).into_iter().flatten();
        pending.extend(children.rev().map(|&child| Step::Enter(child)));
    }
}
