//! The terminal: taken, and given back as it was, however this ends.

use anyhow::{Context, Result};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::io::{Stdout, stdout};
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours: one process has one, and a panic in any thread must be able
/// to give it back. It changes only under the lock of standard output, which whoever draws holds:
/// nothing is drawn on a terminal that was given back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, while it is ours. Dropped, it is given back.
pub struct Screen {
    /// Never dropped, but let go: it would write to standard error where it cannot show the
    /// cursor, which ends in a panic when the terminal is gone. There is nothing in it to free
    /// but memory.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

impl Screen {
    /// Takes the terminal.
    pub fn open() -> Result<Self> {
        give_back_on_panic();
        take().context("cannot draw on this terminal")?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()));
        let terminal = terminal.inspect_err(|_| restore());
        Ok(Self {
            terminal: ManuallyDrop::new(terminal.context("cannot draw on this terminal")?),
        })
    }

    /// Draws, as long as the terminal is ours. False when it is not any more.
    pub fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> bool {
        let _lock = stdout().lock();
        TAKEN.load(Ordering::Acquire) && self.terminal.draw(draw).is_ok()
    }

    /// Gives the terminal back, sleeps until somebody brings us to the foreground again, and
    /// takes it anew.
    pub fn suspend(&mut self) -> Result<()> {
        restore();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTSTP)
            .context("cannot go to the background")?;
        take().context("cannot draw on this terminal")?;
        self.terminal
            .clear()
            .context("cannot draw on this terminal")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn take() -> std::io::Result<()> {
    let mut out = stdout().lock();
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::Release);
    execute!(out, EnterAlternateScreen, Hide).inspect_err(|_| restore())
}

/// Gives the terminal back, if it is ours.
pub fn restore() {
    // The lock is one that a thread can take twice: a panic while drawing does not wait for itself.
    let mut out = stdout().lock();
    if TAKEN.swap(false, Ordering::AcqRel) {
        // A terminal that is gone needs nothing back.
        let _ = execute!(out, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A panic in any thread gives the terminal back before it is told.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            tell(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use nix::sys::termios::tcgetattr;
    use std::fs::File;
    use std::io::Read as _;
    use std::process::Command;

    /// What the other test runs on a terminal of its own.
    #[test]
    #[ignore = "it takes the terminal it runs on"]
    fn a_thread_panics_beside_the_screen() {
        let mut screen = Screen::open().expect("a terminal");
        assert!(screen.draw(|_| ()));
        let other = std::thread::spawn(|| panic!("on purpose"));
        other.join().expect_err("it panicked");
        assert!(!screen.draw(|_| ()), "it was given back");
    }

    #[test]
    fn a_panic_in_any_thread_gives_the_terminal_back_and_is_told_there() {
        let terminal = openpty(None, None).expect("a pseudo terminal");
        let before = tcgetattr(&terminal.slave).expect("modes");
        let theirs = || terminal.slave.try_clone().expect("a descriptor");
        let child = Command::new(std::env::current_exe().expect("our own program"))
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("top::screen::tests::a_thread_panics_beside_the_screen")
            .stdin(theirs())
            .stdout(theirs())
            .stderr(theirs())
            .status();
        assert!(child.expect("it was started").success());
        assert_eq!(tcgetattr(&terminal.slave).expect("modes"), before);
        drop(terminal.slave);
        let mut written = Vec::new();
        // When all was read, the end is an error (pty(7)).
        let _ = File::from(terminal.master).read_to_end(&mut written);
        let written = String::from_utf8_lossy(&written);
        let at = |text: &str| written.find(text).unwrap_or_else(|| panic!("{written:?}"));
        assert!(at("\x1b[?1049h") < at("\x1b[?1049l"));
        assert!(at("\x1b[?1049l") < at("on purpose") && at("\x1b[?25h") < at("on purpose"));
    }
}
