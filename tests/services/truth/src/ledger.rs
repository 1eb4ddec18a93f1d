//! Where all polls are written down.

use crate::clock;
use crate::json::{Object, array};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Polls shorter than this are only counted.
const LONG_POLL_NS: u64 = 5_000_000;

/// More long polls than this are not kept, so that nothing grows without end.
const MOST_LONG_POLLS: usize = 100_000;

/// The runtime's number of a task. The handle's `Debug` form,
/// `JoinHandle { id: Id(7) }`, is the only place where every version of
/// Tokio since 1.23 gives the number away. 0 where there is none.
pub(crate) fn task_id(handle: &impl Debug) -> u64 {
    let text = format!("{handle:?}");
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[derive(Default)]
struct Counts {
    polls: AtomicU64,
    cpu_ns: AtomicU64,
}

impl Counts {
    fn add(&self, cpu_ns: u64) {
        self.polls.fetch_add(1, Relaxed);
        self.cpu_ns.fetch_add(cpu_ns, Relaxed);
    }

    fn reset(&self) {
        self.polls.store(0, Relaxed);
        self.cpu_ns.store(0, Relaxed);
    }
}

struct Kind {
    name: &'static str,
    tasks: AtomicU64,
    counts: Counts,
}

struct Task {
    kind: &'static Kind,
    id: AtomicU64,
    counts: Counts,
}

struct LongPoll {
    kind: &'static Kind,
    task: Option<&'static Task>,
    tid: u64,
    start_ns: u64,
    duration_ns: u64,
    cpu_ns: u64,
}

#[derive(Default)]
struct Ledger {
    kinds: Vec<&'static Kind>,
    tasks: Vec<&'static Task>,
    long_polls: Vec<LongPoll>,
    mark_ns: u64,
    process_cpu_at_mark: u64,
}

static LEDGER: Mutex<Option<Ledger>> = Mutex::new(None);

fn with_ledger<R>(work: impl FnOnce(&mut Ledger) -> R) -> R {
    let mut ledger = LEDGER.lock().unwrap_or_else(PoisonError::into_inner);
    work(ledger.get_or_insert_default())
}

/// Writes down the polls of one task, or of all short-lived tasks of a kind.
#[derive(Clone, Copy)]
pub struct Meter {
    kind: &'static Kind,
    task: Option<&'static Task>,
}

impl Meter {
    /// A meter for one long-lived task of the kind.
    pub fn task(kind: &'static str) -> Self {
        let kind = Self::kind(kind).kind;
        let task: &'static Task = Box::leak(Box::new(Task {
            kind,
            id: AtomicU64::new(0),
            counts: Counts::default(),
        }));
        with_ledger(|ledger| ledger.tasks.push(task));
        kind.tasks.fetch_add(1, Relaxed);
        Self {
            kind,
            task: Some(task),
        }
    }

    /// A meter for every task of the kind together.
    pub fn kind(name: &'static str) -> Self {
        let kind = with_ledger(|ledger| {
            let known = ledger.kinds.iter().copied().find(|kind| kind.name == name);
            known.unwrap_or_else(|| {
                let kind: &'static Kind = Box::leak(Box::new(Kind {
                    name,
                    tasks: AtomicU64::new(0),
                    counts: Counts::default(),
                }));
                ledger.kinds.push(kind);
                kind
            })
        });
        Self { kind, task: None }
    }

    /// Says which task of the runtime is measured.
    pub fn belongs_to(self, handle: &impl Debug) {
        if let Some(task) = self.task {
            task.id.store(task_id(handle), Relaxed);
        }
    }

    /// Counts one more task of the kind.
    pub fn spawned(self) {
        self.kind.tasks.fetch_add(1, Relaxed);
    }

    /// Runs one poll and writes it down.
    pub(crate) fn measure<R>(self, poll: impl FnOnce() -> R) -> R {
        let start_ns = clock::monotonic();
        let cpu_before = clock::thread_cpu();
        let result = poll();
        let cpu_ns = clock::thread_cpu() - cpu_before;
        let duration_ns = clock::monotonic() - start_ns;
        self.kind.counts.add(cpu_ns);
        if let Some(task) = self.task {
            task.counts.add(cpu_ns);
        }
        if duration_ns >= LONG_POLL_NS {
            let long = LongPoll {
                kind: self.kind,
                task: self.task,
                tid: clock::tid(),
                start_ns,
                duration_ns,
                cpu_ns,
            };
            with_ledger(|ledger| {
                if ledger.long_polls.len() < MOST_LONG_POLLS {
                    ledger.long_polls.push(long);
                }
            });
        }
        result
    }
}

/// Starts counting anew and returns the moment.
pub(crate) fn mark() -> u64 {
    with_ledger(|ledger| {
        for kind in &ledger.kinds {
            kind.counts.reset();
        }
        for task in &ledger.tasks {
            task.counts.reset();
        }
        ledger.long_polls.clear();
        ledger.mark_ns = clock::monotonic();
        ledger.process_cpu_at_mark = clock::process_cpu();
        ledger.mark_ns
    })
}

/// All that was counted since the mark.
pub(crate) fn describe(into: &mut Object) {
    with_ledger(|ledger| {
        let process = clock::process_cpu() - ledger.process_cpu_at_mark;
        let cpu = |counts: &Counts| counts.cpu_ns.load(Relaxed);
        let tasks: u64 = ledger.kinds.iter().map(|kind| cpu(&kind.counts)).sum();
        into.number("mark_ns", ledger.mark_ns)
            .number("now_ns", clock::monotonic())
            .number("process_cpu_ns", process)
            .number("tasks_cpu_ns", tasks)
            .number("outside_cpu_ns", process.saturating_sub(tasks))
            .raw("kinds", &array(ledger.kinds.iter().map(|kind| kind.json())))
            .raw("tasks", &array(ledger.tasks.iter().map(|task| task.json())))
            .raw(
                "long_polls",
                &array(ledger.long_polls.iter().map(LongPoll::json)),
            );
    });
}

impl Kind {
    fn json(&self) -> String {
        let mut object = Object::new();
        object
            .text("kind", self.name)
            .number("tasks", self.tasks.load(Relaxed))
            .number("polls", self.counts.polls.load(Relaxed))
            .number("cpu_ns", self.counts.cpu_ns.load(Relaxed));
        object.end()
    }
}

impl Task {
    fn json(&self) -> String {
        let mut object = Object::new();
        object
            .number("id", self.id.load(Relaxed))
            .text("kind", self.kind.name)
            .number("polls", self.counts.polls.load(Relaxed))
            .number("cpu_ns", self.counts.cpu_ns.load(Relaxed));
        object.end()
    }
}

impl LongPoll {
    fn json(&self) -> String {
        let mut object = Object::new();
        object
            .text("kind", self.kind.name)
            .number("task", self.task.map_or(0, |task| task.id.load(Relaxed)))
            .number("tid", self.tid)
            .number("start_ns", self.start_ns)
            .number("duration_ns", self.duration_ns)
            .number("cpu_ns", self.cpu_ns);
        object.end()
    }
}
