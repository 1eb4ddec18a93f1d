//! The model on a screen of any size. Nothing here knows a terminal.

mod cells;
mod drill;
mod head;
mod help;
mod ink;
mod kinds;
mod rows;
mod stalls;
#[cfg(test)]
mod tests;
mod waits;

pub use ink::Ink;

use super::model::{Model, Panel};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// With fewer rows than this for all three panels, only the one with the focus is shown.
const ALL_PANELS: u16 = 18;

/// A panel that does not have the focus is no smaller than its head and two rows.
const LEAST: u16 = 4;

/// From so many rows on, a remark has a row of its own.
const ROOM_FOR_REMARK: u16 = 14;

/// Draws everything.
pub fn all(model: &Model, ink: Ink, frame: &mut Frame<'_>) {
    let area = frame.area();
    screen(model, ink, area, frame.buffer_mut());
}

fn screen(model: &Model, ink: Ink, area: Rect, buffer: &mut Buffer) {
    if area.width < 4 || area.height < 3 {
        return;
    }
    // Where there is little room, a remark stands in place of the hints.
    let remark = u16::from(area.height >= ROOM_FOR_REMARK && note(model).is_some());
    let [above, foot] = split(area, area.height - 1 - remark);
    let below = head::draw(model, ink, above, buffer);
    footer(model, ink, foot, buffer);
    if model.help {
        help::draw(ink, below, buffer);
    } else if let Some(drill) = &model.drill {
        drill::draw(drill, ink, below, buffer);
    } else if model.seen.is_none() {
        let wait = "attached; the first samples come in a moment";
        put(
            buffer,
            below,
            1,
            Line::styled(format!(" {wait}"), ink.dim()),
        );
    } else {
        panels(model, ink, below, buffer);
    }
}

/// Each panel gets what its rows need, and the one with the focus what is left.
fn panels(model: &Model, ink: Ink, area: Rect, buffer: &mut Buffer) {
    if area.height < ALL_PANELS {
        panel(model, model.focus, ink, area, buffer);
        return;
    }
    // A head, and an empty line before the next.
    let wanted = |panel| {
        2 + u16::try_from(height(model, panel))
            .unwrap_or(u16::MAX)
            .min(500)
    };
    let mut heights = Panel::ALL.map(|panel| wanted(panel).max(LEAST));
    let mut total: u16 = heights.iter().sum();
    // What is too much is taken from whoever has most beyond a third; the focus gives last.
    while total > area.height {
        let largest = Panel::ALL.into_iter().max_by_key(|panel| {
            let focus = u16::from(*panel == model.focus) * (area.height / 4);
            heights[*panel as usize].saturating_sub(focus)
        });
        let Some(largest) = largest else { break };
        heights[largest as usize] -= 1;
        total -= 1;
    }
    let mut rest = area;
    for which in Panel::ALL {
        let [top, below] = split(rest, heights[which as usize].min(rest.height));
        panel(model, which, ink, top, buffer);
        rest = below;
    }
}

/// How many lines a panel has, without its head.
fn height(model: &Model, panel: Panel) -> usize {
    let rows = match panel {
        Panel::Kinds => model.kinds().len(),
        Panel::Stalls => model.stalls().len() * stalls::HEIGHT,
        Panel::Waits => model.waits().len(),
    };
    rows.max(1)
}

fn panel(model: &Model, panel: Panel, ink: Ink, area: Rect, buffer: &mut Buffer) {
    match panel {
        Panel::Kinds => kinds::draw(model, ink, area, buffer),
        Panel::Stalls => stalls::draw(model, ink, area, buffer),
        Panel::Waits => waits::draw(model, ink, area, buffer),
    }
}

/// The last lines: what is to be said of the recording, and what is typed or can be pressed.
fn footer(model: &Model, ink: Ink, area: Rect, buffer: &mut Buffer) {
    let line = if model.typing {
        Line::from(vec![
            Span::styled(" filter: ", ink.key()),
            Span::raw(cells::printable_tail(
                &model.filter,
                usize::from(area.width.saturating_sub(11)),
            )),
            Span::styled("▏", ink.key()),
        ])
    } else if let (Some(note), 1) = (note(model), area.height) {
        Line::styled(format!(" {note}"), ink.warning())
    } else if model.drill.is_some() {
        hints(
            ink,
            &[
                ("Esc", "back"),
                ("Tab", "CPU or waits"),
                ("↑↓", "scroll"),
                ("space", "hold"),
                ("q", "leave"),
            ],
        )
    } else {
        hints(
            ink,
            &[
                ("?", "help"),
                ("q", "leave"),
                ("Enter", "stacks"),
                ("Tab", "panel"),
                ("s", "sort"),
                ("/", "filter"),
                ("space", "hold"),
            ],
        )
    };
    if let (Some(note), 2..) = (note(model), area.height) {
        put(
            buffer,
            area,
            0,
            Line::styled(format!(" {note}"), ink.warning()),
        );
    }
    put(buffer, area, area.height - 1, line);
}

/// A remark on the recording.
fn note(model: &Model) -> Option<&str> {
    let said = model
        .seen
        .as_ref()
        .and_then(|seen| seen.window.quality.notes.first());
    model.note.as_deref().or(said.map(String::as_str))
}

fn hints(ink: Ink, keys: &[(&'static str, &'static str)]) -> Line<'static> {
    let spans = keys.iter().flat_map(|(key, does)| {
        [
            Span::styled(format!(" {key}"), ink.key()),
            Span::styled(format!(" {does} "), ink.dim()),
        ]
    });
    Line::from_iter(spans)
}

/// The upper so many rows of an area, and the rest.
fn split(area: Rect, height: u16) -> [Rect; 2] {
    let height = height.min(area.height);
    [
        Rect { height, ..area },
        Rect {
            y: area.y + height,
            height: area.height - height,
            ..area
        },
    ]
}

/// Puts a line into a row of an area, cut at its edge.
fn put(buffer: &mut Buffer, area: Rect, row: u16, line: impl Into<Line<'static>>) {
    if row < area.height {
        buffer.set_line(area.x, area.y + row, &line.into(), area.width);
    }
}
