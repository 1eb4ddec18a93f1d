//! Stories of snapshots, and what they tell together.

use super::*;
use crate::frame::{Frame, FrameKind, Origin};
use crate::runtime::{TaskClass, TaskId};
use crate::session::TaskKind;
use crate::snapshot::{
    AwaitPoint, KindId, PointId, Queues, SchedulerSeen, TaskState, Wait, WaitsOn,
};
use proptest::prelude::*;

const PERIOD: u64 = 100_000_000;

/// A task that runs.
pub(super) fn task(address: u64, id: u64) -> TaskSeen {
    TaskSeen {
        address,
        id: Some(TaskId(id)),
        scheduler: 0,
        kind: KindId(0),
        state: TaskState::Running,
        waits: Box::default(),
        holds: Box::default(),
    }
}

/// A task that waits at a point.
pub(super) fn waiting(address: u64, id: u64, point: u32, detail: Detail) -> TaskSeen {
    TaskSeen {
        state: TaskState::Suspended,
        waits: Box::from([Wait {
            point: PointId(point),
            detail,
        }]),
        ..task(address, id)
    }
}

fn frame(function: &str) -> Frame {
    Frame {
        function: function.into(),
        file: Some("src/main.rs".into()),
        line: Some(7),
        kind: FrameKind::Async,
        origin: Origin::User,
    }
}

/// A kind for closures and one for futures, and a point for each sort of thing.
fn table() -> AwaitTable {
    let mut table = AwaitTable::default();
    for (name, class) in [
        ("app::serve", TaskClass::Async),
        ("app::hash", TaskClass::Blocking),
    ] {
        let kind = TaskKind {
            name: name.into(),
            class,
            runtime: 0,
        };
        table.kind(kind).expect("room");
    }
    let root = table.push(None, frame("app::serve"));
    for (leaf, what) in [
        ("tokio::time::sleep::Sleep", WaitsOn::Timer),
        ("tokio::sync::batch_semaphore::Acquire", WaitsOn::Lock),
        ("tokio::runtime::task::join::JoinHandle<()>", WaitsOn::Task),
    ] {
        let stack = table.push(root, frame(leaf)).expect("room");
        let point = AwaitPoint {
            stack,
            what,
            type_name: leaf.into(),
        };
        table.point(point).expect("room");
    }
    table
}

const SLEEP: u32 = 0;
const LOCK: u32 = 1;
const JOIN: u32 = 2;

fn snapshot(number: u64, tasks: Vec<TaskSeen>) -> Snapshot {
    Snapshot {
        time: Nanos(number * PERIOD),
        took: Nanos(1000),
        schedulers: vec![SchedulerSeen {
            runtime: 0,
            flavor: Some("multi_thread".to_owned()),
            workers: 2,
            queues: Queues {
                local: Some(tasks.len() as u32),
                injection: None,
                blocking: Some(3),
            },
        }],
        tasks,
        torn: 0,
        unresolved: 0,
    }
}

fn history(snapshots: impl IntoIterator<Item = Snapshot>) -> Waiting {
    let table = table();
    let mut history = History::new(Nanos::ZERO);
    let mut end = Nanos::ZERO;
    for snapshot in snapshots {
        end = snapshot.time;
        history.take(&snapshot, &table);
    }
    history.finish(&table, end)
}

/// A task that waits for a lock, and holds another.
fn chained(address: u64, waits: u64, holds: &[u64]) -> TaskSeen {
    TaskSeen {
        holds: holds.into(),
        ..waiting(address, address, LOCK, Detail::Object(waits))
    }
}

