//! A snapshot of a service that nobody runs, for tests.

use super::TaskList;
use crate::profile::Target;
use awaitscope_sampler::Nanos;
use awaitscope_symbolizer::runtime::{RuntimeInfo, TaskClass, TaskId};
use awaitscope_symbolizer::session::TaskKind;
use awaitscope_symbolizer::snapshot::{
    AwaitPoint, AwaitTable, Detail, KindId, PointId, Queues, SchedulerSeen, Snapshot, TaskSeen,
    TaskState, Wait, WaitsOn,
};
use awaitscope_symbolizer::{Frame, FrameKind, Origin};

const MS: u64 = 1_000_000;
const START: u64 = 1 << 40;

/// A service in the making.
#[derive(Default)]
pub(super) struct Service {
    pub table: AwaitTable,
    pub snapshot: Snapshot,
}

impl Service {
    pub(super) fn new() -> Self {
        let mut service = Self::default();
        service.snapshot.time = Nanos(START);
        service.snapshot.took = Nanos(12 * MS);
        service.snapshot.schedulers.push(SchedulerSeen {
            runtime: 0,
            flavor: Some("multi_thread".to_owned()),
            workers: 4,
            queues: Queues {
                local: Some(3),
                injection: Some(0),
                blocking: None,
            },
        });
        service
    }

    /// The point at the end of `stack` (`app::function@12`, from the root), where a task
    /// waits for `type_name`.
    pub(super) fn point(&mut self, stack: &[&str], what: WaitsOn, type_name: &str) -> PointId {
        let mut node = None;
        for frame in stack {
            let (function, line) = frame.split_once('@').unwrap_or((frame, "0"));
            let (user, machine) = (
                function.starts_with("app::"),
                function.starts_with("exec::"),
            );
            node = self.table.push(
                node,
                Frame {
                    function: function.into(),
                    file: Some("src/main.rs".into()),
                    line: line.parse().ok(),
                    kind: if machine {
                        FrameKind::Runtime
                    } else {
                        FrameKind::Async
                    },
                    origin: if user { Origin::User } else { Origin::Library },
                },
            );
        }
        let leaf = Frame {
            function: type_name.into(),
            file: None,
            line: None,
            kind: FrameKind::Leaf,
            origin: Origin::Library,
        };
        let stack = self.table.push(node, leaf).expect("room");
        let point = AwaitPoint {
            stack,
            what,
            type_name: type_name.into(),
        };
        self.table.point(point).expect("room")
    }

    pub(super) fn kind(&mut self, name: &str) -> KindId {
        let kind = TaskKind {
            name: name.into(),
            class: TaskClass::Async,
            runtime: 0,
        };
        self.table.kind(kind).expect("room")
    }

    /// Adds a suspended task; its address is 0x1000 times its number.
    pub(super) fn task(
        &mut self,
        id: u64,
        kind: &str,
        waits: &[(PointId, Detail)],
    ) -> &mut TaskSeen {
        let kind = self.kind(kind);
        let waits = waits.iter();
        self.snapshot.tasks.push(TaskSeen {
            address: id * 0x1000,
            id: Some(TaskId(id)),
            scheduler: 0,
            kind,
            state: TaskState::Suspended,
            waits: waits
                .map(|(point, detail)| Wait {
                    point: *point,
                    detail: *detail,
                })
                .collect(),
            holds: Box::default(),
        });
        self.snapshot.tasks.last_mut().expect("it was added")
    }

    pub(super) fn list(&self) -> TaskList {
        let runtime = RuntimeInfo {
            name: "tokio".to_owned(),
            version: Some("1.54.1".to_owned()),
            flavor: None,
            progress: true,
            learns: false,
            types: true,
        };
        TaskList::of(&self.snapshot, &self.table, &[runtime], None)
    }
}

/// A moment so many milliseconds after the snapshot.
pub(super) fn deadline(millis: u64) -> Detail {
    Detail::Deadline(Nanos(START + millis * MS))
}

pub(super) fn target() -> Target {
    Target {
        pid: 4711,
        name: "app".to_owned(),
        exe: "/srv/app".to_owned(),
        ..Target::default()
    }
}

/// Handlers that wait for a database, a lock or a timer; a writer that holds the lock;
/// one that joins two things; one that waits for a task; one that runs.
pub(super) fn service() -> Service {
    let mut service = Service::new();
    let query = ["app::handler@13", "app::db::query@20", "sqlx::fetch@400"];
    let query = service.point(&query, WaitsOn::Socket, "tokio::io::Readiness");
    let lock = ["app::handler@13", "app::db::pool@31", "exec::wrapper@1"];
    let lock = service.point(
        &lock,
        WaitsOn::Lock,
        "tokio::sync::batch_semaphore::Acquire",
    );
    let pause = service.point(
        &["app::handler@15"],
        WaitsOn::Timer,
        "tokio::time::sleep::Sleep",
    );
    for id in 1..=20 {
        service.task(id, "app::handler", &[(query, Detail::Descriptor(7))]);
    }
    for id in 21..=25 {
        service.task(id, "app::handler", &[(pause, deadline(id * 10))]);
    }
    for id in 26..=28 {
        service.task(id, "app::handler", &[(lock, Detail::Object(0xabc0))]);
    }
    let both = ["app::writer@40", "app::flush@50"];
    let both = service.point(&both, WaitsOn::Io, "tokio::fs::File");
    let tick = ["app::writer@40", "app::tick@60"];
    let tick = service.point(&tick, WaitsOn::Timer, "tokio::time::interval::Tick");
    let waits = [(both, Detail::Unknown), (tick, deadline(5))];
    service.task(30, "app::writer", &waits).holds = Box::new([0xabc0]);
    let join = service.point(&["app::main@70"], WaitsOn::Task, "tokio::task::JoinHandle");
    service.task(31, "app::main", &[(join, Detail::Task(30 * 0x1000))]);
    service.task(32, "app::busy", &[]).state = TaskState::Running;
    service.snapshot.torn = 2;
    service.snapshot.unresolved = 1;
    service
}
