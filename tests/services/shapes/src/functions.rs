//! Async functions, blocks, closures and methods, and what is called below them.

use crate::{WORK, pause};
use std::hint::black_box;
use tokio::spawn;
use truth::spin;

pub fn start() {
    spawn(plain());
    spawn(generic(Small(1)));
    spawn(calls_async_closure());
    spawn(calls_method());
    spawn(calls_trait_method());
    spawn(calls_inlined());
    spawn(calls_deep());
    start_block();
}

async fn plain() {
    loop {
        pause().await;
        plain_middle().await; //~ frame plain 0 async shapes::functions::plain
    }
}

async fn plain_middle() -> u64 {
    plain_leaf().await + 1 //~ frame plain 1 async shapes::functions::plain_middle
}

async fn plain_leaf() -> u64 {
    spin_plain() + 1 //~ frame plain 2 async shapes::functions::plain_leaf
}

#[inline(never)]
fn spin_plain() -> u64 {
    spin!(WORK) //~ frame plain 3 sync shapes::functions::spin_plain
}

trait Size: Send + Sync {
    fn size(&self) -> u64;
}

struct Small(u64);

impl Size for Small {
    fn size(&self) -> u64 {
        self.0
    }
}

async fn generic<S: Size>(size: S) {
    loop {
        pause().await;
        generic_leaf(&size).await; //~ frame generic 0 async shapes::functions::generic
    }
}

async fn generic_leaf<S: Size>(size: &S) -> u64 {
    spin_generic(size) + 1 //~ frame generic 1 async shapes::functions::generic_leaf
}

#[inline(never)]
fn spin_generic<S: Size>(size: &S) -> u64 {
    let spun = spin!(WORK); //~ frame generic 2 sync shapes::functions::spin_generic
    spun + size.size()
}

fn start_block() {
    spawn(async {
        loop {
            pause().await;
            spin_block(); //~ frame block 0 async shapes::functions::start_block::{async block#0}
            black_box(());
        }
    });
}

#[inline(never)]
fn spin_block() -> u64 {
    spin!(WORK) //~ frame block 1 sync shapes::functions::spin_block
}

async fn calls_async_closure() {
    let work = async |more: u64| {
        spin_closure() + more //~ frame async_closure 1 async shapes::functions::calls_async_closure::{closure#0}::{async closure#0}
    };
    loop {
        pause().await;
        work(1).await; //~ frame async_closure 0 async shapes::functions::calls_async_closure
    }
}

#[inline(never)]
fn spin_closure() -> u64 {
    spin!(WORK) //~ frame async_closure 2 sync shapes::functions::spin_closure
}

struct Session(u64);

impl Session {
    async fn refresh(&self) -> u64 {
        self.spin_method() + 1 //~ frame method 1 async shapes::functions::Session::refresh
    }

    #[inline(never)]
    fn spin_method(&self) -> u64 {
        let spun = spin!(WORK); //~ frame method 2 sync shapes::functions::Session::spin_method
        spun + self.0
    }
}

async fn calls_method() {
    let session = Session(1);
    loop {
        pause().await;
        session.refresh().await; //~ frame method 0 async shapes::functions::calls_method
    }
}

trait Device {
    fn spin_device(&self) -> u64;
}

struct Disk(u64);

impl Device for Disk {
    #[inline(never)]
    fn spin_device(&self) -> u64 {
        let spun = spin!(WORK); //~ frame trait_method 1 sync <shapes::functions::Disk as shapes::functions::Device>::spin_device
        spun + self.0
    }
}

async fn calls_trait_method() {
    let disk = Disk(1);
    loop {
        pause().await;
        black_box(disk.spin_device()); //~ frame trait_method 0 async shapes::functions::calls_trait_method
    }
}

async fn calls_inlined() {
    loop {
        pause().await;
        black_box(around_inlined()); //~ frame inlined 0 async shapes::functions::calls_inlined
    }
}

#[inline(never)]
fn around_inlined() -> u64 {
    spin_inlined() + 1 //~ frame inlined 1 sync shapes::functions::around_inlined
}

#[inline(always)]
fn spin_inlined() -> u64 {
    spin!(WORK) //~ frame inlined 2 sync shapes::functions::spin_inlined
}

async fn calls_deep() {
    loop {
        pause().await;
        black_box(deep(20)); //~ frame deep 0 async shapes::functions::calls_deep
    }
}

/// More than 4 KiB of stack a call: 80 KiB in all, more than any copy of it.
#[inline(never)]
fn deep(left: usize) -> u64 {
    let mut pad = [0_u8; 4096];
    black_box(&mut pad);
    let below = if left == 0 {
        spin_deep() //~ frame deep 2 sync shapes::functions::deep
    } else {
        deep(left - 1) //~ frame deep 1* sync shapes::functions::deep
    };
    below + u64::from(pad[left])
}

#[inline(never)]
fn spin_deep() -> u64 {
    // Long enough that a look at the worker falls into it.
    spin!(WORK * 10) //~ frame deep 3 sync shapes::functions::spin_deep
}
