//! Locks and what is like them, each with a holder that is known.

use crate::{FAR, spawn};
use std::sync::Arc;
use tokio::sync::{
    Barrier, Mutex, Notify, OnceCell, OwnedMutexGuard, OwnedRwLockReadGuard, RwLock, Semaphore,
    oneshot,
};
use tokio::time::sleep;
use truth::parked::held_by;

pub fn start() {
    start_mutex();
    start_rwlock();
    start_semaphore();
    start_notify();
    start_barrier();
    start_once();
    start_circle();
}

fn start_mutex() {
    let mutex = Arc::new(Mutex::new(1_u64));
    let guard = Arc::clone(&mutex).try_lock_owned().expect("nobody has it");
    spawn("holds_mutex", holds_mutex(guard));
    held_by("mutex", "holds_mutex");
    held_by("owned_mutex", "holds_mutex");
    spawn("mutex", locks_mutex(Arc::clone(&mutex)));
    spawn("owned_mutex", locks_owned(mutex));
}

async fn holds_mutex(mut guard: OwnedMutexGuard<u64>) {
    sleep(FAR).await; //~ await holds_mutex 0 waits::locks::holds_mutex | timer
    *guard += 1;
}

async fn locks_mutex(mutex: Arc<Mutex<u64>>) {
    let mut guard = mutex.lock().await; //~ await mutex 0 waits::locks::locks_mutex | lock
    *guard += 2;
}

async fn locks_owned(mutex: Arc<Mutex<u64>>) {
    let mut guard = mutex.lock_owned().await; //~ await owned_mutex 0 waits::locks::locks_owned | lock
    *guard += 3;
}

/// A reader holds it; a writer waits, and behind the writer another reader.
fn start_rwlock() {
    let lock = Arc::new(RwLock::new(1_u64));
    let guard = Arc::clone(&lock).try_read_owned().expect("nobody writes");
    spawn("holds_read", holds_read(guard));
    held_by("write_lock", "holds_read");
    let queue = Arc::clone(&lock);
    spawn("write_lock", writes(lock));
    spawn("read_lock", reads(queue));
}

async fn holds_read(guard: OwnedRwLockReadGuard<u64>) {
    sleep(FAR).await; //~ await holds_read 0 waits::locks::holds_read | timer
    drop(guard);
}

async fn writes(lock: Arc<RwLock<u64>>) {
    let mut guard = lock.write().await; //~ await write_lock 0 waits::locks::writes | lock
    *guard += 1;
}

async fn reads(lock: Arc<RwLock<u64>>) {
    // Only when the writer queues already does a reader wait.
    while lock.try_read().is_ok() {
        tokio::task::yield_now().await;
    }
    let guard = lock.read().await; //~ await read_lock 0 waits::locks::reads | lock
    std::hint::black_box(*guard);
}

fn start_semaphore() {
    let semaphore = Arc::new(Semaphore::new(0));
    let other = Arc::clone(&semaphore);
    spawn("semaphore_some", acquires(semaphore));
    spawn("semaphore_many", acquires_many(other));
}

async fn acquires(semaphore: Arc<Semaphore>) {
    let permit = semaphore.acquire().await; //~ await semaphore_some 0 waits::locks::acquires | lock
    drop(permit);
}

async fn acquires_many(semaphore: Arc<Semaphore>) {
    let permit = semaphore.acquire_many_owned(5).await; //~ await semaphore_many 0 waits::locks::acquires_many | lock
    drop(permit);
}

fn start_notify() {
    let notify = Arc::new(Notify::new());
    let other = Arc::clone(&notify);
    spawn("notify", async move {
        notify.notified().await; //~ await notify 0 waits::locks::start_notify::{async block#0} | lock/other
    });
    spawn("notify_in_advance", waits_in_advance(other));
}

/// As one does where a notification must not be lost.
async fn waits_in_advance(notify: Arc<Notify>) {
    let mut notified = std::pin::pin!(notify.notified());
    notified.as_mut().enable();
    notified.await; //~ await notify_in_advance 0 waits::locks::waits_in_advance | lock/other
}

/// Two of three have come.
fn start_barrier() {
    let barrier = Arc::new(Barrier::new(3));
    for _ in 0..2 {
        spawn("barrier", comes_to(Arc::clone(&barrier)));
    }
}

async fn comes_to(barrier: Arc<Barrier>) {
    barrier.wait().await; //~ await barrier 0 waits::locks::comes_to | lock/other
}

/// One makes the value, the other waits for it.
fn start_once() {
    let cell = Arc::new(OnceCell::new());
    let (begins, begun) = oneshot::channel();
    spawn("once_first", makes(Arc::clone(&cell), begins));
    held_by("once_second", "once_first");
    spawn("once_second", needs(cell, begun));
}

async fn makes(cell: Arc<OnceCell<u64>>, begins: oneshot::Sender<()>) {
    cell.get_or_init(|| value(begins)).await; //~ await once_first 0 waits::locks::makes
}

async fn value(begins: oneshot::Sender<()>) -> u64 {
    let _ = begins.send(());
    sleep(FAR).await; //~ await once_first 1 waits::locks::value | timer
    1
}

async fn needs(cell: Arc<OnceCell<u64>>, begun: oneshot::Receiver<()>) {
    let _ = begun.await;
    cell.get_or_init(|| async { 2 }).await; //~ await once_second 0 waits::locks::needs | lock
}

/// Two tasks that each hold what the other wants.
fn start_circle() {
    let left = Arc::new(Mutex::new('l'));
    let right = Arc::new(Mutex::new('r'));
    let both = Arc::new(Barrier::new(2));
    held_by("circle_left", "circle_right");
    held_by("circle_right", "circle_left");
    let others = (Arc::clone(&right), Arc::clone(&left), Arc::clone(&both));
    spawn("circle_left", left_then_right(left, right, both));
    spawn(
        "circle_right",
        right_then_left(others.0, others.1, others.2),
    );
}

async fn left_then_right(left: Arc<Mutex<char>>, right: Arc<Mutex<char>>, both: Arc<Barrier>) {
    let first = left.lock().await;
    both.wait().await;
    let second = right.lock().await; //~ await circle_left 0 waits::locks::left_then_right | lock
    std::hint::black_box((*first, *second));
}

async fn right_then_left(right: Arc<Mutex<char>>, left: Arc<Mutex<char>>, both: Arc<Barrier>) {
    let first = right.lock().await;
    both.wait().await;
    let second = left.lock().await; //~ await circle_right 0 waits::locks::right_then_left | lock
    std::hint::black_box((*first, *second));
}
