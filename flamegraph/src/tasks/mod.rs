//! The tasks of a process at a moment, and what each waits for: for people and for
//! programs.

mod bounded;
mod check;
mod draw;
mod edges;
mod groups;
mod json;
mod pattern;
#[cfg(test)]
mod sample;
mod text;
mod tree;
mod words;

pub use pattern::KindPattern;
pub use text::{Listing, TaskText};
pub(crate) use words::what as waits_on_word;

use crate::profile::KindClass;
use crate::profile::limits::bounded as at_most;
use awaitscope_sampler::{Descriptor, OpenFiles};
use awaitscope_symbolizer::Frame;
use awaitscope_symbolizer::runtime::{RuntimeInfo, TaskClass};
use awaitscope_symbolizer::session::TaskKind;
use awaitscope_symbolizer::snapshot::{
    AwaitTable, Detail, Queues, SchedulerSeen, Snapshot, TaskSeen, TaskState, Wait, WaitsOn,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// The tasks of a process at a moment.
///
/// What many tasks have in common is kept once, so that it can be a part of a profile.
/// Made by [`TaskList::of`], or read and checked together with a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskList {
    /// How long it took to read them.
    pub took_ns: u64,
    /// For how long the process was stopped for it, if it was.
    pub stopped_ns: Option<u64>,
    /// Tasks that moved whenever they were read.
    pub torn: u32,
    /// Tasks whose await point could not be told.
    pub unresolved: u32,
    #[serde(deserialize_with = "at_most::<_, _, { check::SCHEDULERS }>")]
    schedulers: Vec<Scheduler>,
    #[serde(deserialize_with = "at_most::<_, _, { check::KINDS }>")]
    kinds: Vec<Kind>,
    #[serde(deserialize_with = "at_most::<_, _, { check::FRAMES }>")]
    frames: Vec<Frame>,
    #[serde(deserialize_with = "at_most::<_, _, { check::POINTS }>")]
    points: Vec<Point>,
    tasks: Vec<ListedTask>,
    /// Tasks that are not in `tasks`, to keep the list short.
    omitted: Vec<Omitted>,
}

/// One scheduler: an entry of `runtimes` in the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Scheduler {
    name: String,
    version: Option<String>,
    flavor: String,
    workers: u32,
    queues: Queues,
}

/// What tasks with the same root function are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kind {
    name: Arc<str>,
    class: KindClass,
}

/// An await point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Point {
    /// From the root to the leaf.
    #[serde(deserialize_with = "at_most::<_, _, { check::DEPTH }>")]
    stack: Vec<u32>,
    what: WaitsOn,
    type_name: Arc<str>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ListedTask {
    id: Option<u64>,
    address: u64,
    scheduler: u32,
    kind: u32,
    state: TaskState,
    waits: Vec<ListedWait>,
    holds: Vec<u64>,
}

/// One leaf of a task's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ListedWait {
    point: u32,
    on: WaitedFor,
}

/// Which thing a task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WaitedFor {
    Unknown,
    /// A timer, with the nanoseconds that are left; negative when it is late.
    Timer(i64),
    /// A descriptor, and what it is.
    File(i32, Option<Descriptor>),
    /// The task at this address.
    Task(u64),
    /// The lock or channel at this address.
    Object(u64),
}

/// Tasks that are not listed one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Omitted {
    kind: u32,
    state: TaskState,
    count: u64,
    /// A listed task that waits at the same points, by its place in the list.
    like: Option<u32>,
}

impl TaskList {
    /// Makes the list. `files` says what the descriptors are that tasks wait for, where
    /// that is known.
    #[must_use]
    pub fn of(
        snapshot: &Snapshot,
        table: &AwaitTable,
        runtimes: &[RuntimeInfo],
        files: Option<&OpenFiles>,
    ) -> Self {
        let mut making = Making {
            snapshot,
            table,
            files,
            kinds: Numbers::default(),
            frames: Numbers::default(),
            points: Numbers::default(),
        };
        let tasks = snapshot.tasks.iter().map(|task| making.task(task));
        let tasks: Vec<ListedTask> = tasks.collect();
        let points = std::mem::take(&mut making.points.used);
        let points: Vec<Point> = points.iter().map(|point| making.point(*point)).collect();
        let frames = making.frames.used.iter();
        let frames = frames.filter_map(|frame| table.frames().get(*frame as usize));
        let kinds = making.kinds.used.iter();
        Self {
            took_ns: snapshot.took.0,
            stopped_ns: None,
            torn: snapshot.torn,
            unresolved: snapshot.unresolved,
            schedulers: schedulers(&snapshot.schedulers, runtimes),
            kinds: kinds
                .map(|kind| kind_of(table.kinds().get(*kind as usize)))
                .collect(),
            frames: frames.cloned().collect(),
            points,
            tasks,
            omitted: Vec::new(),
        }
    }

    /// How many tasks there were.
    #[must_use]
    pub fn live(&self) -> u64 {
        let omitted = self.omitted.iter().map(|omitted| omitted.count);
        omitted.fold(self.tasks.len() as u64, u64::saturating_add)
    }

