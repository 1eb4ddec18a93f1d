//! Tasks by the ten thousand: counted by kind, not told one by one.

use crate::json::{Object, array};
use crate::tree::Leaf;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// All tasks of one kind, whose leaves are called `name` or `name.…`.
pub struct Crowd {
    name: &'static str,
    parked: bool,
    spawned: AtomicU64,
    finished: AtomicU64,
    first_id: AtomicU64,
    last_id: AtomicU64,
}

static CROWDS: Mutex<Vec<&'static Crowd>> = Mutex::new(Vec::new());
static OPS: AtomicU64 = AtomicU64::new(0);

impl Crowd {
    /// A new crowd, which the truth then tells of. Its tasks come and go, or at least
    /// they move.
    pub fn moving(name: &'static str) -> &'static Self {
        Self::new(name, false)
    }

    /// A crowd whose tasks are all suspended where its markers say, and whose ids are one
    /// range.
    pub fn parked(name: &'static str) -> &'static Self {
        Self::new(name, true)
    }

    fn new(name: &'static str, parked: bool) -> &'static Self {
        let crowd: &'static Self = Box::leak(Box::new(Self {
            name,
            parked,
            spawned: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            first_id: AtomicU64::new(0),
            last_id: AtomicU64::new(0),
        }));
        crowds(|crowds| crowds.push(crowd));
        crowd
    }

    /// Counts a task that is about to be spawned.
    pub fn spawning(&self) {
        self.spawned.fetch_add(1, Relaxed);
    }

    /// Says that `handle` is the first task, or the last one so far: all of the crowd
    /// have ids from the one to the other.
    pub fn reaches(&self, handle: &impl Debug) {
        let id = crate::task_id(handle);
        let _ = self.first_id.compare_exchange(0, id, Relaxed, Relaxed);
        self.last_id.fetch_max(id, Relaxed);
    }

    /// Counts a task that has run to its end.
    pub fn finished(&self) {
        self.finished.fetch_add(1, Relaxed);
    }
}

/// Counts one more piece of work that the service did beside.
pub fn op() {
    OPS.fetch_add(1, Relaxed);
}

fn crowds<R>(work: impl FnOnce(&mut Vec<&'static Crowd>) -> R) -> R {
    work(&mut CROWDS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Writes every crowd with the tree that its tasks have.
pub(crate) fn describe(leaves: &[Leaf], into: &mut Object) {
    crowds(|crowds| {
        let told = crowds.iter().map(|crowd| {
            let own = leaves.iter().filter(|leaf| leaf.task() == crowd.name);
            // Read first: what has finished was spawned.
            let finished = crowd.finished.load(Relaxed);
            let mut object = Object::new();
            object
                .text("name", crowd.name)
                .raw("parked", &crowd.parked.to_string())
                .number("spawned", crowd.spawned.load(Relaxed))
                .number("finished", finished)
                .number("first_id", crowd.first_id.load(Relaxed))
                .number("last_id", crowd.last_id.load(Relaxed))
                .raw("leaves", &array(own.map(|leaf| leaf.object().end())));
            object.end()
        });
        into.raw("crowds", &array(told));
    });
    into.number("ops", OPS.load(Relaxed));
}
