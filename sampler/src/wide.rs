//! Clocks that belong to CPUs, not to threads.
//!
//! The clock of a thread is a timer that the kernel starts as the thread comes on a CPU and
//! cancels as it leaves (`cpu_clock_event_add`, `cpu_clock_event_del` of `kernel/events/core.c`).
//! Whenever it is the next of the CPU's timers to expire, which it is a fifth of the time at 99 Hz, that
//! sets the timer chip anew, twice a switch; and in a virtual machine each is an exit to the host.
//! Measured in one (Linux 6.18): 0.13 µs a switch at best and 0.7 on average, of the 1.3 that a watched switch
//! costs in all. A clock of a CPU ticks on and costs a switch nothing.
//!
//! It ticks for everybody, though: so a program of six instructions in the kernel drops the ticks that
//! interrupt another process, before anything is copied. That takes `CAP_BPF` and
//! `CAP_PERFMON` (or root), and numbers of processes that are ours and the kernel's alike. Without, each
//! thread has its own clock.

use crate::ids::Pid;
use crate::lineage::Lineage;
use crate::open::Plan;
use crate::rings::CpuRing;
use crate::sys::{self, Instruction};
use nix::errno::Errno;
use perf_event::Counter;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// The clocks of all CPUs; dropped, they stop.
#[derive(Debug)]
pub(crate) struct CpuClocks {
    clocks: Vec<Counter>,
}

impl CpuClocks {
    /// Opens a clock on each CPU, that samples the threads of `pid` only. It can fail for want of
    /// permission, of descriptors, or of a kernel that has such.
    pub(crate) fn open(
        plan: &Plan,
        pid: Pid,
        rings: &[CpuRing],
        lineage: &mut Lineage,
    ) -> io::Result<Self> {
        if !counts_as_the_kernel()? {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let filter = sys::load_filter(&only(pid)?)?;
        let clocks: io::Result<Vec<Counter>> = rings
            .iter()
            .map(|ring| {
                let clock = plan.open_on_cpu(ring.cpu)?;
                sys::set_filter(&clock, filter.as_fd())?;
                sys::set_output(&clock, ring.descriptor())?;
                Ok(clock)
            })
            .collect();
        let clocks = clocks?;
        for clock in &clocks {
            lineage.opened_on_cpu(clock.id());
        }
        Ok(Self { clocks })
    }

    /// Lets them tick: not before there is somebody to tell of each thread when it comes and
    /// leaves.
    pub(crate) fn start(&mut self) {
        for clock in &mut self.clocks {
            // The ioctl cannot fail on an open event.
            let _ = clock.enable();
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.clocks.len()
    }
}

/// Whether our numbers of processes are the kernel's: a filter sees those.
fn counts_as_the_kernel() -> io::Result<bool> {
    /// The first namespace (`PROC_PID_INIT_INO` of `linux/proc_ns.h`).
    const FIRST: u64 = 0xeffffffc;
    Ok(std::fs::metadata("/proc/self/ns/pid")?.ino() == FIRST)
}

/// A program that says 1 when it interrupts `pid` and else 0, in the instructions of
/// `linux/bpf.h`. What says 0 leaves no sample (`__perf_event_overflow`).
fn only(pid: Pid) -> io::Result<[Instruction; 7]> {
    /// `bpf_get_current_pid_tgid`: the process in the upper half, the thread in the lower.
    const CURRENT: i32 = 14;
    let pid = i32::try_from(pid.0).map_err(|_| Errno::ESRCH)?;
    let instruction = |code, jump, value| Instruction {
        code,
        registers: 0,
        jump,
        value,
    };
    // All are about register 0, which has the result of calls and of the program.
    let call = |function| instruction(0x85, 0, function); // BPF_JMP | BPF_CALL
    let shift_right = |bits| instruction(0x77, 0, bits); // BPF_ALU64 | BPF_RSH | BPF_K
    let unless = |value, over| instruction(0x55, over, value); // BPF_JMP | BPF_JNE | BPF_K
    let set = |value| instruction(0xb7, 0, value); // BPF_ALU64 | BPF_MOV | BPF_K
    let exit = instruction(0x95, 0, 0); // BPF_JMP | BPF_EXIT
    Ok([
        call(CURRENT),
        shift_right(32),
        unless(pid, 2),
        set(1),
        exit,
        set(0),
        exit,
    ])
}
