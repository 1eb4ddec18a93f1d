//! A made-up recording that looks like a real one, for the tests.

pub(crate) mod release;
pub(crate) mod waits;

use crate::{
    Cause, KindClass, Profile, ProfileBuilder, RecordingOptions, RuntimeInfo, StackId, Stall,
    State, Target, ThreadRole, WeightKey,
};
use awaitscope_symbolizer::{Frame, FrameKind, Origin};

/// A frame written in a line: `async user app::handler src/main.rs:13`.
pub(crate) fn frame(line: &str) -> Frame {
    let mut words = line.splitn(3, ' ');
    let kind = match words.next().unwrap() {
        "async" => FrameKind::Async,
        "sync" => FrameKind::Sync,
        "leaf" => FrameKind::Leaf,
        "runtime" => FrameKind::Runtime,
        "kernel" => FrameKind::Kernel,
        other => panic!("no kind of frame: {other}"),
    };
    let origin = match words.next().unwrap() {
        "user" => Origin::User,
        "library" => Origin::Library,
        "std" => Origin::Std,
        "kernel" => Origin::Kernel,
        "unknown" => Origin::Unknown,
        other => panic!("no origin of a frame: {other}"),
    };
    let rest = words.next().unwrap();
    let (function, place) = match rest.split_once(" @ ") {
        Some((function, place)) => (function, Some(place)),
        None => (rest, None),
    };
    let (file, number) = match place.and_then(|place| place.rsplit_once(':')) {
        Some((file, number)) => (Some(file.into()), Some(number.parse().unwrap())),
        None => (None, None),
    };
    Frame {
        function: function.into(),
        file,
        line: number,
        kind,
        origin,
    }
}

/// The stack of these frames, from the root to the leaf.
pub(crate) fn stack(builder: &mut ProfileBuilder, lines: &[&str]) -> StackId {
    let mut parent = None;
    for line in lines {
        let id = builder.frame(&frame(line));
        parent = Some(builder.stack(parent, id));
    }
    parent.unwrap()
}

/// A builder for a service called `app`.
pub(crate) fn builder() -> ProfileBuilder {
    let mut builder = ProfileBuilder::new(
        Target {
            pid: 4711,
            name: "app".into(),
            exe: "/srv/app/bin/app".into(),
            build_id: Some("c0ffee".into()),
            host: "node-7".into(),
            command_line: vec!["app".into(), "--port".into(), "80".into()],
        },
        RecordingOptions {
            rate_hz: 99,
            stall_threshold_ns: 10_000_000,
            stack_bytes: 16384,
            kernel: true,
        },
        1_767_225_600_000_000_000,
    );
    builder.set_runtimes(vec![RuntimeInfo {
        index: 0,
        name: "tokio".into(),
        version: Some("1.54.1".into()),
        flavor: "multi_thread".into(),
        workers: 2,
    }]);
    builder
}

/// A profile of nothing but a stack that took `ns`.
pub(crate) fn one_stack(lines: &[&str], ns: u64) -> Profile {
    let mut builder = builder();
    let thread = builder.thread(1, "main", ThreadRole::Other);
    let key = WeightKey {
        thread: Some(thread),
        state: State::OnCpu,
        kind: None,
        task: None,
        stack: stack(&mut builder, lines),
    };
    builder.add_weight(key, 0, ns, 1);
    builder.finish(1_000_000_000)
}

const ROOT: [&str; 4] = [
    "runtime std std::rt::lang_start @ std/src/rt.rs:206",
    "runtime library tokio::runtime::scheduler::multi_thread::worker::run @ tokio-1.54.1/src/runtime/scheduler/multi_thread/worker.rs:550",
    "runtime library tokio::runtime::scheduler::multi_thread::worker::Context::run_task @ tokio-1.54.1/src/runtime/scheduler/multi_thread/worker.rs:640",
    "runtime library tokio::runtime::task::harness::poll_future @ tokio-1.54.1/src/runtime/task/harness.rs:535",
];

