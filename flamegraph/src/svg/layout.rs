//! From the folded tree to the boxes of a picture, in the order they are drawn.

use crate::fold::{Node, Sort};
use std::cmp::Reverse;
use std::fmt::Write;

/// Boxes narrower than this share of the picture are not drawn: a tenth of a
/// pixel. Their time stays in the box above.
const NARROWEST: f64 = 0.0001;
/// Rows of a picture. Deeper calls are recursion, and stay in their caller.
const ROWS: usize = 1000;

/// The nodes that are drawn, each child after its parent, siblings from the
/// widest to the narrowest; and the lines from which inferno lays them out.
///
/// inferno knows boxes by name only, and merges siblings of the same name. So a
/// box is named by its number in this order, which also is the order in which
/// inferno sorts; names, colours and tooltips are put in afterwards.
#[derive(Debug)]
pub(super) struct Layout {
    /// Indices into the tree, in the order of drawing.
    pub(super) boxes: Vec<usize>,
    /// inferno's input, sorted.
    pub(super) folded: Vec<String>,
}

impl Layout {
    pub(super) fn of(nodes: &[Node]) -> Self {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        let total = nodes.first().map_or(0, |root| root.total_ns);
        let narrowest = total as f64 * NARROWEST;
        for (index, node) in nodes.iter().enumerate().skip(1) {
            if node.total_ns > 0 && node.total_ns as f64 >= narrowest {
                children[node.parent].push(index);
            }
        }
        for siblings in &mut children {
            // Smallest first, because they are taken from the end. The time
            // that is outside any task or machinery goes last, where it does
            // not stand before what one came to see.
            siblings.sort_by_key(|&child| {
                let node = &nodes[child];
                let last = node.sort == Sort::Group && node.name.starts_with('[');
                Reverse((last, Reverse(node.total_ns), &node.name))
            });
        }
        let mut layout = Self {
            boxes: Vec::new(),
            folded: Vec::new(),
        };
        if !nodes.is_empty() {
            layout.descend(nodes, &children);
        }
        layout
    }

    fn descend(&mut self, nodes: &[Node], children: &[Vec<usize>]) {
        // (node, its row, the length of its caller's path)
        let mut pending: Vec<(usize, usize, usize)> = vec![(0, 0, 0)];
        let mut path = String::new();
        while let Some((index, row, above)) = pending.pop() {
            path.truncate(above);
            if above > 0 {
                path.push(';');
            }
            // Writing to a string does not fail.
            let _ = write!(path, "{:07x}", self.boxes.len());
            self.boxes.push(index);
            let below: &[usize] = if row < ROWS { &children[index] } else { &[] };
            let drawn: u64 = below.iter().map(|&child| nodes[child].total_ns).sum();
            // The time of this box that no box below it shows.
            let own = nodes[index].total_ns - drawn;
            if own > 0 {
                self.folded.push(format!("{path} {own}"));
            }
            pending.extend(below.iter().map(|&child| (child, row + 1, path.len())));
        }
    }
}
