//! Who has to do with a recording while it goes on: whoever is told how it goes, and whoever
//! gets what is seen.

use crate::capture::Keeper;
use awaitscope_sampler::{LiveProcess, Process};
use awaitscope_symbolizer::session::{Batch, Glance, Session};
use std::sync::Arc;
use std::time::Duration;

/// Whoever is told how a recording goes, while it goes on.
pub trait Audience {
    /// How long it will last, what was seen so far, and how many tasks live. This is said after
    /// every look, so not much should be done.
    fn show(&mut self, left: Option<Duration>, glance: &dyn Fn() -> (Glance, Option<u64>));

    /// A remark.
    fn note(&mut self, text: &str);

    /// No more looks are taken.
    fn over(&mut self);
}

/// What becomes of what is seen.
pub trait Consumer: Send + 'static {
    /// The process, as the session is to see it.
    fn process(&self, process: Arc<LiveProcess>) -> Arc<dyn Process + Send + Sync>;

    /// Passes a batch on to the session.
    fn pass(&mut self, session: &mut Session, batch: Batch);
}

impl Consumer for Option<Keeper> {
    fn process(&self, process: Arc<LiveProcess>) -> Arc<dyn Process + Send + Sync> {
        match self {
            Some(keeper) => Arc::new(keeper.process(process)),
            None => process,
        }
    }

    fn pass(&mut self, session: &mut Session, batch: Batch) {
        match self {
            Some(keeper) => keeper.pass(session, batch),
            None => session.take(batch),
        }
    }
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Told,
    /// It had lasted as long as it was to.
    TimeOver,
    /// The process ended.
    ProcessEnded,
    /// It could not go on.
    Failed,
}
