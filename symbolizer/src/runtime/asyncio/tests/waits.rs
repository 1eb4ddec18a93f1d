//! Tasks that move all the time, and never stand where they cannot be.

use super::{Script, pythons};
use crate::runtime::asyncio::suspended::Tasks;
use crate::runtime::{SeenThreads, TaskReader};
use crate::snapshot::{AwaitTable, Snapshot, TaskState};
use awaitscope_sampler::Process;
use std::sync::Arc;

const BUSY: &str = r#"import asyncio
async def left():
    await asyncio.sleep(0.002)
async def right(lock):
    async with lock:
        await asyncio.sleep(0.0005)
async def worker(queue):
    while True:
        await left()
        await right(asyncio.Lock())
        queue.put_nowait(1)
        await queue.join()
async def taker(queue):
    while True:
        await queue.get()
        await asyncio.sleep(0)
        queue.task_done()
async def main():
    queues = [asyncio.Queue() for _ in range(100)]
    both = [f(queue) for queue in queues for f in (worker, taker)]
    tasks = [asyncio.ensure_future(one) for one in both]
    await asyncio.sleep(0.1)
    print("ready", flush=True)
    await asyncio.wait(tasks)
asyncio.run(main())
"#;

/// All that a task of the script can show: its own functions with their lines, and the
/// leaf.
const CAN_BE: &[&str] = &[
    "worker:9 left:3 asyncio.sleep",
    "worker:10 right:6 asyncio.sleep",
    "worker:12 asyncio.Queue",
    "taker:15 asyncio.Queue",
    "taker:16 [next turn]",
];

#[test]
fn a_task_that_moves_is_never_seen_where_it_cannot_be() {
    for python in pythons() {
        let script = Script::start(&python, BUSY);
        let detected = Arc::new(script.detected());
        let mut reader = Tasks::new(&detected);
        let mut table = AwaitTable::default();
        let mappings = script.process.mappings().expect("mappings");
        let (mut told, mut torn) = (0, 0);
        for _ in 0..40 {
            let mut snapshot = Snapshot::default();
            let seen = SeenThreads {
                threads: &[],
                space: &script.space,
                mappings: &mappings,
                process: &script.process,
            };
            reader.read(0, &seen, &mut table, &mut snapshot);
            torn += snapshot.torn;
            assert_eq!(snapshot.unresolved, 0, "{}", python.display());
            for task in &snapshot.tasks {
                let kind = &table.kinds()[task.kind.0 as usize].name;
                if &**kind == "service.main" || task.state == TaskState::Running {
                    continue;
                }
                let [wait] = &*task.waits else {
                    panic!("{}: {kind} waits on {}", python.display(), task.waits.len());
                };
                let shown = shown(&table, wait.point.0);
                // A turn that is due can end any of them.
                let due = task.state == TaskState::Ready && shown.ends_with("[next turn]");
                let known = CAN_BE.iter().any(|can| {
                    let own = can.rsplit_once(' ').map_or("", |(own, _)| own);
                    *can == shown || due && shown.starts_with(own)
                });
                assert!(known, "{}: {shown} ({:?})", python.display(), task.state);
                told += 1;
            }
        }
        assert!(told > 6000, "{}: {told}", python.display());
        assert!(torn < 80, "{}: {torn} torn of {told}", python.display());
    }
}

fn shown(table: &AwaitTable, point: u32) -> String {
    let point = &table.points()[point as usize];
    let mut shown = Vec::new();
    for frame in table.frames_of(point.stack) {
        let frame = &table.frames()[frame as usize];
        if frame.file.as_deref() == Some("service.py") {
            let name = frame.function.trim_start_matches("service.");
            shown.push(format!("{name}:{}", frame.line.unwrap_or(0)));
        }
    }
    shown.push(point.type_name.to_string());
    shown.join(" ")
}
