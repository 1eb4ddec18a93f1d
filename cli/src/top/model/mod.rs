//! What the user sees, and where they are: changed by profiles and keys, and by nothing else.

use super::order::Ordered;
use super::trends::Trends;
use awaitscope_flamegraph::printable::printable;
use awaitscope_flamegraph::{
    Branch, KindNow, KindPattern, Profile, StallNow, View, WaitNow, Window, branches,
};
use std::sync::Arc;

/// The last while, as numbers for the screen, and with its stacks.
#[derive(Debug)]
pub struct Seen {
    /// The numbers.
    pub window: Window,
    /// The stacks.
    pub profile: Profile,
}

/// A part of the screen that has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Kinds of tasks.
    Kinds,
    /// Stalls.
    Stalls,
    /// Await points.
    Waits,
}

impl Panel {
    /// All, in the order of the screen.
    pub const ALL: [Self; 3] = [Self::Kinds, Self::Stalls, Self::Waits];
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Stay,
    /// The user has seen enough.
    Leave,
    /// The user wants their shell for a while.
    Suspend,
}

/// Where the user is in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The row that is selected, counted from 0,
    pub row: usize,
    /// and what it is of, so that it stays selected when others pass it.
    pub of: Option<String>,
    /// By which of its orders the list is sorted.
    pub order: usize,
    /// The other way around.
    pub reversed: bool,
}

/// The stacks of one kind.
#[derive(Debug)]
pub struct Drill {
    /// Which kind.
    pub kind: String,
    /// On a CPU, or waiting.
    pub view: View,
    /// The first line that is shown.
    pub top: usize,
    /// The lines, or why there are none.
    pub lines: Result<Vec<Branch>, String>,
}

/// Everything.
#[derive(Debug)]
pub struct Model {
    /// Which process.
    pub title: String,
    /// What is shown.
    pub seen: Option<Arc<Seen>>,
    /// What came while nothing new is shown.
    held: Option<Arc<Seen>>,
    /// Whether nothing new is shown.
    pub paused: bool,
    /// Nothing has come for long.
    pub is_old: bool,
    /// Living and ready tasks, and lag.
    pub trends: Trends,
    /// The panel that keys go to.
    pub focus: Panel,
    /// Where the user is in each panel.
    pub places: [Place; 3],
    /// What rows must have in them.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    /// Help is shown.
    pub help: bool,
    /// The stacks of a kind are shown.
    pub drill: Option<Drill>,
    /// The last remark.
    pub note: Option<String>,
}

