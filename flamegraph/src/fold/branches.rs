//! One kind of tasks as a tree of text: what a flamegraph draws, line by line.

use super::{Node, Sort, fold};
use crate::error::Error;
use crate::printable::printable;
use crate::profile::Profile;
use crate::view::{Grouping, RuntimeFrames, View};
use std::cmp::Reverse;

/// Branches with less of their tree than this are left out.
const LEAST: u64 = 200;

/// No tree is longer.
const MOST: usize = 2000;

/// A line of a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// How many lines lead to it.
    pub depth: usize,
    /// The function, printable.
    pub name: String,
    /// The file and line where most of the time is, printable.
    pub place: Option<String>,
    /// Of the time of the whole tree.
    pub share: f64,
    /// Nanoseconds: on a CPU, or of tasks × time.
    pub ns: u64,
    /// It waits, or waits for a worker.
    pub waits: bool,
}

/// The stacks of a kind of tasks (by the name in [`KindNow`](crate::KindNow)), heaviest
/// first, each branch right after what leads to it.
///
/// # Errors
/// The view cannot be drawn of this profile, or has too much in it.
pub fn branches(profile: &Profile, view: View, kind: &str) -> Result<Vec<Branch>, Error> {
    let nodes = fold(profile, view, Grouping::Kind, RuntimeFrames::Folded)?;
    let is_root = |node: &Node| node.sort == Sort::Group && printable(&node.name) == kind;
    let Some(root) = nodes.iter().position(is_root) else {
        return Ok(Vec::new());
    };
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate().skip(1) {
        children[node.parent].push(index);
    }
    let whole = nodes[root].total_ns.max(1);
    let mut lines = Vec::new();
    let mut next = vec![(root, 0)];
    while let Some((index, depth)) = next.pop() {
        let node = &nodes[index];
        if lines.len() >= MOST {
            break;
        }
        if index != root {
            lines.push(line(profile, node, depth - 1, whole));
        }
        let below = &mut children[index];
        below.retain(|child| nodes[*child].total_ns >= whole / LEAST);
        // The last that is pushed comes first.
        below.sort_by_key(|child| (nodes[*child].total_ns, Reverse(*child)));
        next.extend(below.iter().map(|child| (*child, depth + 1)));
    }
    Ok(lines)
}

fn line(profile: &Profile, node: &Node, depth: usize, whole: u64) -> Branch {
    let place = node.lines.first().and_then(|line| {
        let file = &*profile.strings[line.file?.index()];
        let place = match line.line {
            Some(number) => format!("{file}:{number}"),
            None => file.to_owned(),
        };
        Some(printable(&place).into_owned())
    });
    Branch {
        depth,
        name: printable(&node.name).into_owned(),
        place,
        share: node.total_ns as f64 / whole as f64,
        ns: node.total_ns,
        waits: matches!(node.sort, Sort::Waits(_) | Sort::Ready),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_branch_comes_after_what_leads_to_it_and_the_heaviest_first() {
        let profile = sample::service();
        let lines = branches(&profile, View::Cpu, "app::serve").unwrap();
        assert_eq!((lines[0].depth, &*lines[0].name), (0, "app::serve"));
        assert!((lines[0].share - 1.0).abs() < 1e-9);
        for pair in lines.windows(2) {
            assert!(pair[1].depth <= pair[0].depth + 1, "{pair:?}");
        }
        let beside: Vec<u64> = lines
            .iter()
            .filter(|l| l.depth == 2)
            .map(|l| l.ns)
            .collect();
        assert!(beside.len() > 1 && beside.is_sorted_by(|one, next| one >= next));
    }

    #[test]
    fn an_unknown_kind_has_no_branches() {
        let profile = sample::service();
        assert_eq!(branches(&profile, View::Cpu, "app::nobody").unwrap(), []);
        assert!(branches(&profile, View::Wait, "app::serve").is_err());
    }
}
