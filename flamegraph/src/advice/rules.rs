//! The table of advice.

use crate::profile::Cause;

/// One piece of advice.
pub(super) struct Rule {
    /// Patterns of the functions it is about, as in [`fits`](crate::path::fits); any of them.
    pub(super) functions: &'static [&'static str],
    /// The system calls it is about, where that matters; any of them.
    pub(super) syscalls: &'static [&'static str],
    /// The causes it is about.
    pub(super) causes: &'static [Cause],
    /// How the call is named to the user.
    pub(super) call: Call,
    /// The runtime whose tasks it is about; any, if none is named.
    pub(super) runtime: Option<&'static str>,
    /// What to do instead.
    pub(super) advice: &'static str,
}

/// How the call that holds the worker is named.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// By this name, wherever the standard library keeps it by now.
    Is(&'static str),
    /// By its own path.
    Itself,
    /// Not at all: it is ordinary work, and the user's function is to be named.
    Work,
}

/// Waiting of any sort: a slow disk also shows as page faults, and what the
/// kernel copies from its cache as computing.
pub(super) const WAITING: &[Cause] = &[Cause::Syscall, Cause::Fault];
pub(super) const READING: &[Cause] = &[Cause::Syscall, Cause::Fault, Cause::Cpu];
pub(super) const SLEEPING: &[Cause] = &[Cause::Syscall];
pub(super) const COMPUTING: &[Cause] = &[Cause::Cpu];

/// A rule about calls of tasks on a runtime.
pub(super) const fn calls(
    runtime: &'static str,
    functions: &'static [&'static str],
    causes: &'static [Cause],
    call: Call,
    advice: &'static str,
) -> Rule {
    Rule {
        functions,
        syscalls: &[],
        causes,
        call,
        runtime: Some(runtime),
        advice,
    }
}

/// A rule about a system call of tasks on a runtime.
pub(super) const fn syscalls(
    runtime: &'static str,
    syscalls: &'static [&'static str],
    call: Call,
    advice: &'static str,
) -> Rule {
    Rule {
        syscalls,
        ..calls(runtime, &[], SLEEPING, call, advice)
    }
}

/// A rule about tasks on Tokio.
const fn tokio(
    functions: &'static [&'static str],
    causes: &'static [Cause],
    call: Call,
    advice: &'static str,
) -> Rule {
    calls("tokio", functions, causes, call, advice)
}

/// A rule about a system call of a task on Tokio.
const fn tokio_syscalls(names: &'static [&'static str], advice: &'static str) -> Rule {
    syscalls("tokio", names, Call::Work, advice)
}

/// A rule about a cause, on any runtime.
const fn cause(causes: &'static [Cause], advice: &'static str) -> Rule {
    Rule {
        functions: &[],
        syscalls: &[],
        causes,
        call: Call::Work,
        runtime: None,
        advice,
    }
}

