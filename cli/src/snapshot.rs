//! One snapshot of a process, made into a list.

use awaitscope_flamegraph::TaskList;
use awaitscope_sampler::{Error, Nanos, Process, Stopped};
use awaitscope_symbolizer::snapshot::{Snapshot, Snapshotter};
use std::time::Duration;

/// How often a process is looked at in which no scheduler was found: a thread tells where
/// its thread-local storage is only while it sleeps.
const TRIES: u32 = 20;

/// Between two of these.
const PAUSE: Duration = Duration::from_millis(10);

/// The tasks of a process that goes on running.
pub fn running(snapshotter: &mut Snapshotter, process: &dyn Process) -> TaskList {
    let mut snapshot = snapshotter.take();
    for _ in 0..TRIES {
        if snapshotter.runtimes().is_empty() || !snapshot.schedulers.is_empty() {
            break;
        }
        std::thread::sleep(PAUSE);
        snapshotter.look_again();
        snapshot = snapshotter.take();
    }
    list(snapshotter, &snapshot, process)
}

/// The tasks of a process that is stopped meanwhile.
pub fn standing(snapshotter: &mut Snapshotter, process: &dyn Process) -> anyhow::Result<TaskList> {
    // What takes long is done before: reading the types, and looking at every task once.
    running(snapshotter, process);
    let (snapshot, stopped_for) = stopped(snapshotter, process)?;
    let mut list = list(snapshotter, &snapshot, process);
    list.stopped_ns = Some(stopped_for.0);
    Ok(list)
}

fn stopped(
    snapshotter: &mut Snapshotter,
    process: &dyn Process,
) -> Result<(Snapshot, Nanos), Error> {
    let stopped = Stopped::stop(process.pid())?;
    // Threads that never slept sleep now.
    snapshotter.look_again();
    let snapshot = snapshotter.take();
    let stopped_for = stopped.elapsed();
    drop(stopped);
    Ok((snapshot, stopped_for))
}

/// A snapshot as a list, with what the descriptors are that tasks wait for.
pub fn list(snapshotter: &Snapshotter, snapshot: &Snapshot, process: &dyn Process) -> TaskList {
    let files = if TaskList::needs_files(snapshot) {
        process.open_files()
    } else {
        None
    };
    TaskList::of(
        snapshot,
        snapshotter.table(),
        snapshotter.runtimes(),
        files.as_ref(),
    )
}
