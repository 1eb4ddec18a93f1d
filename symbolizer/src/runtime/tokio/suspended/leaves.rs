//! What Tokio's own types wait for, and where they say on which thing.

use super::super::running;
use crate::futures::Rule;
use crate::names::SourceFile;
use crate::runtime::rust::leaves::Leaves;
use crate::snapshot::WaitsOn;

/// What stands for a lock of any sort: mutexes, read-write locks and semaphores have
/// one each (tokio `sync/batch_semaphore.rs`).
const SEMAPHORE: &str = "tokio::sync::batch_semaphore::Semaphore";

/// Types that wait by themselves. What for is `None` where a lock is also what a
/// channel is made of.
const LEAVES: &[(&str, Option<WaitsOn>, Rule)] = &[
    (
        "tokio::time::sleep::Sleep",
        Some(WaitsOn::Timer),
        Rule::Deadline("deadline"),
    ),
    (
        "tokio::sync::batch_semaphore::Acquire",
        None,
        Rule::Object("semaphore"),
    ),
    (
        "tokio::sync::notify::Notified",
        None,
        Rule::Object("notify"),
    ),
    (
        "tokio::sync::oneshot::Receiver",
        Some(WaitsOn::Channel),
        Rule::Object("inner"),
    ),
    (
        "tokio::sync::mpsc::chan::Rx",
        Some(WaitsOn::Channel),
        Rule::Object("inner"),
    ),
    (
        "tokio::sync::broadcast::Recv",
        Some(WaitsOn::Channel),
        Rule::None,
    ),
    (
        "tokio::runtime::task::join::JoinHandle",
        Some(WaitsOn::Task),
        Rule::Task("raw"),
    ),
    (
        "tokio::runtime::io::scheduled_io::Readiness",
        None,
        Rule::Registered("scheduled_io"),
    ),
    (
        "tokio::io::poll_evented::PollEvented",
        None,
        Rule::Descriptor,
    ),
    (
        "tokio::net::tcp::split_owned::OwnedReadHalf",
        Some(WaitsOn::Socket),
        Rule::DescriptorBehind("inner"),
    ),
    (
        "tokio::net::tcp::split_owned::OwnedWriteHalf",
        Some(WaitsOn::Socket),
        Rule::DescriptorBehind("inner"),
    ),
    (
        "tokio::net::tcp::split::ReadHalf",
        Some(WaitsOn::Socket),
        Rule::DescriptorBehind("__0"),
    ),
    (
        "tokio::net::tcp::split::WriteHalf",
        Some(WaitsOn::Socket),
        Rule::DescriptorBehind("__0"),
    ),
    (
        "tokio::net::unix::split_owned::OwnedReadHalf",
        Some(WaitsOn::Socket),
        Rule::DescriptorBehind("inner"),
    ),
    (
        "tokio::net::unix::split_owned::OwnedWriteHalf",
        Some(WaitsOn::Socket),
        Rule::DescriptorBehind("inner"),
    ),
    (
        "tokio::net::unix::split::ReadHalf",
        Some(WaitsOn::Socket),
        Rule::DescriptorBehind("__0"),
    ),
    (
        "tokio::net::unix::split::WriteHalf",
        Some(WaitsOn::Socket),
        Rule::DescriptorBehind("__0"),
    ),
    (
        "tokio::io::split::ReadHalf",
        None,
        Rule::DescriptorBehind("inner"),
    ),
    (
        "tokio::io::split::WriteHalf",
        None,
        Rule::DescriptorBehind("inner"),
    ),
    (
        "tokio::io::async_fd::AsyncFd",
        Some(WaitsOn::Io),
        Rule::Descriptor,
    ),
];

/// Guards: the member that leads to the lock, and what stands for it.
const GUARDS: &[(&str, &str, &str)] = &[
    ("tokio::sync::mutex::MutexGuard", "lock", SEMAPHORE),
    ("tokio::sync::mutex::OwnedMutexGuard", "lock", SEMAPHORE),
    (
        "tokio::sync::rwlock::read_guard::RwLockReadGuard",
        "s",
        SEMAPHORE,
    ),
    (
        "tokio::sync::rwlock::write_guard::RwLockWriteGuard",
        "s",
        SEMAPHORE,
    ),
    (
        "tokio::sync::rwlock::owned_read_guard::OwnedRwLockReadGuard",
        "lock",
        SEMAPHORE,
    ),
    (
        "tokio::sync::rwlock::owned_write_guard::OwnedRwLockWriteGuard",
        "lock",
        SEMAPHORE,
    ),
    ("tokio::sync::semaphore::SemaphorePermit", "sem", SEMAPHORE),
    (
        "tokio::sync::semaphore::OwnedSemaphorePermit",
        "sem",
        SEMAPHORE,
    ),
];

/// What an async function of a library waits for, by the beginning of its path. The
/// first that fits counts.
const LIBRARIES: &[(&str, WaitsOn)] = &[
    ("tokio::sync::mpsc::", WaitsOn::Channel),
    ("tokio::sync::oneshot::", WaitsOn::Channel),
    ("tokio::sync::broadcast::", WaitsOn::Channel),
    ("tokio::sync::watch::", WaitsOn::Channel),
    ("tokio::sync::", WaitsOn::Lock),
    ("tokio::time::", WaitsOn::Timer),
    ("tokio::net::unix::pipe::", WaitsOn::Io),
    ("tokio::net::", WaitsOn::Socket),
    ("tokio::io::async_fd::", WaitsOn::Io),
    ("tokio::fs::", WaitsOn::Task),
    ("tokio::task::", WaitsOn::Task),
    ("tokio::process::", WaitsOn::Other),
    ("tokio::signal::", WaitsOn::Other),
];

/// The same by words in a type's name.
const WORDS: &[(&[&str], WaitsOn)] = &[
    (&["mio::net::"], WaitsOn::Socket),
    (
        &[
            "tokio::sync::mpsc",
            "tokio::sync::watch",
            "tokio::sync::broadcast",
            "::mpsc::",
            "channel",
        ],
        WaitsOn::Channel,
    ),
    (
        &["Mutex", "RwLock", "Semaphore", "Notif", "event_listener"],
        WaitsOn::Lock,
    ),
    (
        &["::Sleep", "Interval", "::timer::", "::Timer"],
        WaitsOn::Timer,
    ),
    (
        &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "UnixListener",
        ],
        WaitsOn::Socket,
    ),
    (&["JoinHandle", "JoinSet"], WaitsOn::Task),
    (&["::io::", "poll_evented"], WaitsOn::Io),
];

/// What is known of Tokio's types.
pub(super) const TOKIO: Leaves = Leaves {
    types: LEAVES,
    functions: LIBRARIES,
    words: WORDS,
    packages: &[],
    guards: GUARDS,
    is_glue,
    only_works: |_| false,
};

fn is_glue(file: &SourceFile) -> bool {
    let inside = |folder: &str| file.short.contains(folder);
    running::is_tokio_file(&file.short)
        && (inside("/src/runtime/") || inside("/src/trace.rs") || inside("/src/task/coop"))
}