#[rustfmt::skip]
pub(super) static RULES: &[Rule] = &[
    // Sleeping.
    tokio(&["std::thread::**::sleep", "std::thread::**::sleep_ms", "std::thread::**::sleep_until"],
        SLEEPING, Call::Is("std::thread::sleep"),
        "use tokio::time::sleep"),
    tokio(&["std::thread::**::park", "std::thread::**::park_timeout"],
        SLEEPING, Call::Is("std::thread::park"),
        "wait with tokio::sync::Notify, or on a thread of its own"),

    // Files.
    tokio(&["std::fs::**", "std::path::Path::exists", "std::path::Path::is_file",
            "std::path::Path::is_dir", "std::path::Path::metadata", "std::path::Path::canonicalize"],
        READING, Call::Itself,
        "use tokio::fs, or do the file work in tokio::task::spawn_blocking"),
    tokio(&["std::io::**::_print", "std::io::**::_eprint", "std::io::**::Stdout::*",
            "std::io::**::StdoutLock::*", "std::io::**::Stderr::*", "std::io::**::StderrLock::*"],
        SLEEPING, Call::Itself,
        "printing waits for whoever reads the output: log through a non-blocking writer \
         (tracing_appender::non_blocking), or print less"),
    tokio(&["std::io::**::Stdin::*", "std::io::**::StdinLock::*"],
        SLEEPING, Call::Itself,
        "read standard input on a thread of its own and send the lines through tokio::sync::mpsc"),

    // Locks.
    tokio(&["std::sync::**::Mutex::lock", "std::sync::**::ReentrantLock::lock",
            "std::sys::sync::mutex::**"],
        SLEEPING, Call::Is("std::sync::Mutex::lock"),
        "do not hold this lock during slow work: shorten the critical section, or use \
         tokio::sync::Mutex if it must be held across an .await"),
    tokio(&["std::sync::**::RwLock::read", "std::sync::**::RwLock::write", "std::sys::sync::rwlock::**"],
        SLEEPING, Call::Is("std::sync::RwLock"),
        "do not hold this lock during slow work: shorten the critical section, or use \
         tokio::sync::RwLock if it must be held across an .await"),
    tokio(&["std::sync::**::Condvar::wait", "std::sync::**::Condvar::wait_while",
            "std::sync::**::Condvar::wait_timeout", "std::sync::**::Condvar::wait_timeout_while"],
        SLEEPING, Call::Is("std::sync::Condvar::wait"),
        "wait with tokio::sync::Notify or a channel of tokio::sync"),
    tokio(&["std::sync::**::Barrier::wait"],
        SLEEPING, Call::Is("std::sync::Barrier::wait"),
        "use tokio::sync::Barrier"),
    tokio(&["lock_api::mutex::Mutex::lock", "lock_api::rwlock::RwLock::read",
            "lock_api::rwlock::RwLock::write", "parking_lot::**"],
        SLEEPING, Call::Itself,
        "do not hold this lock during slow work: shorten the critical section, or use a lock of \
         tokio::sync if it must be held across an .await"),

    // Channels and threads.
    tokio(&["std::sync::mpsc::Receiver::*", "std::sync::mpsc::Iter::next", "std::sync::mpsc::SyncSender::send",
            "crossbeam_channel::**::recv", "crossbeam_channel::**::recv_timeout", "crossbeam_channel::**::send"],
        SLEEPING, Call::Itself,
        "use a channel that can be awaited: tokio::sync::mpsc"),
    tokio(&["std::thread::**::JoinHandle::join", "std::thread::**::ScopedJoinHandle::join", "std::thread::**::scope"],
        SLEEPING, Call::Itself,
        "run the work with tokio::task::spawn_blocking and await its handle"),
    tokio(&["rayon::**", "rayon_core::**"],
        SLEEPING, Call::Itself,
        "start the work with rayon::spawn and await its result through tokio::sync::oneshot"),

    // Network.
    tokio(&["**::to_socket_addrs", "getaddrinfo", "std::sys::net::**::lookup_host", "dns_lookup::**"],
        WAITING, Call::Is("std::net::ToSocketAddrs::to_socket_addrs"),
        "resolve names with tokio::net::lookup_host"),
    tokio(&["std::net::**::TcpStream::*", "std::net::**::TcpListener::*", "std::net::**::UdpSocket::*",
            "std::os::unix::net::**"],
        SLEEPING, Call::Itself,
        "use the sockets of tokio::net"),
    tokio(&["reqwest::blocking::**"],
        WAITING, Call::Itself,
        "use the async client of reqwest: reqwest::Client"),
    tokio(&["ureq::**", "attohttpc::**", "minreq::**"],
        WAITING, Call::Itself,
        "use an async HTTP client, or tokio::task::spawn_blocking"),

    // Databases.
    tokio(&["rusqlite::**", "diesel::**", "postgres::**", "mysql::**", "rocksdb::**", "sled::**", "redb::**", "heed::**"],
        READING, Call::Itself,
        "run blocking database calls in tokio::task::spawn_blocking, or use an async client"),

    // Processes.
    tokio(&["std::process::Command::output", "std::process::Command::status",
            "std::process::Child::wait", "std::process::Child::wait_with_output"],
        SLEEPING, Call::Itself,
        "use tokio::process"),

    // Waiting for a future.
    tokio(&["futures_executor::**::block_on", "futures::executor::**::block_on", "pollster::**::block_on",
            "futures_lite::**::block_on", "async_io::**::block_on", "tokio::runtime::**::block_on",
            "tokio::task::local::LocalSet::block_on"],
        SLEEPING, Call::Itself,
        "a worker waits here for a future that may need the same worker: .await it instead"),

    // Work.
    tokio(&["bcrypt::**", "argon2::**", "scrypt::**", "pbkdf2::**"],
        COMPUTING, Call::Work,
        "hashing passwords is slow by design: do it in tokio::task::spawn_blocking"),
    tokio(&["sha1::**", "sha2::**", "sha3::**", "md5::**", "blake2::**", "blake3::**", "rsa::**"],
        COMPUTING, Call::Work,
        "do long cryptography in tokio::task::spawn_blocking, or piece by piece with \
         tokio::task::yield_now between"),
    tokio(&["flate2::**", "miniz_oxide::**", "zlib_rs::**", "zstd::**", "zstd_safe::**", "brotli::**", "lz4::**",
            "lz4_flex::**", "snap::**", "xz2::**", "bzip2::**"],
        COMPUTING, Call::Work,
        "compress in tokio::task::spawn_blocking or on rayon, or in smaller pieces"),
    tokio(&["image::**", "zune_jpeg::**", "png::**", "jpeg_decoder::**", "resvg::**", "tiny_skia::**"],
        COMPUTING, Call::Work,
        "work on images in tokio::task::spawn_blocking or on rayon"),
    tokio(&["serde_json::**", "simd_json::**", "serde_yaml::**", "toml::**", "quick_xml::**", "bincode::**", "rmp_serde::**"],
        COMPUTING, Call::Work,
        "parse or write large documents in tokio::task::spawn_blocking, or limit their size"),
    tokio(&["regex::**", "regex_automata::**", "fancy_regex::**"],
        COMPUTING, Call::Work,
        "run regular expressions over large inputs in tokio::task::spawn_blocking, and compile them once"),

    // Where no call is known: by what the kernel was asked for.
    tokio_syscalls(&["clock_nanosleep", "nanosleep"],
        "use tokio::time::sleep"),
    tokio_syscalls(&["fsync", "fdatasync", "sync_file_range", "syncfs", "openat", "openat2", "open", "unlink",
            "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "getdents64", "fallocate",
            "ftruncate", "pread64", "pwrite64", "copy_file_range", "flock"],
        "use tokio::fs, or do the file work in tokio::task::spawn_blocking"),
    tokio_syscalls(&["wait4", "waitid"],
        "use tokio::process"),
    tokio_syscalls(&["recvfrom", "recvmsg", "sendto", "sendmsg", "connect", "accept", "accept4"],
        "use the sockets of tokio::net"),

    // Where nothing is known but the cause.
    Rule {
        runtime: Some("tokio"),
        ..cause(COMPUTING,
            "move the computation to tokio::task::spawn_blocking or rayon, or split it with \
             tokio::task::yield_now().await")
    },
    cause(&[Cause::Fault],
        "memory is read from disk or touched for the first time here: give the process more memory, \
         or prepare the data before it is needed"),
    cause(&[Cause::Preempted],
        "the worker was ready but the kernel ran something else: there are more busy threads than \
         CPUs (or than the CPU quota allows)"),
];
