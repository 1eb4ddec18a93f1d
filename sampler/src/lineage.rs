//! Which event a thread is watched by, when more than one watches it.
//!
//! While we attach, threads go on starting threads. One that starts after its
//! parent was attached inherits the parent's events; one that started a moment before does not,
//! and must be attached itself. From outside the two look the same, and the truth may differ
//! from CPU to CPU, since a parent is attached one CPU after the other. So every
//! thread that shows up while we attach is attached; and the records then tell which were
//! watched already: a record *about* thread T on CPU c, written by an event that was opened on
//! another thread, proves that T inherited on c. From then on the event opened on T
//! for c (and the one for switches beside it) is one too many, and is to be closed (which closes the copies that T's own children
//! inherited from it as well). Until then, of two records about the same, only the one of the
//! event that came first is taken.

use crate::by_number::ByNumber;
use crate::ids::{Nanos, Pid, Tid};
use crate::record::Kind;
use std::collections::HashMap;

/// What is known of the events and the threads they watch.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    opened: ByNumber<u64, Opened>,
    threads: ByNumber<Tid, Watched>,
    last_exec: HashMap<Pid, Nanos>,
}

#[derive(Debug, Clone, Copy)]
struct Opened {
    /// `None`: on all that runs on a CPU.
    on: Option<Tid>,
    kind: Kind,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// The clock event whose records count, by CPU.
#[derive(Debug, Default)]
struct Watched {
    by: ByNumber<u32, u64>,
}

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It counts.
    Take,
    /// Another event tells the same.
    Skip,
    /// Another event tells the same, and this one is to be closed.
    SkipAndClose(u64),
}

/// Two records of one exec are this close; two execs of a process are not.
const ONE_EXEC: Nanos = Nanos(200_000);

impl Lineage {
    /// An event was opened on a thread.
    pub(crate) fn opened(&mut self, id: u64, on: Tid, kind: Kind) {
        let (on, state) = (Some(on), State::Open);
        self.opened.insert(id, Opened { on, kind, state });
    }

    /// A clock was opened on a CPU. It has no rival.
    pub(crate) fn opened_on_cpu(&mut self, id: u64) {
        let (on, kind, state) = (None, Kind::Clock, State::Open);
        self.opened.insert(id, Opened { on, kind, state });
    }

    /// Whether the event `id` is the clock of a CPU.
    pub(crate) fn is_of_cpu(&self, id: u64) -> bool {
        self.opened
            .get(&id)
            .is_some_and(|opened| opened.on.is_none())
    }

    /// What the event `id` does, if it is one of ours.
    pub(crate) fn kind_of(&self, id: u64) -> Option<Kind> {
        self.opened.get(&id).map(|opened| opened.kind)
    }

    /// Whether this thread has been heard of in a record, or was attached.
    pub(crate) fn knows(&self, tid: Tid) -> bool {
        self.threads.contains_key(&tid)
    }

    /// This thread exists and is watched.
    pub(crate) fn note(&mut self, tid: Tid) {
        self.threads.entry(tid).or_default();
    }

    /// This thread ended; its number may come again.
    pub(crate) fn ended(&mut self, tid: Tid) {
        self.threads.remove(&tid);
    }

    /// Whether a record of the clock event `id`, written on `cpu` while `tid` ran, counts.
    pub(crate) fn judge(&mut self, id: u64, tid: Tid, cpu: u32) -> Verdict {
        // Nearly always: it counts because it did before.
        let known = self.threads.get(&tid).and_then(|of| of.by.get(&cpu));
        if known == Some(&id) {
            return Verdict::Take;
        }
        let Some(&Opened { on, .. }) = self.opened.get(&id) else {
            return Verdict::Skip;
        };
        let by = &mut self.threads.entry(tid).or_default().by;
        let counts = by.entry(cpu).or_insert(id);
        if *counts == id {
            return Verdict::Take;
        }
        let rival = *counts;
        let Some(rival_opened) = self.opened.get(&rival).copied() else {
            *counts = id;
            return Verdict::Take;
        };
        if rival_opened.state == State::Closed {
            *counts = id;
            return Verdict::Take;
        }
        // Both live. The one that `tid` inherited has seniority.
        if on == Some(tid) {
            self.close(id)
        } else if rival_opened.on == Some(tid) {
            *counts = id;
            self.close(rival)
        } else {
            Verdict::Skip
        }
    }

    /// Whether a record that tells of an exec counts. If it does, the process has one thread
    /// now, which has taken over the number of the first one: whatever was known of who
    /// watches whom is void.
    pub(crate) fn judge_exec(&mut self, id: u64, pid: Pid, cpu: u32, time: Nanos) -> Verdict {
        let tid = Tid(pid.0);
        let same = |watched: &Watched| watched.by.get(&cpu) == Some(&id);
        let again = self
            .last_exec
            .get(&pid)
            .is_some_and(|&last| time.since(last) < ONE_EXEC);
        if again && !self.threads.get(&tid).is_some_and(same) {
            return Verdict::Skip;
        }
        self.last_exec.insert(pid, time);
        for watched in self.threads.values_mut() {
            watched.by.clear();
        }
        self.judge(id, tid, cpu)
    }

