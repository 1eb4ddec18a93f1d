//! The panel of await points by how many tasks are there.

use super::rows::{Cell, Column, line, room, select, title, visible};
use super::{Ink, cells, put};
use crate::top::model::{Model, Panel};
use awaitscope_flamegraph::WaitNow;
use awaitscope_symbolizer::snapshot::WaitsOn;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

const COLUMNS: [Column; 4] = [
    Column {
        head: "tasks",
        width: 6,
        from: 0,
    },
    Column {
        head: "change",
        width: 6,
        from: 44,
    },
    Column {
        head: "ready",
        width: 5,
        from: 66,
    },
    Column {
        head: "for",
        width: 7,
        from: 36,
    },
];

/// Draws it.
pub fn draw(model: &Model, ink: Ink, area: Rect, buffer: &mut Buffer) {
    let Some(seen) = &model.seen else { return };
    let rows = model.waits();
    let more = match seen.window.quality.snapshots {
        0 => "not known: no snapshots of tasks are taken",
        _ => "tasks on average, and how many more or fewer at the end",
    };
    put(
        buffer,
        area,
        0,
        title::<WaitNow>(model, Panel::Waits, "WHERE TASKS WAIT", more, ink),
    );
    if rows.is_empty() {
        let none = match seen.window.waits.is_empty() {
            true => " nobody was seen to wait",
            false => " none with this in its kind or place",
        };
        put(buffer, area, 1, Line::styled(none, ink.dim()));
        return;
    }
    let heads = COLUMNS.map(|column| Cell(column.head.to_owned(), ink.dim()));
    let place = Span::styled("where, and which kind", ink.dim());
    put(
        buffer,
        area,
        1,
        line(&COLUMNS, area.width, heads.to_vec(), vec![place]),
    );
    let selected = model.place(Panel::Waits).row.min(rows.len() - 1);
    let lines = usize::from(area.height.saturating_sub(2));
    let (first, fit) = visible(selected, rows.len(), lines, 1);
    let room = room(&COLUMNS, area.width);
    for (row, (index, wait)) in (2..).zip(rows.iter().enumerate().skip(first).take(fit)) {
        let (cells, texts) = (cells_of(wait, ink), texts(wait, room, ink));
        put(buffer, area, row, line(&COLUMNS, area.width, cells, texts));
        if index == selected && model.focus == Panel::Waits {
            select(buffer, area, row, ink);
        }
    }
}

fn cells_of(wait: &WaitNow, ink: Ink) -> Vec<Cell> {
    let change = i64::from(wait.last) - i64::from(wait.first);
    let what = match wait.what {
        Some(WaitsOn::Timer) => "timer",
        Some(WaitsOn::Socket) => "socket",
        Some(WaitsOn::Lock) => "lock",
        Some(WaitsOn::Channel) => "channel",
        Some(WaitsOn::Task) => "task",
        Some(WaitsOn::Io) => "io",
        Some(WaitsOn::Other) => "other",
        None => "?",
    };
    vec![
        Cell(cells::mean(Some(wait.tasks)), ink.strong()),
        match change {
            0 => Cell("=".to_owned(), ink.dim()),
            more if more > 0 => Cell(format!("+{more}"), ink.warning()),
            fewer => Cell(fewer.to_string(), Style::new()),
        },
        match wait.ready {
            ready if ready < 0.005 => Cell("0".to_owned(), ink.dim()),
            ready => Cell::plain(cells::mean(Some(ready))),
        },
        Cell(what.to_owned(), ink.waits(wait.what)),
    ]
}

fn texts(wait: &WaitNow, room: usize, ink: Ink) -> Vec<Span<'static>> {
    let (function, at) = wait.place.split_once(" at ").unwrap_or((&wait.place, ""));
    let at_room = at.chars().count().min(room / 2);
    let left = room.saturating_sub(at_room + 1);
    let function = cells::name(function, left);
    let left = left.saturating_sub(function.chars().count() + 3);
    let mut texts = vec![
        Span::raw(function),
        Span::raw(" "),
        Span::styled(cells::place(at, at_room), ink.strong()),
    ];
    if left >= 8 && !wait.place.starts_with(&wait.kind) {
        let kind = cells::name(&wait.kind, left);
        texts.push(Span::styled(format!("  {kind}"), ink.dim()));
    }
    texts
}
