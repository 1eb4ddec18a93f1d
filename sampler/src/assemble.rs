//! From the records of one CPU to events.
//!
//! A thread that leaves its CPU writes two records, one right after the other and with
//! interrupts off: first the sample of the context-switches event, with its registers, and then the
//! switch record with the reason (`perf_event_task_sched_out` in `linux/perf_event.h` counts
//! the software event before it calls `__perf_event_task_sched_out`, which writes the switch record).
//! They become one event here. Either may be lost when the ring is full. Without the first, the
//! registers are unknown. Without the second, the reason is, and the exact time; it is counted
//! as lost by the kernel, and the registers are dropped.

use crate::arch::Registers;
use crate::event::Event;
use crate::ids::{Pid, Tid};
use crate::record::{NamedBy, Record, What};

/// Puts the events of one CPU together.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    leaving: Option<(Tid, Registers)>,
}

impl Assembler {
    /// Gives the events that `record` completes to `sink`: none or one, and for an exec
    /// two.
    pub(crate) fn take(&mut self, record: Record, sink: &mut dyn FnMut(Event)) {
        let Record {
            tid, time, what, ..
        } = record;
        // A record of a loss may stand between the two halves: it is written when
        // there is room again.
        let leaving = match what {
            What::Lost(_) | What::Throttled => self.leaving,
            _ => self.leaving.take(),
        };
        match what {
            What::Sample(sample) => sink(Event::Sample(sample)),
            What::Leaving(registers) => {
                self.leaving = registers.map(|registers| (tid, registers));
            }
            What::Out(reason) => sink(Event::SwitchOut {
                tid,
                time,
                reason,
                registers: leaving
                    .filter(|&(left, _)| left == tid)
                    .map(|(_, registers)| registers),
            }),
            What::In => sink(Event::SwitchIn { tid, time }),
            What::Start { pid, tid } => sink(Event::ThreadStart { pid, tid, time }),
            What::Exit { pid, tid } => sink(Event::ThreadExit { pid, tid, time }),
            What::Name { pid, tid, name, by } => {
                if by == NamedBy::Exec {
                    sink(Event::Exec { pid, time });
                }
                sink(Event::ThreadName {
                    pid,
                    tid,
                    time,
                    name,
                });
            }
            What::Mapped { pid, start, length } => sink(Event::Mapped {
                pid,
                time,
                start,
                length,
            }),
            What::Lost(count) => sink(Event::Lost { count, time }),
            What::Throttled => sink(Event::Throttled { time }),
        }
    }
}

/// The process a record is about; `None` when it is about no process (a loss).
pub(crate) fn process_of(record: &Record) -> Option<Pid> {
    match record.what {
        What::Start { pid, .. }
        | What::Exit { pid, .. }
        | What::Name { pid, .. }
        | What::Mapped { pid, .. } => Some(pid),
        What::Sample(_) | What::Leaving(_) | What::Out(_) | What::In => Some(record.pid),
        What::Lost(_) | What::Throttled => None,
    }
}
