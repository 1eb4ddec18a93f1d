//! What one look at a process brought.

use crate::runtime::Progress;
use awaitscope_sampler::{Event, MemoryCopy, Moment, Nanos, Registers, StackCopy, Tid};
use serde::{Deserialize, Serialize};

/// What one look at a process brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// What the kernel told, in the order of time.
    pub events: Vec<Event>,
    /// How far the workers were.
    pub pulses: Vec<Pulse>,
    /// The stacks of threads that were off their CPU for a while.
    pub off_stacks: Vec<OffStack>,
    /// What was read at the moments of samples.
    pub moments: Vec<Moment>,
    /// No later batch has an event before this.
    pub horizon: Nanos,
}

impl Batch {
    /// Adds what the next look brought.
    pub fn append(&mut self, next: Self) {
        // Mostly this one is empty: then nothing needs to be moved.
        if self.events.is_empty() {
            self.events = next.events;
        } else {
            self.events.extend(next.events);
        }
        self.pulses.extend(next.pulses);
        self.off_stacks.extend(next.off_stacks);
        self.moments.extend(next.moments);
        self.horizon = next.horizon;
    }

    /// Whether it has something that should not wait: a stack that may have to be
    /// read on from memory, or a thread or program that may soon be gone. Mere
    /// switches and pulses are as good later.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        let patient = |event: &Event| {
            matches!(
                event,
                Event::SwitchOut { .. } | Event::SwitchIn { .. } | Event::Lost { .. }
            )
        };
        !self.off_stacks.is_empty() || !self.events.iter().all(patient)
    }
}

/// How far a worker was at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// The worker.
    pub tid: Tid,
    /// The moment.
    pub time: Nanos,
    /// How far it was.
    pub progress: Progress,
}

/// What a thread sleeps in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sleep {
    /// The system call of this number.
    Syscall(u64),
    /// No system call: memory that has to be brought in.
    Fault,
    /// It could not be told: the thread was about to run when it was looked at.
    Unknown,
}

impl Sleep {
    /// The number of the system call, if it is one and is known.
    #[must_use]
    pub fn syscall(self) -> Option<u64> {
        match self {
            Self::Syscall(number) => Some(number),
            Self::Fault | Self::Unknown => None,
        }
    }
}

/// The stack of a thread that is off its CPU, read while it lay still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffStack {
    /// The thread.
    pub tid: Tid,
    /// Since when it is off its CPU.
    pub since: Nanos,
    /// When the reading was done. It holds if the thread was still off then.
    pub time: Nanos,
    /// What it sleeps in.
    pub sleep: Sleep,
    /// Its registers: all, or only those that `/proc` tells.
    pub registers: Registers,
    /// The top of its stack.
    pub stack: StackCopy,
    /// What was read besides, for a runtime whose stacks are not all native.
    pub copy: Option<MemoryCopy>,
}
