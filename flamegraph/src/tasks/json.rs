//! The list as JSON: names and shapes are the contract's.

use super::edges::Edges;
use super::{KindPattern, ListedTask, ListedWait, Scheduler, TaskList, WaitedFor};
use crate::profile::{KindClass, Target};
use awaitscope_sampler::{Descriptor, Socket};
use awaitscope_symbolizer::Frame;
use awaitscope_symbolizer::snapshot::{Queues, TaskState, WaitsOn};
use serde::Serialize;
use serde::ser::SerializeSeq as _;

/// The version of the JSON. Fields may be added under the same number, never
/// renamed or re-typed.
const SCHEMA: u32 = 1;

impl TaskList {
    /// The list as JSON, in the shape that `tasks --format json` promises, each task
    /// on a line of its own. With a pattern, only tasks of kinds that fit it; the counts
    /// are of all.
    #[must_use]
    pub fn to_json(&self, target: &Target, kind: Option<&KindPattern>) -> String {
        let edges = Edges::of(self);
        let schedulers: Vec<RuntimeRow<'_>> =
            (0..).zip(&self.schedulers).map(RuntimeRow::of).collect();
        let listed: Vec<(u32, &ListedTask)> = (0..)
            .zip(&self.tasks)
            .filter(|(_, task)| kind.is_none_or(|kind| kind.fits(&self.kind(task.kind).name)))
            .collect();
        let mut json = format!("{{\"schema\":{SCHEMA},\n\"target\":{}", value(target));
        json.push_str(",\n\"runtimes\":");
        json.push_str(&value(&schedulers));
        json.push_str(",\n\"tasks\":[");
        for (place, (index, task)) in listed.iter().enumerate() {
            json.push_str(if place == 0 { "\n" } else { ",\n" });
            json.push_str(&value(&TaskRow::of(self, &edges, *index, task)));
        }
        json.push_str("\n],\n\"counts\":");
        json.push_str(&value(&self.counts(listed.len())));
        json.push_str(",\n\"took_ms\":");
        json.push_str(&value(&ms(self.took_ns)));
        json.push_str(",\"stopped_ms\":");
        json.push_str(&value(&self.stopped_ns.map(ms)));
        json.push_str("}\n");
        json
    }

    fn counts(&self, listed: usize) -> Counts {
        let [running, ready, suspended, complete] = self.by_state();
        Counts {
            live: self.live(),
            torn: self.torn,
            unresolved: self.unresolved,
            running,
            ready,
            suspended,
            complete,
            listed,
            omitted: self.omitted(),
        }
    }

    /// How many tasks run, are ready, suspended, complete.
    pub(super) fn by_state(&self) -> [u64; 4] {
        let mut counts = [0_u64; 4];
        let tasks = self.tasks.iter().map(|task| (task.state, 1));
        let omitted = self.omitted.iter().map(|rest| (rest.state, rest.count));
        for (state, count) in tasks.chain(omitted) {
            let place = match state {
                TaskState::Running => 0,
                TaskState::Ready => 1,
                TaskState::Suspended => 2,
                TaskState::Complete => 3,
            };
            counts[place] = counts[place].saturating_add(count);
        }
        counts
    }
}

/// Serializing to a string fails only for maps with odd keys and for types that
/// refuse; there are none here.
fn value(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[derive(Serialize)]
struct RuntimeRow<'a> {
    index: u32,
    name: &'a str,
    version: Option<&'a str>,
    flavor: &'a str,
    workers: u32,
    queues: Queues,
}

impl<'a> RuntimeRow<'a> {
    fn of((index, scheduler): (u32, &'a Scheduler)) -> Self {
        Self {
            index,
            name: &scheduler.name,
            version: scheduler.version.as_deref(),
            flavor: &scheduler.flavor,
            workers: scheduler.workers,
            queues: scheduler.queues,
        }
    }
}

#[derive(Serialize)]
struct Counts {
    live: u64,
    torn: u32,
    unresolved: u32,
    running: u64,
    ready: u64,
    suspended: u64,
    complete: u64,
    /// In `tasks`.
    listed: usize,
    /// In no list, because the profile keeps only so many.
    omitted: u64,
}

#[derive(Serialize)]
struct TaskRow<'a> {
    id: String,
    runtime: u32,
    kind: &'a str,
    class: KindClass,
    /// Tokio keeps no names where they could be read.
    name: (),
    state: TaskState,
    stack: Stack<'a>,
    waits_on: Option<WaitRow<'a>>,
    awaited_by: Vec<String>,
    branches: Vec<Branch<'a>>,
    address: String,
    holds: Vec<String>,
}

