//! A service that runs, for as long as a test needs it.

use crate::build::BuiltService;
use crate::public::PublicFolder;
use crate::truth::Truth;
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a service may take to warm up, on a machine that is busy building.
const WARM_UP: Duration = Duration::from_secs(30);

/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A running service. It is killed and reaped when this is dropped; and should
/// the test itself be killed, the service sees its standard input end, and ends.
#[derive(Debug)]
pub struct RunningService {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    ready: String,
}

impl RunningService {
    /// Starts the service and waits until it is warm.
    ///
    /// # Errors
    /// It does not start, or is not ready in time.
    pub fn start(service: &BuiltService, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(&service.binary);
        command.args(args);
        Self::start_command(service.name, command)
    }

    /// Starts the service as another user, out of a folder that user may look
    /// into.
    ///
    /// # Errors
    /// As [`start`](Self::start); and we must be root.
    pub fn start_as(
        service: &BuiltService,
        args: &[&str],
        user: u32,
        folder: &PublicFolder,
    ) -> Result<Self> {
        let mut command = Command::new(folder.add(&service.binary)?);
        command.args(args).uid(user).gid(user);
        Self::start_command(service.name, command)
    }

    pub(crate) fn start_command(name: &'static str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("standard output is piped")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        // From here on, whatever fails, dropping kills it.
        let mut service = Self {
            name,
            child,
            stdin,
            lines,
            ready: String::new(),
        };
        service.ready = service.wait_for("READY", WARM_UP)?;
        Ok(service)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said behind `NAME=` in its `READY` line, as `port`.
    #[must_use]
    pub fn ready_value(&self, name: &str) -> Option<&str> {
        self.ready
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Makes it count anew from now on; returns the moment.
    ///
    /// # Errors
    /// It does not answer.
    pub fn mark(&mut self) -> Result<u64> {
        self.ask("mark")?;
        let answer = self.wait_for("MARKED ", ANSWER)?;
        let moment = answer.strip_prefix("MARKED ").unwrap_or_default();
        moment
            .parse()
            .with_context(|| format!("no moment in {answer:?}"))
    }

    /// What happened since the mark.
    ///
    /// # Errors
    /// It does not answer, or not in the form we know.
    pub fn truth(&mut self) -> Result<Truth> {
        self.truth_as()
    }

    /// The same, in the form that only this service has.
    ///
    /// # Errors
    /// As [`truth`](Self::truth).
    pub fn truth_as<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.ask("truth")?;
        let answer = self.wait_for("{", ANSWER)?;
        serde_json::from_str(&answer).with_context(|| format!("not a truth: {answer}"))
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Closes its standard input and waits until it has ended by itself.
    ///
    /// # Errors
    /// It does not end.
    pub fn finish(mut self) -> Result<Truth> {
        drop(self.stdin.take());
        let answer = self.wait_for("{", ANSWER)?;
        let deadline = Instant::now() + ANSWER;
        while self.is_running() {
            if Instant::now() > deadline {
                bail!("{} does not end", self.name);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        serde_json::from_str(&answer).with_context(|| format!("not a truth: {answer}"))
    }

    fn ask(&mut self, question: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is closed")?;
        writeln!(stdin, "{question}").with_context(|| format!("{} has ended", self.name))
    }

    /// The next line that begins so; lines before it are other answers, too late.
    fn wait_for(&mut self, beginning: &str, patience: Duration) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(beginning) => return Ok(line),
                Ok(_) => {}
                Err(why) => bail!(
                    "{} (process {}) did not say {beginning:?} within {patience:?}: {why}, {:?}",
                    self.name,
                    self.child.id(),
                    self.child.try_wait()
                ),
            }
        }
    }
}

impl Drop for RunningService {
    fn drop(&mut self) {
        // Both fail only when it has ended and was reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
