//! Snapshots of all tasks beside a recording, on a thread of their own that gives way to
//! everything else.

use crate::output;
use crate::snapshot;
use anyhow::{Context, Result};
use awaitscope_flamegraph::TaskList;
use awaitscope_sampler::{LiveProcess, Nanos};
use awaitscope_symbolizer::snapshot::{
    AwaitTable, History, Recent, Snapshot, Snapshotter, Waiting,
};
use awaitscope_symbolizer::{AddressSpace, Binaries, DebugFiles};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::os::linux::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// When the first is taken: after attaching, which needs the time more.
const FIRST_AFTER: Duration = Duration::from_millis(150);

/// A snapshot that took some time of a CPU is followed by so many times as long without
/// one: together they stay within 1 % of a core.
const REST: u32 = 100;

/// The cost of a snapshot is the least of so many: one that had types to read for the
/// first time says nothing about those to come.
const COSTS: usize = 4;

/// A snapshot of the end that would take longer than this is not taken: the last one
/// will do.
const LONGEST_LAST: Duration = Duration::from_millis(300);

/// How many tasks a profile keeps one by one, and how many waits of theirs.
const KEPT_TASKS: usize = 20_000;
const KEPT_WAITS: usize = 60_000;

/// By how much our thread gives way (nice(2)).
const NICE: i32 = 10;

/// No tasks were seen yet.
const UNKNOWN: u64 = u64::MAX;

/// Snapshots being taken.
#[derive(Debug)]
pub struct Snapshots {
    thread: JoinHandle<Seen>,
    /// Dropped, it ends the thread.
    stop: Sender<()>,
    live: Arc<AtomicU64>,
}

/// What came of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// How tasks waited.
    pub waiting: Option<Waiting>,
    /// The tasks at the end.
    pub tasks: Option<TaskList>,
}

/// What is made of them.
#[derive(Debug, Clone)]
pub enum Making {
    /// What they tell together, and the tasks of the last, in the end.
    Whole,
    /// What the last ones tell, while it goes on.
    Recent(Pace, Latest),
}

/// How often something is told of how long a while.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often.
    pub every: Duration,
    /// How long it is.
    pub window: Duration,
}

/// How tasks waited lately, and since when that is told.
pub type Latest = Arc<Mutex<Option<(Nanos, Waiting)>>>;

impl Snapshots {
    /// Begins to take so many a second; none for 0. Fails where memory cannot be read.
    pub fn begin(
        process: &Arc<LiveProcess>,
        debug_files: &Arc<DebugFiles>,
        start: Nanos,
        rate: u32,
        making: Making,
    ) -> Result<Option<Self>> {
        let Some(period) = Duration::from_secs(1).checked_div(rate) else {
            return Ok(None);
        };
        process.need_memory()?;
        let (stop, stopped) = channel();
        let live = Arc::new(AtomicU64::new(UNKNOWN));
        let taking = Taking {
            process: Arc::clone(process),
            debug_files: Arc::clone(debug_files),
            start,
            period,
            costs: VecDeque::new(),
            live: Arc::clone(&live),
            making,
        };
        let thread = std::thread::Builder::new().name("snapshots".to_owned());
        let thread = thread.spawn(move || taking.run(&stopped));
        let thread = thread.context("cannot start a thread")?;
        Ok(Some(Self { thread, stop, live }))
    }

    /// How many tasks live.
    pub fn live(&self) -> Option<u64> {
        let live = self.live.load(Ordering::Relaxed);
        (live != UNKNOWN).then_some(live)
    }

    /// Ends. Whoever calls this may wait for a last snapshot.
    pub fn end(self) -> Seen {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|_| {
            output::note("the snapshots of tasks failed; this is a bug of awaitscope");
            Seen::default()
        })
    }
}

/// What the thread needs.
struct Taking {
    process: Arc<LiveProcess>,
    debug_files: Arc<DebugFiles>,
    start: Nanos,
    period: Duration,
    /// What the last ones cost.
    costs: VecDeque<Duration>,
    live: Arc<AtomicU64>,
    making: Making,
}

/// One program of the process, and what was seen of it.
struct Looking {
    program: Program,
    snapshotter: Snapshotter,
    memory: Memory,
    last: Option<Snapshot>,
}

/// What is kept of snapshots.
enum Memory {
    Whole(Box<History>),
    Recent {
        recent: Box<Recent>,
        pace: Pace,
        latest: Latest,
        told: Option<Instant>,
    },
}

