//! Draws the tree of a kind's tasks.

use super::edges::Edges;
use super::groups::Waits;
use super::tree::{End, Node};
use super::{TaskList, words};
use crate::printable::count;
use crate::report::{Color, Ink, WIDTH, shortened};
use awaitscope_symbolizer::{Frame, Origin};

/// Ways on from one place that are drawn.
const MOST_ENDS: usize = 12;
/// Lines below divisions begin at most so far to the right.
const MOST_INDENT: usize = 40;
/// The least room that a name has.
const LEAST_ROOM: usize = 24;
/// The most that a file name takes.
const PLACE_ROOM: usize = 44;

/// Where the lines of a tree go.
#[derive(Debug)]
pub(super) struct Drawing<'a> {
    pub list: &'a TaskList,
    pub edges: &'a Edges,
    pub color: Color,
    pub out: String,
}

/// A piece of a line.
type Piece<'a> = (Option<Ink>, &'a str);

impl Drawing<'_> {
    /// Draws what follows a line that begins with `indent`.
    pub(super) fn node(&mut self, node: &Node<'_>, indent: &str) {
        let mut first = true;
        self.part(node, indent, indent, &mut first);
    }

    /// Draws a part of the tree. The first line begins with `first`, the others with
    /// `rest`.
    fn part(&mut self, node: &Node<'_>, first: &str, rest: &str, is_first: &mut bool) {
        let begin = |is_first: &mut bool| {
            if std::mem::take(is_first) {
                first
            } else {
                rest
            }
        };
        for frame in &node.run {
            let begin = begin(is_first);
            self.frame(begin, self.list.frame(*frame));
        }
        match node.ends.as_slice() {
            [End::Leaf(_, waits)] => {
                let begin = begin(is_first);
                self.leaf(begin, rest, waits);
            }
            [End::Unknown(_)] => {
                let begin = begin(is_first);
                self.line(
                    begin,
                    &[(Some(Ink::Dim), "where it waits could not be told")],
                );
            }
            [End::Fork(_, prongs)] => {
                let begin = begin(is_first);
                self.prongs(begin, rest, prongs);
            }
            ends => self.ends(ends, rest),
        }
    }

    /// Ways that different tasks take.
    fn ends(&mut self, ends: &[End<'_>], indent: &str) {
        let digits = ends.first().map_or(1, |end| count(end.count()).len());
        let shown = &ends[..ends.len().min(MOST_ENDS)];
        for (index, end) in shown.iter().enumerate() {
            let last = index + 1 == ends.len();
            let number = count(end.count());
            let number = self.color.ink(Ink::Bold, &format!("{number:>digits$}"));
            let first = format!("{indent}{} {number}  ", if last { "└─" } else { "├─" });
            let bar = if last { ' ' } else { '│' };
            let blank = " ".repeat(digits);
            let rest = deeper(indent, &format!("{bar}  {blank}  "));
            let mut is_first = true;
            match end {
                End::Branch(node) => self.part(node, &first, &rest, &mut is_first),
                End::Leaf(_, waits) => self.leaf(&first, &rest, waits),
                End::Unknown(_) => self.line(
                    &first,
                    &[(Some(Ink::Dim), "where they wait could not be told")],
                ),
                End::Fork(_, prongs) => self.prongs(&first, &rest, prongs),
            }
        }
        let hidden = &ends[shown.len()..];
        if !hidden.is_empty() {
            let tasks = hidden
                .iter()
                .fold(0, |sum: u64, end| sum.saturating_add(end.count()));
            let text = format!(
                "and {} more at {} further places",
                count(tasks),
                count(hidden.len() as u64)
            );
            let first = format!("{indent}└─ ");
            self.line(&first, &[(Some(Ink::Dim), &text)]);
        }
    }

    /// What each of the tasks waits for at the same time.
    fn prongs(&mut self, first: &str, indent: &str, prongs: &[Node<'_>]) {
        let text = format!("{} at once:", count(prongs.len() as u64));
        self.line(first, &[(Some(Ink::Cyan), &text)]);
        let shown = &prongs[..prongs.len().min(MOST_ENDS)];
        for (index, prong) in shown.iter().enumerate() {
            let last = index + 1 == prongs.len();
            let first = format!("{indent}{} ", if last { "╚═" } else { "╠═" });
            let rest = deeper(indent, if last { "   " } else { "║  " });
            self.part(prong, &first, &rest, &mut true);
        }
        if prongs.len() > shown.len() {
            let text = format!("and {} more", count((prongs.len() - shown.len()) as u64));
            let first = format!("{indent}╚═ ");
            self.line(&first, &[(Some(Ink::Dim), &text)]);
        }
    }

    /// What tasks wait for, and which: on one line if it fits.
    pub(super) fn leaf(&mut self, first: &str, rest: &str, waits: &Waits<'_>) {
        let point = self.list.point(waits.point);
        let what = format!("→ {}", words::what(point.what));
        let details = words::details(self.list, self.edges, waits).join("; ");
        let room = WIDTH.saturating_sub(width(first) + what.chars().count());
        let dim = |text| (Some(Ink::Dim), text);
        let what = (Some(Ink::Yellow), &*what);
        let type_name = dim(&*point.type_name);
        if details.is_empty() {
            return self.line(first, &[what, dim("  "), type_name]);
        }
        if details.chars().count() + LEAST_ROOM <= room {
            let details = format!(": {details}");
            return self.line(first, &[what, (None, &details), dim("  "), type_name]);
        }
        self.line(first, &[what, dim("  "), type_name]);
        self.line(&format!("{rest}  "), &[(None, &details)]);
    }

    /// An async function and the line where it waits.
    pub(super) fn frame(&mut self, begin: &str, frame: &Frame) {
        let place = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.to_string(),
            (None, _) => String::new(),
        };
        let place = shortened(&place, PLACE_ROOM);
        let taken = width(begin) + place.chars().count() + 2;
        let room = WIDTH.saturating_sub(taken).max(LEAST_ROOM);
        let function = shortened(&frame.function, room);
        let place = format!("  {place}");
        let ink = match frame.origin {
            Origin::User | Origin::Unknown => None,
            Origin::Library | Origin::Std | Origin::Kernel => Some(Ink::Dim),
        };
        self.line(
            begin,
            &[(ink, &function), (Some(Ink::Dim), place.trim_end())],
        );
    }

    /// A line of some pieces, of which the last that does not fit is cut.
    pub(super) fn line(&mut self, begin: &str, pieces: &[Piece<'_>]) {
        self.out.push_str(begin);
        let mut room = WIDTH.saturating_sub(width(begin)).max(LEAST_ROOM);
        for (ink, text) in pieces {
            let text = shortened(text, room);
            room -= text.chars().count().min(room);
            match ink {
                Some(ink) => self.out.push_str(&self.color.ink(*ink, &text)),
                None => self.out.push_str(&text),
            }
            if room == 0 {
                break;
            }
        }
        while self.out.ends_with(' ') {
            self.out.pop();
        }
        self.out.push('\n');
    }
}

/// The beginning of lines one level deeper, unless that is too far to the right.
fn deeper(indent: &str, by: &str) -> String {
    if width(indent) + by.chars().count() > MOST_INDENT {
        return indent.to_owned();
    }
    format!("{indent}{by}")
}

/// How many letters are seen of what we begin a line with: all but those between an
/// escape and its end.
fn width(begin: &str) -> usize {
    let mut hidden = false;
    let seen = begin.chars().filter(|letter| {
        let was = hidden;
        hidden = *letter == '\x1b' || hidden && *letter != 'm';
        !hidden && !was
    });
    seen.count()
}
