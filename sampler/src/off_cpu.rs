//! When threads were off their CPUs, and why.
//!
//! A machine without clock or kernel: it is fed events in order and says what follows
//! from them.
//!
//! ```text
//!            SwitchOut                SwitchIn
//!   on ───────────────────▶ off ───────────────────▶ on      gives an `OffInterval`
//! ```
//!
//! Where a record was lost, an interval would have a wrong end. Such intervals are not given
//! but counted ([`OffCpu::gaps`]): a thread seen running while thought off has lost its
//! coming, one that leaves twice too, and one that comes twice has lost its leaving.

use crate::arch::Registers;
use crate::by_number::ByNumber;
use crate::event::{Event, SwitchReason};
use crate::ids::{Nanos, Pid, Tid};

/// Knows of each thread whether it is on a CPU or off, and since when.
#[derive(Debug)]
pub struct OffCpu {
    begin: Nanos,
    threads: ByNumber<Tid, Thread>,
    gaps: u64,
    /// The threads that came or left since this was asked for.
    stirred: Vec<Tid>,
}

/// A time that a thread spent off its CPU, with exact ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffInterval {
    /// The thread.
    pub tid: Tid,
    /// When it left.
    pub start: Nanos,
    /// When it came back.
    pub end: Nanos,
    /// Why it left.
    pub reason: SwitchReason,
    /// Its user registers as it left, where the kernel lets us see them.
    pub registers: Option<Box<Registers>>,
}

/// A thread that is off its CPU still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffThread<'a> {
    /// The thread.
    pub tid: Tid,
    /// When it left.
    pub since: Nanos,
    /// Why it left.
    pub reason: SwitchReason,
    /// Its user registers as it left, where the kernel lets us see them.
    pub registers: Option<&'a Registers>,
}

/// What came to its end with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// A thread came back on a CPU.
    Interval(OffInterval),
    /// A thread ended.
    Thread {
        /// Which.
        tid: Tid,
        /// How long it had been on a CPU since the beginning.
        on_cpu: Nanos,
    },
}

#[derive(Debug)]
struct Thread {
    process: Option<Pid>,
    place: Place,
    on_cpu: Nanos,
    stirred: bool,
}

impl Thread {
    fn off(&self, tid: Tid) -> Option<OffThread<'_>> {
        match self.place {
            Place::Off {
                since,
                reason,
                ref registers,
            } => Some(OffThread {
                tid,
                since,
                reason,
                registers: registers.as_deref(),
            }),
            Place::New | Place::On { .. } => None,
        }
    }
}

#[derive(Debug)]
enum Place {
    /// Just started, and not run yet.
    New,
    On {
        since: Nanos,
    },
    Off {
        since: Nanos,
        reason: SwitchReason,
        registers: Option<Box<Registers>>,
    },
}

impl OffCpu {
    /// `begin` is when the process was attached: a thread that is first heard of as it leaves
    /// its CPU has been on it at least since then.
    #[must_use]
    pub fn new(begin: Nanos) -> Self {
        Self {
            begin,
            threads: ByNumber::default(),
            gaps: 0,
            stirred: Vec::new(),
        }
    }

    /// Takes an event into account.
    pub fn feed(&mut self, event: &Event) -> Option<Finished> {
        match *event {
            Event::SwitchOut {
                tid,
                time,
                reason,
                ref registers,
            } => {
                self.leave(
                    tid,
                    time,
                    Place::Off {
                        since: time,
                        reason,
                        registers: registers.clone(),
                    },
                );
                None
            }
            Event::SwitchIn { tid, time } => self.come(tid, time).map(Finished::Interval),
            Event::Sample(ref sample) => {
                self.seen_running(sample.tid, sample.pid, sample.time);
                None
            }
            Event::ThreadStart { pid, tid, .. } => {
                let place = Place::New;
                let thread = Thread {
                    process: Some(pid),
                    place,
                    on_cpu: Nanos::ZERO,
                    stirred: false,
                };
                self.threads.insert(tid, thread);
                None
            }
            Event::ThreadExit { tid, time, .. } => {
                let on_cpu = self.on_cpu(tid, time);
                self.threads.remove(&tid)?;
                Some(Finished::Thread { tid, on_cpu })
            }
            Event::Exec { pid, time } => {
                self.start_anew(pid, time);
                None
            }
            Event::ThreadName { .. }
            | Event::Mapped { .. }
            | Event::Lost { .. }
            | Event::Throttled { .. } => None,
        }
    }

