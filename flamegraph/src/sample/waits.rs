//! Made-up snapshots that look like real ones, for the tests.

use super::frame;
use crate::{Profile, RecordingOptions, Target, profile_of};
use awaitscope_sampler::{Nanos, Tid};
use awaitscope_symbolizer::runtime::{RuntimeInfo, TaskClass, TaskId};
use awaitscope_symbolizer::session::{
    NamedStack, Outcome, Quality, SampleGroup, SeenStall, Stall, StallCause, TaskKind, ThreadSeen,
    Turns,
};
use awaitscope_symbolizer::snapshot::{
    AwaitPoint, AwaitTable, Detail, History, KindId, PointId, Queues, SchedulerSeen, Snapshot,
    TaskSeen, TaskState, Wait, WaitsOn,
};
use std::collections::{BTreeMap, HashMap};

/// Snapshots each second.
pub(crate) const RATE: u64 = 10;

/// Where tasks are put, snapshot by snapshot.
#[derive(Default)]
pub(crate) struct Stage {
    table: AwaitTable,
    tasks: Vec<TaskSeen>,
    outcome_frames: Vec<awaitscope_symbolizer::Frame>,
    stacks: Vec<NamedStack>,
    samples: Vec<SampleGroup>,
    stalls: Vec<SeenStall>,
    /// What the workers did in each second.
    pub(crate) turns: Option<Turns>,
}

fn task_kind(name: &str) -> TaskKind {
    TaskKind {
        name: name.into(),
        class: TaskClass::Async,
        runtime: 0,
    }
}

impl Stage {
    pub(crate) fn kind(&mut self, name: &str) -> KindId {
        self.table.kind(task_kind(name)).unwrap()
    }

    /// The await point with these frames, the last of which is the leaf.
    pub(crate) fn point(&mut self, what: WaitsOn, lines: &[&str]) -> PointId {
        let mut stack = None;
        for line in lines {
            stack = self.table.push(stack, frame(line));
        }
        let type_name = frame(lines.last().unwrap()).function;
        let point = AwaitPoint {
            stack: stack.unwrap(),
            what,
            type_name,
        };
        self.table.point(point).unwrap()
    }

    /// A task that runs.
    pub(crate) fn task(&mut self, kind: &str, id: u64) -> &mut TaskSeen {
        let kind = self.kind(kind);
        self.tasks.push(TaskSeen {
            address: 0x1000 + id * 0x100,
            id: Some(TaskId(id)),
            scheduler: 0,
            kind,
            state: TaskState::Running,
            waits: Box::default(),
            holds: Box::default(),
        });
        self.tasks.last_mut().unwrap()
    }

    /// A task that waits.
    pub(crate) fn waits(
        &mut self,
        kind: &str,
        id: u64,
        (what, lines): (WaitsOn, &[&str]),
        detail: Detail,
    ) -> &mut TaskSeen {
        let point = self.point(what, lines);
        let task = self.task(kind, id);
        task.state = TaskState::Suspended;
        task.waits = Box::from([Wait { point, detail }]);
        task
    }

    /// Time on a CPU in the first second.
    pub(crate) fn runs(&mut self, kind: &str, lines: &[&str], ms: u64) {
        let stack = self.stack(lines);
        self.samples.push(SampleGroup {
            stack,
            task: None,
            kind: Some(task_kind(kind)),
            tid: Tid(12),
            second: 0,
            time: Nanos::from_millis(ms),
            count: (ms / 10) as u32,
        });
    }

    /// A stall in the first second.
    pub(crate) fn blocks(&mut self, kind: &str, lines: &[&str], ms: u64) {
        let stack = self.stack(lines);
        self.stalls.push(SeenStall {
            stall: Stall {
                tid: Tid(12),
                task: None,
                start: Nanos::ZERO,
                duration: Nanos::from_millis(ms),
                uncertainty: Nanos::ZERO,
                cause: StallCause::Syscall,
                syscall: None,
                stacks: Vec::new(),
            },
            kind: task_kind(kind),
            syscall: Some("clock_nanosleep"),
            stacks: vec![(stack, Nanos::from_millis(ms))],
        });
    }

    fn stack(&mut self, lines: &[&str]) -> usize {
        let first = self.outcome_frames.len() as u32;
        self.outcome_frames
            .extend(lines.iter().map(|line| frame(line)));
        self.stacks.push(NamedStack {
            frames: (first..first + lines.len() as u32).collect(),
            task: None,
        });
        self.stacks.len() - 1
    }
}

