//! What the types of smol's packages wait for, and where they say on which thing.

use crate::futures::Rule;
use crate::names::SourceFile;
use crate::runtime::rust::leaves::Leaves;
use crate::snapshot::WaitsOn;

/// Types that wait by themselves.
const LEAVES: &[(&str, Option<WaitsOn>, Rule)] = &[
    (
        "async_io::Timer",
        Some(WaitsOn::Timer),
        Rule::Deadline("when"),
    ),
    (
        "async_io::reactor::Ready",
        None,
        Rule::DescriptorBehind("handle"),
    ),
    ("async_channel::Recv", Some(WaitsOn::Channel), Rule::None),
    ("async_channel::Send", Some(WaitsOn::Channel), Rule::None),
    (
        "async_lock::mutex::Lock",
        Some(WaitsOn::Lock),
        Rule::Object("mutex"),
    ),
    (
        "async_lock::semaphore::Acquire",
        Some(WaitsOn::Lock),
        Rule::Object("semaphore"),
    ),
    (
        "async_task::task::Task",
        Some(WaitsOn::Task),
        Rule::Task("ptr"),
    ),
    (
        "async_task::task::FallibleTask",
        Some(WaitsOn::Task),
        Rule::Task("ptr"),
    ),
    ("event_listener::EventListener", None, Rule::Object("event")),
];

/// What an async function or a type of a library waits for, by the beginning of its path.
const LIBRARIES: &[(&str, WaitsOn)] = &[
    ("async_channel::", WaitsOn::Channel),
    ("async_fs::", WaitsOn::Task),
    ("async_io::Timer", WaitsOn::Timer),
    ("async_io::", WaitsOn::Io),
    ("async_lock::", WaitsOn::Lock),
    ("async_net::", WaitsOn::Socket),
    ("async_process::", WaitsOn::Other),
    ("async_signal::", WaitsOn::Other),
    ("blocking::", WaitsOn::Task),
    ("futures_channel::", WaitsOn::Channel),
];

/// The same by words in a type's name.
const WORDS: &[(&[&str], WaitsOn)] = &[
    (
        &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "UnixListener",
            "UnixDatagram",
        ],
        WaitsOn::Socket,
    ),
    (
        &["async_channel", "::mpsc::", "::oneshot::", "channel"],
        WaitsOn::Channel,
    ),
    (
        &[
            "Mutex",
            "RwLock",
            "Semaphore",
            "Barrier",
            "OnceCell",
            "event_listener",
        ],
        WaitsOn::Lock,
    ),
    (&["Timer", "Sleep", "Delay"], WaitsOn::Timer),
    (&["async_task::"], WaitsOn::Task),
    (&["async_io::", "::io::"], WaitsOn::Io),
];

/// Guards of locks: the member that leads to the lock, and the type that stands for it.
const GUARDS: &[(&str, &str, &str)] = &[
    (
        "async_lock::mutex::MutexGuard",
        "__0",
        "async_lock::mutex::Mutex",
    ),
    (
        "async_lock::mutex::MutexGuardArc",
        "__0",
        "async_lock::mutex::Mutex",
    ),
    (
        "async_lock::semaphore::SemaphoreGuard",
        "__0",
        "async_lock::semaphore::Semaphore",
    ),
    (
        "async_lock::semaphore::SemaphoreGuardArc",
        "__0",
        "async_lock::semaphore::Semaphore",
    ),
];

/// What is known of the types of smol's packages.
pub(super) const SMOL: Leaves = Leaves {
    types: LEAVES,
    functions: LIBRARIES,
    words: WORDS,
    packages: LIBRARIES,
    guards: GUARDS,
    is_glue,
    only_works,
};

fn is_glue(file: &SourceFile) -> bool {
    let packages = ["async-executor-", "async-task-", "futures-lite-"];
    packages
        .iter()
        .any(|package| file.short.starts_with(package))
}

/// `let run_forever = async { … }` in `State::run` (async-executor 1, `lib.rs`).
fn only_works(path: &str) -> bool {
    path.starts_with("async_executor::") && path.contains("::run::{async_fn#0}::{async_block_env#")
}
