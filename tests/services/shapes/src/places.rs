//! Places other than a worker where tasks run.

use crate::{WORK, pause};
use std::hint::black_box;
use std::thread;
use tokio::runtime::Handle;
use tokio::task::{LocalSet, spawn_blocking, spawn_local};
use truth::spin;

pub fn start(handle: &Handle) {
    handle.spawn(uses_blocking());
    let handle = handle.clone();
    thread::spawn(move || handle.block_on(blocked_on()));
    thread::spawn(run_local_set);
}

async fn uses_blocking() {
    loop {
        pause().await;
        let spun = spawn_blocking(|| {
            spin_blocking() + 1 //~ frame spawn_blocking 0 sync shapes::places::uses_blocking::{closure#0}
        });
        black_box(spun.await.expect("it does not panic"));
    }
}

#[inline(never)]
fn spin_blocking() -> u64 {
    spin!(WORK) //~ frame spawn_blocking 1 sync shapes::places::spin_blocking
}

async fn blocked_on() {
    loop {
        pause().await;
        blocked_on_inner().await; //~ frame block_on 0 async shapes::places::blocked_on
    }
}

async fn blocked_on_inner() -> u64 {
    spin_blocked_on() + 1 //~ frame block_on 1 async shapes::places::blocked_on_inner
}

#[inline(never)]
fn spin_blocked_on() -> u64 {
    spin!(WORK) //~ frame block_on 2 sync shapes::places::spin_blocked_on
}

fn run_local_set() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, local_root());
}

async fn local_root() {
    spawn_local(local_task());
    loop {
        pause().await;
        black_box(spin_local_root()); //~ frame local_root 0 async shapes::places::local_root
    }
}

#[inline(never)]
fn spin_local_root() -> u64 {
    spin!(WORK) //~ frame local_root 1 sync shapes::places::spin_local_root
}

async fn local_task() {
    loop {
        pause().await;
        local_leaf().await; //~ frame local_task 0 async shapes::places::local_task
    }
}

async fn local_leaf() -> u64 {
    spin_local() + 1 //~ frame local_task 1 async shapes::places::local_leaf
}

#[inline(never)]
fn spin_local() -> u64 {
    spin!(WORK) //~ frame local_task 2 sync shapes::places::spin_local
}