#[test]
fn ten_tasks_that_sleep_for_a_second_waited_ten_seconds() {
    let tasks = || (0..10).map(|at| waiting(at, at, SLEEP, Detail::Deadline(Nanos(9))));
    let waiting = history((0..=10).map(|number| snapshot(number, tasks().collect())));
    assert_eq!(waiting.quality.covered, Nanos(10 * PERIOD));
    assert_eq!(waiting.quality.period, Nanos(PERIOD));
    let time: u64 = waiting.sums.iter().map(|sum| sum.time.0).sum();
    assert_eq!(time, 10 * 10 * PERIOD);
    let place = &waiting.places[waiting.sums[0].place as usize];
    let names: Vec<&str> = place
        .frames
        .iter()
        .map(|frame| &*waiting.frames[*frame as usize].function)
        .collect();
    assert_eq!(names, ["app::serve", "tokio::time::sleep::Sleep"]);
    assert_eq!((place.unmoved, place.first, place.last), (10, 10, 10));
    assert_eq!(waiting.kinds[0].alive, Nanos(10 * 10 * PERIOD));
    assert_eq!(waiting.kinds[0].tasks, 10);
}

#[test]
fn a_task_that_waits_on_three_things_is_still_one_task() {
    let mut torn = waiting(1, 1, SLEEP, Detail::Unknown);
    let wait = |point| Wait {
        point: PointId(point),
        detail: Detail::Unknown,
    };
    torn.waits = Box::from([wait(SLEEP), wait(LOCK), wait(JOIN)]);
    let waiting = history((0..=10).map(|number| snapshot(number, vec![torn.clone()])));
    let time: u64 = waiting.sums.iter().map(|sum| sum.time.0).sum();
    assert!(time.abs_diff(10 * PERIOD) <= 6, "{time}");
    assert_eq!(waiting.places.len(), 3);
    assert!(waiting.places.iter().all(|place| place.unmoved == 1));
}

#[test]
fn closures_of_the_blocking_pool_are_no_live_tasks_but_their_waiting_counts() {
    let mut queued = task(1, 1);
    queued.kind = KindId(1);
    queued.state = TaskState::Ready;
    let waiting = history((0..=10).map(|number| snapshot(number, vec![queued.clone()])));
    assert_eq!(waiting.moments[0].live, Nanos::ZERO);
    assert!(waiting.sums.iter().all(|sum| sum.ready));
    let depth = waiting.moments[0].blocking.expect("it could be read");
    assert_eq!((depth.time.0 / depth.covered.0, depth.most), (3, 3));
    assert_eq!(waiting.moments[0].injection, None);
}

#[test]
fn a_lock_tells_who_holds_it_and_who_queues() {
    let tasks = || {
        let mut tasks: Vec<TaskSeen> = (1..=5).map(|at| chained(at, 0xa, &[])).collect();
        let mut holder = waiting(9, 9, SLEEP, Detail::Deadline(Nanos(1)));
        holder.holds = Box::from([0xa]);
        tasks.push(holder);
        tasks
    };
    let waiting = history((0..20).map(|number| snapshot(number, tasks())));
    let [lock] = &*waiting.locks else {
        panic!("{:?}", waiting.locks)
    };
    assert_eq!((lock.address, lock.snapshots, lock.most), (0xa, 20, 5));
    assert_eq!((lock.waiters, lock.unheld), (100, 0));
    assert_eq!(lock.holders, [TaskId(9)]);
    let held_at = &waiting.places[lock.held_at[0].0 as usize];
    assert_eq!(
        held_at.on.as_ref().map(|on| on.what),
        Some(WaitsOn::Timer),
        "the holder sleeps"
    );
    assert_eq!(waiting.circles, []);
}

#[test]
fn two_tasks_that_want_each_others_lock_are_a_circle_with_those_behind() {
    let tasks = || {
        vec![
            chained(1, 0xb, &[0xa]),
            chained(2, 0xa, &[0xb]),
            chained(3, 0xa, &[]),
        ]
    };
    let waiting = history((0..10).map(|number| snapshot(number, tasks())));
    let [circle] = &*waiting.circles else {
        panic!("{:?}", waiting.circles)
    };
    let links: Vec<_> = circle
        .links
        .iter()
        .map(|link| (link.task, link.lock))
        .collect();
    assert_eq!(
        links,
        [(Some(TaskId(1)), Some(0xb)), (Some(TaskId(2)), Some(0xa))]
    );
    assert_eq!((circle.behind, circle.snapshots), (1, 10));
}

