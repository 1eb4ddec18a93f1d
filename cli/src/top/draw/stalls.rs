//! The panel of stalls: two lines each, what held the worker, and what to do.

use super::rows::{Cell, Column, line, room, select, title, visible};
use super::{Ink, cells, put};
use crate::top::model::{Model, Panel};
use awaitscope_flamegraph::StallNow;
use awaitscope_flamegraph::printable::count;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Lines of a stall.
pub const HEIGHT: usize = 2;

/// A stall that ended so short ago may go on: what is seen of it is as old.
const NOW_MS: f64 = 100.0;

const COLUMNS: [Column; 4] = [
    Column {
        head: "last",
        width: 7,
        from: 0,
    },
    Column {
        head: "count",
        width: 5,
        from: 46,
    },
    Column {
        head: "total",
        width: 7,
        from: 72,
    },
    Column {
        head: "longest",
        width: 8,
        from: 34,
    },
];

/// Draws it.
pub fn draw(model: &Model, ink: Ink, area: Rect, buffer: &mut Buffer) {
    let Some(seen) = &model.seen else { return };
    let rows = model.stalls();
    let threshold = cells::ms(seen.profile.options.stall_threshold_ns as f64 / 1e6);
    let more = format!("polls that held their worker for {threshold} or more");
    put(
        buffer,
        area,
        0,
        title::<StallNow>(model, Panel::Stalls, "STALLS", &more, ink),
    );
    if rows.is_empty() {
        let none = match (
            seen.window.stalls.is_empty(),
            seen.window.runtimes.is_empty(),
        ) {
            (_, true) => " no async runtime that we know: there are no polls",
            (true, false) => " none",
            (false, false) => " none with this in its kind, culprit or place",
        };
        put(buffer, area, 1, Line::styled(none, ink.dim()));
        return;
    }
    let heads = COLUMNS.map(|column| Cell(column.head.to_owned(), ink.dim()));
    let what = Span::styled("what held the worker", ink.dim());
    put(
        buffer,
        area,
        1,
        line(&COLUMNS, area.width, heads.to_vec(), vec![what]),
    );
    let selected = model.place(Panel::Stalls).row.min(rows.len() - 1);
    let lines = usize::from(area.height.saturating_sub(2));
    let (first, fit) = visible(selected, rows.len(), lines, HEIGHT);
    let room = room(&COLUMNS, area.width);
    for (number, (index, stall)) in (0..).zip(rows.iter().enumerate().skip(first).take(fit)) {
        let row = 2 + number * HEIGHT as u16;
        let cells = cells_of(stall, ink);
        put(
            buffer,
            area,
            row,
            line(&COLUMNS, area.width, cells, what_held(stall, room, ink)),
        );
        let blank = COLUMNS.map(|_| Cell::plain(String::new()));
        let advice = advice(stall, room, ink);
        put(
            buffer,
            area,
            row + 1,
            line(&COLUMNS, area.width, blank.to_vec(), advice),
        );
        if index == selected && model.focus == Panel::Stalls {
            select(buffer, area, row, ink);
        }
    }
}

fn cells_of(stall: &StallNow, ink: Ink) -> Vec<Cell> {
    let longest = match stall.is_cut {
        true => format!("> {}", cells::ms(stall.max_ms)),
        false => cells::ms(stall.max_ms),
    };
    vec![
        match stall.ago_ms {
            ago if ago <= NOW_MS => Cell("now".to_owned(), ink.bad()),
            ago => Cell(format!("{:.1} s", ago / 1e3), Style::new()),
        },
        Cell::plain(count(stall.count)),
        Cell::plain(cells::ms(stall.total_ms)),
        Cell(longest, ink.strong()),
    ]
}

fn what_held(stall: &StallNow, room: usize, ink: Ink) -> Vec<Span<'static>> {
    let place = stall.place.as_deref().unwrap_or("");
    // The line is what one goes to, so it is cut last.
    let place_room = room.min(place.chars().count()).min(room / 2 + 8);
    let left = room.saturating_sub(place_room + 1);
    let cause = format!("{}: ", stall.cause);
    let cause = match cause.chars().count() + 12 <= left {
        true => cause,
        false => String::new(),
    };
    let culprit = cells::name(&stall.culprit, left.saturating_sub(cause.chars().count()));
    vec![
        Span::styled(cause, ink.dim()),
        Span::styled(culprit, ink.bad()),
        Span::raw(" "),
        Span::styled(cells::place(place, place_room), ink.strong()),
    ]
}

fn advice(stall: &StallNow, room: usize, ink: Ink) -> Vec<Span<'static>> {
    let Some(advice) = stall.advice else {
        return vec![Span::styled(cells::name(&stall.kind, room), ink.dim())];
    };
    let kind = cells::name(&stall.kind, room / 2);
    let left = room.saturating_sub(kind.chars().count() + 3);
    vec![
        Span::styled(format!("{kind} → "), ink.dim()),
        Span::styled(cells::beginning(advice, left), ink.warning()),
    ]
}
