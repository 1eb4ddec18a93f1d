//! Burners: 40 %, 24 % and 8 % of a core in tasks, and 8 % in a plain thread:
//! a split of 50 : 30 : 10 : 10.

use crate::spawn;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::{Interval, MissedTickBehavior, interval};
use truth::spin;

pub fn start() {
    // Two of the hot kind, so that tasks and kinds can be told apart.
    for _ in 0..2 {
        spawn(
            "mix::split::burn_hot",
            burn_hot(Duration::from_micros(1000)),
        );
    }
    spawn(
        "mix::split::burn_warm",
        burn_warm(Duration::from_micros(600)),
    );
    spawn(
        "mix::split::burn_cool",
        burn_cool(Duration::from_micros(200)),
    );
    std::thread::Builder::new()
        .name("housekeeping".into())
        .spawn(keep_house)
        .expect("a thread");
}

fn every(millis: u64) -> Interval {
    let mut clock = interval(Duration::from_millis(millis));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}

async fn burn_hot(chunk: Duration) {
    let mut clock = every(10);
    loop {
        clock.tick().await;
        hot_middle(chunk).await;
    }
}

async fn hot_middle(chunk: Duration) {
    hot_leaf(chunk).await;
    yield_now().await;
    hot_leaf(chunk).await;
}

async fn hot_leaf(chunk: Duration) {
    spin_hot(chunk);
    yield_now().await;
}

#[inline(never)]
fn spin_hot(chunk: Duration) -> u64 {
    spin!(chunk)
}

async fn burn_warm(chunk: Duration) {
    let mut clock = every(5);
    loop {
        clock.tick().await;
        warm_middle(chunk).await;
    }
}

async fn warm_middle(chunk: Duration) {
    warm_leaf(chunk).await;
    yield_now().await;
    warm_leaf(chunk).await;
}

async fn warm_leaf(chunk: Duration) {
    spin_warm(chunk);
    yield_now().await;
}

#[inline(never)]
fn spin_warm(chunk: Duration) -> u64 {
    spin!(chunk)
}

async fn burn_cool(chunk: Duration) {
    let mut clock = every(5);
    loop {
        clock.tick().await;
        cool_middle(chunk).await;
    }
}

async fn cool_middle(chunk: Duration) {
    cool_leaf(chunk).await;
    yield_now().await;
    cool_leaf(chunk).await;
}

async fn cool_leaf(chunk: Duration) {
    spin_cool(chunk);
    yield_now().await;
}

#[inline(never)]
fn spin_cool(chunk: Duration) -> u64 {
    spin!(chunk)
}

/// CPU time that belongs to no task.
fn keep_house() {
    loop {
        spin!(Duration::from_micros(800));
        std::thread::sleep(Duration::from_millis(9));
    }
}
