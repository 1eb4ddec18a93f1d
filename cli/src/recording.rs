//! The recording loop: looks at the process every few milliseconds on this
//! thread, and thinks about what it saw on another.

use crate::args::WatchArgs;
use crate::naming;
use crate::output;
use crate::status::Status;
use anyhow::{Context, Result, anyhow};
use awaitscope_flamegraph::{Profile, RecordingOptions, Target, profile_of};
use awaitscope_sampler::{
    Abilities, Attachment, Children, Facts, LiveProcess, Nanos, Options, Pid, SampleSource as _,
};
use awaitscope_symbolizer::session::{
    Batch, Glance, Outcome, Session, SessionOptions, Targets, WatchOptions, Watcher,
};
use awaitscope_symbolizer::{Binaries, DebugFiles};
use std::ffi::OsString;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How many looks fall into a stall of the threshold's length: each of its ends is known to
/// within half a period between two looks.
const LOOKS_PER_STALL: u32 = 3;

/// How much of a sleeping thread's stack is read: it costs a few microseconds.
const SLEEPING_STACK: u32 = 256 << 10;

/// A process that is being watched.
pub struct Recording {
    watcher: Watcher<Attachment>,
    process: Arc<LiveProcess>,
    targets: Arc<Mutex<Targets>>,
    session: SessionOptions,
    facts: Facts,
    child: Option<Child>,
    options: RecordingOptions,
    abilities: Abilities,
    period: Duration,
    duration: Option<Duration>,
    start_unix_ns: u64,
    began: Instant,
}

impl Recording {
    /// Attaches to a running process.
    pub fn attach(pid: Pid, args: &WatchArgs) -> Result<Self> {
        let attachment = Attachment::attach(pid, &options(args))?;
        Self::of(attachment, None, args)
    }

