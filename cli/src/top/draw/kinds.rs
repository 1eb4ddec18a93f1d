//! The panel of kinds by CPU.

use super::rows::{Cell, Column, line, room, select, shown, title, visible};
use super::{Ink, cells, put};
use crate::top::model::{Model, Panel};
use awaitscope_flamegraph::KindNow;
use awaitscope_flamegraph::printable::{count, percent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

const COLUMNS: [Column; 7] = [
    Column {
        head: "share",
        width: 7,
        from: 0,
    },
    Column {
        head: "95 %",
        width: 6,
        from: 70,
    },
    Column {
        head: "cpu/s",
        width: 7,
        from: 52,
    },
    Column {
        head: "live",
        width: 5,
        from: 40,
    },
    Column {
        head: "ready",
        width: 5,
        from: 62,
    },
    Column {
        head: "stalls",
        width: 6,
        from: 48,
    },
    Column {
        head: "trend",
        width: 10,
        from: 90,
    },
];

/// Draws it.
pub fn draw(model: &Model, ink: Ink, area: Rect, buffer: &mut Buffer) {
    let rows = model.kinds();
    let Some(seen) = &model.seen else { return };
    let more = match seen.window.quality.samples {
        0 => "no sample: nothing ran, as far as can be told".to_owned(),
        samples => format!(
            "of {} on CPU, {} samples",
            cells::ms(seen.window.cpu_ms),
            count(samples)
        ),
    };
    put(
        buffer,
        area,
        0,
        title::<KindNow>(model, Panel::Kinds, "KINDS", &more, ink),
    );
    let heads = COLUMNS.map(|column| Cell(column.head.to_owned(), ink.dim()));
    let heads = line(
        &COLUMNS,
        area.width,
        heads.to_vec(),
        vec![Span::styled("kind", ink.dim())],
    );
    put(buffer, area, 1, heads);
    if rows.is_empty() {
        put(
            buffer,
            area,
            2,
            ratatui::text::Line::styled(" no kind has this in its name", ink.dim()),
        );
        return;
    }
    let selected = model.place(Panel::Kinds).row.min(rows.len() - 1);
    let lines = usize::from(area.height.saturating_sub(2));
    let (first, fit) = visible(selected, rows.len(), lines, 1);
    let highest = rows
        .iter()
        .flat_map(|row| &row.seconds_ms)
        .fold(0.0_f64, |a, b| a.max(*b));
    for (row, (index, kind)) in (2..).zip(rows.iter().enumerate().skip(first).take(fit)) {
        let cells = cells_of(kind, seen.window.duration_s, highest, ink);
        let name = cells::name(&kind.name, room(&COLUMNS, area.width));
        let style = if kind.is_outside {
            ink.dim()
        } else {
            Style::new()
        };
        put(
            buffer,
            area,
            row,
            line(&COLUMNS, area.width, cells, vec![Span::styled(name, style)]),
        );
        if index == selected && model.focus == Panel::Kinds {
            select(buffer, area, row, ink);
        }
    }
    debug_assert_eq!(shown(&COLUMNS, area.width).len(), COLUMNS.len());
}

fn cells_of(kind: &KindNow, duration_s: f64, highest: f64, ink: Ink) -> Vec<Cell> {
    let (share, interval, known) = match kind.share {
        None => ("-".to_owned(), String::new(), false),
        Some([share, low, high]) => {
            let interval = format!("{:.0}–{:.0}", low * 100.0, high * 100.0);
            // A share that is smaller than its error is hardly known.
            (
                percent(share),
                interval,
                kind.is_outside || high - low <= share.max(0.01) * 2.0,
            )
        }
    };
    let weight = if known { Style::new() } else { ink.dim() };
    let none =
        |text: String, is_none: bool| Cell(text, if is_none { ink.dim() } else { Style::new() });
    let per_second = kind.cpu_ms / duration_s.max(1e-3);
    let trend: Vec<Option<f64>> = kind
        .seconds_ms
        .iter()
        .rev()
        .take(10)
        .rev()
        .map(|ms| Some(*ms))
        .collect();
    vec![
        Cell(share, if known { ink.strong() } else { weight }),
        Cell(
            if kind.is_outside {
                String::new()
            } else {
                interval
            },
            ink.dim(),
        ),
        Cell(
            if per_second > 0.0 {
                cells::ms(per_second)
            } else {
                "0".to_owned()
            },
            weight,
        ),
        none(
            cells::mean(kind.live),
            kind.live.is_none_or(|live| live <= 0.0),
        ),
        none(
            cells::mean(kind.ready),
            kind.ready.is_none_or(|ready| ready < 0.005),
        ),
        match kind.stalls {
            0 => Cell("0".to_owned(), ink.dim()),
            some => Cell(count(some), ink.bad().remove_modifier(Modifier::BOLD)),
        },
        Cell(
            format!("{:>10}", cells::trend(&trend, highest)),
            ink.trend(),
        ),
    ]
}
