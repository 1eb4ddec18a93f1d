//! The differential flamegraph: red where a stack costs more, blue where it costs
//! less, grey where nothing can be said.

use super::model::{Fate, Value};
use super::text::{amount, relative};
use super::tree::SIDES;
use super::{Comparison, subjects};
use crate::error::Error;
use crate::fold::{Node, Sort};
use crate::printable::{duration, percent, printable};
use crate::svg::{Drawing, Paint};

/// What the widths of a differential flamegraph are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Widths {
    /// The times of the new release: what vanished is not to be seen.
    #[default]
    New,
    /// The times of the base: what appeared is not to be seen.
    Base,
}

/// From here on a change has the full colour: twice as much, or half.
const FULL: f64 = std::f64::consts::LN_2;

const GREY: &str = "#d9dbe0";
const APPEARED: &str = "#b57bd8";
const VANISHED: &str = "#e3b04b";

impl Comparison<'_> {
    /// Draws the CPU times of one side, coloured by how the other differs.
    pub(crate) fn picture(&self, widths: Widths) -> Result<String, Error> {
        let side = match widths {
            Widths::Base => 0,
            Widths::New => 1,
        };
        let nodes = self.nodes(side);
        let total = nodes.first().map_or(0, |all| all.total_ns);
        let paint = |index: usize| self.paint(&nodes[index], index, total);
        let which = ["the base", "the new release"][side];
        let target = &self.sides[1].first().map(|profile| &profile.target.name);
        let name = target.map_or(String::new(), |name| format!("{}: ", printable(name)));
        let windows = SIDES.map(|side| self.tree.sides[side].windows.len());
        let drawing = Drawing {
            nodes: &nodes,
            lines: [
                format!("{name}what changed in CPU time, drawn as in {which}"),
                format!(
                    "{} on CPU  ·  {} windows of the base, {} of the new release  ·  what did not \
                     change is held equal",
                    duration(total),
                    windows[0],
                    windows[1]
                ),
                "coloured is only what changed by more than chance".to_owned(),
            ],
            legend: vec![
                (color(1.0), "costs more"),
                (color(-1.0), "costs less"),
                (APPEARED.to_owned(), "new"),
                (VANISHED.to_owned(), "gone"),
                (GREY.to_owned(), "no change that can be told"),
            ],
            paint: &paint,
        };
        drawing.draw()
    }

    /// The boxes with the times of a side.
    fn nodes(&self, side: usize) -> Vec<Node> {
        let totals = subjects::totals(&self.tree);
        let mut own: Vec<u64> = totals.iter().map(|times| times[side]).collect();
        for (place, found) in self.tree.boxes.iter().enumerate().skip(1) {
            own[found.parent] -= totals[place][side];
        }
        let boxes = self.tree.boxes.iter().zip(&totals).zip(own);
        boxes
            .map(|((found, times), own_ns)| Node {
                parent: found.parent,
                name: self.names.name(found.name).to_string(),
                sort: found.sort,
                total_ns: times[side],
                own_ns,
                lines: Vec::new(),
            })
            .collect()
    }

    fn paint(&self, node: &Node, index: usize, total: u64) -> Paint {
        let (fate, value) = &self.cpu.fates[index];
        let share = percent(node.total_ns as f64 / total.max(1) as f64);
        let numbers = match value {
            Some(value) => self.numbers(*fate, value),
            None => format!("{share}: too little to be compared"),
        };
        let ratio = value.as_ref().and_then(|value| value.ratio);
        Paint {
            class: match node.sort {
                Sort::All => "all",
                _ => "sync",
            },
            color: match fate {
                Fate::Unchanged => GREY.to_owned(),
                Fate::Appeared => APPEARED.to_owned(),
                Fate::Vanished => VANISHED.to_owned(),
                Fate::Grown | Fate::Shrunk => color(ratio.map_or(0.0, |ratio| ratio.ln() / FULL)),
            },
            tooltip: format!("{}\n{numbers}", printable(&node.name)),
        }
    }

    fn numbers(&self, fate: Fate, value: &Value) -> String {
        let [by, interval] = relative(value);
        let [base, new] = [value.base, value.new].map(|side| amount(self.cpu.unit, side));
        let interval = match interval.as_str() {
            "" => String::new(),
            interval => format!(" (95 %: {interval})"),
        };
        let said = match fate {
            Fate::Unchanged => "no change that can be told",
            Fate::Grown => "costs more",
            Fate::Shrunk => "costs less",
            Fate::Appeared => "is new",
            Fate::Vanished => "is gone",
        };
        format!("base {base} · new {new} · {by}{interval} · {said}")
    }
}

/// From light to full, red for more and blue for less.
fn color(strength: f64) -> String {
    let part = strength.abs().clamp(0.0, 1.0);
    let (light, full) = match strength >= 0.0 {
        true => ([250.0, 205.0, 196.0], [226.0, 74.0, 51.0]),
        false => ([200.0, 220.0, 250.0], [66.0, 124.0, 218.0]),
    };
    let channel = |at: usize| (light[at] + (full[at] - light[at]) * part) as u8;
    format!("#{:02x}{:02x}{:02x}", channel(0), channel(1), channel(2))
}
