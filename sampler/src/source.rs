//! Where events come from.

use crate::error::Error;
use crate::event::Event;
use crate::ids::Nanos;
use crate::moments::{AtSample, Moments};
use std::sync::Arc;

/// A stream of events: a live process.
pub trait SampleSource {
    /// Hands every event that is complete to `sink`, in the order of time, and
    /// returns the moment up to which nothing is missing: no later call gives an
    /// event before it.
    ///
    /// # Errors
    /// The source cannot be read any more.
    fn drain(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error>;

    /// Hands over everything that is there, also what would have to wait for its turn: for
    /// the end of a recording. Returns the moment up to which events were given.
    ///
    /// # Errors
    /// The source cannot be read any more.
    fn finish(&mut self, sink: &mut dyn FnMut(Event)) -> Result<Nanos, Error> {
        self.drain(sink)
    }

    /// Has `reader` read memory at each sample from now on; `None` where that cannot be.
    fn moments(&self, _reader: &Arc<dyn AtSample>) -> Option<Moments> {
        None
    }

    /// What the events of this source carry.
    fn abilities(&self) -> Abilities;
}

/// What we are allowed to see of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Time in the kernel is sampled, and kernel frames come with it.
    pub kernel: bool,
    /// Switch records carry the user registers.
    pub switch_registers: bool,
}