#[test]
fn tasks_that_join_each_other_and_one_that_locks_twice_are_circles() {
    let tasks = || {
        vec![
            waiting(1, 1, JOIN, Detail::Task(2)),
            waiting(2, 2, JOIN, Detail::Task(1)),
            chained(3, 0xa, &[0xa]),
        ]
    };
    let waiting = history((0..10).map(|number| snapshot(number, tasks())));
    let lengths: Vec<usize> = waiting.circles.iter().map(|c| c.links.len()).collect();
    assert_eq!(lengths, [2, 1]);
}

#[test]
fn a_circle_that_one_torn_look_shows_is_none() {
    let crossed = || vec![chained(1, 0xb, &[0xa]), chained(2, 0xa, &[0xb])];
    let straight = || vec![chained(1, 0xb, &[0xa]), chained(2, 0xc, &[0xb])];
    let waiting = history((0..30).map(|number| match number % 3 {
        0 => snapshot(number, crossed()),
        _ => snapshot(number, straight()),
    }));
    assert_eq!(waiting.circles, []);
}

#[test]
fn one_who_also_waits_for_a_timer_is_in_no_circle() {
    let tasks = || {
        let mut patient = chained(1, 0xb, &[0xa]);
        patient.waits = Box::from([
            patient.waits[0],
            Wait {
                point: PointId(SLEEP),
                detail: Detail::Deadline(Nanos(1)),
            },
        ]);
        vec![patient, chained(2, 0xa, &[0xb])]
    };
    let waiting = history((0..10).map(|number| snapshot(number, tasks())));
    assert_eq!(waiting.circles, []);
}

#[test]
fn a_lock_held_by_one_who_runs_is_no_circle() {
    let tasks = || vec![chained(1, 0xb, &[0xa]), task(2, 2), chained(3, 0xa, &[])];
    let waiting = history((0..10).map(|number| snapshot(number, tasks())));
    assert_eq!(waiting.circles, []);
    assert_eq!(waiting.locks.len(), 2);
    assert!(waiting.locks.iter().any(|lock| lock.unheld == 10));
}

#[test]
fn no_snapshot_and_a_single_one_are_no_trouble() {
    assert_eq!(history([]).sums, []);
    let one = history([snapshot(20, vec![waiting(1, 1, SLEEP, Detail::Unknown)])]);
    assert_eq!(one.quality.covered, BEYOND);
    assert_eq!(one.places[0].first, 1);
}

#[test]
fn numbers_of_a_table_that_is_not_ours_are_no_trouble() {
    let mut stranger = chained(1, 1, &[1]);
    stranger.kind = KindId(77);
    stranger.waits[0].point = PointId(88);
    let waiting = history((0..5).map(|number| snapshot(number, vec![stranger.clone()])));
    assert_eq!(waiting.places[0].kind, None);
    assert_eq!(waiting.places[0].on, None);
}

/// Any task, at one of a few addresses.
fn any_task() -> impl Strategy<Value = TaskSeen> {
    let waits = prop::collection::vec((0..3_u32, 0..4_u64), 0..4);
    let holds = prop::collection::vec(0..4_u64, 0..3);
    (0..12_u64, 0..2_u64, 0..4_u8, waits, holds).prop_map(|(address, id, state, waits, holds)| {
        TaskSeen {
            address,
            id: Some(TaskId(id)),
            scheduler: 0,
            kind: KindId((address % 2) as u32),
            state: match state {
                0 => TaskState::Running,
                1 => TaskState::Ready,
                2 => TaskState::Complete,
                _ => TaskState::Suspended,
            },
            waits: waits
                .into_iter()
                .map(|(point, thing)| Wait {
                    point: PointId(point),
                    detail: match point {
                        LOCK => Detail::Object(thing),
                        JOIN => Detail::Task(thing),
                        _ => Detail::Deadline(Nanos(thing)),
                    },
                })
                .collect(),
            holds: holds.into(),
        }
    })
}

