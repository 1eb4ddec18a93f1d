//! The recording loop: looks at the process every few milliseconds on this
//! thread, and thinks about what it saw on another. A plain loop that sleeps costs half of one that
//! has a runtime wait for its timer and for signals; these have a thread of their own ([`Stop`]).

use crate::about::{About, target, target_of};
use crate::args::WatchArgs;
use crate::audience::{Audience, Consumer, End};
use crate::capture::Keeper;
use crate::live::Live;
use crate::naming;
use crate::snapshots::{Making, Pace, Seen, Snapshots};
use crate::status::Status;
use crate::stop::{ENDING, Stop};
use anyhow::{Context, Result, anyhow};
use awaitscope_flamegraph::{Profile, RecordingOptions, TaskList};
use awaitscope_sampler::{
    Attachment, Children, Facts, LiveProcess, Nanos, Options, Pid, Process, SampleSource as _,
};
use awaitscope_symbolizer::session::{
    Batch, Glance, Outcome, Session, SessionOptions, Targets, WatchOptions, Watcher,
};
use awaitscope_symbolizer::{Binaries, DebugFiles};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How closely a process is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looking {
    /// So that lengths are right: for what is kept.
    Closely,
    /// So that no stall is missed: for what is gone in a moment, and is to cost little.
    Loosely,
}

impl Looking {
    /// How many looks fall into a stall of the threshold's length: each of its ends is known to
    /// within half a period between two looks.
    fn per_stall(self) -> u32 {
        match self {
            Self::Closely => 3,
            Self::Loosely => 2,
        }
    }
}

/// A look may come later by this part of the time between two, so that it can be had together with
/// a tick of the kernel's that comes anyway: a timer of its own is an exit from a virtual machine to
/// set, and an interrupt.
const SLACK: u64 = 5;

/// How much of a sleeping thread's stack is read: it costs a few microseconds.
const SLEEPING_STACK: u32 = 256 << 10;

/// How long what can wait waits, so that the analysis need not wake up for each
/// look.
const PATIENCE: Duration = Duration::from_millis(50);

/// When the kernel's names are read: after attaching, which needs the time more.
const KERNEL_NAMES_AFTER: Duration = Duration::from_millis(700);

/// A process that is being watched.
pub struct Recording {
    watcher: Watcher<Attachment>,
    process: Arc<LiveProcess>,
    targets: Arc<Mutex<Targets>>,
    session: SessionOptions,
    debug_files: Vec<PathBuf>,
    facts: Facts,
    child: Option<Child>,
    options: RecordingOptions,
    period: Duration,
    duration: Option<Duration>,
    snapshot_rate: u32,
    start_unix_ns: u64,
    began: Instant,
}

impl Recording {
    /// Attaches to a running process.
    pub fn attach(pid: Pid, args: &WatchArgs, looking: Looking) -> Result<Self> {
        let attachment = Attachment::attach(pid, &options(args))?;
        Self::of(attachment, None, args, looking)
    }

