//! What keys do, and what the numbers mean.

use super::{Ink, put};
use crate::top::keys::HELP;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

const MEANINGS: &[&str] = &[
    "share   of all CPU time in the while that is shown, with its 95 % interval; dim where it",
    "        says little",
    "live    tasks alive on average, ready: woken, but no worker runs them",
    "lag     how long ready tasks wait for a worker, on average (by Little's law)",
    "held ▓  a poll kept the worker for the stall threshold or longer",
    "change  tasks at an await point in the last snapshot, less those in the first",
    "lost, cut, torn  what could not be seen: samples, ends of stacks, what moved meanwhile",
];

/// Draws it.
pub fn draw(ink: Ink, area: Rect, buffer: &mut Buffer) {
    put(buffer, area, 0, Line::styled(" KEYS", ink.strong()));
    let mut row = 1;
    for (keys, does) in HELP {
        let keys = Span::styled(format!("  {keys:<18}"), ink.key());
        put(
            buffer,
            area,
            row,
            Line::from(vec![keys, Span::raw(format!("  {does}"))]),
        );
        row += 1;
    }
    put(
        buffer,
        area,
        row + 1,
        Line::styled(" MEANING", ink.strong()),
    );
    for (below, meaning) in (row + 2..).zip(MEANINGS) {
        put(buffer, area, below, Line::from(format!("  {meaning}")));
    }
}