impl Model {
    /// Nothing is known yet.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            seen: None,
            held: None,
            paused: false,
            is_old: false,
            trends: Trends::default(),
            focus: Panel::Kinds,
            places: Default::default(),
            filter: String::new(),
            typing: false,
            help: false,
            drill: None,
            note: None,
        }
    }

    /// Something new came.
    pub fn see(&mut self, seen: Arc<Seen>) {
        self.is_old = false;
        if self.paused {
            self.held = Some(seen);
        } else {
            self.show(seen);
        }
    }

    /// Nothing came for long.
    pub fn nothing_new(&mut self) {
        self.is_old = true;
    }

    /// A remark came.
    pub fn note(&mut self, note: &str) {
        self.note = Some(printable(note).into_owned());
    }

    /// Holds what is shown, or lets it go on.
    pub fn pause(&mut self) {
        self.paused = !self.paused;
        if let (false, Some(seen)) = (self.paused, self.held.take()) {
            self.show(seen);
        }
    }

    fn show(&mut self, seen: Arc<Seen>) {
        self.trends.see(&seen.window);
        self.seen = Some(seen);
        self.cut_lines();
        for panel in Panel::ALL {
            self.follow(panel);
        }
    }

    /// The kinds that the filter lets through, in order.
    pub fn kinds(&self) -> Vec<&KindNow> {
        let rows = self.seen.iter().flat_map(|seen| &seen.window.kinds);
        self.rows(Panel::Kinds, rows, |row| vec![&row.name])
    }

    /// The stalls that the filter lets through, in order.
    pub fn stalls(&self) -> Vec<&StallNow> {
        let rows = self.seen.iter().flat_map(|seen| &seen.window.stalls);
        self.rows(Panel::Stalls, rows, |row| {
            let place = row.place.as_deref().unwrap_or_default();
            vec![&row.kind, &row.culprit, place]
        })
    }

    /// The await points that the filter lets through, in order.
    pub fn waits(&self) -> Vec<&WaitNow> {
        let rows = self.seen.iter().flat_map(|seen| &seen.window.waits);
        self.rows(Panel::Waits, rows, |row| vec![&row.kind, &row.place])
    }

    fn rows<'a, T: Ordered>(
        &self,
        panel: Panel,
        rows: impl Iterator<Item = &'a T>,
        texts: impl Fn(&'a T) -> Vec<&'a str>,
    ) -> Vec<&'a T> {
        let place = self.place(panel);
        let pattern = KindPattern::new(&self.filter);
        let fits = |row: &&'a T| texts(*row).into_iter().any(|text| pattern.fits(text));
        let mut rows: Vec<&T> = rows.filter(fits).collect();
        rows.sort_by(|one, other| {
            let order = one.compare(other, place.order);
            if place.reversed {
                order.reverse()
            } else {
                order
            }
        });
        rows
    }

    /// Where the user is in a panel.
    pub fn place(&self, panel: Panel) -> &Place {
        &self.places[panel as usize]
    }

    /// What each row of a panel is of, and the kind behind it.
    fn names(&self, panel: Panel) -> Vec<(String, String)> {
        match panel {
            Panel::Kinds => {
                let rows = self.kinds().into_iter();
                rows.map(|row| (row.name.clone(), row.name.clone()))
                    .collect()
            }
            Panel::Stalls => {
                let rows = self.stalls().into_iter();
                rows.map(|row| {
                    let place = row.place.as_deref().unwrap_or_default();
                    let of = format!("{} {} {place} {}", row.kind, row.culprit, row.cause);
                    (of, row.kind.clone())
                })
                .collect()
            }
            Panel::Waits => {
                let rows = self.waits().into_iter();
                rows.map(|row| {
                    let of = format!("{} {} {}", row.kind, row.place, row.type_name);
                    (of, row.kind.clone())
                })
                .collect()
            }
        }
    }

    /// Keeps the same row selected, wherever it went.
    fn follow(&mut self, panel: Panel) {
        let names = self.names(panel);
        let place = &mut self.places[panel as usize];
        let same = |of: &String| names.iter().position(|(name, _)| name == of);
        match place.of.as_ref().and_then(same) {
            Some(row) => place.row = row,
            // It is gone: what stands there now takes its place.
            None => place.row = place.row.min(names.len().saturating_sub(1)),
        }
    }

    /// Selects a row of the focused panel, or scrolls stacks.
    pub fn go(&mut self, step: Step) {
        if let Some(drill) = &mut self.drill {
            let count = drill.lines.as_ref().map_or(0, Vec::len);
            drill.top = step.from(drill.top, count);
            return;
        }
        let names = self.names(self.focus);
        let place = &mut self.places[self.focus as usize];
        place.row = step.from(place.row, names.len());
        // At the top one looks at what is there, whatever that will be.
        place.of = match place.row {
            0 => None,
            row => names.into_iter().nth(row).map(|(of, _)| of),
        };
    }

    /// Moves to a panel.
    pub fn focus(&mut self, panel: Panel) {
        self.focus = panel;
    }

    /// Moves to the next panel, or to the other view of stacks.
    pub fn next(&mut self) {
        match &mut self.drill {
            Some(drill) => {
                drill.view = match drill.view {
                    View::Cpu => View::Wait,
                    _ => View::Cpu,
                };
                drill.top = 0;
                self.cut_lines();
            }
            None => self.focus = Panel::ALL[(self.focus as usize + 1) % Panel::ALL.len()],
        }
    }

    /// Moves to the panel before.
    pub fn previous(&mut self) {
        match self.drill {
            Some(_) => self.next(),
            None => self.focus = Panel::ALL[(self.focus as usize + 2) % Panel::ALL.len()],
        }
    }

    /// Sorts the focused panel by something else.
    pub fn sort(&mut self) {
        let orders = match self.focus {
            Panel::Kinds => KindNow::ORDERS.len(),
            Panel::Stalls => StallNow::ORDERS.len(),
            Panel::Waits => WaitNow::ORDERS.len(),
        };
        let place = &mut self.places[self.focus as usize];
        place.order = (place.order + 1) % orders;
        self.follow(self.focus);
    }

    /// Sorts it the other way around.
    pub fn reverse(&mut self) {
        let place = &mut self.places[self.focus as usize];
        place.reversed = !place.reversed;
        self.follow(self.focus);
    }

    /// Shows only rows with something in them.
    pub fn filter(&mut self, filter: String) {
        self.filter = filter;
        for panel in Panel::ALL {
            self.follow(panel);
        }
    }

    /// Shows the stacks of the selected kind.
    pub fn drill(&mut self) {
        let names = self.names(self.focus);
        let Some((_, kind)) = names.into_iter().nth(self.place(self.focus).row) else {
            return;
        };
        self.drill = Some(Drill {
            kind,
            view: match self.focus {
                Panel::Waits => View::Wait,
                Panel::Kinds | Panel::Stalls => View::Cpu,
            },
            top: 0,
            lines: Ok(Vec::new()),
        });
        self.cut_lines();
    }

    /// Works the shown stacks out anew.
    fn cut_lines(&mut self) {
        if let (Some(drill), Some(seen)) = (&mut self.drill, &self.seen) {
            let lines = branches(&seen.profile, drill.view, &drill.kind);
            drill.lines = lines.map_err(|error| printable(&error.to_string()).into_owned());
        }
    }
}

/// A way through a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To the row above.
    Up,
    /// To the row below.
    Down,
    /// Many rows up.
    PageUp,
    /// Many rows down.
    PageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
}

/// As many rows as a small screen has.
const PAGE: usize = 10;

impl Step {
    fn from(self, row: usize, count: usize) -> usize {
        let row = match self {
            Self::Up => row.saturating_sub(1),
            Self::Down => row + 1,
            Self::PageUp => row.saturating_sub(PAGE),
            Self::PageDown => row + PAGE,
            Self::First => 0,
            Self::Last => usize::MAX,
        };
        row.min(count.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests;
