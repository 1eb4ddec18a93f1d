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
    leaving: Option<(Tid, Box<Registers>)>,
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
            What::Lost(_) | What::Throttled => None,
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
                    .filter(|(left, _)| *left == tid)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SwitchReason;
    use crate::ids::{Avma, Nanos};

    fn record(tid: u32, time: u64, what: What) -> Record {
        Record {
            id: 1,
            cpu: 0,
            pid: Pid(1),
            tid: Tid(tid),
            time: Nanos(time),
            what,
        }
    }

    fn leaving(tid: u32, time: u64) -> Record {
        let registers = Registers::from_ip_sp(Avma(u64::from(tid)), Avma(8));
        record(tid, time, What::Leaving(Some(Box::new(registers))))
    }

    fn out(tid: u32, time: u64) -> Record {
        record(tid, time, What::Out(SwitchReason::Waiting))
    }

    /// The thread, time and instruction pointer of each switch.
    fn switches(records: impl IntoIterator<Item = Record>) -> Vec<(u32, u64, Option<u64>)> {
        let mut assembler = Assembler::default();
        let mut switches = Vec::new();
        for record in records {
            assembler.take(record, &mut |event| {
                if let Event::SwitchOut {
                    tid,
                    time,
                    registers,
                    ..
                } = event
                {
                    switches.push((tid.0, time.0, registers.map(|registers| registers.ip().0)));
                }
            });
        }
        switches
    }

    #[test]
    fn the_two_records_of_a_switch_become_one_event_at_the_time_of_the_second() {
        assert_eq!(switches([leaving(7, 10), out(7, 11)]), [(7, 11, Some(7))]);
    }

    #[test]
    fn a_lost_first_record_leaves_the_registers_unknown() {
        assert_eq!(switches([out(7, 11)]), [(7, 11, None)]);
    }

    #[test]
    fn a_lost_second_record_does_not_lend_its_registers_to_the_next_switch() {
        let next = record(8, 12, What::In);
        assert_eq!(
            switches([leaving(7, 10), next, out(8, 20)]),
            [(8, 20, None)]
        );
        // Nor to one of the same thread.
        let same = record(7, 12, What::In);
        assert_eq!(
            switches([leaving(7, 10), same, out(7, 20)]),
            [(7, 20, None)]
        );
    }

    #[test]
    fn the_report_of_a_loss_may_stand_between_the_two() {
        let lost = record(7, 10, What::Lost(3));
        assert_eq!(
            switches([leaving(7, 10), lost, out(7, 11)]),
            [(7, 11, Some(7))]
        );
    }

    #[test]
    fn an_exec_is_told_before_the_name_it_gives() {
        let name = What::Name {
            pid: Pid(7),
            tid: Tid(7),
            name: "sh".into(),
            by: NamedBy::Exec,
        };
        let mut events = Vec::new();
        Assembler::default().take(record(7, 5, name), &mut |event| events.push(event));
        assert!(matches!(
            events[..],
            [Event::Exec { pid: Pid(7), .. }, Event::ThreadName { .. }]
        ));
    }
}
