//! A panel: a title, the heads of its columns, and as many rows as there is room for around the
//! selected one.

use super::Ink;
use crate::top::model::{Model, Panel};
use crate::top::order::Ordered;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// A column of numbers.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What stands above.
    pub head: &'static str,
    /// How many letters it has, without the space before.
    pub width: usize,
    /// From how many columns of the screen on it is shown.
    pub from: u16,
}

/// A cell of one.
#[derive(Debug, Clone)]
pub struct Cell(pub String, pub Style);

impl Cell {
    /// As it is.
    pub fn plain(text: String) -> Self {
        Self(text, Style::new())
    }
}

/// The columns that are shown on a screen so wide.
pub fn shown(columns: &[Column], width: u16) -> Vec<bool> {
    columns.iter().map(|column| width >= column.from).collect()
}

/// The room that they leave.
pub fn room(columns: &[Column], width: u16) -> usize {
    let used: usize = columns
        .iter()
        .zip(shown(columns, width))
        .filter(|(_, shown)| *shown)
        .map(|(column, _)| column.width + 1)
        .sum();
    // A space on either side.
    usize::from(width).saturating_sub(used + 2)
}

/// Numbers right-aligned, each in its column, and texts behind.
pub fn line(
    columns: &[Column],
    width: u16,
    cells: Vec<Cell>,
    texts: Vec<Span<'static>>,
) -> Line<'static> {
    let mut spans = Vec::new();
    let cells = columns.iter().zip(shown(columns, width)).zip(cells);
    for ((column, _), Cell(text, style)) in cells.filter(|((_, shown), _)| *shown) {
        spans.push(Span::styled(format!(" {text:>0$}", column.width), style));
    }
    spans.push(Span::raw(" "));
    spans.extend(texts);
    Line::from(spans)
}

/// The title of a panel, and how its rows are sorted.
pub fn title<T: Ordered>(
    model: &Model,
    panel: Panel,
    name: &str,
    more: &str,
    ink: Ink,
) -> Line<'static> {
    let number = panel as usize + 1;
    let style = match model.focus == panel {
        true => ink.focus(),
        false => ink.strong(),
    };
    let place = model.place(panel);
    let arrow = if place.reversed { '▲' } else { '▼' };
    let order = T::ORDERS.get(place.order).copied().unwrap_or_default();
    let mut spans = vec![
        Span::styled(format!(" {number} "), ink.dim()),
        Span::styled(name.to_owned(), style),
        Span::styled(format!("  by {order} {arrow}"), ink.dim()),
    ];
    if !model.filter.is_empty() {
        let filter = super::cells::beginning(&model.filter, 30);
        spans.push(Span::styled(format!("  with “{filter}”"), ink.warning()));
    }
    spans.push(Span::styled(format!("  {more}"), ink.dim()));
    Line::from(spans)
}

/// Which rows are shown where there is room for so many lines: the first of them, and how many.
pub fn visible(selected: usize, count: usize, lines: usize, each: usize) -> (usize, usize) {
    let fit = (lines / each.max(1)).max(1).min(count);
    let first = selected
        .saturating_sub(fit.saturating_sub(1))
        .min(count - fit);
    // Half a row is better than an empty line.
    let more = usize::from(
        !lines.is_multiple_of(each.max(1)) && first + fit < count && lines > fit * each,
    );
    (first, fit + more)
}

/// Marks a row as the selected one.
pub fn select(buffer: &mut Buffer, area: Rect, row: u16, ink: Ink) {
    if row < area.height {
        let line = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        buffer.set_style(line, ink.selected());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_always_visible() {
        for count in 1..20 {
            for lines in 1..12 {
                for each in 1..3 {
                    for selected in 0..count {
                        let (first, shown) = visible(selected, count, lines, each);
                        assert!(first <= selected && selected < first + shown);
                        assert!(first + shown <= count);
                    }
                }
            }
        }
    }
}
