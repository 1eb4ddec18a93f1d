//! A CPU split and planted stalls on one thread: the current-thread runtime with
//! a `LocalSet`. `--only split` leaves the stalls out, `--only stalls` the split;
//! `--only often` runs a task of the `LocalSet` that is polled again and again within
//! one poll of the set.

use std::future::Future;
use std::thread;
use std::time::Duration;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use truth::control::{Args, serve};
use truth::{Measured, Meter, spin};

fn main() {
    let args = Args::read();
    let split = args.wants("split");
    let stalls = args.wants("stalls");
    let often = args.wants("often") && !split && !stalls;
    thread::Builder::new()
        .name("single".into())
        .spawn(move || run(split, stalls, often))
        .expect("a thread");
    serve(
        &args,
        "single",
        &[("src/main.rs", include_str!("main.rs"))],
        "",
    )
}

fn run(split: bool, stalls: bool, often: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        if split {
            // One that is `Send`, and lives in the runtime itself.
            let meter = Meter::task("single::burn_hot");
            meter.belongs_to(&tokio::spawn(Measured::new(meter, burn_hot())));
            spawn("single::burn_warm", burn_warm());
            spawn("single::burn_cool", burn_cool());
        }
        if stalls {
            spawn("single::sleeps_in_poll", sleeps_in_poll());
            spawn("single::spins_in_poll", spins_in_poll());
        }
        if often {
            spawn("single::polled_often", polled_often());
        }
        std::future::pending::<()>().await;
    });
}

fn spawn(kind: &'static str, future: impl Future<Output = ()> + 'static) {
    let meter = Meter::task(kind);
    meter.belongs_to(&spawn_local(Measured::new(meter, future)));
}

fn every(millis: u64) -> Interval {
    let mut clock = interval(Duration::from_millis(millis));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}

/// Fifty polls of 0.4 ms in a row, forty percent of the time.
async fn polled_often() {
    let mut clock = every(50);
    loop {
        clock.tick().await;
        for _ in 0..50 {
            spin_often();
            again().await;
        }
    }
}

/// Ready at the next poll, which is asked for at once; `yield_now` would wait until
/// the set's own poll is over.
async fn again() {
    let mut polled = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await
}

#[inline(never)]
fn spin_often() -> u64 {
    spin!(Duration::from_micros(400))
}

/// 30 % of a core.
async fn burn_hot() {
    let mut clock = every(5);
    loop {
        clock.tick().await;
        hot_leaf().await;
    }
}

async fn hot_leaf() {
    spin_hot();
    yield_now().await;
}

#[inline(never)]
fn spin_hot() -> u64 {
    spin!(Duration::from_micros(1500))
}

/// 15 %.
async fn burn_warm() {
    let mut clock = every(5);
    loop {
        clock.tick().await;
        warm_leaf().await;
    }
}

async fn warm_leaf() {
    spin_warm();
    yield_now().await;
}

#[inline(never)]
fn spin_warm() -> u64 {
    spin!(Duration::from_micros(750))
}

/// 5 %.
async fn burn_cool() {
    let mut clock = every(5);
    loop {
        clock.tick().await;
        cool_leaf().await;
    }
}

async fn cool_leaf() {
    spin_cool();
    yield_now().await;
}

#[inline(never)]
fn spin_cool() -> u64 {
    spin!(Duration::from_micros(250))
}

/// Twice a second.
async fn sleeps_in_poll() {
    loop {
        sleep(Duration::from_millis(475)).await;
        nap(Duration::from_millis(25));
    }
}

#[inline(never)]
fn nap(time: Duration) {
    thread::sleep(time); //~ culprit single::sleeps_in_poll syscall clock_nanosleep single::nap
    std::hint::black_box(time);
}

/// Twice a second.
async fn spins_in_poll() {
    loop {
        sleep(Duration::from_millis(470)).await;
        spin_for(Duration::from_millis(30));
    }
}

#[inline(never)]
fn spin_for(time: Duration) -> u64 {
    spin!(time) //~ culprit single::spins_in_poll cpu - single::spin_for
}
