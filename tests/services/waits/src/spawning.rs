//! How tasks are started, in the flavour of runtime that was chosen.

use std::fmt::Debug;
use std::future::Future;
use std::sync::OnceLock;
use tokio::task::{AbortHandle, JoinHandle, JoinSet, spawn_blocking, spawn_local};
use truth::parked::{Class, State, task};

/// Which sort of runtime has the tasks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// Several workers.
    Multi,
    /// One thread that blocks on a future.
    Current,
    /// The same, with all tasks in a `LocalSet`.
    Local,
}

static CHOSEN: OnceLock<Flavor> = OnceLock::new();

impl Flavor {
    pub fn named(name: &str) -> Self {
        match name {
            "multi" => Self::Multi,
            "current" => Self::Current,
            "local" => Self::Local,
            _ => {
                eprintln!("there is no flavor {name:?}; known: multi, current, local");
                std::process::exit(2);
            }
        }
    }
}

/// To be called before anything is spawned.
pub fn choose(flavor: Flavor) {
    let _ = CHOSEN.set(flavor);
}

fn chosen() -> Flavor {
    CHOSEN.get().copied().unwrap_or(Flavor::Multi)
}

pub fn workers() -> usize {
    if has_several_workers() { 2 } else { 1 }
}

pub fn has_several_workers() -> bool {
    chosen() == Flavor::Multi
}

/// Spawns a task that will be suspended in the leaves called `name` or `name.…`.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Debug + Send + 'static,
{
    spawn_as(name, State::Suspended, future)
}

/// Spawns a task that will be in that state.
pub fn spawn_as<F>(name: &'static str, state: State, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Debug + Send + 'static,
{
    let handle = match chosen() {
        Flavor::Local => spawn_local(future),
        Flavor::Multi | Flavor::Current => tokio::spawn(future),
    };
    task(name, Class::Async, state, &handle);
    handle
}

/// Spawns a member of the set.
pub fn in_join_set<F>(set: &mut JoinSet<F::Output>, future: F) -> AbortHandle
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match chosen() {
        Flavor::Local => set.spawn_local(future),
        Flavor::Multi | Flavor::Current => set.spawn(future),
    }
}

/// Gives the blocking pool a closure.
pub fn blocking<R>(
    name: &'static str,
    state: State,
    closure: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R>
where
    R: Debug + Send + 'static,
{
    let handle = spawn_blocking(closure);
    task(name, Class::Blocking, state, &handle);
    handle
}
