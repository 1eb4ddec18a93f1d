//! Made-up recordings of releases of a service, with all the chance that real ones
//! have: samples in bursts, a load that wanders, runs that differ.

use super::{builder, stack};
use crate::diff::chance::Chance;
use crate::profile::{COVERED, KindLife, WaitEntry, Waiting};
use crate::{
    Cause, KindClass, KindId, Profile, ProfileBuilder, StackId, Stall, State, ThreadRole, WeightKey,
};
use awaitscope_symbolizer::snapshot::WaitsOn;

const SECOND: u64 = 1_000_000_000;
/// Snapshots a second.
const SNAPSHOTS: u64 = 10;

/// What a release does, and how it is recorded.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) seconds: u64,
    pub(crate) rate_hz: u64,
    /// Times the usual load.
    pub(crate) load: f64,
    /// So many samples come one after the other from the same place.
    pub(crate) burst: f64,
    /// Frames, and milliseconds a second at the usual load.
    pub(crate) costs: Vec<(Vec<String>, f64)>,
    /// Frames, and tasks on average.
    pub(crate) waits: Vec<(Vec<String>, f64)>,
    /// Frames, how many a second, and milliseconds each.
    pub(crate) stalls: Vec<(Vec<String>, f64, f64)>,
}

fn frames(text: &str) -> Vec<String> {
    text.split(" | ").map(str::to_owned).collect()
}

/// Functions of all sizes, some in others, in two kinds of tasks and outside any.
#[rustfmt::skip]
const COSTS: [(&str, f64); 16] = [
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:20 | sync user app::parse @ src/parse.rs:5", 110.0),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:20 | sync user app::parse @ src/parse.rs:5 | sync library json::read @ json/src/lib.rs:9", 60.0),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:21 | sync user app::render @ src/render.rs:5", 90.0),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:21 | sync user app::render @ src/render.rs:5 | sync std core::fmt::write @ core/fmt.rs:1", 70.0),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:22 | sync user app::check @ src/check.rs:5", 40.0),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:23 | sync user app::sign::{closure#2} @ src/sign.rs:5", 35.0),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:23 | sync user app::sign::{closure#2} @ src/sign.rs:5 | sync library sha::block @ sha/src/lib.rs:3", 25.0),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:24", 12.0),
    ("async user app::serve @ src/main.rs:10 | async user app::reply @ src/main.rs:30 | kernel kernel tcp_sendmsg", 45.0),
    ("async user app::serve @ src/main.rs:10 | async user app::reply @ src/main.rs:30 | sync std alloc::vec::push @ alloc/vec.rs:1", 6.0),
    ("async user app::work::{async block#0} @ src/work.rs:10 | sync user app::crunch @ src/work.rs:20", 95.0),
    ("async user app::work::{async block#0} @ src/work.rs:10 | sync user app::crunch @ src/work.rs:20 | sync std core::slice::sort @ core/sort.rs:1", 40.0),
    ("async user app::work::{async block#0} @ src/work.rs:11 | sync user app::store @ src/work.rs:40 | kernel kernel write", 20.0),
    ("async user app::work::{async block#0} @ src/work.rs:12", 4.0),
    ("sync user app::housekeeping @ src/house.rs:1 | sync user app::sweep @ src/house.rs:9", 30.0),
    ("sync library mio::poll @ mio/src/poll.rs:1 | kernel kernel do_epoll_wait", 18.0),
];

#[rustfmt::skip]
const WAITS: [(&str, f64); 5] = [
    ("async user app::serve @ src/main.rs:10 | leaf library tokio::net::readable @ tokio/src/net.rs:1", 40.0),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:25 | leaf library tokio::sync::Acquire @ tokio/src/sem.rs:1", 1.5),
    ("async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:26 | leaf library tokio::time::Sleep @ tokio/src/sleep.rs:1", 6.0),
    ("async user app::work::{async block#0} @ src/work.rs:15 | leaf library tokio::time::Sleep @ tokio/src/sleep.rs:1", 4.0),
    ("async user app::idle @ src/main.rs:50 | leaf std core::future::Pending @ core/future.rs:1", 20.0),
];

impl Release {
    /// The service as it is.
    pub(crate) fn usual() -> Self {
        Self {
            seconds: 60,
            rate_hz: 999,
            load: 1.0,
            burst: 2.0,
            costs: COSTS.iter().map(|(path, ms)| (frames(path), *ms)).collect(),
            waits: WAITS
                .iter()
                .map(|(path, tasks)| (frames(path), *tasks))
                .collect(),
            stalls: vec![(
                frames(
                    "async user app::work::{async block#0} @ src/work.rs:15 | sync user app::flush @ src/work.rs:60",
                ),
                1.5,
                14.0,
            )],
        }
    }

    /// The same, but whatever ends in a function of this name costs `times` as much.
    pub(crate) fn times(mut self, name: &str, times: f64) -> Self {
        let within = |frames: &Vec<String>| frames.iter().any(|frame| frame.contains(name));
        for (_, ms) in self.costs.iter_mut().filter(|(frames, _)| within(frames)) {
            *ms *= times;
        }
        self
    }

    /// The same, with other names of functions.
    pub(crate) fn renamed(mut self, name: &str, other: &str) -> Self {
        let lists = self
            .costs
            .iter_mut()
            .chain(&mut self.waits)
            .map(|(frames, _)| frames);
        for frame in lists.flatten() {
            *frame = frame.replace(name, other);
        }
        self
    }

    pub(crate) fn and_costs(mut self, path: &str, ms: f64) -> Self {
        self.costs.push((frames(path), ms));
        self
    }

    pub(crate) fn and_waits(mut self, path: &str, tasks: f64) -> Self {
        self.waits.push((frames(path), tasks));
        self
    }

