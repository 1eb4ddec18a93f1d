//! The stacks of one kind, as a tree.

use super::{Ink, cells, put};
use crate::top::model::Drill;
use awaitscope_flamegraph::printable::{percent, task_seconds};
use awaitscope_flamegraph::{Branch, View};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Letters of the bar beside a share.
const BAR: usize = 8;

/// Deeper branches are not indented any further than this part of the width.
const INDENTED: usize = 2;

/// Draws it.
pub fn draw(drill: &Drill, ink: Ink, area: Rect, buffer: &mut Buffer) {
    let what = match drill.view {
        View::Wait => "where it waits, by tasks × time",
        _ => "on CPU, by stack",
    };
    let room = usize::from(area.width)
        .saturating_sub(what.chars().count() + 4)
        .max(8);
    let title = vec![
        Span::styled(format!(" {}", cells::name(&drill.kind, room)), ink.focus()),
        Span::styled(format!("  {what}"), ink.dim()),
    ];
    put(buffer, area, 0, Line::from(title));
    let lines = match &drill.lines {
        Err(why) => {
            put(
                buffer,
                area,
                1,
                Line::styled(format!(" {why}"), ink.warning()),
            );
            return;
        }
        Ok(lines) if lines.is_empty() => {
            let none = match drill.view {
                View::Wait => " it was not seen to wait in this while",
                _ => " no sample met it in this while",
            };
            put(buffer, area, 1, Line::styled(none, ink.dim()));
            return;
        }
        Ok(lines) => lines,
    };
    let rows = usize::from(area.height.saturating_sub(1));
    let top = drill.top.min(lines.len().saturating_sub(rows));
    for (row, branch) in (1..).zip(lines.iter().skip(top).take(rows)) {
        put(buffer, area, row, line(branch, drill.view, ink, area.width));
    }
}

fn line(branch: &Branch, view: View, ink: Ink, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let bar = if width >= 60 { BAR } else { 0 };
    let filled = cells::filled(branch.share, bar);
    let time = match view {
        View::Wait => task_seconds(branch.ns),
        _ => cells::ms(branch.ns as f64 / 1e6),
    };
    let time = if width >= 72 {
        format!(" {time:>9}")
    } else {
        String::new()
    };
    let indent = (branch.depth * 2).min(width / INDENTED);
    let used = 9 + bar + time.chars().count() + indent + 2;
    let room = width.saturating_sub(used);
    let place = branch.place.as_deref().unwrap_or("");
    let name = cells::name(&branch.name, room);
    let left = room.saturating_sub(name.chars().count() + 2);
    let place = if left >= 8 {
        cells::place(place, left)
    } else {
        String::new()
    };
    let style = if branch.waits {
        ink.warning()
    } else {
        Style::new()
    };
    Line::from(vec![
        Span::styled(format!(" {:>8}", percent(branch.share)), ink.strong()),
        Span::styled(time, ink.dim()),
        Span::raw(" "),
        Span::styled("█".repeat(filled), ink.busy()),
        Span::raw(" ".repeat(bar - filled + 1 + indent)),
        Span::styled(name, style),
        Span::styled(format!("  {place}"), ink.dim()),
    ])
}
