//! What the kernel tells of a process while it is watched.

use crate::arch::Registers;
use crate::ids::{Avma, Nanos, Pid, Tid};
use serde::{Deserialize, Serialize};

/// One thing that happened in the watched process.
///
/// Events come out of [`SampleSource`](crate::SampleSource) in the order of
/// their time, across all CPUs. Most of them are switches, tens of thousands a second, and each is
/// handed on several times: so what is large stands outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A thread was found running when its sampling clock ticked.
    Sample(Box<Sample>),
    /// A thread left its CPU.
    SwitchOut {
        /// The thread that left.
        tid: Tid,
        /// When it left.
        time: Nanos,
        /// Whether it went by itself or was pushed.
        reason: SwitchReason,
        /// Its user registers as it left, where the kernel lets us see them
        /// (`perf_event_paranoid` of 1 or lower, or `CAP_PERFMON`).
        registers: Option<Box<Registers>>,
    },
    /// A thread came back on a CPU.
    SwitchIn {
        /// The thread that came.
        tid: Tid,
        /// When it came.
        time: Nanos,
    },
    /// A thread (or, when children are followed, a process) was started.
    ThreadStart {
        /// The process it belongs to.
        pid: Pid,
        /// The new thread.
        tid: Tid,
        /// When it was started.
        time: Nanos,
    },
    /// A thread ended.
    ThreadExit {
        /// The process it belonged to.
        pid: Pid,
        /// The thread that ended.
        tid: Tid,
        /// When it ended.
        time: Nanos,
    },
    /// A thread was named.
    ThreadName {
        /// The process it belongs to.
        pid: Pid,
        /// The thread.
        tid: Tid,
        /// When it was named.
        time: Nanos,
        /// Its name, at most 15 bytes, invalid UTF-8 replaced.
        name: Box<str>,
    },
    /// The process runs another program now: all that was known of its memory
    /// is void.
    Exec {
        /// The process.
        pid: Pid,
        /// When the new program began.
        time: Nanos,
    },
    /// Executable memory was mapped: a library was loaded, or code generated.
    Mapped {
        /// The process.
        pid: Pid,
        /// When it was mapped.
        time: Nanos,
        /// The first address.
        start: Avma,
        /// How many bytes.
        length: u64,
    },
    /// The kernel had no room for some records.
    Lost {
        /// How many.
        count: u64,
        /// When the gap was noticed.
        time: Nanos,
    },
    /// The kernel held back samples, because they took too much time
    /// (`perf_event_max_sample_rate`, `perf_cpu_time_max_percent`).
    Throttled {
        /// When it began.
        time: Nanos,
    },
}

impl Event {
    /// When it happened.
    #[must_use]
    pub fn time(&self) -> Nanos {
        match *self {
            Self::Sample(ref sample) => sample.time,
            Self::SwitchOut { time, .. }
            | Self::SwitchIn { time, .. }
            | Self::ThreadStart { time, .. }
            | Self::ThreadExit { time, .. }
            | Self::ThreadName { time, .. }
            | Self::Exec { time, .. }
            | Self::Mapped { time, .. }
            | Self::Lost { time, .. }
            | Self::Throttled { time } => time,
        }
    }
}

impl Event {
    pub(crate) fn set_time(&mut self, to: Nanos) {
        match self {
            Self::Sample(sample) => sample.time = to,
            Self::SwitchOut { time, .. }
            | Self::SwitchIn { time, .. }
            | Self::ThreadStart { time, .. }
            | Self::ThreadExit { time, .. }
            | Self::ThreadName { time, .. }
            | Self::Exec { time, .. }
            | Self::Mapped { time, .. }
            | Self::Lost { time, .. }
            | Self::Throttled { time } => *time = to,
        }
    }
}

/// Why a thread left its CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchReason {
    /// It waits for something.
    Waiting,
    /// It would have gone on, but the kernel gave the CPU to another.
    Preempted,
}

/// A running thread as it stood when its sampling clock ticked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The process.
    pub pid: Pid,
    /// The thread.
    pub tid: Tid,
    /// When.
    pub time: Nanos,
    /// How much CPU time this sample stands for.
    pub period: Nanos,
    /// The user registers: where user code was when it was interrupted or
    /// entered the kernel.
    pub registers: Registers,
    /// The top of the user stack.
    pub stack: StackCopy,
    /// Kernel addresses, innermost first; empty when the thread was in user
    /// code or kernel frames are not permitted.
    pub kernel_chain: Vec<u64>,
}

/// The bytes of a stack from the stack pointer on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackCopy {
    /// Address of the first byte: the stack pointer.
    pub start: Avma,
    /// The bytes. Fewer than were asked for when the stack ends sooner.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for StackCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StackCopy({} bytes at {})", self.bytes.len(), self.start)
    }
}

impl StackCopy {
    /// The eight bytes at `address`, little-endian, if they were copied.
    #[must_use]
    #[inline]
    pub fn word(&self, address: Avma) -> Option<u64> {
        let offset = usize::try_from(address.0.checked_sub(self.start.0)?).ok()?;
        let bytes = self.bytes.get(offset..offset.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The first address after the copied bytes.
    #[must_use]
    #[inline]
    pub fn end(&self) -> Avma {
        Avma(self.start.0.saturating_add(self.bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_small() {
        assert!(size_of::<Event>() <= 40, "{}", size_of::<Event>());
    }
}
