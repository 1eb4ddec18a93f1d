//! What can go wrong while watching a process.

use crate::ids::Pid;
use std::io;
use std::path::PathBuf;

/// Why a process cannot be watched, or not any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No process has this number.
    #[error("there is no process {0}")]
    NoSuchProcess(Pid),
    /// The process has ended, or is just ending: a zombie, or it went while we
    /// attached.
    #[error("process {0} has ended, or is ending right now: there is nothing left to watch")]
    Exited(Pid),
    /// The number is that of a thread, not of a process.
    #[error("{tid} is a thread of process {process}; give the number of the process: {process}")]
    NotAProcess {
        /// The number that was given.
        tid: Pid,
        /// The one that was meant.
        process: Pid,
    },
    /// A thread of the kernel has no user code.
    #[error("{pid} ({name}) is a thread of the kernel; it has no user code to watch")]
    KernelThread {
        /// Its number.
        pid: Pid,
        /// What the kernel calls it.
        name: String,
    },
    /// The process belongs to another user.
    #[error(
        "process {pid} belongs to user {owner}, and we run as user {we}; run as that user, \
         as root, or with CAP_PERFMON and CAP_SYS_PTRACE"
    )]
    OtherUser {
        /// The process.
        pid: Pid,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        we: u32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The system lets no ordinary user watch anything.
    #[error(
        "kernel.perf_event_paranoid is {level}, which forbids perf events to ordinary users; \
         run as root or with CAP_PERFMON, or `sysctl kernel.perf_event_paranoid=2`"
    )]
    Paranoid {
        /// What the setting says.
        level: i32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Perf events are refused for a reason the kernel does not tell: a seccomp
    /// filter (the default one of Docker), or a process that made itself
    /// unreadable.
    #[error(
        "perf events on process {pid} are refused; in a container, allow perf_event_open \
         (`--cap-add PERFMON --cap-add SYS_PTRACE`, or a seccomp profile that has it); a process that \
         changed its user or made itself undumpable needs CAP_PERFMON or CAP_SYS_PTRACE"
    )]
    Refused {
        /// The process.
        pid: Pid,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The memory of the process is not for us.
    #[error(
        "the memory of process {pid}, which runs as user {owner}, cannot be read, and tasks are found \
         nowhere else; run as the same user, as root, or with CAP_SYS_PTRACE (in a container: `--cap-add SYS_PTRACE`); \
         where kernel.yama.ptrace_scope is 1 or more, the same user is not enough"
    )]
    Memory {
        /// The process.
        pid: Pid,
        /// Whose it is.
        owner: u32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// We may not stop the process.
    #[error(
        "process {pid} cannot be stopped; that takes the permissions of a debugger: the same user, root, or \
         CAP_SYS_PTRACE, and kernel.yama.ptrace_scope can forbid it; tasks can be read without a stop"
    )]
    NotStopped {
        /// The process.
        pid: Pid,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Somebody else traces the process.
    #[error(
        "process {pid} is traced by process {tracer} (a debugger, or strace), and can have one tracer only; \
         tasks can be read without a stop"
    )]
    Traced {
        /// The process.
        pid: Pid,
        /// Who traces it.
        tracer: Pid,
    },
    /// A thread of the process did not stop in time.
    #[error(
        "a thread of process {0} does not stop: it sleeps where no signal wakes it; tasks can be read \
         without a stop"
    )]
    DoesNotStop(Pid),
    /// There are no perf events here.
    #[error(
        "this system has no perf events (perf_event_open: {source}); the kernel needs \
         CONFIG_PERF_EVENTS, and a sandbox such as gVisor does not offer it"
    )]
    NoPerf {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel does not know an event, or one of its options.
    #[error("the kernel does not support {what}: it needs Linux 5.4 or newer")]
    Unsupported {
        /// Which.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A perf event cannot be opened, for another reason.
    #[error("cannot open {what} on process {pid}")]
    Perf {
        /// Which event.
        what: &'static str,
        /// On which process.
        pid: Pid,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The threads and CPUs need more file descriptors than we may have.
    #[error(
        "watching {threads} threads on {cpus} CPUs needs {needed} file descriptors, and at most \
         {allowed} are allowed; raise the limit (`ulimit -Hn {needed}`, `LimitNOFILE=` of the service, or run as \
         root) and try again"
    )]
    Descriptors {
        /// How many threads the process has.
        threads: usize,
        /// On how many CPUs they may run.
        cpus: usize,
        /// How many descriptors that takes.
        needed: u64,
        /// How many we may have.
        allowed: u64,
    },
    /// The rings the kernel writes its records into take more locked memory than
    /// we may have.
    #[error(
        "cannot lock {bytes} bytes of memory per CPU for the rings of the kernel; end other \
         profilers, raise `ulimit -l` or kernel.perf_event_mlock_kb, or run with CAP_IPC_LOCK"
    )]
    RingMemory {
        /// The least that would do.
        bytes: usize,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A ring cannot be used.
    #[error("cannot set up the ring of CPU {cpu}")]
    Ring {
        /// Of which CPU.
        cpu: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An option makes no sense.
    #[error("{option} is {value}: {allowed} is possible")]
    Option {
        /// Which option.
        option: &'static str,
        /// What it was set to.
        value: u64,
        /// What would do.
        allowed: &'static str,
    },
    /// A command cannot be started.
    #[error("cannot start {command}")]
    Launch {
        /// What was to be run.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of `/proc` or `/sys` could not be read.
    #[error("cannot read {path}")]
    Proc {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A capture cannot be read or written.
    #[error("cannot use the capture {path}")]
    Capture {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no capture, or one of another version, or damaged.
    #[error("{path} is not a capture that this version can replay: {why}")]
    NotACapture {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A capture is asked something that was not asked when it was made.
    #[error("the capture does not know {0}: it was not asked when the capture was made")]
    NotCaptured(&'static str),
}

impl Error {
    /// The number of the error the kernel gave, where it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::OtherUser { source, .. }
            | Self::Paranoid { source, .. }
            | Self::Refused { source, .. }
            | Self::NoPerf { source }
            | Self::Unsupported { source, .. }
            | Self::Perf { source, .. }
            | Self::RingMemory { source, .. }
            | Self::Ring { source, .. }
            | Self::Memory { source, .. }
            | Self::NotStopped { source, .. }
            | Self::Launch { source, .. }
            | Self::Proc { source, .. }
            | Self::Capture { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
