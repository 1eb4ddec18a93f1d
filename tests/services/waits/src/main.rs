//! Tasks that are suspended at every sort of await point. All of them stay where they
//! are, and where that is stands in the source, on the very lines.
//!
//! `--flavor multi` (two workers) is what runs without it; `current` is a runtime of one
//! thread, and `local` a `LocalSet` on one.
//! `--only NAME` starts the tasks of one file: functions, boxes, combined, sets, leaves,
//! locks, channels, tasks. `--starve` holds every worker, and nothing else.

mod boxes;
mod channels;
mod combined;
mod functions;
mod leaves;
mod locks;
mod sets;
mod spawning;
mod tasks;

use spawning::{Flavor, blocking, has_several_workers, in_join_set, spawn, spawn_as, workers};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use truth::control::{Args, serve};
use truth::marker::Sources;
use truth::parked;

/// Later than any of us will see.
const FAR: Duration = Duration::from_secs(7200);

/// So many closures run at once on the blocking pool.
const POOL: usize = 2;

const SOURCES: Sources = &[
    ("src/boxes.rs", include_str!("boxes.rs")),
    ("src/channels.rs", include_str!("channels.rs")),
    ("src/combined.rs", include_str!("combined.rs")),
    ("src/functions.rs", include_str!("functions.rs")),
    ("src/leaves.rs", include_str!("leaves.rs")),
    ("src/locks.rs", include_str!("locks.rs")),
    ("src/main.rs", include_str!("main.rs")),
    ("src/sets.rs", include_str!("sets.rs")),
    ("src/tasks.rs", include_str!("tasks.rs")),
];

fn main() {
    let args: &'static Args = Box::leak(Box::new(Args::read_with(&["--flavor"], &["--starve"])));
    let flavor = Flavor::named(args.option("--flavor").unwrap_or("multi"));
    spawning::choose(flavor);
    let (started, all_started) = mpsc::channel();
    // Not the main thread, which answers.
    thread::spawn(move || match flavor {
        Flavor::Multi => {
            let runtime = runtime(Builder::new_multi_thread().worker_threads(workers()));
            let _inside = runtime.enter();
            start(args);
            let _ = started.send(());
            thread::park();
        }
        Flavor::Current => {
            let runtime = runtime(&mut Builder::new_current_thread());
            parked::root("root");
            runtime.block_on(root(args, started));
        }
        Flavor::Local => {
            let runtime = runtime(&mut Builder::new_current_thread());
            parked::root("root");
            LocalSet::new().block_on(&runtime, root(args, started));
        }
    });
    let _ = all_started.recv();
    serve(args, "waits", SOURCES, "")
}

fn runtime(builder: &mut Builder) -> Runtime {
    builder
        .enable_all()
        .max_blocking_threads(POOL)
        .build()
        .expect("a runtime")
}

async fn root(args: &'static Args, started: mpsc::Sender<()>) {
    start(args);
    let _ = started.send(());
    tokio::time::sleep(FAR).await; //~ await root 0 waits::root | timer
}

fn start(args: &Args) {
    if args.has("--starve") {
        return tasks::starve();
    }
    let parts: [(&str, fn()); 8] = [
        ("functions", functions::start),
        ("boxes", boxes::start),
        ("combined", combined::start),
        ("sets", sets::start),
        ("leaves", leaves::start),
        ("locks", locks::start),
        ("channels", channels::start),
        ("tasks", tasks::start),
    ];
    for (name, part) in parts {
        if args.wants(name) {
            part();
        }
    }
}