/// The profile of a recording of so many seconds, in which `play` puts every task on the
/// stage for each snapshot.
pub(crate) fn recorded(seconds: u64, mut play: impl FnMut(&mut Stage, u64)) -> Profile {
    let mut stage = Stage::default();
    let mut history = History::new(Nanos::ZERO);
    for tick in 0..=seconds * RATE {
        play(&mut stage, tick);
        let tasks = std::mem::take(&mut stage.tasks);
        let ready = tasks.iter().filter(|task| task.state == TaskState::Ready);
        let snapshot = Snapshot {
            time: Nanos(tick * 1_000_000_000 / RATE),
            took: Nanos(400_000),
            schedulers: vec![SchedulerSeen {
                runtime: 0,
                flavor: Some("multi_thread".to_owned()),
                workers: 2,
                queues: Queues {
                    local: Some(ready.count() as u32),
                    injection: Some(0),
                    blocking: None,
                },
            }],
            tasks,
            torn: 0,
            unresolved: 0,
        };
        history.take(&snapshot, &stage.table);
    }
    let duration = seconds * 1_000_000_000;
    let waiting = history.finish(&stage.table, Nanos(duration));
    let mut threads = BTreeMap::new();
    threads.insert(Tid(12), ThreadSeen::default());
    let outcome = Outcome {
        runtimes: vec![RuntimeInfo {
            name: "tokio".to_owned(),
            version: Some("1.54.1".to_owned()),
            flavor: None,
            progress: true,
            learns: false,
            types: true,
        }],
        frames: stage.outcome_frames,
        stacks: stage.stacks,
        samples: stage.samples,
        stalls: stage.stalls,
        threads,
        kinds: HashMap::new(),
        quality: Quality {
            samples: 1000,
            ..Quality::default()
        },
        start: Nanos::ZERO,
        stretch: 1,
        build_id: None,
        stripped_runtime: None,
        notes: Vec::new(),
        turns: (0..seconds as u32)
            .filter_map(|second| Some((second, stage.turns?)))
            .collect(),
        waiting: Some(waiting),
    };
    let target = Target {
        pid: 4711,
        name: "app".into(),
        exe: "/srv/app/bin/app".into(),
        ..Target::default()
    };
    let options = RecordingOptions {
        rate_hz: 99,
        stall_threshold_ns: 10_000_000,
        ..RecordingOptions::default()
    };
    profile_of(
        &outcome,
        target,
        options,
        1_767_225_600_000_000_000,
        duration,
        Vec::new(),
    )
}

pub(crate) const SLEEP: (WaitsOn, &[&str]) = (
    WaitsOn::Timer,
    &[
        "async user app::housekeeping @ src/house.rs:12",
        "leaf library tokio::time::sleep::Sleep @ tokio-1.54.1/src/time/sleep.rs:1",
    ],
);
pub(crate) const ACCEPT: (WaitsOn, &[&str]) = (
    WaitsOn::Socket,
    &[
        "async user app::main::{async block#0} @ src/main.rs:30",
        "leaf library tokio::net::tcp::listener::TcpListener::accept",
    ],
);
pub(crate) const READ: (WaitsOn, &[&str]) = (
    WaitsOn::Socket,
    &[
        "async user app::serve @ src/main.rs:40",
        "runtime std <core::pin::Pin<P> as core::future::Future>::poll",
        "async user app::read_request @ src/http.rs:88",
        "leaf library tokio::net::TcpStream",
    ],
);
pub(crate) const QUERY: (WaitsOn, &[&str]) = (
    WaitsOn::Socket,
    &[
        "async user app::serve @ src/main.rs:44",
        "async user app::handler @ src/main.rs:61",
        "async user app::db::query @ src/db.rs:33",
        "leaf library tokio::net::TcpStream",
    ],
);
pub(crate) const LOCKED: (WaitsOn, &[&str]) = (
    WaitsOn::Lock,
    &[
        "async user app::serve @ src/main.rs:44",
        "async user app::handler @ src/main.rs:58",
        "async user app::session::load @ src/session.rs:21",
        "async library tokio::sync::mutex::Mutex<T>::lock @ tokio-1.54.1/src/sync/mutex.rs:432",
        "leaf library tokio::sync::batch_semaphore::Acquire",
    ],
);
pub(crate) const REPLY: (WaitsOn, &[&str]) = (
    WaitsOn::Channel,
    &[
        "async user app::serve @ src/main.rs:44",
        "async user app::handler @ src/main.rs:66",
        "leaf library tokio::sync::oneshot::Receiver<app::Reply>",
    ],
);
pub(crate) const INBOX: (WaitsOn, &[&str]) = (
    WaitsOn::Channel,
    &[
        "async user app::actor @ src/actor.rs:9",
        "async library tokio::sync::mpsc::bounded::Receiver<T>::recv @ tokio-1.54.1/src/sync/mpsc/bounded.rs:253",
        "leaf library tokio::sync::mpsc::chan::Rx<app::Message, tokio::sync::mpsc::bounded::Semaphore>",
    ],
);
pub(crate) const OUTBOX: (WaitsOn, &[&str]) = (
    WaitsOn::Channel,
    &[
        "async user app::producer @ src/producer.rs:19",
        "async library tokio::sync::mpsc::bounded::Sender<T>::send @ tokio-1.54.1/src/sync/mpsc/bounded.rs:800",
        "leaf library tokio::sync::batch_semaphore::Acquire",
    ],
);
pub(crate) const JOIN: (WaitsOn, &[&str]) = (
    WaitsOn::Task,
    &[
        "async user app::main @ src/main.rs:22",
        "leaf library tokio::runtime::task::join::JoinHandle<()>",
    ],
);

