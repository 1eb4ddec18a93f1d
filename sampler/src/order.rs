//! Brings the events of many rings into one order.
//!
//! Each CPU writes its own ring, and the rings are read one after the other. What a
//! CPU wrote while another one's ring was being read may be older than what was read there. So
//! each event is held until the clock has gone on far enough that nothing older can still come.

use crate::event::Event;
use crate::ids::Nanos;

/// Events that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Order {
    held: Vec<Event>,
    released: Nanos,
}

impl Order {
    /// Takes an event. One older than what has been released already, because its CPU stood
    /// still between looking at the clock and writing (a virtual one can, for
    /// milliseconds), is moved to that moment: order is kept, at the cost of its time
    /// being off by that much.
    pub(crate) fn hold(&mut self, mut event: Event) {
        if event.time() < self.released {
            event.set_time(self.released);
        }
        self.held.push(event);
    }

    /// Gives out, in order, all events before `horizon`.
    pub(crate) fn release(&mut self, horizon: Nanos, sink: &mut dyn FnMut(Event)) -> Nanos {
        // Stable, so that what one CPU wrote at the same moment stays in its order.
        self.held.sort_by_key(Event::time);
        let ready = self.held.partition_point(|event| event.time() < horizon);
        self.held.drain(..ready).for_each(sink);
        self.released = self.released.max(horizon);
        self.released
    }

    /// Gives out everything, and returns the moment just after the last event
    /// (or `now`, if that is later).
    pub(crate) fn release_all(&mut self, now: Nanos, sink: &mut dyn FnMut(Event)) -> Nanos {
        let last = self.held.iter().map(Event::time).max();
        let end = last.map_or(now, |last| now.max(last + Nanos(1)));
        self.release(end, sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Tid;
    use proptest::prelude::*;

    fn at(time: u64) -> Event {
        Event::SwitchIn {
            tid: Tid(1),
            time: Nanos(time),
        }
    }

    fn times(release: impl FnOnce(&mut dyn FnMut(Event)) -> Nanos) -> (Vec<u64>, Nanos) {
        let mut times = Vec::new();
        let horizon = release(&mut |event| times.push(event.time().0));
        (times, horizon)
    }

    #[test]
    fn events_of_two_cpus_come_in_one_order_and_young_ones_wait() {
        let mut order = Order::default();
        for time in [10, 30, 50, 20, 40] {
            order.hold(at(time));
        }
        assert_eq!(
            times(|sink| order.release(Nanos(40), sink)),
            (vec![10, 20, 30], Nanos(40))
        );
        order.hold(at(45));
        assert_eq!(
            times(|sink| order.release_all(Nanos(41), sink)),
            (vec![40, 45, 50], Nanos(51))
        );
    }

    #[test]
    fn one_that_comes_too_late_is_moved_and_not_lost() {
        let mut order = Order::default();
        order.release(Nanos(100), &mut |_| {});
        order.hold(at(99));
        assert_eq!(
            times(|sink| order.release(Nanos(200), sink)),
            (vec![100], Nanos(200))
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_drain_goes_back(drains in prop::collection::vec((prop::collection::vec(0u64..1000, 0..20), 0u64..1000), 0..20)) {
            let mut order = Order::default();
            let mut given = 0;
            let mut last = 0;
            let mut horizon_before = 0;
            for (events, horizon) in &drains {
                given += events.len();
                events.iter().for_each(|&time| order.hold(at(time)));
                let (released, horizon) = times(|sink| order.release(Nanos(*horizon), sink));
                given -= released.len();
                for time in released {
                    prop_assert!(time >= last && time >= horizon_before && time < horizon.0);
                    last = time;
                }
                horizon_before = horizon.0;
            }
            let (rest, _) = times(|sink| order.release_all(Nanos(0), sink));
            prop_assert_eq!(rest.len(), given);
        }
    }
}
