//! What snapshots told, as times, series and await points of a profile.

use super::{Making, SECOND};
use crate::profile::{
    COVERED, CircleEntry, FrameId, KindId, KindLife, LinkEntry, LockEntry, StackId, State,
    WaitEntry, Waiting, WeightKey, limits,
};
use awaitscope_symbolizer::snapshot::{self, Depth, Moment, WaitPlace};
use awaitscope_symbolizer::{Frame, FrameKind, Origin};
use std::sync::Arc;

impl Making<'_> {
    /// Adds what snapshots told.
    pub(super) fn waiting(&mut self, waiting: &snapshot::Waiting) {
        let kinds: Vec<KindId> = waiting.kinds.iter().map(|k| self.kind(&k.kind)).collect();
        let mut frames = vec![None; waiting.frames.len()];
        let waits: Vec<WaitEntry> = waiting
            .places
            .iter()
            .take(limits::WAITS)
            .map(|place| {
                let stack = self.wait_stack(&place.frames, &waiting.frames, &mut frames);
                let kind = place.kind.and_then(|kind| kinds.get(kind as usize));
                entry(place, kind.copied(), stack)
            })
            .collect();
        for sum in &waiting.sums {
            let Some(at) = waits.get(sum.place as usize) else {
                continue;
            };
            let key = WeightKey {
                thread: None,
                state: match sum.ready {
                    true => State::Ready,
                    false => State::Waiting,
                },
                kind: at.kind,
                task: None,
                stack: at.stack,
            };
            let begin = u64::from(sum.second) * SECOND;
            self.builder.add_weight(key, begin, sum.time.0, 0);
        }
        waiting
            .moments
            .iter()
            .for_each(|moment| self.moment(moment));
        self.quality(waiting);
        let lives = waiting.kinds.iter().zip(&kinds);
        let lives = lives.map(|(seen, kind)| KindLife {
            kind: *kind,
            alive_ns: seen.alive.0.min(limits::TIME),
            tasks: seen.tasks,
        });
        self.builder.set_waiting(Waiting {
            covered_ns: waiting.quality.covered.0,
            period_ns: waiting.quality.period.0,
            took_ns: waiting.quality.took.0,
            slowest_ns: waiting.quality.slowest.0,
            kinds: lives.collect(),
            locks: waiting.locks.iter().map(|l| lock(l, waits.len())).collect(),
            circles: waiting
                .circles
                .iter()
                .map(|c| circle(c, waits.len()))
                .collect(),
            waits,
        });
    }

    /// The stack of an await point; a stand-in where it could not be read.
    fn wait_stack(
        &mut self,
        stack: &[u32],
        frames: &[Frame],
        known: &mut [Option<FrameId>],
    ) -> StackId {
        let mut parent = None;
        for index in stack.iter().map(|index| *index as usize) {
            let (Some(frame), Some(known)) = (frames.get(index), known.get_mut(index)) else {
                continue;
            };
            let frame = *known.get_or_insert_with(|| self.builder.frame(frame));
            parent = Some(self.builder.stack(parent, frame));
        }
        parent.unwrap_or_else(|| {
            let frame = self.builder.frame(&Frame {
                function: "[await point not known]".into(),
                file: None,
                line: None,
                kind: FrameKind::Leaf,
                origin: Origin::Unknown,
            });
            self.builder.stack(None, frame)
        })
    }

    fn moment(&mut self, moment: &Moment) {
        if moment.covered.0 == 0 {
            return;
        }
        let at = u64::from(moment.second) * SECOND;
        let mean = |time: u64, covered: u64| time as f64 / covered.max(1) as f64;
        let covered = moment.covered.0;
        self.builder.add_point(COVERED, at, covered as f64);
        let live = mean(moment.live.0, covered);
        self.builder.add_point("live_tasks", at, live);
        let running = mean(moment.running.0, covered);
        self.builder.add_point("running_tasks", at, running);
        let (ready, most) = (mean(moment.ready.0, covered), f64::from(moment.most_ready));
        self.builder.add_mean("ready_tasks", at, ready, most);
        let mut queue = |name: &str, depth: Option<Depth>| {
            if let Some(depth) = depth {
                let mean = mean(depth.time.0, depth.covered.0);
                self.builder.add_mean(name, at, mean, f64::from(depth.most));
            }
        };
        queue("local_queue", moment.local);
        queue("injection_queue", moment.injection);
        queue("blocking_queue", moment.blocking);
    }

    fn quality(&mut self, waiting: &snapshot::Waiting) {
        let seen = &waiting.quality;
        let quality = self.builder.quality_mut();
        quality.snapshots = u64::from(seen.snapshots);
        quality.snapshot_tasks = seen.tasks;
        quality.torn_tasks = seen.torn;
        quality.unresolved_tasks = seen.unresolved;
        quality.notes.extend(waiting.notes.iter().cloned());
    }
}

fn entry(place: &WaitPlace, kind: Option<KindId>, stack: StackId) -> WaitEntry {
    let named = place.unmoved_tasks.iter().take(limits::NAMED);
    WaitEntry {
        kind,
        stack,
        what: place.on.as_ref().map(|on| on.what),
        type_name: place.on.as_ref().map(|on| Arc::clone(&on.type_name)),
        stays: place.stays.iter().take(limits::STAYS).copied().collect(),
        longest_ns: place.longest.0,
        unmoved: place.unmoved,
        unmoved_tasks: named.map(ToString::to_string).collect(),
        first: place.first,
        last: place.last,
    }
}

fn lock(lock: &snapshot::LockQueue, waits: usize) -> LockEntry {
    let places = |places: &[(u32, u64)]| {
        let known = places.iter().filter(|(place, _)| (*place as usize) < waits);
        known.take(limits::LOCK_PLACES).copied().collect()
    };
    let named = lock.holders.iter().take(limits::NAMED);
    LockEntry {
        snapshots: lock.snapshots,
        waiters: lock.waiters,
        most: lock.most,
        waited_at: places(&lock.waited_at),
        held_at: places(&lock.held_at),
        unheld: lock.unheld,
        holders: named.map(ToString::to_string).collect(),
    }
}

fn circle(circle: &snapshot::Circle, waits: usize) -> CircleEntry {
    let known = circle
        .links
        .iter()
        .filter(|link| (link.place as usize) < waits);
    CircleEntry {
        links: known
            .take(limits::LINKS)
            .map(|link| LinkEntry {
                task: link.task.map(|task| task.to_string()),
                wait: link.place,
                lock: link.lock.is_some(),
            })
            .collect(),
        behind: circle.behind,
        snapshots: circle.snapshots,
        seen_for_ns: circle.seen_for.0,
    }
}
