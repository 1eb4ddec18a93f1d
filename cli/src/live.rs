//! A recording that is looked at while it goes on: every so often a profile of the last while.

use crate::about::About;
use crate::audience::Consumer;
use crate::snapshots::{Latest, Pace};
use awaitscope_flamegraph::Profile;
use awaitscope_sampler::{LiveProcess, Nanos, Process};
use awaitscope_symbolizer::DebugFiles;
use awaitscope_symbolizer::session::{Batch, Session};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// The first profile comes as soon as there is something to see.
const FIRST_AFTER: Duration = Duration::from_millis(600);

/// Makes profiles of the last while.
pub struct Live<S> {
    about: About,
    debug_files: Arc<DebugFiles>,
    start: Nanos,
    pace: Pace,
    latest: Latest,
    next: Instant,
    show: S,
}

impl<S> Live<S> {
    /// Has profiles shown at a pace. `about` is of the recording that began at `start`.
    pub fn new(
        about: About,
        debug_files: Arc<DebugFiles>,
        start: Nanos,
        pace: Pace,
        show: S,
    ) -> Self {
        Self {
            about,
            debug_files,
            start,
            pace,
            latest: Latest::default(),
            next: Instant::now() + FIRST_AFTER.min(pace.every),
            show,
        }
    }

    /// Where snapshots leave what they tell.
    pub fn latest(&self) -> Latest {
        Arc::clone(&self.latest)
    }

    /// The last while.
    fn profile(&self, session: &mut Session) -> Profile {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = latest.clone();
        let window = u64::try_from(self.pace.window.as_nanos()).unwrap_or(u64::MAX);
        let oldest = Nanos(session.horizon().0.saturating_sub(window)).max(self.start);
        // Both are to begin with the same second. Snapshots that have not come for long, or of
        // a program that is gone, are of another time.
        let slack = Nanos(u64::try_from(self.pace.every.as_nanos()).unwrap_or(u64::MAX) * 2);
        let latest = latest.filter(|(since, _)| *since + slack >= oldest);
        let since = latest.as_ref().map_or(oldest, |(since, _)| *since);
        let waiting = latest.map(|(_, waiting)| waiting);
        let outcome = session.recent(since).with_waiting(waiting);
        let duration = session.horizon().since(outcome.start);
        let mut about = self.about.clone();
        about.target.build_id.clone_from(&outcome.build_id);
        about.start_unix_ns = about
            .start_unix_ns
            .saturating_add(outcome.start.since(self.start).0);
        about.duration_ns = duration.0;
        about.profile(&outcome, &self.debug_files)
    }
}

impl<S: FnMut(Profile) + Send + 'static> Consumer for Live<S> {
    fn process(&self, process: Arc<LiveProcess>) -> Arc<dyn Process + Send + Sync> {
        process
    }

    fn pass(&mut self, session: &mut Session, batch: Batch) {
        session.take(batch);
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + self.pace.every;
        let profile = self.profile(session);
        (self.show)(profile);
    }
}