/// A busy web service of a hundred connections with nothing wrong, for pictures: every
/// sort of wait, some CPU time, and a blocking call.
pub(crate) fn service() -> Profile {
    recorded(10, |stage, tick| {
        if tick == 0 {
            stage.runs(
                "app::serve",
                &[
                    "async user app::serve @ src/main.rs:44",
                    "async user app::handler @ src/main.rs:70",
                    "sync user app::render @ src/render.rs:9",
                    "sync library askama::Template::render",
                ],
                5200,
            );
            stage.runs(
                "app::serve",
                &[
                    "async user app::serve @ src/main.rs:44",
                    "async user app::handler @ src/main.rs:61",
                    "async user app::db::query @ src/db.rs:35",
                    "sync library serde_json::de::from_slice",
                ],
                2600,
            );
            stage.runs(
                "app::serve",
                &["async user app::serve @ src/main.rs:47"],
                700,
            );
            stage.runs(
                "app::housekeeping",
                &[
                    "async user app::housekeeping @ src/house.rs:14",
                    "sync user app::sweep @ src/house.rs:40",
                ],
                2300,
            );
            stage.runs(
                "app::serve",
                &[
                    "async user app::serve @ src/main.rs:44",
                    "async user app::handler @ src/main.rs:72",
                    "kernel kernel __x64_sys_writev",
                    "kernel kernel tcp_sendmsg",
                ],
                900,
            );
            stage.blocks(
                "app::housekeeping",
                &[
                    "async user app::housekeeping @ src/house.rs:18",
                    "sync std std::fs::write @ std/src/fs.rs:300",
                    "kernel kernel __x64_sys_fsync",
                ],
                4000,
            );
        }
        stage.waits(
            "app::main::{async block#0}",
            1,
            ACCEPT,
            Detail::Descriptor(9),
        );
        stage.waits(
            "app::housekeeping",
            2,
            SLEEP,
            Detail::Deadline(Nanos(tick / 5)),
        );
        stage.waits("app::main", 3, JOIN, Detail::Task(0x1100));
        for producer in 20..23 {
            stage.waits("app::producer", producer, OUTBOX, Detail::Object(tick));
        }
        for actor in 0..6 {
            stage.waits(
                "app::actor",
                10 + actor,
                INBOX,
                Detail::Object(0x9000 + actor),
            );
        }
        for id in 100..200 {
            let step = (id * 7 + tick) % 20;
            let handle = Detail::Descriptor(id as i32);
            match step {
                0..=1 => {
                    stage.waits(
                        "app::serve",
                        id,
                        LOCKED,
                        Detail::Object(0xbeef_0000 + id % 7 * 64 + tick % 3),
                    );
                }
                2..=4 => {
                    stage.waits("app::serve", id, REPLY, Detail::Object(tick));
                }
                5..=6 => {
                    stage.waits("app::serve", id, QUERY, handle).state = TaskState::Ready;
                }
                7..=12 => {
                    stage.waits("app::serve", id, QUERY, handle);
                }
                13 => {
                    stage.task("app::serve", id);
                }
                _ => {
                    stage.waits("app::serve", id, READ, handle);
                }
            }
        }
    })
}
