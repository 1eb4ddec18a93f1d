//! What keys do.

use super::model::{Model, Next, Panel, Step};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// The keys, for the help.
pub const HELP: &[(&str, &str)] = &[
    ("↑ ↓ k j PgUp PgDn", "select a row"),
    ("Tab 1 2 3", "kinds, stalls, await points"),
    ("Enter", "stacks of the selected kind; Tab: where it waits"),
    ("s r", "sort by something else, the other way around"),
    ("/", "only rows with this in them, * for anything; Esc: all"),
    ("space", "hold what is shown, and go on"),
    ("? q", "this help; leave (Ctrl-C, too)"),
];

/// A filter needs not be longer.
const LONGEST_FILTER: usize = 200;

/// A key is pressed.
pub fn press(model: &mut Model, key: KeyEvent) -> Next {
    if key.kind == KeyEventKind::Release {
        return Next::Stay;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        match key.code {
            KeyCode::Char('c' | 'd') => return Next::Leave,
            KeyCode::Char('z') => return Next::Suspend,
            _ => return Next::Stay,
        }
    }
    if model.typing {
        type_filter(model, key.code);
        return Next::Stay;
    }
    if std::mem::take(&mut model.help) {
        return match key.code {
            KeyCode::Char('q') => Next::Leave,
            _ => Next::Stay,
        };
    }
    match key.code {
        KeyCode::Char('q') => return Next::Leave,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left if model.drill.is_some() => {
            model.drill = None;
        }
        KeyCode::Esc => model.filter(String::new()),
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => model.help = true,
        KeyCode::Char(' ') => model.pause(),
        KeyCode::Char('/') => model.typing = true,
        KeyCode::Char('s') => model.sort(),
        KeyCode::Char('r') => model.reverse(),
        KeyCode::Char('1') => model.focus(Panel::Kinds),
        KeyCode::Char('2') => model.focus(Panel::Stalls),
        KeyCode::Char('3') => model.focus(Panel::Waits),
        KeyCode::Tab => model.next(),
        KeyCode::BackTab => model.previous(),
        KeyCode::Enter | KeyCode::Right if model.drill.is_none() => model.drill(),
        KeyCode::Up | KeyCode::Char('k') => model.go(Step::Up),
        KeyCode::Down | KeyCode::Char('j') => model.go(Step::Down),
        KeyCode::PageUp => model.go(Step::PageUp),
        KeyCode::PageDown => model.go(Step::PageDown),
        KeyCode::Home | KeyCode::Char('g') => model.go(Step::First),
        KeyCode::End | KeyCode::Char('G') => model.go(Step::Last),
        _ => {}
    }
    Next::Stay
}

fn type_filter(model: &mut Model, key: KeyCode) {
    let mut filter = model.filter.clone();
    match key {
        KeyCode::Enter => model.typing = false,
        KeyCode::Esc => {
            model.typing = false;
            filter.clear();
        }
        KeyCode::Backspace => drop(filter.pop()),
        KeyCode::Char(letter) if filter.len() < LONGEST_FILTER => filter.push(letter),
        _ => {}
    }
    model.filter(filter);
}