    pub(crate) fn and_stalls(mut self, path: &str, per_s: f64, ms: f64) -> Self {
        self.stalls.push((frames(path), per_s, ms));
        self
    }

    /// A recording of it.
    pub(crate) fn record(&self, chance: &mut Chance) -> Profile {
        let mut builder = builder();
        builder.options_mut().rate_hz = self.rate_hz as u32;
        let mut recording = Recording {
            worker: builder.thread(12, "worker", ThreadRole::Worker { runtime: 0 }),
            builder,
            release: self,
        };
        recording.samples(chance);
        recording.snapshots(chance);
        recording.stalls(chance);
        recording.builder.finish(self.seconds * SECOND)
    }
}

struct Recording<'a> {
    builder: ProfileBuilder,
    release: &'a Release,
    worker: crate::ThreadId,
}

impl Recording<'_> {
    fn place(&mut self, frames: &[String]) -> (Option<KindId>, StackId) {
        let root = frames[0].split(' ').nth(2).unwrap();
        let kind = frames[0]
            .starts_with("async")
            .then(|| self.builder.kind(root, KindClass::Async, Some(0)));
        let lines: Vec<&str> = frames.iter().map(String::as_str).collect();
        (kind, stack(&mut self.builder, &lines))
    }

    fn samples(&mut self, chance: &mut Chance) {
        let release = self.release;
        let places: Vec<_> = release
            .costs
            .iter()
            .map(|(frames, _)| self.place(frames))
            .collect();
        let all: f64 = release.costs.iter().map(|(_, ms)| ms).sum();
        let draw = |chance: &mut Chance| {
            let mut at = chance.below_one() * all;
            let found = release.costs.iter().position(|(_, ms)| {
                at -= ms;
                at < 0.0
            });
            found.unwrap_or(0)
        };
        let (mut now, mut wander, mut samples) = (draw(chance), 0.0, 0);
        for second in 0..release.seconds {
            // The load of a second is like that of the one before.
            wander = 0.7 * wander + 0.2 * (chance.below_one() - 0.5);
            let busy = all / 1e3 * release.load * (1.0 + wander) * release.rate_hz as f64;
            let count = (busy + chance.below_one()) as u64;
            for _ in 0..count {
                if chance.below_one() < 1.0 / release.burst {
                    now = draw(chance);
                }
                let (kind, stack) = places[now];
                let key = WeightKey {
                    thread: Some(self.worker),
                    state: State::OnCpu,
                    kind,
                    task: None,
                    stack,
                };
                let at = second * SECOND + samples % 4 * SECOND / 4;
                self.builder
                    .add_weight(key, at, SECOND / release.rate_hz, 1);
                samples += 1;
            }
        }
        self.builder.quality_mut().samples = samples;
    }

    fn snapshots(&mut self, chance: &mut Chance) {
        let release = self.release;
        let period = SECOND / SNAPSHOTS;
        let mut entries = Vec::new();
        let mut lives: Vec<KindLife> = Vec::new();
        for (frames, tasks) in &release.waits {
            let (kind, stack) = self.place(frames);
            let mut waiting = tasks.round();
            for tick in 0..release.seconds * SNAPSHOTS {
                // Tasks come and go; half of those there are are seen again.
                let fresh = tasks + (tasks.sqrt()) * 2.0 * (chance.below_one() - 0.5) * 1.7;
                if chance.below_one() < 0.5 && *tasks < 15.0 {
                    waiting = (fresh + chance.below_one()).floor().max(0.0);
                }
                let key = WeightKey {
                    thread: None,
                    state: State::Waiting,
                    kind,
                    task: None,
                    stack,
                };
                self.builder
                    .add_weight(key, tick * period, waiting as u64 * period, 0);
            }
            lives.extend(kind.map(|kind| KindLife {
                kind,
                alive_ns: SECOND,
                tasks: 1,
            }));
            entries.push(WaitEntry {
                kind,
                stack,
                what: Some(WaitsOn::Timer),
                type_name: None,
                stays: Vec::new(),
                longest_ns: 0,
                unmoved: 0,
                unmoved_tasks: Vec::new(),
                first: 0,
                last: 0,
            });
        }
        for tick in 0..release.seconds * SNAPSHOTS {
            self.builder
                .add_point(COVERED, tick * period, period as f64);
        }
        for second in 0..release.seconds {
            self.builder
                .add_point("lag_ms", second * SECOND, 0.2 + 0.1 * chance.below_one());
            self.builder.add_point(
                "polls_per_s",
                second * SECOND,
                900.0 + 200.0 * chance.below_one(),
            );
        }
        self.builder.quality_mut().snapshots = release.seconds * SNAPSHOTS;
        self.builder.set_waiting(Waiting {
            covered_ns: release.seconds * SECOND,
            period_ns: period,
            took_ns: 1,
            slowest_ns: 1,
            kinds: lives,
            waits: entries,
            locks: Vec::new(),
            circles: Vec::new(),
        });
    }

    fn stalls(&mut self, chance: &mut Chance) {
        for (frames, per_s, ms) in &self.release.stalls {
            let (kind, stack) = self.place(frames);
            for second in 0..self.release.seconds {
                let count = (per_s * 2.0 * chance.below_one() + 0.5) as u64;
                for number in 0..count {
                    let duration_ns = (ms * 1e6 * (0.9 + 0.2 * chance.below_one())) as u64;
                    self.builder.add_stall(Stall {
                        start_ns: second * SECOND + number * SECOND / 8,
                        duration_ns,
                        uncertainty_ns: 0,
                        kind,
                        task: None,
                        thread: self.worker,
                        cause: Cause::Syscall,
                        syscall: Some("fsync".to_owned()),
                        stacks: vec![(stack, duration_ns)],
                    });
                }
            }
        }
    }
}
