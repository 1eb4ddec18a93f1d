//! Reading memory of a process at the very moment of a sample.
//!
//! The registers and the stack that come with a sample say where native code was. An
//! interpreter keeps its own stack in its heap, and by the time a record is read that has
//! moved on. So whoever asks for it is called while the thread that was sampled has not run on:
//!
//! The tick that takes a sample interrupts the thread on some CPU, and wakes whoever waits for the
//! ring of that CPU (`perf_event_attr.wakeup_events`). If that is a thread of ours which may run on
//! this CPU only, the kernel goes from the interrupt straight to it, and the sampled thread waits
//! behind it, as it stood. That is what any wake-up on a busy CPU does; nothing is stopped or
//! traced. Whether it went so is told afterwards by the switch records of the thread
//! ([`Moment::lay_still`]): it left its CPU before the reading began ([`Moment::began`]) and came back
//! after its end ([`Moment::ended`]); and it left at once, with the very registers of the sample where we
//! may see those. A reading for which they do not say that is worth nothing by itself: ours may
//! have come late, while the thread went on for a while, above all when it is just being started.

mod peek;
mod readers;

pub use readers::Moments;
pub(crate) use readers::Waited;

use crate::arch::Registers;
use crate::event::{Event, Sample};
use crate::ids::{Avma, Nanos, Tid};
use crate::process::{Process, ReadMemory};
use serde::{Deserialize, Serialize};

/// Reads what it needs of a thread's memory at the moment of a sample.
///
/// It is called from a thread for each CPU, and the sampled thread waits meanwhile: a few
/// dozen microseconds are much.
pub trait AtSample: Send + Sync {
    /// Copies memory that belongs to thread `tid`; `None` if that is none of its threads.
    fn copy(&self, tid: Tid, process: &dyn Process) -> Option<MemoryCopy>;
}

/// What was read at the moment of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The thread that was sampled.
    pub tid: Tid,
    /// When: the time of the sample.
    pub sampled: Nanos,
    /// When the reading began.
    pub began: Nanos,
    /// When it was done.
    pub ended: Nanos,
    /// What was read.
    pub copy: MemoryCopy,
}

/// From the tick to the moment when the thread has left its CPU it takes some twenty microseconds, most
/// of them to write the sample. What takes longer may have run on meanwhile: also with registers that
/// came back to what they were, and the sooner where these are not known.
const AT_ONCE: Nanos = Nanos(100_000);
const AT_ONCE_UNSEEN: Nanos = Nanos(50_000);

impl Moment {
    /// Whether the thread left its CPU as `sample` found it, before the reading began, and had not come
    /// back before it was done. `later` are the events after the sample, in the order of time.
    pub fn lay_still<'a>(
        &self,
        sample: &Sample,
        later: impl IntoIterator<Item = &'a Event>,
    ) -> bool {
        let mut off = false;
        for event in later {
            if event.time() > self.ended {
                break;
            }
            match event {
                Event::SwitchOut {
                    tid,
                    time,
                    registers,
                    ..
                } if *tid == self.tid => {
                    let took = time.since(sample.time);
                    let at_once = match registers {
                        Some(registers) => is_as_found(registers, sample) && took <= AT_ONCE,
                        None => took <= AT_ONCE_UNSEEN,
                    };
                    off = at_once && *time <= self.began;
                }
                Event::SwitchIn { tid, .. } | Event::ThreadExit { tid, .. } if *tid == self.tid => {
                    return false;
                }
                _ => {}
            }
        }
        off
    }
}

/// Whether a thread left with the registers that it was sampled with.
fn is_as_found(left: &Registers, sample: &Sample) -> bool {
    match sample.kernel_chain.is_empty() {
        true => *left == sample.registers,
        false => left.without_result() == sample.registers.without_result(),
    }
}

/// Pieces of a process's memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryCopy {
    pieces: Vec<(Avma, Vec<u8>)>,
}

impl MemoryCopy {
    /// Adds the bytes that stand at `address`.
    pub fn push(&mut self, address: Avma, bytes: Vec<u8>) {
        self.pieces.push((address, bytes));
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `length` bytes at `address`, if one piece has them all.
    #[must_use]
    pub fn bytes(&self, address: Avma, length: usize) -> Option<&[u8]> {
        self.pieces.iter().find_map(|(start, bytes)| {
            let at = usize::try_from(address.0.checked_sub(start.0)?).ok()?;
            bytes.get(at..at.checked_add(length)?)
        })
    }
}

impl ReadMemory for MemoryCopy {
    fn read_many(&self, requests: &mut [crate::process::ReadRequest<'_>]) {
        for request in requests {
            if let Some(bytes) = self.bytes(request.address, request.into.len()) {
                request.into.copy_from_slice(bytes);
                request.done = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_answers_for_what_it_has_and_for_nothing_else() {
        let mut copy = MemoryCopy::default();
        copy.push(Avma(100), vec![1, 2, 3, 4]);
        copy.push(Avma(104), vec![5, 6]);
        assert_eq!(copy.bytes(Avma(102), 2), Some(&[3, 4][..]));
        assert_eq!(copy.bytes(Avma(103), 2), None, "across two pieces");
        assert_eq!(copy.bytes(Avma(99), 1), None);
        assert_eq!(copy.bytes(Avma(u64::MAX), usize::MAX), None);
        let mut word = [0; 2];
        assert!(copy.read(Avma(104), &mut word));
        assert_eq!(word, [5, 6]);
    }
}