    fn close(&mut self, id: u64) -> Verdict {
        match self.opened.get_mut(&id) {
            Some(opened) if opened.state == State::Open => {
                opened.state = State::Closed;
                Verdict::SkipAndClose(id)
            }
            _ => Verdict::Skip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: Tid = Tid(1);
    const CHILD: Tid = Tid(2);
    const GRANDCHILD: Tid = Tid(3);
    const OF_PARENT: u64 = 100;
    const OF_CHILD: u64 = 200;

    fn lineage() -> Lineage {
        let mut lineage = Lineage::default();
        lineage.opened(OF_PARENT, PARENT, Kind::Clock);
        lineage.opened(OF_CHILD, CHILD, Kind::Clock);
        lineage
    }

    #[test]
    fn a_thread_that_inherited_nothing_is_watched_by_its_own_event() {
        let mut lineage = lineage();
        for _ in 0..3 {
            assert_eq!(lineage.judge(OF_CHILD, CHILD, 0), Verdict::Take);
            assert_eq!(lineage.judge(OF_PARENT, PARENT, 0), Verdict::Take);
        }
    }

    #[test]
    fn of_two_events_on_a_thread_one_counts_and_its_own_is_closed_once() {
        let mut lineage = lineage();
        assert_eq!(lineage.judge(OF_PARENT, CHILD, 0), Verdict::Take);
        assert_eq!(
            lineage.judge(OF_CHILD, CHILD, 0),
            Verdict::SkipAndClose(OF_CHILD)
        );
        // What it wrote before it was closed.
        assert_eq!(lineage.judge(OF_CHILD, CHILD, 0), Verdict::Skip);
        assert_eq!(lineage.judge(OF_PARENT, CHILD, 0), Verdict::Take);
    }

    #[test]
    fn the_inherited_event_takes_over_when_the_own_one_came_first() {
        let mut lineage = lineage();
        assert_eq!(lineage.judge(OF_CHILD, CHILD, 0), Verdict::Take);
        assert_eq!(
            lineage.judge(OF_PARENT, CHILD, 0),
            Verdict::SkipAndClose(OF_CHILD)
        );
        assert_eq!(lineage.judge(OF_PARENT, CHILD, 0), Verdict::Take);
        assert_eq!(lineage.judge(OF_CHILD, CHILD, 0), Verdict::Skip);
    }

    #[test]
    fn what_was_inherited_on_one_cpu_only_is_judged_there_only() {
        let mut lineage = lineage();
        assert_eq!(lineage.judge(OF_PARENT, CHILD, 0), Verdict::Take);
        assert_eq!(lineage.judge(OF_CHILD, CHILD, 1), Verdict::Take);
    }

    #[test]
    fn a_grandchild_changes_over_when_the_event_it_was_watched_by_is_closed() {
        let mut lineage = lineage();
        assert_eq!(lineage.judge(OF_CHILD, GRANDCHILD, 0), Verdict::Take);
        assert_eq!(lineage.judge(OF_PARENT, GRANDCHILD, 0), Verdict::Skip);
        lineage.judge(OF_PARENT, CHILD, 0);
        lineage.judge(OF_CHILD, CHILD, 0);
        assert_eq!(lineage.judge(OF_PARENT, GRANDCHILD, 0), Verdict::Take);
    }

    #[test]
    fn a_number_that_comes_again_starts_afresh() {
        let mut lineage = lineage();
        assert_eq!(lineage.judge(OF_CHILD, CHILD, 0), Verdict::Take);
        lineage.ended(CHILD);
        assert!(!lineage.knows(CHILD));
        assert_eq!(lineage.judge(OF_PARENT, CHILD, 0), Verdict::Take);
    }

    #[test]
    fn an_exec_by_another_thread_hands_its_events_to_the_first_number() {
        let mut lineage = lineage();
        assert_eq!(lineage.judge(OF_PARENT, PARENT, 0), Verdict::Take);
        let pid = Pid(PARENT.0);
        assert_eq!(
            lineage.judge_exec(OF_CHILD, pid, 0, Nanos(5_000_000)),
            Verdict::Take
        );
        assert_eq!(lineage.judge(OF_CHILD, PARENT, 0), Verdict::Take);
    }

    #[test]
    fn one_exec_told_by_two_events_is_one() {
        let mut lineage = lineage();
        let pid = Pid(CHILD.0);
        assert_eq!(
            lineage.judge_exec(OF_CHILD, pid, 0, Nanos(5_000_000)),
            Verdict::Take
        );
        assert_eq!(
            lineage.judge_exec(OF_PARENT, pid, 0, Nanos(5_000_900)),
            Verdict::Skip
        );
        assert_eq!(
            lineage.judge_exec(OF_CHILD, pid, 0, Nanos(9_000_000)),
            Verdict::Take
        );
    }

    #[test]
    fn a_stranger_is_not_listened_to() {
        assert_eq!(lineage().judge(999, CHILD, 0), Verdict::Skip);
    }
}
