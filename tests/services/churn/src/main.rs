//! Threads and tasks that come and go all the time: about 200 threads at once,
//! each living half a second, and about 4000 tasks a second.
//!
//! `--only threads` and `--only tasks` leave the other out.

use std::thread;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use truth::control::{Args, serve};
use truth::{Measured, Meter, spin};

fn main() {
    let args = Args::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if args.wants("tasks") {
        runtime.spawn(spawns_tasks());
    }
    if args.wants("threads") {
        thread::spawn(start_threads);
    }
    serve(&args, "churn", &[], "")
}

async fn spawns_tasks() {
    let meter = Meter::kind("churn::short_task");
    let mut clock = interval(Duration::from_millis(5));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        for _ in 0..20 {
            meter.spawned();
            tokio::spawn(Measured::new(meter, short_task()));
        }
    }
}

async fn short_task() {
    spin_task();
    tokio::task::yield_now().await;
    spin_task();
}

#[inline(never)]
fn spin_task() -> u64 {
    spin!(Duration::from_micros(20))
}

/// A new thread every 2.5 ms, 200 of them at a time.
fn start_threads() {
    loop {
        // Where no thread can be started just now, the next round will.
        let _ = thread::Builder::new().spawn(short_thread);
        thread::sleep(Duration::from_micros(2500));
    }
}

fn short_thread() {
    spin_thread();
    thread::sleep(Duration::from_millis(500));
    spin_thread();
}

#[inline(never)]
fn spin_thread() -> u64 {
    spin!(Duration::from_micros(100))
}
