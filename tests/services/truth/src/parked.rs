//! Tasks that are parked at known places, and what the running service knows of
//! them: their ids, when their timers end, what their sockets are called.
//!
//! Where they wait is said by markers in the source (see [`marker`](crate::marker)):
//!
//! ```ignore
//! async fn outer() {
//!     inner().await; //~ await nested 0 service::outer
//! }
//! async fn inner() {
//!     sleep(FAR).await; //~ await nested 1 service::inner | timer
//! }
//! ```

use crate::clock;
use crate::json::{Object, array};
use crate::marker::Sources;
use crate::tree::{Leaf, leaves};
use std::fmt::{Debug, Display};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What sort of task it is.
#[derive(Clone, Copy)]
pub enum Class {
    /// A spawned future.
    Async,
    /// A closure for the blocking pool.
    Blocking,
    /// A future that a thread blocks on; it is in no list of tasks, and has no id.
    Root,
}

/// What the runtime does with it.
#[derive(Clone, Copy)]
pub enum State {
    /// Being polled, or, of a closure, being run.
    Running,
    /// It waits.
    Suspended,
    /// Woken, and waiting for a worker.
    Ready,
    /// Done, or aborted.
    Complete,
}

struct Task {
    name: &'static str,
    id: Option<u64>,
    class: Class,
    state: State,
}

struct Detail {
    leaf: &'static str,
    known: Known,
}

enum Known {
    DeadlineNs(u64),
    Address(&'static str, String),
    /// The name of the task that is waited for.
    Joins(&'static str),
    /// The name of the task that has the lock.
    HeldBy(&'static str),
}

struct Registry {
    tasks: Vec<Task>,
    details: Vec<Detail>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    tasks: Vec::new(),
    details: Vec::new(),
});

fn with_registry<R>(work: impl FnOnce(&mut Registry) -> R) -> R {
    work(&mut REGISTRY.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Says that a task was spawned whose leaves are called `name` or `name.…`, and in
/// which state it will be. Its id is in the `Debug` form of `handle`.
pub fn task(name: &'static str, class: Class, state: State, handle: &impl Debug) {
    task_at(name, class, state, crate::task_id(handle));
}

/// The same, of a task whose id is known.
pub fn task_at(name: &'static str, class: Class, state: State, id: u64) {
    with_registry(|registry| {
        registry.tasks.push(Task {
            name,
            id: Some(id),
            class,
            state,
        });
    });
}

/// Says that a thread blocks on the future `name`.
pub fn root(name: &'static str) {
    with_registry(|registry| {
        registry.tasks.push(Task {
            name,
            id: None,
            class: Class::Root,
            state: State::Suspended,
        });
    });
}

/// The timer that the leaf waits on is to end `after` so long from now.
pub fn deadline(leaf: &'static str, after: Duration) {
    let at = clock::monotonic() + after.as_nanos() as u64;
    knows(leaf, Known::DeadlineNs(at));
}

/// The address of the leaf's socket.
pub fn local(leaf: &'static str, address: impl Display) {
    knows(leaf, Known::Address("local", address.to_string()));
}

/// The address at the other end of the leaf's socket.
pub fn peer(leaf: &'static str, address: impl Display) {
    knows(leaf, Known::Address("peer", address.to_string()));
}

/// The leaf waits for the task of that name to end.
pub fn joins(leaf: &'static str, task: &'static str) {
    knows(leaf, Known::Joins(task));
}

/// The leaf waits for something that the task of that name holds.
pub fn held_by(leaf: &'static str, task: &'static str) {
    knows(leaf, Known::HeldBy(task));
}

fn knows(leaf: &'static str, known: Known) {
    with_registry(|registry| registry.details.push(Detail { leaf, known }));
}

/// Writes every task with its tree.
pub(crate) fn describe(sources: Sources, into: &mut Object) {
    let leaves = leaves(sources);
    with_registry(|registry| {
        let tasks = registry
            .tasks
            .iter()
            .map(|task| registry.told(task, &leaves));
        into.raw("waits", &array(tasks));
    });
    crate::crowd::describe(&leaves, into);
}

impl Registry {
    fn told(&self, task: &Task, leaves: &[Leaf]) -> String {
        let mut object = Object::new();
        object
            .text("name", task.name)
            .raw("id", &task.id.map_or("null".into(), |id| id.to_string()))
            .text("class", task.class.name())
            .text("state", task.state.name());
        let own = leaves.iter().filter(|leaf| leaf.task() == task.name);
        object.raw("leaves", &array(own.map(|leaf| self.leaf(leaf))));
        object.end()
    }

    fn leaf(&self, leaf: &Leaf) -> String {
        let mut object = leaf.object();
        for detail in self
            .details
            .iter()
            .filter(|detail| detail.leaf == leaf.name)
        {
            match &detail.known {
                Known::DeadlineNs(at) => object.number("deadline_ns", *at),
                Known::Address(name, address) => object.text(name, address),
                Known::Joins(task) => self.id_of(&mut object, "task", task),
                Known::HeldBy(task) => self.id_of(&mut object, "holder", task),
            };
        }
        object.end()
    }

    fn id_of<'a>(&self, into: &'a mut Object, member: &str, name: &str) -> &'a mut Object {
        let task = self.tasks.iter().find(|task| task.name == name);
        match task.and_then(|task| task.id) {
            Some(id) => into.number(member, id),
            None => into,
        }
    }
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Blocking => "blocking",
            Self::Root => "root",
        }
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Ready => "ready",
            Self::Complete => "complete",
        }
    }
}