    /// The threads that are off their CPUs and left them at `moment` or earlier.
    pub fn off_since_before(&self, moment: Nanos) -> impl Iterator<Item = OffThread<'_>> {
        self.threads
            .iter()
            .filter_map(|(&tid, thread)| thread.off(tid))
            .filter(move |off| off.since <= moment)
    }

    /// Since when and why a thread is off its CPU, if it is.
    #[must_use]
    pub fn off(&self, tid: Tid) -> Option<OffThread<'_>> {
        self.threads.get(&tid)?.off(tid)
    }

    /// How long a living thread has been on a CPU between the beginning and `until`.
    #[must_use]
    pub fn on_cpu(&self, tid: Tid, until: Nanos) -> Nanos {
        match self.threads.get(&tid) {
            Some(Thread {
                place: Place::On { since },
                on_cpu,
                ..
            }) => *on_cpu + until.since(*since),
            Some(thread) => thread.on_cpu,
            None => Nanos::ZERO,
        }
    }

    /// The living threads that have been heard of, and since when each is off its CPU, if it is.
    pub fn threads(&self) -> impl Iterator<Item = (Tid, Option<Nanos>)> {
        let since = |tid, thread: &Thread| thread.off(tid).map(|off| off.since);
        self.threads
            .iter()
            .map(move |(&tid, thread)| (tid, since(tid, thread)))
    }

    /// Whether a thread lives that has been heard of.
    #[must_use]
    pub fn knows(&self, tid: Tid) -> bool {
        self.threads.contains_key(&tid)
    }

    /// How often a record was missing, so that an interval had to be left out.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// The threads that came or left since this was asked last, each once. Some may have
    /// ended since.
    pub fn stirred(&mut self) -> impl Iterator<Item = Tid> {
        for tid in &self.stirred {
            if let Some(thread) = self.threads.get_mut(tid) {
                thread.stirred = false;
            }
        }
        self.stirred.drain(..)
    }

    /// A thread that comes or leaves, or that runs.
    fn thread(&mut self, tid: Tid) -> &mut Thread {
        let place = Place::On { since: self.begin };
        let thread = self.threads.entry(tid).or_insert(Thread {
            process: None,
            place,
            on_cpu: Nanos::ZERO,
            stirred: false,
        });
        if !thread.stirred {
            thread.stirred = true;
            self.stirred.push(tid);
        }
        thread
    }

    fn leave(&mut self, tid: Tid, time: Nanos, off: Place) {
        let thread = self.thread(tid);
        let was = std::mem::replace(&mut thread.place, off);
        match was {
            Place::On { since } => thread.on_cpu = thread.on_cpu + time.since(since),
            Place::Off { .. } | Place::New => self.gaps += 1,
        }
    }

    fn come(&mut self, tid: Tid, time: Nanos) -> Option<OffInterval> {
        let known = self.threads.len();
        let thread = self.thread(tid);
        let was = std::mem::replace(&mut thread.place, Place::On { since: time });
        match was {
            Place::Off {
                since,
                reason,
                registers,
            } => Some(OffInterval {
                tid,
                start: since,
                end: time,
                reason,
                registers,
            }),
            Place::New => None,
            Place::On { .. } => {
                // A thread that slept as we came is not one that lost a record.
                self.gaps += u64::from(known == self.threads.len());
                None
            }
        }
    }

    fn seen_running(&mut self, tid: Tid, process: Pid, time: Nanos) {
        let thread = self.thread(tid);
        thread.process = Some(process);
        if !matches!(thread.place, Place::On { .. }) {
            thread.place = Place::On { since: time };
            self.gaps += 1;
        }
    }

    /// An exec leaves one thread, which gets the number of the first and is running.
    fn start_anew(&mut self, pid: Pid, time: Nanos) {
        let first = Tid(pid.0);
        self.threads
            .retain(|&tid, thread| tid == first || thread.process.is_some_and(|of| of != pid));
        let thread = self.thread(first);
        thread.process = Some(pid);
        if !matches!(thread.place, Place::On { .. }) {
            thread.place = Place::On { since: time };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Registers;
    use crate::event::{Sample, StackCopy};
    use crate::ids::Avma;
    use proptest::prelude::*;

    const BEGIN: Nanos = Nanos(1000);
    const A: Tid = Tid(7);

    fn out(tid: Tid, time: u64) -> Event {
        let registers = Some(Box::new(Registers::from_ip_sp(Avma(time), Avma(8))));
        Event::SwitchOut {
            tid,
            time: Nanos(time),
            reason: SwitchReason::Waiting,
            registers,
        }
    }

    fn back(tid: Tid, time: u64) -> Event {
        Event::SwitchIn {
            tid,
            time: Nanos(time),
        }
    }

    fn sample(tid: Tid, time: u64) -> Event {
        let registers = Registers::from_ip_sp(Avma(1), Avma(8));
        Event::Sample(Box::new(Sample {
            pid: Pid(7),
            tid,
            time: Nanos(time),
            period: Nanos(1),
            registers,
            stack: StackCopy {
                start: Avma(8),
                bytes: Vec::new(),
            },
            kernel_chain: Vec::new(),
        }))
    }

    fn feed(machine: &mut OffCpu, events: &[Event]) -> Vec<Finished> {
        events
            .iter()
            .filter_map(|event| machine.feed(event))
            .collect()
    }

    #[test]
    fn a_sleep_has_the_start_end_and_registers_of_its_switches() {
        let mut machine = OffCpu::new(BEGIN);
        let finished = feed(&mut machine, &[out(A, 1200), back(A, 1700)]);
        let expected = OffInterval {
            tid: A,
            start: Nanos(1200),
            end: Nanos(1700),
            reason: SwitchReason::Waiting,
            registers: Some(Box::new(Registers::from_ip_sp(Avma(1200), Avma(8)))),
        };
        assert_eq!(finished, [Finished::Interval(expected)]);
        assert_eq!(machine.gaps(), 0);
    }

    #[test]
    fn a_thread_asleep_as_we_came_gives_no_interval_and_no_gap() {
        let mut machine = OffCpu::new(BEGIN);
        assert_eq!(feed(&mut machine, &[back(A, 1700)]), []);
        assert_eq!(machine.gaps(), 0);
        assert_eq!(machine.on_cpu(A, Nanos(1800)), Nanos(100));
    }

    #[test]
    fn a_thread_running_as_we_came_counts_from_then_on() {
        let mut machine = OffCpu::new(BEGIN);
        feed(&mut machine, &[sample(A, 1100), out(A, 1400)]);
        assert_eq!(machine.on_cpu(A, Nanos(9000)), Nanos(400));
    }

    #[test]
    fn time_on_the_cpu_adds_up_and_the_end_of_the_thread_tells_it() {
        let mut machine = OffCpu::new(BEGIN);
        let exit = Event::ThreadExit {
            pid: Pid(7),
            tid: A,
            time: Nanos(2600),
        };
        let start = Event::ThreadStart {
            pid: Pid(7),
            tid: A,
            time: Nanos(1100),
        };
        let finished = feed(
            &mut machine,
            &[start, back(A, 1200), out(A, 1500), back(A, 2500), exit],
        );
        assert_eq!(
            finished.last(),
            Some(&Finished::Thread {
                tid: A,
                on_cpu: Nanos(400)
            })
        );
        assert_eq!(machine.threads().count(), 0);
    }

    #[test]
    fn a_lost_record_costs_an_interval_but_never_makes_a_wrong_one() {
        let mut machine = OffCpu::new(BEGIN);
        // Its coming was lost: no interval may span 1200 to 1900.
        let finished = feed(&mut machine, &[out(A, 1200), out(A, 1800), back(A, 1900)]);
        let starts: Vec<Nanos> = finished
            .iter()
            .filter_map(|finished| match finished {
                Finished::Interval(interval) => Some(interval.start),
                Finished::Thread { .. } => None,
            })
            .collect();
        assert_eq!(starts, [Nanos(1800)]);
        assert_eq!(machine.gaps(), 1);
        // And so with a sample where it was thought asleep, and a coming without a leaving.
        feed(
            &mut machine,
            &[out(A, 2000), sample(A, 2100), back(A, 2200)],
        );
        assert_eq!(machine.gaps(), 3);
    }

    #[test]
    fn who_is_still_off_is_told_from_who_left_just_now() {
        let mut machine = OffCpu::new(BEGIN);
        feed(
            &mut machine,
            &[
                out(A, 1200),
                out(Tid(8), 1500),
                out(Tid(9), 1300),
                back(Tid(9), 1400),
            ],
        );
        let off: Vec<Tid> = machine
            .off_since_before(Nanos(1400))
            .map(|off| off.tid)
            .collect();
        assert_eq!(off, [A]);
        assert_eq!(machine.off(Tid(8)).map(|off| off.since), Some(Nanos(1500)));
        assert_eq!(machine.off(Tid(9)), None);
    }

    #[test]
    fn who_came_or_left_is_told_once() {
        let mut machine = OffCpu::new(BEGIN);
        feed(
            &mut machine,
            &[out(A, 1200), back(A, 1300), out(Tid(8), 1400)],
        );
        assert_eq!(machine.stirred().collect::<Vec<_>>(), [A, Tid(8)]);
        feed(&mut machine, &[out(A, 1500)]);
        assert_eq!(machine.stirred().collect::<Vec<_>>(), [A]);
        assert_eq!(machine.stirred().count(), 0);
    }

    #[test]
    fn an_exec_leaves_only_the_first_thread() {
        let mut machine = OffCpu::new(BEGIN);
        let exec = Event::Exec {
            pid: Pid(7),
            time: Nanos(2000),
        };
        feed(&mut machine, &[out(A, 1200), sample(Tid(8), 1300), exec]);
        assert_eq!(machine.threads().collect::<Vec<_>>(), [(A, None)]);
        assert_eq!(machine.off(A), None);
    }

    proptest! {
        /// Whatever is lost: intervals of a thread never overlap, never run backwards, and with its time on
        /// the CPU never exceed the whole.
        #[test]
        fn intervals_of_a_thread_never_overlap(steps in prop::collection::vec((0u8..3, 1u64..1000), 0..200)) {
            let mut machine = OffCpu::new(BEGIN);
            let mut time = BEGIN.0;
            let mut last_end = BEGIN;
            let mut off = Nanos::ZERO;
            for (what, pause) in steps {
                time += pause;
                let event = match what {
                    0 => out(A, time),
                    1 => back(A, time),
                    _ => sample(A, time),
                };
                if let Some(Finished::Interval(interval)) = machine.feed(&event) {
                    prop_assert!(interval.start >= last_end && interval.end >= interval.start);
                    last_end = interval.end;
                    off = off + interval.end.since(interval.start);
                }
            }
            let whole = Nanos(time).since(BEGIN);
            prop_assert!(machine.on_cpu(A, Nanos(time)) + off <= whole);
        }
    }
}