    /// Starts a command and watches it from its first instruction.
    pub fn launch(command: &[OsString], args: &WatchArgs) -> Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| anyhow!("which command?"))?;
        let mut command = Command::new(program);
        command.args(arguments);
        let (attachment, child) = Attachment::launch(command, &options(args))?;
        Self::of(attachment, Some(child), args, Looking::Closely)
    }

    fn of(
        attachment: Attachment,
        child: Option<Child>,
        args: &WatchArgs,
        looking: Looking,
    ) -> Result<Self> {
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
        let period = (args.stall_threshold / looking.per_stall())
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
            debug_files: args.debug_file.clone(),
            options: RecordingOptions {
                rate_hz: args.frequency,
                stall_threshold_ns: threshold.0,
                stack_bytes: args.stack_size * 1024,
                kernel: abilities.kernel,
            },
            process,
            facts,
            child,
            period,
            duration: args.duration,
            snapshot_rate: args.snapshot_rate,
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
    pub fn run(self) -> Result<Profile> {
        let none: Option<Keeper> = None;
        Ok(self.record(none)?.profile())
    }

    /// The same, and keeps all that it used in a capture. Says how large that is, or
    /// why there is none: there is a profile still.
    pub fn run_keeping(self, capture: &Path) -> Result<(Profile, Result<u64>)> {
        let start = self.session.start;
        let keeper = Keeper::create(capture, self.facts.pid, start, &self.debug_files)?;
        let watched = self.record(Some(keeper))?;
        let profile = watched.profile();
        let seen = Seen {
            waiting: watched.outcome.waiting,
            tasks: watched.tasks,
        };
        let kept = watched
            .keeper
            .ok_or_else(|| anyhow!("the capture is gone; this is a bug of awaitscope"))
            .and_then(|keeper| keeper.finish(watched.about, seen));
        Ok((profile, kept))
    }

    /// Watches until it is told to stop or the process ends, and shows what the last while was
    /// like, again and again.
    pub fn follow(
        self,
        pace: Pace,
        stop: &Stop,
        audience: &mut impl Audience,
        show: impl FnMut(Profile) + Send + 'static,
    ) -> Result<End> {
        let about = About {
            target: target_of(&self.facts, None),
            options: self.options.clone(),
            start_unix_ns: self.start_unix_ns,
            duration_ns: 0,
        };
        let debug_files = Arc::clone(&self.session.debug_files);
        let live = Live::new(about, debug_files, self.session.start, pace, show);
        let making = Making::Recent(pace, live.latest());
        Ok(self.watch(live, making, stop, audience)?.end)
    }

    fn record(self, keeper: Option<Keeper>) -> Result<Watched<Option<Keeper>>> {
        let stop = Stop::listen(ENDING)?;
        self.watch(keeper, Making::Whole, &stop, &mut Status::new())
    }

    fn watch<C: Consumer>(
        mut self,
        consumer: C,
        making: Making,
        stop: &Stop,
        audience: &mut impl Audience,
    ) -> Result<Watched<C>> {
        let (batches, taken) = channel();
        let glance = Arc::new(Mutex::new(Glance::default()));
        let thinking = {
            let process = consumer.process(Arc::clone(&self.process));
            let (targets, glance) = (Arc::clone(&self.targets), Arc::clone(&glance));
            let options = self.session.clone();
            std::thread::Builder::new()
                .name("session".to_owned())
                .spawn(move || {
                    let session = Session::new(process, options, targets);
                    think(session, &taken, &glance, consumer)
                })
                .context("cannot start a thread")?
        };
        if self.options.kernel {
            read_kernel_names(Arc::clone(&self.process));
        }
        let snapshots = Snapshots::begin(
            &self.process,
            &self.session.debug_files,
            self.session.start,
            self.snapshot_rate,
            making,
        );
        let snapshots = snapshots.unwrap_or_else(|error| {
            audience.note(&format!("no snapshots of tasks: {error:#}"));
            None
        });
        let mut held = Batch::default();
        let glancing = || {
            let live = snapshots.as_ref().and_then(Snapshots::live);
            (*lock(&glance), live)
        };
        let looked = self.look(stop, &batches, &mut held, &glancing, audience);
        let duration = self.began.elapsed();
        audience.over();
        let end = looked.unwrap_or_else(|error| {
            audience.note(&format!("the recording ends early: {error}"));
            End::Failed
        });
        held.append(self.watcher.finish()?);
        // The session is there as long as we hold a sender.
        let _ = batches.send(held);
        drop(batches);
        let seen = snapshots.map(Snapshots::end).unwrap_or_default();
        let (outcome, consumer) = thinking
            .join()
            .map_err(|_| anyhow!("the analysis failed; this is a bug of awaitscope"))?;
        reap(self.child);
        Ok(Watched {
            about: About {
                target: target(&self.facts, &outcome),
                options: self.options,
                start_unix_ns: self.start_unix_ns,
                duration_ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            },
            outcome: outcome.with_waiting(seen.waiting),
            tasks: seen.tasks,
            debug_files: self.session.debug_files,
            keeper: consumer,
            end,
        })
    }

    fn look(
        &mut self,
        stop: &Stop,
        batches: &Sender<Batch>,
        held: &mut Batch,
        glance: &impl Fn() -> (Glance, Option<u64>),
        audience: &mut impl Audience,
    ) -> Result<End> {
        let mut sent = Instant::now();
        // Without it the looks are as good, and somewhat dearer.
        let _ = nix::sys::prctl::set_timerslack(self.period.as_nanos() as u64 / SLACK);
        let end = self.duration.map(|duration| self.began + duration);
        while !stop.is_told() {
            let next = Instant::now() + self.period;
            held.append(self.watcher.look()?);
            if held.is_urgent() || sent.elapsed() >= PATIENCE {
                sent = Instant::now();
                // Without a session there is nobody to record for.
                batches
                    .send(std::mem::take(held))
                    .map_err(|_| anyhow!("the analysis ended"))?;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if self.process.exited() {
                return Ok(End::ProcessEnded);
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(End::TimeOver);
            }
            audience.show(left, glance);
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
        Ok(End::Told)
    }
}

/// What came of watching.
struct Watched<C> {
    about: About,
    outcome: Outcome,
    /// The tasks at the end.
    tasks: Option<TaskList>,
    debug_files: Arc<DebugFiles>,
    keeper: C,
    end: End,
}

impl<C> Watched<C> {
    fn profile(&self) -> Profile {
        let mut profile = self.about.profile(&self.outcome, &self.debug_files);
        profile.last_tasks.clone_from(&self.tasks);
        profile
    }
}

fn lock(glance: &Mutex<Glance>) -> MutexGuard<'_, Glance> {
    glance.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernel writes all its names anew for each reader, which takes a tenth of a second: better
/// now than at the end.
fn read_kernel_names(process: Arc<LiveProcess>) {
    let read = move || {
        std::thread::sleep(KERNEL_NAMES_AFTER);
        let _ = process.kernel_function(0);
    };
    // Without a thread they are read when they are needed.
    let _ = std::thread::Builder::new()
        .name("kernel".to_owned())
        .spawn(read);
}

/// Waits for a command that we started and that has ended, so that nothing is left of it. One
/// that still runs goes on.
fn reap(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.try_wait();
    }
}

fn think<C: Consumer>(
    mut session: Session,
    batches: &Receiver<Batch>,
    glance: &Mutex<Glance>,
    mut consumer: C,
) -> (Outcome, C) {
    while let Ok(batch) = batches.recv() {
        consumer.pass(&mut session, batch);
        *lock(glance) = session.glance();
    }
    (session.finish(), consumer)
}

fn options(args: &WatchArgs) -> Options {
    Options {
        rate_hz: args.frequency,
        stack_bytes: args.stack_size * 1024,
        // A session knows the modules of one process.
        children: Children::Ignore,
        ..Options::default()
    }
}