proptest! {
    #[test]
    fn sums_over_places_stay_tasks_times_time(
        snapshots in prop::collection::vec(
            (1..3_000_000_000_u64, prop::collection::vec(any_task(), 0..10)), 2..20)
    ) {
        let mut time = 0;
        let mut taken = Vec::new();
        for (later, tasks) in snapshots {
            time += later;
            taken.push(Snapshot { time: Nanos(time), tasks, ..Snapshot::default() });
        }
        let waits = |task: &&TaskSeen| {
            matches!(task.state, TaskState::Suspended | TaskState::Ready)
        };
        let mut expected = 0.0;
        for (index, snapshot) in taken.iter().enumerate() {
            let middle = |a: usize, b: usize| taken[a].time.0.midpoint(taken[b].time.0);
            let from = match index {
                0 => snapshot.time.0.saturating_sub(BEYOND.0),
                _ => middle(index - 1, index),
            };
            let to = match index + 1 == taken.len() {
                true => snapshot.time.0,
                false => middle(index, index + 1),
            };
            expected += snapshot.tasks.iter().filter(waits).count() as f64 * (to - from) as f64;
        }
        let waiting = history(taken);
        let time: f64 = waiting.sums.iter().map(|sum| sum.time.0 as f64).sum();
        // Each sum is rounded to a nanosecond.
        prop_assert!((time - expected).abs() <= waiting.sums.len() as f64, "{time} {expected}");
        let covered: u64 = waiting.moments.iter().map(|moment| moment.covered.0).sum();
        prop_assert_eq!(covered, waiting.quality.covered.0);
        for sum in &waiting.sums {
            prop_assert!((sum.place as usize) < waiting.places.len());
        }
        for link in waiting.circles.iter().flat_map(|circle| &circle.links) {
            prop_assert!((link.place as usize) < waiting.places.len());
        }
    }
}

/// A snapshot at a tenth of a second in which so many tasks sleep.
fn sleepers(tenth: u64, tasks: u64) -> Snapshot {
    Snapshot {
        time: Nanos(tenth * PERIOD),
        tasks: (0..tasks)
            .map(|id| waiting(id, id, SLEEP, Detail::Deadline(Nanos(1))))
            .collect(),
        ..Snapshot::default()
    }
}

#[test]
fn of_a_long_watch_the_last_seconds_are_told() {
    let table = table();
    let mut recent = Recent::new(Nanos(0), Nanos(2_000_000_000));
    for tenth in 0..100 {
        recent.take(&sleepers(tenth, if tenth < 50 { 9 } else { 4 }), &table);
    }
    let end = Nanos(9_950_000_000);
    let told = recent.waiting(&table, end);
    assert_eq!(recent.since(), Nanos(7_000_000_000));
    assert_eq!(told.quality.snapshots, 30);
    assert_eq!(
        (told.places.len(), told.places[0].first, told.places[0].last),
        (1, 4, 4)
    );
    let waited: u64 = told.sums.iter().map(|sum| sum.time.0).sum();
    assert_eq!(waited, 4 * told.quality.covered.0);
    let covered = told.quality.covered.0 as f64 / 1e9;
    assert!((covered - 2.95).abs() < 0.1, "{covered}");
    assert_eq!(told.moments.first().map(|moment| moment.second), Some(0));
    assert_eq!(told.kinds[0].alive.0, waited);
}

#[test]
fn a_population_that_grew_is_seen_to() {
    let table = table();
    let mut recent = Recent::new(Nanos(0), Nanos(5_000_000_000));
    for tenth in 0..30 {
        recent.take(&sleepers(tenth, 10 + tenth), &table);
    }
    let told = recent.waiting(&table, Nanos(3_000_000_000));
    assert_eq!((told.places[0].first, told.places[0].last), (10, 39));
}

#[test]
fn before_the_first_snapshot_nothing_is_told() {
    let told = Recent::new(Nanos(7), Nanos(5)).waiting(&table(), Nanos(9));
    assert_eq!(told.quality.snapshots, 0);
    assert!(told.sums.is_empty() && told.places.is_empty());
}
