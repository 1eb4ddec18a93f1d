//! A terminal that a program runs on, and what it shows.

use anyhow::{Context, Result, bail};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a program may take to show what it is to show.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the screen is looked at.
const GLANCE: Duration = Duration::from_millis(30);

/// A program on a terminal of its own. It is killed and reaped when this is dropped.
#[derive(Debug)]
pub struct OnTerminal {
    child: Child,
    /// Our end, and the program's: as long as we hold it, the terminal stays when the program
    /// ends.
    ours: Option<File>,
    theirs: Option<OwnedFd>,
    shown: Arc<Mutex<Shown>>,
    before: Termios,
    /// Nobody reads what is written any more.
    gone: Arc<AtomicBool>,
    reading: Option<JoinHandle<()>>,
}

struct Shown {
    screen: vt100::Parser,
    /// Everything that came.
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.screen.screen().contents())
    }
}

impl OnTerminal {
    /// Starts a program on a terminal of this size.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Result<Self> {
        let (ours, slave) = pair().context("no pseudo terminal")?;
        set_size(&ours, columns, rows)?;
        let before = tcgetattr(&slave)?;
        command
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave.try_clone()?)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR");
        let take_terminal = || {
            nix::unistd::setsid()?;
            // SAFETY: it takes a descriptor, which is standard input by now, and a number.
            match unsafe { nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: between fork and exec, only system calls are made.
        unsafe { command.pre_exec(take_terminal) };
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let shown = Arc::new(Mutex::new(Shown {
            screen: vt100::Parser::new(at_least_one(rows), at_least_one(columns), 0),
            bytes: Vec::new(),
        }));
        let mut reader = ours.try_clone()?;
        let (into, gone) = (Arc::clone(&shown), Arc::new(AtomicBool::new(false)));
        let is_gone = Arc::clone(&gone);
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !is_gone.load(Ordering::Relaxed) {
                let mut here = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
                if poll(&mut here, 50_u8) == Ok(0) {
                    continue;
                }
                // It fails when nobody holds the other end any more.
                let Ok(count @ 1..) = reader.read(&mut buffer) else {
                    return;
                };
                let mut shown = lock(&into);
                shown.screen.process(&buffer[..count]);
                shown.bytes.extend_from_slice(&buffer[..count]);
            }
        });
        Ok(Self {
            child,
            ours: Some(ours),
            theirs: Some(slave),
            shown,
            before,
            gone,
            reading: Some(reading),
        })
    }

    /// The lines that are shown.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let contents = lock(&self.shown).screen.screen().contents();
        contents.lines().map(str::to_owned).collect()
    }

    /// Waits until the lines are as they should be, and gives them.
    ///
    /// # Errors
    /// They never are; the message shows what was there instead.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&[String]) -> bool) -> Result<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines();
            if is_so(&lines) {
                return Ok(lines);
            }
            if Instant::now() > deadline {
                bail!("{what} was not shown, but:\n{}", lines.join("\n"));
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Waits until some text is shown.
    ///
    /// # Errors
    /// It never is.
    pub fn wait_for(&self, text: &str) -> Result<Vec<String>> {
        self.wait_until(text, |lines| lines.iter().any(|line| line.contains(text)))
    }

    /// Types.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn type_keys(&mut self, keys: &str) -> Result<()> {
        let ours = self.ours.as_mut().context("the terminal is gone")?;
        Ok(ours.write_all(keys.as_bytes())?)
    }

    /// Makes the terminal another size.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let ours = self.ours.as_ref().context("the terminal is gone")?;
        lock(&self.shown)
            .screen
            .screen_mut()
            .set_size(at_least_one(rows), at_least_one(columns));
        set_size(ours, columns, rows)
    }

    /// The modes that the terminal had before the program began.
    #[must_use]
    pub fn modes_before(&self) -> &Termios {
        &self.before
    }

    /// The modes of the terminal.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn modes(&self) -> Result<Termios> {
        let theirs = self.theirs.as_ref().context("the terminal is gone")?;
        Ok(tcgetattr(theirs)?)
    }

    /// Whether a second screen is shown, as programs do that give the first one back.
    #[must_use]
    pub fn on_second_screen(&self) -> bool {
        lock(&self.shown).screen.screen().alternate_screen()
    }

    /// Whether the cursor is hidden.
    #[must_use]
    pub fn hides_cursor(&self) -> bool {
        lock(&self.shown).screen.screen().hide_cursor()
    }

    /// Everything the program wrote so far.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        lock(&self.shown).bytes.clone()
    }

    /// The program's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// Takes the terminal away.
    pub fn hang_up(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        if let Some(reading) = self.reading.take() {
            // It holds the terminal, too.
            let _ = reading.join();
        }
        self.theirs = None;
        self.ours = None;
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                // What it wrote last is still on its way.
                std::thread::sleep(GLANCE * 3);
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("it does not end; it shows:\n{}", self.lines().join("\n"));
            }
            std::thread::sleep(GLANCE);
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Both fail only when it has ended and was reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ends of a terminal. No program that is started meanwhile inherits them: it would keep the
/// terminal when we let go.
fn pair() -> Result<(File, OwnedFd)> {
    let ours = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname_r(&ours)?;
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(name)?;
    Ok((File::from(OwnedFd::from(ours)), theirs.into()))
}

fn set_size(ours: &File, columns: u16, rows: u16) -> Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: it reads a size, and tells the program in the foreground (ioctl_tty(2)).
    match unsafe { nix::libc::ioctl(ours.as_raw_fd(), nix::libc::TIOCSWINSZ, &raw const size) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()).context("cannot resize"),
    }
}

/// No terminal is smaller.
fn at_least_one(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap_or(NonZero::<u16>::MIN)
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
