//! The upper part: which process, how good the data is, and how its workers and tasks do.

use super::{Ink, cells, put, split};
use crate::top::model::{Model, Seen};
use crate::top::trends::Trend;
use awaitscope_flamegraph::printable::{count, percent};
use awaitscope_flamegraph::{Window, WorkerNow};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// From this width on, trends stand beside the workers.
const WIDE: u16 = 76;

/// How wide the workers are then.
const WORKERS: u16 = 44;

/// Draws it, and gives what is left below.
pub fn draw(model: &Model, ink: Ink, area: Rect, buffer: &mut Buffer) -> Rect {
    let mut lines = vec![who(model, ink, area.width)];
    let Some(seen) = &model.seen else {
        put(buffer, area, 0, lines.remove(0));
        return split(area, 1)[1];
    };
    lines.push(quality(&seen.window, ink));
    // On a small screen the rows below matter more.
    let room = match area.height {
        ..=8 => 0,
        9..=15 => 1,
        height => usize::from(height / 6).clamp(3, 8),
    };
    if room > 0 {
        lines.extend(gauges(model, seen, ink, area, room));
    }
    let height = u16::try_from(lines.len()).unwrap_or(0);
    for (row, line) in (0..).zip(lines) {
        put(buffer, area, row, line);
    }
    let empty = u16::from(area.height > 18);
    split(area, height + empty)[1]
}

fn who(model: &Model, ink: Ink, width: u16) -> Line<'static> {
    let room = usize::from(width);
    let mut spans = vec![Span::styled(
        format!(
            " {}",
            cells::beginning(&model.title, room.saturating_sub(12).max(8))
        ),
        ink.strong(),
    )];
    if model.paused {
        spans.push(Span::styled("  ‖ held", ink.warning()));
    } else if model.is_old {
        spans.push(Span::styled("  no news", ink.warning()));
    }
    if let Some(seen) = &model.seen {
        let lasts = seen.window.duration_s;
        spans.push(Span::styled(format!("  last {lasts:.0} s"), ink.dim()));
        let runtimes = seen.window.runtimes.iter();
        for runtime in runtimes {
            spans.push(Span::styled(format!("  {runtime}"), ink.dim()));
        }
    }
    Line::from(spans)
}

fn quality(window: &Window, ink: Ink) -> Line<'static> {
    let quality = &window.quality;
    let cores = window.cpu_ms / (window.duration_s * 1e3).max(1.0);
    let mut spans = vec![Span::raw(format!(" CPU {} of a core", percent(cores)))];
    let mut say = |text: String, style| spans.push(Span::styled(format!(" · {text}"), style));
    say(
        format!("{} samples", count(quality.samples)),
        match quality.samples {
            0 => ink.warning(),
            _ => ink.dim(),
        },
    );
    let trouble = |number| if number > 0 { ink.bad() } else { ink.dim() };
    say(
        format!("lost {}", count(quality.lost)),
        trouble(quality.lost),
    );
    let cut = quality.truncated;
    say(
        format!("cut {}", count(cut)),
        match cut {
            0 => ink.dim(),
            _ => ink.warning(),
        },
    );
    say(format!("torn {}", count(quality.torn)), ink.dim());
    match quality.snapshots {
        0 => say("no snapshots".to_owned(), ink.warning()),
        some => say(format!("{} snapshots", count(some)), ink.dim()),
    }
    Line::from(spans)
}

/// Workers to the left, and living tasks, ready tasks and lag to the right, or below.
fn gauges(model: &Model, seen: &Seen, ink: Ink, area: Rect, room: usize) -> Vec<Line<'static>> {
    let width = area.width;
    let is_wide = width >= WIDE;
    let for_workers = if is_wide { WORKERS } else { width };
    let for_trends = if is_wide { width - WORKERS } else { width };
    let trends = trends(model, &seen.window, ink, for_trends, room);
    let rows = if is_wide {
        room
    } else {
        room.saturating_sub(trends.len()).max(1)
    };
    let mut workers = workers(&seen.window.workers, ink, for_workers, rows);
    if !is_wide {
        workers.extend(trends);
        workers.truncate(room.max(1));
        return workers;
    }
    let height = workers.len().max(trends.len());
    workers.resize(height, Line::default());
    let mut trends = trends.into_iter();
    for line in &mut workers {
        let used = line.width();
        let gap = usize::from(WORKERS).saturating_sub(used);
        line.spans.push(Span::raw(" ".repeat(gap)));
        line.spans.extend(trends.next().into_iter().flatten());
    }
    workers
}

