//! Threads that ended, as far as their own events tell.

use crate::event::Event;
use crate::ids::Tid;
use std::collections::HashSet;

/// Knows which threads ended, and what still comes of them.
///
/// The kernel ends a thread's events before the thread (`perf_event_exit_task`, called by
/// `do_exit`), and the clock of a CPU goes on to sample it. Nothing would ever tell that such a
/// thread leaves its CPU again.
#[derive(Debug, Default)]
pub(crate) struct Ended(HashSet<Tid>);

impl Ended {
    /// Whether an event, in the order of time, is of a thread that has not ended.
    pub(crate) fn admits(&mut self, event: &Event) -> bool {
        match event {
            Event::ThreadExit { tid, .. } => {
                self.0.insert(*tid);
                true
            }
            // Its number is given out again.
            Event::ThreadStart { tid, .. } => {
                self.0.remove(tid);
                true
            }
            // The thread that runs another program takes the number of the first one, which the
            // kernel ended before.
            Event::Exec { pid, .. } => {
                self.0.remove(&Tid(pid.0));
                true
            }
            Event::Sample(sample) => !self.0.contains(&sample.tid),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Registers;
    use crate::event::{Sample, StackCopy};
    use crate::ids::{Avma, Nanos, Pid};

    const PROCESS: Pid = Pid(10);
    const THREAD: Tid = Tid(11);

    fn sample(tid: Tid) -> Event {
        Event::Sample(Box::new(Sample {
            pid: PROCESS,
            tid,
            time: Nanos(0),
            period: Nanos(1),
            registers: Registers::from_ip_sp(Avma(0), Avma(0)),
            stack: StackCopy {
                start: Avma(0),
                bytes: Vec::new(),
            },
            kernel_chain: Vec::new(),
        }))
    }

    fn exit() -> Event {
        Event::ThreadExit {
            pid: PROCESS,
            tid: THREAD,
            time: Nanos(1),
        }
    }

    fn start() -> Event {
        Event::ThreadStart {
            pid: PROCESS,
            tid: THREAD,
            time: Nanos(2),
        }
    }

    #[test]
    fn a_thread_that_ended_runs_no_more() {
        let mut ended = Ended::default();
        assert!(ended.admits(&sample(THREAD)));
        assert!(ended.admits(&exit()));
        assert!(!ended.admits(&sample(THREAD)));
        assert!(ended.admits(&sample(Tid(12))));
    }

    #[test]
    fn who_runs_another_program_takes_the_number_of_the_first_thread() {
        let first = Tid(PROCESS.0);
        let mut ended = Ended::default();
        ended.admits(&Event::ThreadExit {
            pid: PROCESS,
            tid: first,
            time: Nanos(1),
        });
        ended.admits(&Event::Exec {
            pid: PROCESS,
            time: Nanos(2),
        });
        assert!(ended.admits(&sample(first)));
    }

    #[test]
    fn a_number_given_out_again_is_another_thread() {
        let mut ended = Ended::default();
        ended.admits(&exit());
        assert!(ended.admits(&start()));
        assert!(ended.admits(&sample(THREAD)));
    }
}
