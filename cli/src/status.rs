//! The one line that is shown while recording.

use crate::audience::Audience;
use crate::output;
use awaitscope_symbolizer::session::Glance;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often it changes.
const PERIOD: Duration = Duration::from_millis(250);

/// The line, on standard error if that is a terminal.
#[derive(Debug)]
pub struct Status {
    shown: Option<Instant>,
    terminal: bool,
}

impl Status {
    pub fn new() -> Self {
        Self {
            shown: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Takes the line away.
    fn end(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[2K");
            let _ = std::io::stderr().flush();
        }
    }
}

impl Audience for Status {
    fn show(&mut self, left: Option<Duration>, glance: &dyn Fn() -> (Glance, Option<u64>)) {
        if !self.terminal || self.shown.is_some_and(|shown| shown.elapsed() < PERIOD) {
            return;
        }
        self.shown = Some(Instant::now());
        let left = match left {
            Some(left) => format!("{:>3} s left", left.as_secs_f64().ceil()),
            None => "until Ctrl-C".to_owned(),
        };
        let (seen, live) = glance();
        let Glance {
            samples,
            tasks,
            stalls,
            lost,
        } = seen;
        let live = live.map_or_else(String::new, |live| format!("{live} tasks live · "));
        eprint!(
            "\r\x1b[2Krecording · {left} · {live}{samples} samples · {tasks} tasks ran · {stalls} stalls · {lost} lost"
        );
        let _ = std::io::stderr().flush();
    }

    fn note(&mut self, text: &str) {
        self.end();
        output::note(text);
    }

    fn over(&mut self) {
        self.end();
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.end();
    }
}
