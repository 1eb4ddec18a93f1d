//! Several futures in one task, and sets of tasks.

use crate::{WORK, pause};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::hint::black_box;
use std::time::Duration;
use tokio::spawn;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use truth::spin;

pub fn start() {
    spawn(joins());
    spawn(selects());
    spawn(unordered());
    spawn(owns_join_set());
    spawn(times_out());
}

async fn joins() {
    loop {
        pause().await;
        tokio::join!(join_left(), join_right()); //~ frame join_left,join_right 0 async shapes::combined::joins
    }
}

async fn join_left() -> u64 {
    spin_left() + 1 //~ frame join_left 1 async shapes::combined::join_left
}

#[inline(never)]
fn spin_left() -> u64 {
    spin!(WORK) //~ frame join_left 2 sync shapes::combined::spin_left
}

async fn join_right() -> u64 {
    spin_right() + 1 //~ frame join_right 1 async shapes::combined::join_right
}

#[inline(never)]
fn spin_right() -> u64 {
    spin!(WORK) //~ frame join_right 2 sync shapes::combined::spin_right
}

async fn selects() {
    loop {
        pause().await;
        #[rustfmt::skip]
        tokio::select! { //~ frame select 0 async shapes::combined::selects
            spun = select_branch() => { black_box(spun); }
            () = sleep(Duration::from_secs(5)) => {}
        }
    }
}

async fn select_branch() -> u64 {
    tokio::task::yield_now().await;
    spin_select() + 1 //~ frame select 1 async shapes::combined::select_branch
}

#[inline(never)]
fn spin_select() -> u64 {
    spin!(WORK) //~ frame select 2 sync shapes::combined::spin_select
}

async fn unordered() {
    loop {
        pause().await;
        let mut set: FuturesUnordered<_> = (0..2).map(unordered_member).collect();
        loop {
            let spun = set.next().await; //~ frame unordered 0 async shapes::combined::unordered
            if black_box(spun).is_none() {
                break;
            }
        }
    }
}

async fn unordered_member(more: u64) -> u64 {
    spin_unordered() + more //~ frame unordered 1 async shapes::combined::unordered_member
}

#[inline(never)]
fn spin_unordered() -> u64 {
    spin!(WORK) //~ frame unordered 2 sync shapes::combined::spin_unordered
}

async fn owns_join_set() {
    loop {
        pause().await;
        let mut set = JoinSet::new();
        set.spawn(join_set_member(1));
        set.spawn(join_set_member(2));
        while set.join_next().await.is_some() {}
    }
}

async fn join_set_member(more: u64) -> u64 {
    spin_join_set() + more //~ frame join_set 0 async shapes::combined::join_set_member
}

#[inline(never)]
fn spin_join_set() -> u64 {
    spin!(WORK) //~ frame join_set 1 sync shapes::combined::spin_join_set
}

async fn times_out() {
    loop {
        pause().await;
        let _ = timeout(Duration::from_secs(5), in_time()).await; //~ frame timeout 0 async shapes::combined::times_out
    }
}

async fn in_time() -> u64 {
    spin_timeout() + 1 //~ frame timeout 1 async shapes::combined::in_time
}

#[inline(never)]
fn spin_timeout() -> u64 {
    spin!(WORK) //~ frame timeout 2 sync shapes::combined::spin_timeout
}