impl Memory {
    fn new(making: &Making, start: Nanos) -> Self {
        match making {
            Making::Whole => Self::Whole(Box::new(History::new(start))),
            Making::Recent(pace, latest) => {
                let keep = u64::try_from(pace.window.as_nanos()).unwrap_or(u64::MAX);
                Self::Recent {
                    recent: Box::new(Recent::new(start, Nanos(keep))),
                    pace: *pace,
                    latest: Arc::clone(latest),
                    told: None,
                }
            }
        }
    }

    fn take(&mut self, snapshot: &Snapshot, table: &AwaitTable) {
        match self {
            Self::Whole(history) => history.take(snapshot, table),
            Self::Recent {
                recent,
                pace,
                latest,
                told,
            } => {
                recent.take(snapshot, table);
                if told.is_none_or(|told| told.elapsed() >= pace.every) {
                    *told = Some(Instant::now());
                    let waiting = recent.waiting(table, Nanos::now());
                    let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
                    *latest = Some((recent.since(), waiting));
                }
            }
        }
    }
}

/// The file that a process runs, by its inode.
type Program = Option<(u64, u64)>;

impl Taking {
    fn run(mut self, stopped: &Receiver<()>) -> Seen {
        give_way();
        let mut pause = FIRST_AFTER;
        let mut looking: Option<Looking> = None;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            if self.process.exited() {
                break;
            }
            // A program that was started by another begins anew.
            let program = self.program();
            let same = looking.take().filter(|looking| looking.program == program);
            let mut now = same.unwrap_or_else(|| self.begin_with(program));
            self.look(&mut now);
            looking = Some(now);
            let rest = self.cost().saturating_mul(REST);
            pause = rest.max(self.period);
        }
        looking.map_or_else(Seen::default, |looking| self.finish(looking))
    }

    fn program(&self) -> Program {
        let exe: PathBuf = self.process.proc_path("exe");
        let data = std::fs::metadata(exe).ok()?;
        Some((data.st_dev(), data.st_ino()))
    }

    fn begin_with(&mut self, program: Program) -> Looking {
        self.costs.clear();
        let pid = awaitscope_sampler::Process::pid(&*self.process);
        let space = AddressSpace::new(Binaries::OfProcess(pid), Arc::clone(&self.debug_files));
        Looking {
            program,
            snapshotter: Snapshotter::new(Arc::clone(&self.process) as Arc<_>, space),
            memory: Memory::new(&self.making, self.start),
            last: None,
        }
    }

    /// Takes a snapshot. One that a process did not live through tells nothing.
    fn look(&mut self, looking: &mut Looking) {
        let begin = cpu_time();
        let snapshot = looking.snapshotter.take();
        // A runtime begins when the program comes to it, and is found by its threads.
        if snapshot.schedulers.is_empty() {
            looking.snapshotter.look_again();
        }
        if !self.process.exited() {
            looking.memory.take(&snapshot, looking.snapshotter.table());
            self.live
                .store(snapshot.tasks.len() as u64, Ordering::Relaxed);
            looking.last = Some(snapshot);
        }
        self.costs.push_back(cpu_time().saturating_sub(begin));
        if self.costs.len() > COSTS {
            self.costs.pop_front();
        }
        // The first had all types to read. The second tells what it costs.
        if self.costs.len() == 1 {
            self.look(looking);
        }
    }

    fn cost(&self) -> Duration {
        self.costs.iter().min().copied().unwrap_or_default()
    }

    fn finish(mut self, mut looking: Looking) -> Seen {
        if matches!(looking.memory, Memory::Recent { .. }) {
            return Seen::default();
        }
        if !self.process.exited() && self.cost() < LONGEST_LAST {
            self.look(&mut looking);
        }
        let tasks = looking.last.map(|snapshot| {
            let list = snapshot::list(&looking.snapshotter, &snapshot, &*self.process);
            list.bounded(KEPT_TASKS, KEPT_WAITS)
        });
        let no_runtime = looking.snapshotter.runtimes().is_empty();
        let table = looking.snapshotter.table();
        let waiting = match looking.memory {
            Memory::Whole(history) if !no_runtime => Some(history.finish(table, Nanos::now())),
            _ => None,
        };
        Seen {
            waiting,
            tasks: tasks.filter(|_| !no_runtime),
        }
    }
}

/// The time that this thread was on a CPU.
fn cpu_time() -> Duration {
    // The clock of one's own thread is always there (clock_gettime(2)).
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Lets this thread run when nobody else wants to.
fn give_way() {
    // SAFETY: it takes three integers. On Linux 0 is the calling thread, not its process
    // (setpriority(2), "C library/kernel differences"). If it is refused, nothing is lost.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}