const SERVE: [&str; 3] = [
    "async user app::serve @ src/main.rs:40",
    "async user app::handler @ src/main.rs:52",
    "runtime std <core::pin::Pin<P> as core::future::Future>::poll @ core/src/future/future.rs:133",
];

/// Each path that takes time: its frames below the executor's, which kind of
/// task it is (an index into `KINDS`), and how many samples of a thousand.
#[rustfmt::skip]
const PATHS: [(&[&str], Option<usize>, u32); 14] = [
    (&["async user app::parse_body @ src/body.rs:17", "sync library serde_json::de::from_slice @ serde_json-1.0.154/src/de.rs:2700",
       "sync library serde_json::de::Deserializer<R>::parse_value @ serde_json-1.0.154/src/de.rs:1400", "sync std alloc::raw_vec::finish_grow @ alloc/src/raw_vec.rs:810"], Some(0), 142),
    (&["async user app::parse_body @ src/body.rs:17", "sync library serde_json::de::from_slice @ serde_json-1.0.154/src/de.rs:2700",
       "sync library <app::Order as serde::Deserialize>::deserialize @ src/order.rs:8", "sync library serde_json::read::SliceRead::parse_str @ serde_json-1.0.154/src/read.rs:590"], Some(0), 98),
    (&["async user app::parse_body @ src/body.rs:29", "sync user app::validate @ src/body.rs:61", "sync library regex::Regex::is_match @ regex-1.13.2/src/regex/string.rs:204",
       "sync library regex_automata::meta::regex::Regex::is_match @ regex-automata-0.4.19/src/meta/regex.rs:500"], Some(0), 77),
    (&["async user app::load_session @ src/session.rs:33", "async user <app::Redis as app::Store>::get @ src/redis.rs:20", "async library redis::aio::query @ redis-1.0.0/src/aio.rs:88",
       "sync library bytes::buf::Buf::copy_to_slice @ bytes-1.11/src/buf.rs:12", "kernel kernel __x64_sys_recvfrom", "kernel kernel tcp_recvmsg", "kernel kernel copy_to_user"], Some(0), 64),
    (&["async user app::load_session @ src/session.rs:41", "sync user app::decrypt @ src/session.rs:90", "sync library aes::cipher::encrypt_blocks @ aes-0.9.0/src/lib.rs:100"], Some(0), 51),
    (&["async user app::render @ src/render.rs:12", "sync library askama::Template::render @ askama-0.15/src/lib.rs:80", "sync std core::fmt::write @ core/src/fmt/mod.rs:1500"], Some(0), 88),
    (&["async user app::respond @ src/main.rs:77", "sync library hyper::proto::h1::conn::Conn<I, B, T>::write_body @ hyper-1.9.0/src/proto/h1/conn.rs:700",
       "kernel kernel __x64_sys_writev", "kernel kernel tcp_sendmsg_locked", "kernel kernel __alloc_skb"], Some(0), 59),
    (&["async user app::respond @ src/main.rs:79"], Some(0), 13),
    (&["async user app::thumbnail::{async block#0} @ src/image.rs:22", "sync user app::scale @ src/image.rs:70", "sync library image::imageops::resize @ image-0.26/src/imageops/sample.rs:950",
       "sync library image::imageops::sample::vertical_sample @ image-0.26/src/imageops/sample.rs:640"], Some(1), 187),
    (&["async user app::thumbnail::{async block#0} @ src/image.rs:25", "sync library zune_jpeg::decoder::JpegDecoder<T>::decode @ zune-jpeg/src/decoder.rs:300"], Some(1), 61),
    (&["async user app::metrics::collect @ src/metrics.rs:9", "sync user app::metrics::Histogram::merge @ src/metrics.rs:55"], Some(2), 38),
    (&["sync user app::report::{closure#0} @ src/report.rs:31", "sync library flate2::zio::compress @ flate2-1.1/src/zio.rs:30"], Some(3), 47),
    (&["sync library mio::poll::Poll::poll @ mio-1.2.5/src/poll.rs:300", "kernel kernel __x64_sys_epoll_wait", "kernel kernel do_epoll_wait"], None, 41),
    (&[], None, 34),
];