/// A line for each worker, or one for all that there is no room for.
fn workers(workers: &[WorkerNow], ink: Ink, width: u16, rows: usize) -> Vec<Line<'static>> {
    if workers.is_empty() {
        return vec![Line::styled(" no worker was seen", ink.dim())];
    }
    let (apart, together) = match workers.len() <= rows {
        true => (workers, &[][..]),
        false => workers.split_at(rows.saturating_sub(1)),
    };
    let line = |name: String, busy: f64, stalled: f64| worker(&name, busy, stalled, ink, width);
    let mut lines: Vec<Line<'static>> = apart
        .iter()
        .map(|worker| line(worker.tid.to_string(), worker.busy, worker.stalled))
        .collect();
    if !together.is_empty() {
        let mean = |of: fn(&WorkerNow) -> f64| {
            together.iter().map(of).sum::<f64>() / together.len() as f64
        };
        let name = match apart.is_empty() {
            true => format!("all {}", together.len()),
            false => format!("{} more", together.len()),
        };
        lines.push(line(
            name,
            mean(|worker| worker.busy),
            mean(|worker| worker.stalled),
        ));
    }
    lines
}

fn worker(name: &str, busy: f64, stalled: f64, ink: Ink, width: u16) -> Line<'static> {
    let says = format!(" {:>4.0} % busy", busy * 100.0);
    let held = format!(" {:>3.0} % held", stalled * 100.0);
    let bar = usize::from(width)
        .saturating_sub(10 + says.len() + held.len() + 2)
        .clamp(4, 40);
    let held_letters = cells::filled(stalled, bar);
    // What is held is busy, too.
    let busy_letters = cells::filled(busy.max(stalled), bar).saturating_sub(held_letters);
    let free = bar - busy_letters - held_letters;
    Line::from(vec![
        Span::styled(format!(" {name:>9} "), ink.dim()),
        Span::styled("█".repeat(busy_letters), ink.busy()),
        Span::styled("▓".repeat(held_letters), ink.bad()),
        Span::styled("·".repeat(free), ink.dim()),
        Span::raw(says),
        Span::styled(
            held,
            if stalled >= 0.005 {
                ink.bad()
            } else {
                ink.dim()
            },
        ),
    ])
}

fn trends(model: &Model, window: &Window, ink: Ink, width: u16, room: usize) -> Vec<Line<'static>> {
    let values = |trend, width| model.trends.last(trend, width);
    let letters = usize::from(width).saturating_sub(20).clamp(4, 120);
    let last = |values: &[Option<f64>]| values.iter().rev().find_map(|value| *value);
    let line = |name: &str, trend: Trend, text: String| {
        Line::from(vec![
            Span::styled(format!(" {name:<5} "), ink.dim()),
            Span::raw(format!("{text:>8} ")),
            Span::styled(cells::trend(&values(trend, letters), 0.0), ink.trend()),
        ])
    };
    if window.quality.snapshots == 0 || window.runtimes.is_empty() {
        return Vec::new();
    }
    let now = |trend| cells::mean(last(&values(trend, letters)));
    let lag = window.lag_ms.map_or_else(|| "-".to_owned(), cells::ms);
    let mut lines = vec![
        line("live", Trend::Live, now(Trend::Live)),
        line("ready", Trend::Ready, now(Trend::Ready)),
        line("lag", Trend::Lag, lag),
    ];
    lines.truncate(room.max(1));
    lines
}