    /// Starts a command and watches it from its first instruction.
    pub fn launch(command: &[OsString], args: &WatchArgs) -> Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| anyhow!("which command?"))?;
        let mut command = Command::new(program);
        command.args(arguments);
        let (attachment, child) = Attachment::launch(command, &options(args))?;
        Self::of(attachment, Some(child), args)
    }

    fn of(attachment: Attachment, child: Option<Child>, args: &WatchArgs) -> Result<Self> {
        let (start, start_unix_ns, began) = (Nanos::now(), naming::unix_now(), Instant::now());
        let process = Arc::new(LiveProcess::open(attachment.pid())?);
        let facts = process.facts()?;
        let abilities = attachment.abilities();
        let threshold = Nanos(
            args.stall_threshold
                .as_nanos()
                .try_into()
                .unwrap_or(u64::MAX),
        );
        let period = (args.stall_threshold / LOOKS_PER_STALL)
            .clamp(Duration::from_millis(1), Duration::from_millis(10));
        let targets = Arc::new(Mutex::new(Targets::default()));
        let debug_files = DebugFiles::open(&args.debug_file)?;
        let watcher = Watcher::new(
            attachment,
            Arc::clone(&process) as Arc<_>,
            Arc::clone(&targets),
            WatchOptions {
                off_after: Nanos(u64::try_from(period.as_nanos()).unwrap_or(u64::MAX)),
                stack_bytes: SLEEPING_STACK,
            },
            Nanos::now,
        );
        Ok(Self {
            watcher,
            targets,
            session: SessionOptions {
                start,
                stall_threshold: threshold,
                debug_files,
                binaries: Binaries::OfProcess(facts.pid),
            },
            options: RecordingOptions {
                rate_hz: args.frequency,
                stall_threshold_ns: threshold.0,
                stack_bytes: args.stack_size * 1024,
                kernel: abilities.kernel,
            },
            process,
            facts,
            child,
            abilities,
            period,
            duration: args.duration,
            start_unix_ns,
            began,
        })
    }

    /// What is watched.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Watches until the time is over, the process ends, or we are told to stop,
    /// and makes a profile of it.
    pub fn run(mut self) -> Result<Profile> {
        let (batches, taken) = channel();
        let glance = Arc::new(Mutex::new(Glance::default()));
        let thinking = {
            let process = Arc::clone(&self.process) as Arc<_>;
            let (targets, glance) = (Arc::clone(&self.targets), Arc::clone(&glance));
            let options = self.session.clone();
            std::thread::Builder::new()
                .name("session".to_owned())
                .spawn(move || think(Session::new(process, options, targets), &taken, &glance))
                .context("cannot start a thread")?
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the recording loop")?;
        let looked = runtime.block_on(self.look(&batches, &glance));
        let duration = self.began.elapsed();
        if let Err(error) = &looked {
            output::note(&format!("the recording ends early: {error}"));
        }
        let last = self.watcher.finish()?;
        // The session is there as long as we hold a sender.
        let _ = batches.send(last);
        drop(batches);
        let outcome = thinking
            .join()
            .map_err(|_| anyhow!("the analysis failed; this is a bug of awaitscope"))?;
        reap(self.child);
        let notes = notes(&outcome, self.abilities, &self.session);
        Ok(profile_of(
            &outcome,
            target(&self.facts, &outcome),
            self.options,
            self.start_unix_ns,
            u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            notes,
        ))
    }

    async fn look(&mut self, batches: &Sender<Batch>, glance: &Mutex<Glance>) -> Result<()> {
        let mut status = Status::new();
        let mut ticks = tokio::time::interval(self.period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let end = self.duration.map(|duration| self.began + duration);
        loop {
            tokio::select! {
                biased;
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let batch = self.watcher.look()?;
            // Without a session there is nobody to record for.
            batches
                .send(batch)
                .map_err(|_| anyhow!("the analysis ended"))?;
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) || self.process.exited() {
                return Ok(());
            }
            status.show(left, *glance.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Waits for a command that we started and that has ended, so that nothing is left of it. One
/// that still runs goes on.
fn reap(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.try_wait();
    }
}

fn think(mut session: Session, batches: &Receiver<Batch>, glance: &Mutex<Glance>) -> Outcome {
    while let Ok(batch) = batches.recv() {
        session.take(batch);
        *glance.lock().unwrap_or_else(PoisonError::into_inner) = session.glance();
    }
    session.finish()
}

fn options(args: &WatchArgs) -> Options {
    Options {
        rate_hz: args.frequency,
        stack_bytes: args.stack_size * 1024,
        children: if args.children {
            Children::Follow
        } else {
            Children::Ignore
        },
        ..Options::default()
    }
}

fn target(facts: &Facts, outcome: &Outcome) -> Target {
    Target {
        pid: facts.pid.0,
        name: facts.name.clone(),
        exe: facts
            .exe
            .as_ref()
            .map_or_else(String::new, |exe| exe.display().to_string()),
        build_id: outcome.build_id.clone(),
        host: nix::unistd::gethostname()
            .map(|host| host.to_string_lossy().into_owned())
            .unwrap_or_default(),
        command_line: facts.command_line.clone(),
    }
}

/// What people should know of this recording.
fn notes(outcome: &Outcome, abilities: Abilities, session: &SessionOptions) -> Vec<String> {
    let mut notes = Vec::new();
    if !abilities.kernel {
        notes.push(
            "time in the kernel is not sampled and has no frames: kernel.perf_event_paranoid forbids \
             it (root, CAP_PERFMON or a value of 1 lift that)"
                .to_owned(),
        );
    }
    if let Some(stripped) = &outcome.stripped_runtime {
        notes.push(format!(
            "this program has {stripped}, but its symbols were stripped: give its separate debug \
             information with --debug-file, or keep the symbols (`strip = \"none\"`), to see tasks"
        ));
    } else if outcome.runtimes.is_empty() {
        notes.push(
            "no async runtime that we know was found in this process: this is a plain native profile"
                .to_owned(),
        );
    }
    for runtime in outcome.runtimes.iter().filter(|runtime| !runtime.progress) {
        notes.push(format!(
            "{}'s types are not in the debug information, so stalls are found only where a poll \
             sleeps, not where it computes; build with `debug = 2` (\"full\") to see those too",
            runtime.name
        ));
    }
    for file in session.debug_files.unmatched() {
        notes.push(format!(
            "the debug file {} belongs to no binary of this process",
            file.display()
        ));
    }
    notes
}
