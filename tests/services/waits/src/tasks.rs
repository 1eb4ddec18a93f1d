//! Tasks that wait for tasks, and those that do not wait at all.

use crate::{FAR, blocking, spawn, spawn_as};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use truth::parked::{State, joins};

pub fn start() {
    start_joined();
    start_blocking();
    start_aborted();
    spawn_as("ended", State::Complete, ends());
    if crate::has_several_workers() {
        // Last, when all others wait: it keeps a worker for itself, and with it the tasks
        // that yielded to that worker.
        thread::sleep(Duration::from_millis(200));
        spawn_as("running", State::Running, runs());
    }
}

fn start_joined() {
    let joined = spawn("joined", joined());
    joins("join_handle", "joined");
    spawn("join_handle", awaits(joined));
    let by_reference = spawn("joined_in_select", joined_in_select());
    joins("join_or_timer.task", "joined_in_select");
    spawn("join_or_timer", awaits_or_times_out(by_reference));
}

async fn joined() -> u64 {
    sleep(FAR).await; //~ await joined 0 waits::tasks::joined | timer
    1
}

async fn awaits(handle: JoinHandle<u64>) {
    let _ = handle.await; //~ await join_handle 0 waits::tasks::awaits | task
}

async fn joined_in_select() -> u64 {
    sleep(FAR).await; //~ await joined_in_select 0 waits::tasks::joined_in_select | timer
    2
}

async fn awaits_or_times_out(mut handle: JoinHandle<u64>) {
    #[rustfmt::skip]
    tokio::select! { //~ await join_or_timer.task 0~ waits::tasks::awaits_or_times_out | task //~ await join_or_timer.limit 0~ waits::tasks::awaits_or_times_out | timer
        number = &mut handle => { let _ = std::hint::black_box(number); }
        () = sleep(FAR) => handle.abort(),
    }
}

/// The pool has room for two closures; the third queues.
fn start_blocking() {
    let (begins, begun) = mpsc::channel();
    let other = begins.clone();
    joins("blocking", "closure");
    let closure = move || sleeps_on_the_pool(&begins, 1); //~ await closure 0 waits::tasks::start_blocking::{closure#0}
    let closure = blocking("closure", State::Running, closure);
    spawn("blocking", awaits_closure(closure));
    joins("blocking_other", "closure_other");
    let closure = move || sleeps_on_the_pool(&other, 2); //~ await closure_other 0 waits::tasks::start_blocking::{closure#1}
    let closure = blocking("closure_other", State::Running, closure);
    spawn("blocking_other", awaits_other(closure));
    for _ in 0..2 {
        let _ = begun.recv();
    }
    joins("blocking_queued", "closure_queued");
    let closure = || thread::available_parallelism().map_or(3, |number| number.get()); //~ await closure_queued 0 waits::tasks::start_blocking::{closure#2}
    let closure = blocking("closure_queued", State::Ready, closure);
    spawn("blocking_queued", awaits_queued(closure));
    for _ in 0..2 {
        let closure = || thread::sleep(FAR); //~ await closure_queued_too 0 waits::tasks::start_blocking::{closure#3}
        blocking("closure_queued_too", State::Ready, closure);
    }
}

fn sleeps_on_the_pool(begins: &mpsc::Sender<()>, number: u64) -> u64 {
    let _ = begins.send(());
    thread::sleep(FAR);
    number
}

async fn awaits_closure(handle: JoinHandle<u64>) {
    let _ = handle.await; //~ await blocking 0 waits::tasks::awaits_closure | task
}

async fn awaits_other(handle: JoinHandle<u64>) {
    let _ = handle.await; //~ await blocking_other 0 waits::tasks::awaits_other | task
}

async fn awaits_queued(handle: JoinHandle<usize>) {
    let _ = handle.await; //~ await blocking_queued 0 waits::tasks::awaits_queued | task
}

/// Its handle is kept, so its memory stays; but it does not wait any more.
fn start_aborted() {
    let handle = spawn_as("aborted", State::Complete, aborted());
    spawn("aborts", aborts(handle));
}

async fn aborted() -> u64 {
    sleep(FAR).await;
    5
}

async fn aborts(handle: JoinHandle<u64>) {
    sleep(Duration::from_millis(50)).await;
    handle.abort();
    sleep(FAR).await; //~ await aborts 0 waits::tasks::aborts | timer
    let _ = handle.await;
}

async fn ends() -> u64 {
    tokio::task::yield_now().await;
    6
}

/// In a poll that does not end: mostly asleep, so that others can work.
async fn runs() -> u64 {
    let mut spun = 0;
    loop {
        spun += truth::spin!(Duration::from_micros(200)) & 1;
        thread::sleep(Duration::from_millis(10)); //~ await running 0 waits::tasks::runs
        if spun == u64::MAX {
            sleep(FAR).await;
            return spun;
        }
    }
}

/// Every worker is held, and two tasks are ready to run.
pub fn starve() {
    let (begins, begun) = mpsc::channel();
    let woken = std::sync::Arc::new(tokio::sync::Notify::new());
    let wake = std::sync::Arc::clone(&woken);
    let (waits, waiting) = mpsc::channel();
    spawn_as("woken", State::Ready, async move {
        let _ = waits.send(());
        woken.notified().await; //~ await woken 0 waits::tasks::starve::{async block#0}
        thread::yield_now();
    });
    let _ = waiting.recv();
    thread::sleep(Duration::from_millis(50));
    for _ in 0..crate::workers() {
        spawn_as("hogs", State::Running, hogs(begins.clone()));
    }
    for _ in 0..crate::workers() {
        let _ = begun.recv();
    }
    wake.notify_one();
    spawn_as("unstarted", State::Ready, unstarted());
}

async fn hogs(begins: mpsc::Sender<()>) {
    let _ = begins.send(());
    thread::sleep(FAR); //~ await hogs 0 waits::tasks::hogs
}

/// Its first poll never comes.
#[rustfmt::skip]
async fn unstarted() -> u64 { //~ await unstarted 0~ waits::tasks::unstarted
    sleep(FAR).await;
    7
}
