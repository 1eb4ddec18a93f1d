//! Looking for the newest sample in a ring without taking anything out of it.

use crate::arch::PERF_REGISTERS;
use crate::ids::{Nanos, Pid, Tid};
use crate::ring::RingMap;
use linux_perf_event_reader::RecordType;
use std::sync::Arc;

/// The largest sample of a switch: its header; number of the event, pid and tid, time, CPU, what
/// sort of registers, and these. One of the clock has its call chain and stack besides.
const SWITCH_SAMPLE: u64 = 8 * (1 + 4 + 1 + PERF_REGISTERS.count_ones() as u64);

/// Follows what the kernel writes into a ring.
#[derive(Debug)]
pub(super) struct Peek {
    ring: Arc<RingMap>,
    at: u64,
}

/// Who was sampled, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sampled {
    pub pid: Pid,
    pub tid: Tid,
    pub time: Nanos,
}

impl Peek {
    pub fn new(ring: Arc<RingMap>) -> Self {
        Self {
            at: ring.head(),
            ring,
        }
    }

    /// The last sample of a clock since the last call.
    pub fn newest(&mut self) -> Option<Sampled> {
        let head = self.ring.head();
        let mut at = std::mem::replace(&mut self.at, head);
        let mut found = None;
        // What was written long ago can have been read and written over.
        while at < head && self.ring.holds(at) {
            // `perf_event_header`: the type, and in the upper half of the word misc and size.
            let header = self.ring.word(at);
            let size = header >> 48;
            if size < 8 || !size.is_multiple_of(8) {
                return None;
            }
            if header as u32 == RecordType::SAMPLE.0 && size > SWITCH_SAMPLE {
                found = Some(at);
            }
            at = at.saturating_add(size);
        }
        let at = found?;
        // The number of the event, the ip, pid and tid, the time (`record::sample_format`).
        let who = self.ring.word(at + 24);
        let time = self.ring.word(at + 32);
        self.ring.holds(at).then_some(Sampled {
            pid: Pid(who as u32),
            tid: Tid((who >> 32) as u32),
            time: Nanos(time),
        })
    }
}
