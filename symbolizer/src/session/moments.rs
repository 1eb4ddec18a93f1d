//! Which copies at the moments of samples hold: those during which the thread lay still.

use super::Item;
use awaitscope_sampler::{Event, MemoryCopy, Moment, Nanos, Tid};
use std::collections::HashMap;

/// Copies that wait for their samples.
#[derive(Debug, Default)]
pub(super) struct Copies(HashMap<(Tid, Nanos), Moment>);

impl Copies {
    pub fn add(&mut self, moments: Vec<Moment>) {
        let moments = moments.into_iter();
        self.0
            .extend(moments.map(|moment| ((moment.tid, moment.sampled), moment)));
    }

    /// How many of the first `ready` of `pending` can be taken: a sample waits until all is known
    /// that happened until its reading was done.
    pub fn decided(&self, pending: &[(Nanos, Item)], ready: usize, horizon: Nanos) -> usize {
        if self.0.is_empty() {
            return ready;
        }
        let undecided = pending[..ready].iter().position(|(_, item)| {
            self.of(item)
                .is_some_and(|moment| moment.ended >= horizon && moment.sampled < moment.ended)
        });
        undecided.unwrap_or(ready)
    }

    /// Leaves out the copies of the first `ready` of `pending` that do not hold.
    pub fn settle(&mut self, pending: &[(Nanos, Item)], ready: usize) {
        if self.0.is_empty() {
            return;
        }
        let later = |index| {
            let items: &[(Nanos, Item)] = &pending[index + 1..];
            items.iter().filter_map(|(_, item)| event(item))
        };
        for (index, (_, item)) in pending[..ready].iter().enumerate() {
            if let Item::Event(Event::Sample(sample)) = item
                && let Some(moment) = self.of(item)
                && !moment.lay_still(sample, later(index))
            {
                let key = (moment.tid, moment.sampled);
                self.0.remove(&key);
            }
        }
    }

    /// What was read at a sample, if it holds.
    pub fn take(&mut self, tid: Tid, time: Nanos) -> Option<MemoryCopy> {
        Some(self.0.remove(&(tid, time))?.copy)
    }

    /// No sample before `time` comes any more.
    pub fn forget(&mut self, time: Nanos) {
        self.0.retain(|(_, sampled), _| *sampled >= time);
    }

    fn of(&self, item: &Item) -> Option<&Moment> {
        match item {
            Item::Event(Event::Sample(sample)) => self.0.get(&(sample.tid, sample.time)),
            _ => None,
        }
    }
}

fn event(item: &Item) -> Option<&Event> {
    match item {
        Item::Event(event) => Some(event),
        Item::Pulse(_) | Item::OffStack(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use awaitscope_sampler::{Avma, Pid, Registers, Sample, StackCopy, SwitchReason};

    const TID: Tid = Tid(7);

    fn sample(time: u64) -> (Nanos, Item) {
        let registers = Registers::from_ip_sp(Avma(1), Avma(8));
        let sample = Sample {
            pid: Pid(1),
            tid: TID,
            time: Nanos(time),
            period: Nanos(1),
            registers,
            stack: StackCopy {
                start: Avma(8),
                bytes: Vec::new(),
            },
            kernel_chain: Vec::new(),
        };
        (Nanos(time), Item::Event(Event::Sample(Box::new(sample))))
    }

    fn out(tid: Tid, time: u64) -> (Nanos, Item) {
        out_with(tid, time, None)
    }

    fn out_with(tid: Tid, time: u64, registers: Option<Registers>) -> (Nanos, Item) {
        let event = Event::SwitchOut {
            tid,
            time: Nanos(time),
            reason: SwitchReason::Preempted,
            registers: registers.map(Box::new),
        };
        (Nanos(time), Item::Event(event))
    }

    fn back(tid: Tid, time: u64) -> (Nanos, Item) {
        let time = Nanos(time);
        (time, Item::Event(Event::SwitchIn { tid, time }))
    }

    /// A reading from 30 to 50 at the sample of 10.
    fn moment() -> Moment {
        Moment {
            tid: TID,
            sampled: Nanos(10),
            began: Nanos(30),
            ended: Nanos(50),
            copy: MemoryCopy::default(),
        }
    }

    fn holds(later: Vec<(Nanos, Item)>) -> bool {
        let mut copies = Copies::default();
        copies.add(vec![moment()]);
        let mut pending = vec![sample(10)];
        pending.extend(later);
        copies.settle(&pending, 1);
        copies.take(TID, Nanos(10)).is_some()
    }

    #[test]
    fn a_reading_holds_while_the_thread_waits_behind_the_reader() {
        assert!(holds(vec![out(TID, 20), back(TID, 60)]));
        assert!(holds(vec![out(TID, 20), out(Tid(8), 25), back(Tid(8), 40)]));
    }

    #[test]
    fn a_thread_that_ran_on_before_or_during_the_reading_spoils_it() {
        assert!(!holds(vec![]), "it was not pushed off");
        assert!(!holds(vec![out(TID, 40), back(TID, 60)]), "too late");
        assert!(!holds(vec![out(TID, 20), back(TID, 45)]), "it came back");
        assert!(!holds(vec![out(Tid(8), 20)]), "somebody else");
    }

    #[test]
    fn a_thread_that_left_as_another_than_the_sample_found_spoils_it() {
        let left_at = |ip| {
            let registers = Registers::from_ip_sp(Avma(ip), Avma(8));
            vec![out_with(TID, 20, Some(registers)), back(TID, 60)]
        };
        assert!(holds(left_at(1)));
        assert!(!holds(left_at(2)));
    }

    #[test]
    fn a_thread_that_went_on_for_a_while_spoils_it_also_where_its_registers_came_back() {
        let late = 300_000;
        let mut copies = Copies::default();
        copies.add(vec![Moment {
            began: Nanos(late + 10),
            ended: Nanos(late + 50),
            ..moment()
        }]);
        let same = Registers::from_ip_sp(Avma(1), Avma(8));
        let pending = [
            sample(10),
            out_with(TID, late, Some(same)),
            back(TID, late + 60),
        ];
        copies.settle(&pending, 1);
        assert!(copies.take(TID, Nanos(10)).is_none());
    }

    #[test]
    fn a_sample_waits_until_its_reading_can_be_judged() {
        let mut copies = Copies::default();
        copies.add(vec![moment()]);
        let pending = [back(TID, 5), sample(10), out(TID, 20)];
        assert_eq!(copies.decided(&pending, 3, Nanos(40)), 1);
        assert_eq!(copies.decided(&pending, 3, Nanos(60)), 3);
    }
}
