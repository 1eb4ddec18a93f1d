//! `awaitscope top`: what a process does now, on the terminal.
//!
//! Four things that do not know each other: the recording gives a profile of the last while
//! ([`Recording::follow`]), the [`model`] is what the user sees and where they are, a pure
//! function of profiles and keys; [`draw`] puts it into a buffer; and the [`screen`] holds the
//! terminal, and gives it back however this ends.

mod draw;
mod ending;
mod keys;
mod model;
mod order;
#[cfg(test)]
mod sample;
mod screen;
mod trends;
mod view;

use crate::args::TopArgs;
use crate::audience::{Audience, End};
use crate::output;
use crate::recording::{Looking, Recording};
use crate::snapshots::Pace;
use crate::stop::{LEAVING, Stop};
use crate::target;
use anyhow::{Result, anyhow, bail};
use awaitscope_symbolizer::session::Glance;
use std::io::IsTerminal as _;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use view::{Happening, View};

/// Watches a process until the user has seen enough.
pub fn run(args: &TopArgs) -> Result<()> {
    check_terminal()?;
    let pid = target::resolve(&args.target)?;
    let recording = Recording::attach(pid, &args.watch, Looking::Loosely)?;
    let began = Instant::now();
    let title = format!("{} (pid {})", recording.facts().name, pid.0);
    let title = awaitscope_flamegraph::printable::printable(&title).into_owned();
    let stop = Stop::listen(LEAVING)?;
    let pace = Pace {
        every: args.refresh,
        window: args.window.max(args.refresh),
    };
    let (happens, happened) = channel();
    let view = View::open(&title, pace, stop.teller(), happened)?;
    view::read_keys(happens.clone())?;
    let mut viewer = Viewer {
        happens: happens.clone(),
        notes: Vec::new(),
    };
    let show = move |profile| {
        // Nobody looks any more: that ends the recording too.
        let _ = happens.send(Happening::Seen(Box::new(profile)));
    };
    let watched = recording.follow(pace, &stop, &mut viewer, show);
    screen::restore();
    let ended = view.close();
    let end = watched?;
    ended?;
    match end {
        End::ProcessEnded => output::note(&format!(
            "{title} {}; it was watched for {:.0} s",
            ending::how(pid),
            began.elapsed().as_secs_f64()
        )),
        End::Failed => bail!(viewer.notes.pop().unwrap_or_default()),
        End::Told | End::TimeOver => {}
    }
    Ok(())
}

/// Fails where there is nothing to draw on.
fn check_terminal() -> Result<()> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    if std::io::stdout().is_terminal() && !dumb {
        return Ok(());
    }
    Err(anyhow!(
        "top draws on a terminal, and standard output is none (or TERM says it cannot be drawn \
         on): use `awaitscope report -p PID -d 10s` for a text or JSON, or `awaitscope record` to \
         keep a profile"
    ))
}

/// Tells the view how the recording goes.
struct Viewer {
    happens: Sender<Happening>,
    notes: Vec<String>,
}

impl Audience for Viewer {
    fn show(&mut self, _: Option<Duration>, _: &dyn Fn() -> (Glance, Option<u64>)) {}

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
        let _ = self.happens.send(Happening::Note(text.to_owned()));
    }

    fn over(&mut self) {
        screen::restore();
        let _ = self.happens.send(Happening::Over);
    }
}
