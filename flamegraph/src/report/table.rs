//! Lines and columns for a terminal.

use crate::printable::printable;
use std::fmt::Write;

/// No line is longer.
pub(crate) const WIDTH: usize = 100;

/// How a piece of text is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Bold,
    Dim,
    Red,
    Yellow,
    Cyan,
}

/// Whether text is set off by colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Color {
    /// Plain text, for files and pipes, and where `NO_COLOR` is set.
    #[default]
    Never,
    /// With the control sequences of a terminal.
    Always,
}

impl Color {
    /// The text in this ink. What it says must be printable already.
    pub(crate) fn ink(self, ink: Ink, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let code = match (self, ink) {
            (Self::Never, _) => return text.to_owned(),
            (Self::Always, Ink::Bold) => "1",
            (Self::Always, Ink::Dim) => "2",
            (Self::Always, Ink::Red) => "1;31",
            (Self::Always, Ink::Yellow) => "1;33",
            (Self::Always, Ink::Cyan) => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A text for a terminal, line by line.
pub(crate) struct Sheet {
    pub(crate) color: Color,
    pub(crate) out: String,
}

impl Sheet {
    /// An empty one.
    pub(crate) fn new(color: Color) -> Self {
        Self {
            color,
            out: String::new(),
        }
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Begins a part of the text.
    pub(crate) fn title(&mut self, title: &str, more: &str) {
        self.out.push('\n');
        let title = self.color.ink(Ink::Bold, title);
        let more = self.color.ink(Ink::Dim, more);
        self.line(format!("{title}  {more}").trim_end());
    }

    /// Says how many of `all` rows are not shown.
    pub(crate) fn rest(&mut self, shown: usize, all: usize) {
        if all > shown {
            let rest = format!("    and {} more (--top {all} shows them)", all - shown);
            let rest = self.color.ink(Ink::Dim, &rest);
            self.line(&rest);
        }
    }
}

/// Rows of right-aligned numbers, each with a text of any length at its end.
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns, of which the last is the text.
    pub(crate) fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes the table two spaces in.
    pub(crate) fn write(&self, out: &mut String, color: Color) {
        let numbers = self.heads.len().saturating_sub(1);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let head = self.heads[column].chars().count();
            cells
                .map(|cell| cell.chars().count())
                .fold(head, usize::max)
        };
        let widths: Vec<usize> = (0..numbers).map(width).collect();
        let used: usize = widths.iter().map(|width| width + 2).sum();
        let room = WIDTH.saturating_sub(used + 2).max(20);
        let line = |cells: &[String]| {
            let mut line = String::from(" ");
            for (cell, &width) in cells.iter().zip(&widths) {
                // Writing to a string does not fail.
                let _ = write!(line, " {cell:>width$} ");
            }
            let text = cells.get(numbers).map_or("", String::as_str);
            line.push(' ');
            line.push_str(&shortened(text, room));
            line.truncate(line.trim_end().len());
            line
        };
        let heads: Vec<String> = self.heads.iter().map(|&head| head.to_owned()).collect();
        out.push_str(&color.ink(Ink::Dim, &line(&heads)));
        out.push('\n');
        for row in &self.rows {
            out.push_str(&line(row));
            out.push('\n');
        }
    }
}

/// A text in at most `room` letters. Names say most at their end.
pub(crate) fn shortened(text: &str, room: usize) -> String {
    let text = printable(text);
    let length = text.chars().count();
    if length <= room {
        return text.into_owned();
    }
    let tail = text.chars().skip(length - room.saturating_sub(1));
    std::iter::once('…').chain(tail).collect()
}

/// Writes a text in lines that fit, the first after `first`, the others after
/// as many blanks as `indent` says.
pub(crate) fn wrapped(out: &mut String, first: &str, indent: usize, text: &str) {
    out.push_str(first);
    let room = WIDTH.saturating_sub(indent).max(20);
    let mut used = 0;
    for word in text.split(' ') {
        // A word longer than a line is cut into lines.
        let letters: Vec<char> = word.chars().collect();
        for (index, piece) in letters.chunks(room).enumerate() {
            if used > 0 && (index > 0 || used + 1 + piece.len() > room) {
                let _ = write!(out, "\n{:indent$}", "");
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            out.extend(piece);
            used += piece.len();
        }
    }
    out.push('\n');
}
