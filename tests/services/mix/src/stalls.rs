//! Planted stalls, each in a task of its own, and one task that only looks like
//! one.

use crate::spawn;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, sleep};
use truth::spin;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn start() {
    spawn("mix::stalls::sleeps_in_poll", sleeps_in_poll());
    spawn("mix::stalls::spins_in_poll", spins_in_poll());
    let (asked, reader) = start_writer();
    spawn("mix::stalls::reads_in_poll", reads_in_poll(asked, reader));
    let (asked, lock) = start_holder();
    spawn("mix::stalls::locks_in_poll", locks_in_poll(asked, lock));
    spawn("mix::stalls::twice_in_a_row", twice_in_a_row());
    spawn("mix::stalls::often", often());
}

/// Twice a second.
async fn sleeps_in_poll() {
    loop {
        sleep(millis(475)).await;
        nap(millis(25));
    }
}

#[inline(never)]
fn nap(time: Duration) {
    thread::sleep(time); //~ culprit mix::stalls::sleeps_in_poll syscall clock_nanosleep mix::stalls::nap
    std::hint::black_box(time);
}

/// Two and a half times a second.
async fn spins_in_poll() {
    loop {
        sleep(millis(360)).await;
        spin_for(millis(40));
    }
}

#[inline(never)]
fn spin_for(time: Duration) -> u64 {
    spin!(time) //~ culprit mix::stalls::spins_in_poll cpu - mix::stalls::spin_for
}

/// Three times a second.
async fn reads_in_poll(asked: Sender<()>, mut reader: PipeReader) {
    loop {
        sleep(millis(317)).await;
        read_one(&asked, &mut reader);
    }
}

#[inline(never)]
fn read_one(asked: &Sender<()>, reader: &mut PipeReader) -> u8 {
    let mut byte = [0];
    asked.send(()).expect("the writer lives");
    reader.read_exact(&mut byte).expect("a byte"); //~ culprit mix::stalls::reads_in_poll syscall read mix::stalls::read_one
    byte[0]
}

/// A thread that writes a byte 16 ms after it is asked to.
fn start_writer() -> (Sender<()>, PipeReader) {
    let (reader, mut writer): (_, PipeWriter) = std::io::pipe().expect("a pipe");
    let (asked, requests): (_, Receiver<()>) = channel();
    thread::spawn(move || {
        for () in requests {
            thread::sleep(millis(16));
            writer.write_all(&[1]).expect("the reader lives");
        }
    });
    (asked, reader)
}

/// One and a half times a second.
async fn locks_in_poll(asked: Sender<()>, lock: Arc<Mutex<u64>>) {
    loop {
        sleep(millis(640)).await;
        asked.send(()).expect("the holder lives");
        // So that the holder has the lock before we want it.
        sleep(millis(2)).await;
        take(&lock);
    }
}

#[inline(never)]
fn take(lock: &Mutex<u64>) -> u64 {
    let mut value = lock.lock().expect("not poisoned"); //~ culprit mix::stalls::locks_in_poll syscall futex mix::stalls::take
    *value += 1;
    *value
}

/// A thread that holds the lock for 23 ms when it is asked to.
fn start_holder() -> (Sender<()>, Arc<Mutex<u64>>) {
    let lock = Arc::new(Mutex::new(0));
    let held = Arc::clone(&lock);
    let (asked, requests): (_, Receiver<()>) = channel();
    thread::spawn(move || {
        for () in requests {
            let value = held.lock();
            thread::sleep(millis(23));
            drop(value);
        }
    });
    (asked, lock)
}

/// Once a second, two polls of 20 ms with nothing but a yield between them.
async fn twice_in_a_row() {
    loop {
        sleep(millis(960)).await;
        spin_once(millis(20));
        yield_now().await;
        spin_once(millis(20));
    }
}

#[inline(never)]
fn spin_once(time: Duration) -> u64 {
    spin!(time) //~ culprit mix::stalls::twice_in_a_row cpu - mix::stalls::spin_once
}

/// A thousand polls a second of 50 µs each: busy, and never a stall.
async fn often() {
    let mut clock = interval(millis(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        clock.tick().await;
        spin_briefly(Duration::from_micros(50));
    }
}

#[inline(never)]
fn spin_briefly(time: Duration) -> u64 {
    spin!(time)
}
