//! A service whose next release is told on the command line what is different:
//! `--parse PERCENT` of what parsing costs, `--stall MS` for a file that is now
//! written in the middle of a poll, `--audit MS` for a new thing to wait for.
//!
//! Four tasks serve, one works in the background, and both cores are idle half of
//! the time.

use std::future::Future;
use std::thread;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};
use truth::control::{Args, serve};
use truth::{Measured, Meter, spin};

/// What is different in this release.
#[derive(Clone, Copy)]
struct Release {
    parse: Duration,
    stall: Option<Duration>,
    audit: Option<Duration>,
}

fn main() {
    let args = Args::read_with(&["--parse", "--stall", "--audit"], &[]);
    let millis = |option| Some(args.count(option)).filter(|ms| *ms > 0).map(Duration::from_millis);
    let percent = match args.count("--parse") {
        0 => 100,
        percent => percent,
    };
    let release = Release {
        parse: Duration::from_micros(5 * percent),
        stall: millis("--stall"),
        audit: millis("--audit"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    for number in 0..4 {
        spawn("release::serves", serves(release, number));
    }
    spawn("release::works", works());
    spawn("release::rotates", rotates(release));
    for _ in 0..10 {
        spawn("release::idles", idles());
    }
    serve(&args, "release", &[], "")
}

fn spawn(kind: &'static str, future: impl Future<Output = ()> + Send + 'static) {
    let meter = Meter::task(kind);
    meter.belongs_to(&tokio::spawn(Measured::new(meter, future)));
}

async fn idles() {
    std::future::pending().await
}

/// Requests that come at an even pace.
async fn serves(release: Release, number: u64) {
    sleep(Duration::from_millis(3 * number)).await;
    let mut clock = interval(Duration::from_millis(12));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        handles(release).await;
    }
}

async fn handles(release: Release) {
    parses(release.parse);
    looks_up().await;
    if let Some(time) = release.audit {
        audits(time).await;
    }
    renders();
    checks();
}

/// A database that answers in its time.
async fn looks_up() {
    sleep(Duration::from_millis(2)).await;
}

async fn audits(time: Duration) {
    sleep(time).await;
}

#[inline(never)]
fn parses(time: Duration) -> u64 {
    spin!(time)
}

#[inline(never)]
fn renders() -> u64 {
    spin!(Duration::from_micros(400))
}

#[inline(never)]
fn checks() -> u64 {
    let sum = spin!(Duration::from_micros(150));
    sum ^ hashes()
}

#[inline(never)]
fn hashes() -> u64 {
    spin!(Duration::from_micros(200))
}

async fn works() {
    let mut clock = interval(Duration::from_millis(25));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        crunches();
    }
}

#[inline(never)]
fn crunches() -> u64 {
    spin!(Duration::from_millis(3))
}

/// Holds its worker in every release, and in some for longer.
async fn rotates(release: Release) {
    loop {
        sleep(Duration::from_millis(450)).await;
        flushes();
        if let Some(time) = release.stall {
            sleep(Duration::from_millis(50)).await;
            logs(time);
        }
    }
}

#[inline(never)]
fn flushes() {
    let time = Duration::from_millis(14);
    thread::sleep(time);
    std::hint::black_box(time);
}

#[inline(never)]
fn logs(time: Duration) {
    thread::sleep(time);
    std::hint::black_box(time);
}
