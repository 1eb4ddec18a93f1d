//! How a process is to be watched.

use crate::error::Error;
use crate::ids::Nanos;

/// How a process is to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many samples a second each running thread gives, at most.
    pub rate_hz: u32,
    /// How many bytes of the user stack come with a sample. Rounded down to a
    /// multiple of eight; more than [`Options::MAX_STACK_BYTES`] does not fit
    /// into a record of the kernel and is taken as that.
    pub stack_bytes: u32,
    /// What to do about processes that the watched one starts.
    pub children: Children,
    /// Whether the kernel's part of a thread's work is watched too.
    pub kernel: KernelPart,
    /// Whether a thread's registers are taken whenever it leaves a CPU.
    pub switch_registers: SwitchRegisters,
    /// Above so many switches a second, of all threads together, they come without
    /// registers until there are half as many: a service that switches that often would
    /// feel it.
    pub registers_up_to: u32,
    /// Whose clocks take the samples.
    pub clocks: Clocks,
    /// How many bytes the ring of each CPU holds, if the system allows that many.
    /// Rounded up to a power of two.
    pub ring_bytes: usize,
}

/// What to do about processes that the watched one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// They are none of our business.
    Ignore,
    /// They are watched as well.
    Follow,
}

/// Whether the kernel's part of a thread's work is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelPart {
    /// Where we may.
    IfPermitted,
    /// Not at all: time spent in the kernel gives no samples.
    Never,
}

/// Whether a thread's registers are taken whenever it leaves a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchRegisters {
    /// Where we may. It costs a second descriptor per thread and CPU, and a
    /// small record per switch.
    IfPermitted,
    /// Not at all.
    Never,
}

/// Whose clocks take the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// Those of the CPUs, where we may have them for one process alone: `CAP_BPF` and
    /// `CAP_PERFMON`, a running process, and its children none of our business. Else those of the threads.
    OfCpusIfPermitted,
    /// One of each thread.
    OfThreads,
}

impl Options {
    /// The longest stack copy. A record of the kernel has at most 65,535 bytes
    /// (`perf_event_header.size` is 16 bits wide), and must hold the registers and
    /// the kernel's call chain too.
    pub const MAX_STACK_BYTES: u32 = 65_000 / 8 * 8;

    /// The shortest one: less shows nothing of a stack.
    const MIN_STACK_BYTES: u32 = 1024;

    /// The CPU time between two samples of a thread.
    ///
    /// # Errors
    /// The rate is zero, or more than the kernel's clock can do
    /// (`perf_swevent_start_hrtimer` takes at least 10 µs).
    pub fn period(&self) -> Result<Nanos, Error> {
        if !(1..=100_000).contains(&self.rate_hz) {
            return Err(Error::Option {
                option: "the sampling rate",
                value: self.rate_hz.into(),
                allowed: "1 to 100000 Hz",
            });
        }
        Ok(Nanos(1_000_000_000 / u64::from(self.rate_hz)))
    }

    pub(crate) fn stack_copy(&self) -> u32 {
        (self.stack_bytes / 8 * 8).clamp(Self::MIN_STACK_BYTES, Self::MAX_STACK_BYTES)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rate_hz: 99,
            stack_bytes: 32 * 1024,
            children: Children::Ignore,
            kernel: KernelPart::IfPermitted,
            switch_registers: SwitchRegisters::IfPermitted,
            registers_up_to: 5_000,
            clocks: Clocks::OfCpusIfPermitted,
            ring_bytes: 4 << 20,
        }
    }
}
