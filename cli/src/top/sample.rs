//! A made-up window for the tests.

use super::model::{Model, Seen};
use awaitscope_flamegraph::{
    KindClass, KindNow, Profile, ProfileBuilder, QualityNow, RecordingOptions, StallNow, State,
    Target, WaitNow, WeightKey, Window, WorkerNow,
};
use awaitscope_symbolizer::snapshot::WaitsOn;
use awaitscope_symbolizer::{Frame, FrameKind, Origin};
use std::sync::Arc;

/// A model that has seen a service.
pub fn model() -> Model {
    let mut model = Model::new("app (pid 4711)");
    model.see(seen(window()));
    model
}

/// A window with its stacks.
pub fn seen(window: Window) -> Arc<Seen> {
    Arc::new(Seen {
        window,
        profile: profile(),
    })
}

/// What a service did.
pub fn window() -> Window {
    Window {
        name: "app".into(),
        pid: 4711,
        runtimes: vec!["tokio 1.54.1 multi_thread, 2 workers".into()],
        duration_s: 10.0,
        start_s: 1000.0,
        cpu_ms: 5000.0,
        kinds: vec![
            kind("app::serve", 3000.0, 120.0, 0),
            kind("app::thumbnail", 1500.0, 3.0, 12),
            kind("app::sweep", 10.0, 1.0, 0),
            KindNow {
                is_outside: true,
                live: None,
                ..kind("[outside tasks]", 490.0, 0.0, 0)
            },
        ],
        stalls: vec![
            stall(
                "app::thumbnail",
                "app::scale",
                "src/image.rs:70",
                900.0,
                0.0,
            ),
            stall(
                "app::login",
                "std::thread::sleep",
                "src/login.rs:21",
                300.0,
                4200.0,
            ),
        ],
        waits: vec![
            wait(
                "app::serve",
                "app::read at src/net.rs:12",
                WaitsOn::Socket,
                100.0,
                20,
                130,
            ),
            wait(
                "app::serve",
                "app::query at src/db.rs:7",
                WaitsOn::Lock,
                20.0,
                20,
                20,
            ),
        ],
        workers: [(101, 0.9, 0.4), (102, 0.5, 0.0)]
            .map(|(tid, busy, stalled)| WorkerNow {
                thread: "tokio-rt-worker".into(),
                tid,
                busy,
                stalled,
            })
            .into(),
        lag_ms: Some(1.5),
        series: [
            vec![Some(120.0); 10],
            vec![Some(1.0), Some(4.0), None, Some(2.0)],
            vec![None, Some(1.5)],
        ],
        quality: QualityNow {
            samples: 495,
            lost: 0,
            truncated: 3,
            snapshots: 98,
            torn: 1,
            rate_hz: 99,
            notes: Vec::new(),
        },
    }
}

fn kind(name: &str, cpu_ms: f64, live: f64, stalls: u64) -> KindNow {
    let share = cpu_ms / 5000.0;
    KindNow {
        name: name.into(),
        cpu_ms,
        seconds_ms: (0..10)
            .map(|second| cpu_ms / 50.0 * f64::from(second))
            .collect(),
        share: Some([share, share * 0.8, share * 1.2]),
        live: Some(live),
        ready: Some(0.5),
        ran: 7,
        stalls,
        stalled_ms: stalls as f64 * 20.0,
        is_outside: false,
    }
}

fn stall(kind: &str, culprit: &str, place: &str, total_ms: f64, ago_ms: f64) -> StallNow {
    StallNow {
        kind: kind.into(),
        cause: "computing".into(),
        culprit: culprit.into(),
        place: Some(place.into()),
        advice: Some("move it to tokio::task::spawn_blocking"),
        count: 12,
        total_ms,
        median_ms: total_ms / 12.0,
        max_ms: total_ms / 8.0,
        ago_ms,
        is_cut: false,
    }
}

fn wait(kind: &str, place: &str, what: WaitsOn, tasks: f64, first: u32, last: u32) -> WaitNow {
    WaitNow {
        kind: kind.into(),
        place: place.into(),
        what: Some(what),
        type_name: "T".into(),
        tasks,
        ready: 0.0,
        first,
        last,
    }
}

/// Stacks of `app::serve`.
fn profile() -> Profile {
    let target = Target::default();
    let options = RecordingOptions {
        stall_threshold_ns: 10_000_000,
        ..RecordingOptions::default()
    };
    let mut builder = ProfileBuilder::new(target, options, 0);
    let kind = builder.kind("app::serve", KindClass::Async, None);
    let mut stack = None;
    for (function, line) in [("app::serve", 10), ("app::handler", 20), ("app::parse", 30)] {
        let frame = builder.frame(&Frame {
            function: function.into(),
            file: Some("src/main.rs".into()),
            line: Some(line),
            kind: FrameKind::Async,
            origin: Origin::User,
        });
        stack = Some(builder.stack(stack, frame));
        let key = WeightKey {
            thread: None,
            state: State::OnCpu,
            kind: Some(kind),
            task: None,
            stack: stack.expect("just pushed"),
        };
        builder.add_weight(key, 0, 1_000_000_000, 100);
    }
    builder.finish(10_000_000_000)
}
