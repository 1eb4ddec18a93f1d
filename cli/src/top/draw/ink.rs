//! Colours: the terminal's own sixteen, as in the reports, or none.

use awaitscope_symbolizer::snapshot::WaitsOn;
use ratatui::style::{Color, Modifier, Style};

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Bold, dim and reversed only.
    Plain,
    /// With colours.
    Colored,
}

impl Ink {
    /// Colours, unless `NO_COLOR` is set (no-color.org).
    pub fn of_environment() -> Self {
        match std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
            true => Self::Colored,
            false => Self::Plain,
        }
    }

    fn color(self, color: Color) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Colored => Style::new().fg(color),
        }
    }

    /// What stands out.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What matters less, or is hardly known.
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// A key that can be pressed.
    pub fn key(self) -> Style {
        self.color(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What is wrong.
    pub fn bad(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What may be wrong.
    pub fn warning(self) -> Style {
        self.color(Color::Yellow)
    }

    /// What runs.
    pub fn busy(self) -> Style {
        self.color(Color::Green)
    }

    /// A trend.
    pub fn trend(self) -> Style {
        self.color(Color::Cyan)
    }

    /// The title of the panel that keys go to.
    pub fn focus(self) -> Style {
        self.color(Color::Cyan)
            .add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// The selected row.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What is waited for.
    pub fn waits(self, what: Option<WaitsOn>) -> Style {
        self.color(match what {
            Some(WaitsOn::Timer) => Color::Cyan,
            Some(WaitsOn::Socket) => Color::Green,
            Some(WaitsOn::Lock) => Color::Red,
            Some(WaitsOn::Channel) => Color::Blue,
            Some(WaitsOn::Task) => Color::Magenta,
            Some(WaitsOn::Io) => Color::Yellow,
            Some(WaitsOn::Other) | None => Color::Reset,
        })
    }
}