#[derive(Serialize)]
struct Branch<'a> {
    stack: Stack<'a>,
    waits_on: WaitRow<'a>,
}

impl<'a> TaskRow<'a> {
    fn of(list: &'a TaskList, edges: &Edges, index: u32, task: &'a ListedTask) -> Self {
        let kind = list.kind(task.kind);
        let named = |others: &[u32]| {
            let others = others
                .iter()
                .filter_map(|task| list.tasks.get(*task as usize));
            others.map(ListedTask::name).collect()
        };
        let (first, more) = match task.waits.split_first() {
            Some((first, more)) => (Some(first), more),
            None => (None, &[][..]),
        };
        let stack = |wait: &ListedWait| Stack {
            list,
            frames: &list.point(wait.point).stack,
        };
        let waits_on = |wait: &'a ListedWait| WaitRow::of(list, edges, wait);
        let nothing = Stack { list, frames: &[] };
        Self {
            id: task.name(),
            runtime: task.scheduler,
            kind: &kind.name,
            class: kind.class,
            name: (),
            state: task.state,
            stack: first.map_or(nothing, stack),
            waits_on: first.map(waits_on),
            awaited_by: named(edges.awaited_by(index)),
            branches: more
                .iter()
                .map(|wait| Branch {
                    stack: stack(wait),
                    waits_on: waits_on(wait),
                })
                .collect(),
            address: format!("{:#x}", task.address),
            holds: task.holds.iter().map(|lock| format!("{lock:#x}")).collect(),
        }
    }
}

/// Frames from the root to the leaf.
struct Stack<'a> {
    list: &'a TaskList,
    frames: &'a [u32],
}

impl Serialize for Stack<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut stack = serializer.serialize_seq(Some(self.frames.len()))?;
        for frame in self.frames {
            let frame: &Frame = self.list.frame(*frame);
            stack.serialize_element(frame)?;
        }
        stack.end()
    }
}

/// What a task waits for. Which of the fields after the type are there, depends on it.
#[derive(Serialize)]
struct WaitRow<'a> {
    what: WaitsOn,
    #[serde(rename = "type")]
    type_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptor: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<AwaitedRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<Vec<String>>,
}

/// A task that another waits for. Its kind is unknown if it is in no list.
#[derive(Serialize)]
struct AwaitedRow<'a> {
    id: String,
    kind: Option<&'a str>,
}

impl<'a> WaitRow<'a> {
    fn of(list: &'a TaskList, edges: &Edges, wait: &'a ListedWait) -> Self {
        let point = list.point(wait.point);
        let mut row = Self {
            what: point.what,
            type_name: &point.type_name,
            remaining_ms: None,
            descriptor: None,
            protocol: None,
            local: None,
            peer: None,
            path: None,
            task: None,
            object: None,
            held_by: None,
        };
        match &wait.on {
            WaitedFor::Unknown => {}
            WaitedFor::Timer(left) => row.remaining_ms = Some(*left as f64 / 1e6),
            WaitedFor::File(number, what) => {
                row.descriptor = Some(*number);
                row.describe(what.as_ref());
            }
            WaitedFor::Task(address) => {
                let task = edges.task_at(*address);
                let task = task.and_then(|task| list.tasks.get(task as usize));
                row.task = Some(match task {
                    Some(task) => AwaitedRow {
                        id: task.name(),
                        kind: Some(&list.kind(task.kind).name),
                    },
                    None => AwaitedRow {
                        id: format!("{address:#x}"),
                        kind: None,
                    },
                });
            }
            WaitedFor::Object(address) => {
                row.object = Some(format!("{address:#x}"));
                let holders = edges.holders(*address).iter();
                let holders = holders.filter_map(|task| list.tasks.get(*task as usize));
                let holders: Vec<String> = holders.map(ListedTask::name).collect();
                row.held_by = (!holders.is_empty()).then_some(holders);
            }
        }
        row
    }

    fn describe(&mut self, file: Option<&'a Descriptor>) {
        match file {
            Some(Descriptor::Socket(socket)) => {
                let Socket {
                    protocol,
                    local,
                    peer,
                    ..
                } = socket;
                self.protocol = Some(protocol.name());
                self.local = local.as_deref();
                self.peer = peer.as_deref();
            }
            Some(Descriptor::File(path) | Descriptor::Other(path)) => self.path = Some(path),
            Some(Descriptor::Pipe) => self.path = Some("pipe"),
            None => {}
        }
    }
}
