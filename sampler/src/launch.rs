//! Running a command under observation from its first instruction.

use crate::attachment::Attachment;
use crate::error::Error;
use crate::ids::Pid;
use crate::open::Begin;
use crate::options::Options;
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{getpid, pipe2, read, write};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::thread::{self, JoinHandle};

/// What is written to the child that waits to run the command. Anything else, or the end of the
/// pipe because we are no more, means that it shall not.
const GO: u8 = b'g';
const STOP: u8 = b's';

impl Attachment {
    /// Starts `command` and watches it from its first instruction. The caller waits for the
    /// child.
    ///
    /// The new process holds itself back between `fork` and `exec`, waiting on a pipe, until
    /// the events are open on it; they begin to count when it runs the command
    /// (`enable_on_exec`), so that nothing of our own code is in the profile.
    ///
    /// # Errors
    /// The command cannot be run, or not be watched (then it does not run).
    pub fn launch(command: Command, options: &Options) -> Result<(Self, Child), Error> {
        let shown = command.get_program().to_string_lossy().into_owned();
        let fail = |source: io::Error| Error::Launch {
            command: shown.clone(),
            source,
        };
        let mut held = Held::start(command).map_err(fail)?;
        let Some(pid) = held.number() else {
            // It was not even forked; the thread knows why.
            let error = held.refuse().err();
            return Err(fail(error.unwrap_or_else(|| io::ErrorKind::Other.into())));
        };
        match Self::begin(pid, options, Begin::OnExec) {
            Ok(attachment) => Ok((attachment, held.release().map_err(fail)?)),
            Err(error) => {
                // Its failure to start is what we asked for.
                let _ = held.refuse();
                Err(error)
            }
        }
    }
}

/// A child that waits between `fork` and `exec`.
struct Held {
    number: File,
    go: File,
    /// `spawn` returns only after the exec, so it has a thread of its own.
    spawning: JoinHandle<io::Result<Child>>,
}

impl Held {
    fn start(mut command: Command) -> io::Result<Self> {
        let (number, number_in) = pipe2(OFlag::O_CLOEXEC)?;
        let (go_out, go) = pipe2(OFlag::O_CLOEXEC)?;
        let mut gate = Gate {
            number: number_in,
            go: go_out,
            ours: Some(go.try_clone()?),
        };
        sys::before_exec(&mut command, move || gate.wait());
        let spawning = thread::Builder::new()
            .name("awaitscope-launch".into())
            .spawn(move || command.spawn())?;
        Ok(Self {
            number: number.into(),
            go: go.into(),
            spawning,
        })
    }

    /// The number of the child; `None` if there is none.
    fn number(&mut self) -> Option<Pid> {
        let mut number = [0; 4];
        self.number.read_exact(&mut number).ok()?;
        Some(Pid(u32::from_ne_bytes(number)))
    }

    fn release(self) -> io::Result<Child> {
        self.answer(GO)
    }

    fn refuse(self) -> io::Result<Child> {
        self.answer(STOP)
    }

    fn answer(mut self, answer: u8) -> io::Result<Child> {
        // If the child is gone already, `spawn` tells why.
        let _ = self.go.write_all(&[answer]);
        self.spawning
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("starting the command panicked")))
    }
}

/// What the child does before it runs the command: plain system calls only.
struct Gate {
    number: OwnedFd,
    go: OwnedFd,
    /// The child's copy of our end of the pipe, which it must give up to notice our end.
    ours: Option<OwnedFd>,
}

impl Gate {
    fn wait(&mut self) -> io::Result<()> {
        self.ours = None;
        write(&self.number, &getpid().as_raw().to_ne_bytes())?;
        let mut answer = [STOP];
        loop {
            match read(&self.go, &mut answer) {
                Err(Errno::EINTR) => {}
                Ok(1) if answer == [GO] => return Ok(()),
                Ok(_) => return Err(Errno::ECANCELED.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