    /// How many of these are not listed one by one.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.live() - self.tasks.len() as u64
    }

    /// Whether no scheduler was found.
    #[must_use]
    pub fn has_no_scheduler(&self) -> bool {
        self.schedulers.is_empty()
    }

    /// Whether any task waits for a descriptor whose meaning only the process knows.
    #[must_use]
    pub fn needs_files(snapshot: &Snapshot) -> bool {
        let waits = snapshot.tasks.iter().flat_map(|task| &task.waits);
        let mut details = waits.map(|wait| wait.detail);
        details.any(|detail| matches!(detail, Detail::Descriptor(_) | Detail::Registered(_)))
    }

    fn kind(&self, kind: u32) -> &Kind {
        &self.kinds[kind as usize]
    }

    fn point(&self, point: u32) -> &Point {
        &self.points[point as usize]
    }

    fn frame(&self, frame: u32) -> &Frame {
        &self.frames[frame as usize]
    }
}

impl ListedTask {
    /// Its number, or its address where its runtime gives none.
    fn name(&self) -> String {
        match self.id {
            Some(id) => id.to_string(),
            None => format!("{:#x}", self.address),
        }
    }
}

/// A snapshot on its way into a list: only what its tasks use is taken along.
struct Making<'a> {
    snapshot: &'a Snapshot,
    table: &'a AwaitTable,
    files: Option<&'a OpenFiles>,
    kinds: Numbers,
    frames: Numbers,
    points: Numbers,
}

/// Numbers of a large table, renumbered by their first use.
#[derive(Default)]
struct Numbers {
    used: Vec<u32>,
    new: HashMap<u32, u32>,
}

impl Numbers {
    fn of(&mut self, old: u32) -> u32 {
        *self.new.entry(old).or_insert_with(|| {
            self.used.push(old);
            // As many as there are numbers of the table, which are 32 bits long.
            (self.used.len() - 1) as u32
        })
    }
}

impl Making<'_> {
    fn task(&mut self, task: &TaskSeen) -> ListedTask {
        let points = self.table.points().len();
        let waits = task.waits.iter();
        let waits = waits.filter(|wait| (wait.point.0 as usize) < points);
        ListedTask {
            id: task.id.map(|id| id.0),
            address: task.address,
            scheduler: task.scheduler,
            kind: self.kinds.of(task.kind.0),
            state: task.state,
            waits: waits.map(|wait| self.wait(wait)).collect(),
            holds: task.holds.to_vec(),
        }
    }

    fn wait(&mut self, wait: &Wait) -> ListedWait {
        let file = |number: i32| {
            let what = self.files.and_then(|files| files.get(number));
            WaitedFor::File(number, what.cloned())
        };
        let on = match wait.detail {
            Detail::Unknown => WaitedFor::Unknown,
            Detail::Deadline(end) => {
                let left = i128::from(end.0) - i128::from(self.snapshot.time.0);
                WaitedFor::Timer(i64::try_from(left).unwrap_or(i64::MAX))
            }
            Detail::Descriptor(number) => file(number),
            Detail::Registered(data) => {
                let number = self.files.and_then(|files| files.registered(data));
                number.map_or(WaitedFor::Unknown, file)
            }
            Detail::Task(address) => WaitedFor::Task(address),
            Detail::Object(address) => WaitedFor::Object(address),
        };
        ListedWait {
            point: self.points.of(wait.point.0),
            on,
        }
    }

    fn point(&mut self, point: u32) -> Point {
        let point = &self.table.points()[point as usize];
        let stack = self.table.frames_of(point.stack);
        // The leaf says most, the root next to it: of a stack past all measure, both stay.
        let cut = stack.len().saturating_sub(check::DEPTH);
        let kept = stack.iter().enumerate();
        let kept = kept.filter(|(index, _)| *index == 0 || *index > cut);
        Point {
            stack: kept.map(|(_, frame)| self.frames.of(*frame)).collect(),
            what: point.what,
            type_name: Arc::clone(&point.type_name),
        }
    }
}

fn kind_of(kind: Option<&TaskKind>) -> Kind {
    match kind {
        Some(kind) => Kind {
            name: Arc::clone(&kind.name),
            class: match kind.class {
                TaskClass::Async => KindClass::Async,
                TaskClass::Blocking => KindClass::Blocking,
                TaskClass::BlockOn => KindClass::BlockOn,
                TaskClass::Callback => KindClass::Callback,
            },
        },
        None => Kind {
            name: "?".into(),
            class: KindClass::Async,
        },
    }
}

fn schedulers(seen: &[SchedulerSeen], runtimes: &[RuntimeInfo]) -> Vec<Scheduler> {
    let of = |scheduler: &SchedulerSeen| {
        let runtime = runtimes.get(scheduler.runtime);
        Scheduler {
            name: runtime.map_or_else(|| "?".to_owned(), |runtime| runtime.name.clone()),
            version: runtime.and_then(|runtime| runtime.version.clone()),
            flavor: scheduler.flavor.clone().unwrap_or_default(),
            workers: scheduler.workers,
            queues: scheduler.queues,
        }
    };
    seen.iter().take(check::SCHEDULERS).map(of).collect()
}

#[cfg(test)]
mod tests;