const KINDS: [(&str, KindClass); 4] = [
    ("app::serve", KindClass::Async),
    ("app::thumbnail::{async block#0}", KindClass::Async),
    ("app::metrics::collect", KindClass::Async),
    ("app::report::{closure#0}", KindClass::Blocking),
];

/// Ten seconds of a web service with a CPU-hungry kind, a blocking culprit and
/// healthy ones.
pub(crate) fn service() -> Profile {
    let mut builder = builder();
    let kinds: Vec<_> = KINDS
        .iter()
        .map(|&(name, class)| builder.kind(name, class, Some(0)))
        .collect();
    let workers = [12, 13]
        .map(|tid| builder.thread(tid, "tokio-rt-worker", ThreadRole::Worker { runtime: 0 }));
    let mut samples = 0;
    for second in 0..10_u64 {
        for (path, (frames, kind, weight)) in PATHS.iter().enumerate() {
            let mut lines: Vec<&str> = ROOT.to_vec();
            if *kind == Some(0) {
                lines.extend(SERVE);
            }
            lines.extend(*frames);
            let stack = stack(&mut builder, &lines);
            for (worker, &thread) in workers.iter().enumerate() {
                let kind = kind.map(|kind| kinds[kind]);
                let task = kind.and_then(|kind| {
                    builder.task(&(path as u64 * 7 + second % 3 + 17).to_string(), kind)
                });
                let ns = u64::from(*weight) * 500_000 * (9 + (second + path as u64) % 4) / 10;
                let count = (ns / 10_101_010 + 1) as u32;
                samples += u64::from(count);
                let key = WeightKey {
                    thread: Some(thread),
                    state: State::OnCpu,
                    kind,
                    task,
                    stack,
                };
                let at = second * 1_000_000_000 + worker as u64;
                builder.add_weight(key, at, ns, count);
                builder.add_thread_time(thread, at, ns, ns / 3);
            }
        }
    }
    let sleep = [
        &ROOT[..],
        &[
            "async user app::mailer::run @ src/mailer.rs:18",
            "async user app::mailer::send @ src/mailer.rs:44",
            "sync std std::thread::functions::sleep @ std/src/thread/functions.rs:301",
            "sync std std::sys::thread::unix::sleep @ std/src/sys/thread/unix.rs:560",
            "sync library clock_nanosleep",
            "kernel kernel __x64_sys_clock_nanosleep",
        ],
    ]
    .concat();
    let sleep = stack(&mut builder, &sleep);
    let crunch = [&ROOT[..], PATHS[8].0].concat();
    let crunch = stack(&mut builder, &crunch);
    let mailer = builder.kind("app::mailer::run", KindClass::Async, Some(0));
    for number in 0..60_u64 {
        let duration_ns = 25_000_000 + number * 100_000;
        let start_ns = number * 160_000_000;
        let (kind, stack, cause) = match number % 5 {
            0 => (kinds[1], crunch, Cause::Cpu),
            _ => (mailer, sleep, Cause::Syscall),
        };
        let thread = workers[(number % 2) as usize];
        let task = builder.task(if kind == mailer { "3" } else { "90" }, kind);
        builder.add_stall(Stall {
            start_ns,
            duration_ns,
            uncertainty_ns: 1_000_000,
            kind: Some(kind),
            task,
            thread,
            cause,
            syscall: (cause == Cause::Syscall).then(|| "clock_nanosleep".to_owned()),
            stacks: vec![(stack, duration_ns)],
        });
        if cause == Cause::Syscall {
            let key = WeightKey {
                thread: Some(thread),
                state: State::Blocked,
                kind: Some(kind),
                task,
                stack,
            };
            builder.add_weight(key, start_ns, duration_ns, 0);
        }
    }
    let quality = builder.quality_mut();
    quality.samples = samples;
    quality.lost = 2;
    quality.truncated = 3;
    quality.unsymbolized_samples = 5;
    builder.finish(10_000_000_000)
}
