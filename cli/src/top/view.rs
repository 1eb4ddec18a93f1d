//! The thread that draws: waits for keys and profiles, and shows the model whenever it changed.

use super::draw::{self, Ink};
use super::keys;
use super::model::{Model, Next, Seen};
use super::screen::Screen;
use crate::snapshots::Pace;
use crate::stop::Teller;
use anyhow::{Context, Result, anyhow};
use awaitscope_flamegraph::{Profile, Window};
use ratatui::crossterm::event::{self, Event};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a view is told.
pub enum Happening {
    /// What the last while was like.
    Seen(Box<Profile>),
    /// A key, or another size of the terminal.
    Event(Event),
    /// A remark.
    Note(String),
    /// The recording ended.
    Over,
}

/// A view that is open.
pub struct View {
    thread: JoinHandle<Result<()>>,
}

impl View {
    /// Takes the terminal and shows what happens, until the user has seen enough or the recording
    /// is over. In both cases it tells the recording to stop.
    pub fn open(
        title: &str,
        pace: Pace,
        stop: Teller,
        happened: Receiver<Happening>,
    ) -> Result<Self> {
        let (opened, is_open) = channel();
        let model = Model::new(title);
        let thread = std::thread::Builder::new()
            .name("view".to_owned())
            .spawn(move || {
                let _stop = StopAtEnd(stop);
                let screen = match Screen::open() {
                    Ok(screen) => screen,
                    Err(error) => {
                        // Whoever opens this waits for the answer.
                        let _ = opened.send(Err(error));
                        return Ok(());
                    }
                };
                let _ = opened.send(Ok(()));
                show(screen, model, pace, &happened)
            })
            .context("cannot start a thread")?;
        is_open
            .recv()
            .map_err(|_| anyhow!("the view failed; this is a bug of awaitscope"))??;
        Ok(Self { thread })
    }

    /// Waits for its end.
    pub fn close(self) -> Result<()> {
        self.thread
            .join()
            .map_err(|_| anyhow!("the view failed; this is a bug of awaitscope"))?
    }
}

/// Tells the recording to stop, also when the view fails.
struct StopAtEnd(Teller);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.tell();
    }
}

fn show(
    mut screen: Screen,
    mut model: Model,
    pace: Pace,
    happened: &Receiver<Happening>,
) -> Result<()> {
    let ink = Ink::of_environment();
    // Longer than this without news, and what is shown is old.
    let patience = pace.every.saturating_mul(3).max(Duration::from_secs(2));
    loop {
        if !screen.draw(|frame| draw::all(&model, ink, frame)) {
            return Ok(());
        }
        let first = match happened.recv_timeout(patience) {
            Ok(happening) => Some(happening),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        if first.is_none() {
            model.nothing_new();
        }
        // All that is there is drawn once.
        for happening in first.into_iter().chain(happened.try_iter()) {
            match take(&mut model, happening) {
                Next::Stay => {}
                Next::Leave => return Ok(()),
                Next::Suspend => screen.suspend()?,
            }
        }
    }
}

fn take(model: &mut Model, happening: Happening) -> Next {
    match happening {
        Happening::Seen(profile) => {
            let window = Window::of(&profile);
            model.see(Arc::new(Seen {
                window,
                profile: *profile,
            }));
            Next::Stay
        }
        Happening::Event(Event::Key(key)) => keys::press(model, key),
        Happening::Event(_) => Next::Stay,
        Happening::Note(note) => {
            model.note(&note);
            Next::Stay
        }
        Happening::Over => Next::Leave,
    }
}

/// Reads keys until the process ends: there is no way to call a thread back from that.
pub fn read_keys(happens: Sender<Happening>) -> Result<()> {
    let read = move || {
        while let Ok(event) = event::read() {
            if happens.send(Happening::Event(event)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(read)
        .context("cannot start a thread")?;
    Ok(())
}
