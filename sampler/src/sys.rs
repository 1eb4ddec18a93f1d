//! System calls that no crate wraps.

use crate::ids::{Nanos, Pid, Tid};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Now, on the clock that all events are stamped with.
pub(crate) fn now() -> Nanos {
    // CLOCK_MONOTONIC is always there (POSIX), so zero never comes about; and
    // its parts are never negative.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Nanos::ZERO, |time| {
        Nanos(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
    })
}

/// A descriptor that stands for this very process, whatever becomes of its
/// number (`pidfd_open(2)`, Linux 5.3). Closed on exec by itself.
pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.0, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether `fd` is readable now; for a pidfd: whether its process has ended.
pub(crate) fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Lets the records of the event `of` go into the ring of the event `into`.
pub(crate) fn set_output(of: &impl AsRawFd, into: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the ioctl takes an integer and touches no memory of ours; the
    // kernel checks that both descriptors are perf events.
    let result = unsafe {
        perf_event_open_sys::ioctls::SET_OUTPUT(of.as_raw_fd(), into.as_fd().as_raw_fd())
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// An instruction of a filter (`struct bpf_insn` of `linux/bpf.h`).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Instruction {
    pub code: u8,
    /// The one it is about in the lower half, the one it takes from in the upper.
    pub registers: u8,
    pub jump: i16,
    pub value: i32,
}

/// The beginning of `union bpf_attr`, as `BPF_PROG_LOAD` has it.
#[repr(C)]
struct ProgramAttr {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
}

/// Gives a program to the kernel that decides which samples of an event are taken (`bpf(2)`).
pub(crate) fn load_filter(program: &[Instruction]) -> io::Result<OwnedFd> {
    /// `BPF_PROG_LOAD` of `enum bpf_cmd`
    const LOAD: libc::c_int = 5;
    /// `BPF_PROG_TYPE_PERF_EVENT` of `enum bpf_prog_type`
    const PERF_EVENT: u32 = 7;
    let attr = ProgramAttr {
        kind: PERF_EVENT,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel: 0,
        flags: 0,
    };
    // SAFETY: the kernel reads `attr`, whose size it is told, the license up to its zero, and `count`
    // instructions; all outlive the call. It writes nothing, for want of a log.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            LOAD,
            &raw const attr,
            size_of::<ProgramAttr>(),
        )
    };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets `filter` decide which samples of the event `of` are taken.
pub(crate) fn set_filter(of: &impl AsRawFd, filter: BorrowedFd<'_>) -> io::Result<()> {
    let filter = u32::try_from(filter.as_raw_fd()).map_err(io::Error::other)?;
    // SAFETY: the ioctl takes an integer and touches no memory of ours; the kernel checks that both
    // descriptors are what they should be.
    let result = unsafe { perf_event_open_sys::ioctls::SET_BPF(of.as_raw_fd(), filter) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A descriptor of someone who lends it for the length of a call.
pub(crate) fn borrow(fd: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: `fd` owns the descriptor and outlives the result, which borrows
    // from it. (`perf_event::Counter` owns a file but does not offer `AsFd`.)
    unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) }
}

/// Keeps a descriptor from being inherited by programs we start.
/// `perf_event::Builder` does not ask for `PERF_FLAG_FD_CLOEXEC`.
pub(crate) fn close_on_exec(fd: &impl AsRawFd) -> io::Result<()> {
    fcntl(borrow(fd), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Runs `hook` in the child just before it becomes `command`.
///
/// `hook` runs in a copy of this process that has one thread only, so it may do
/// nothing but plain system calls: no allocation, no locks.
pub(crate) fn before_exec(
    command: &mut Command,
    hook: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the one hook we pass (see `launch`) only writes to and reads from
    // pipes, which is async-signal-safe.
    unsafe {
        command.pre_exec(hook);
    }
}

/// Lets the calling thread come before others whenever it is woken, as far as we may
/// (`CAP_SYS_NICE`). Without, the kernel mostly lets a thread go first that has slept long.
pub(crate) fn come_first() {
    let first = libc::sched_param { sched_priority: 1 };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the kernel reads the parameter, which outlives the call, and writes nothing.
    unsafe { libc::sched_setscheduler(0, policy, &raw const first) };
}

/// What became of a thread that we trace, if anything did (waitpid(2), whose `nix` wrapper does not
/// know real-time signals).
pub(crate) fn waited(tid: Tid) -> io::Result<Option<libc::c_int>> {
    let mut status = 0;
    let flags = libc::WNOHANG | libc::__WALL;
    // SAFETY: the status is ours, and nothing else is written.
    match unsafe { libc::waitpid(number(tid), &raw mut status, flags) } {
        0 => Ok(None),
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            error => Err(error),
        },
        _ => Ok(Some(status)),
    }
}

/// Lets go of a thread that we trace and that stands; it gets a signal, unless that is 0 (ptrace(2)).
pub(crate) fn detach(tid: Tid, signal: libc::c_int) -> io::Result<()> {
    let nowhere = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: this request reads and writes no memory of ours.
    match unsafe { libc::ptrace(libc::PTRACE_DETACH, number(tid), nowhere, i64::from(signal)) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Numbers of threads are below `PID_MAX_LIMIT`, which is 2²².
fn number(tid: Tid) -> libc::pid_t {
    i32::try_from(tid.0).unwrap_or(i32::MAX)
}
