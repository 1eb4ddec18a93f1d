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
