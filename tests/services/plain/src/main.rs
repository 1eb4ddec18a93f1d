//! A native program without any async runtime: two threads that work, one that
//! waits.

use std::thread;
use std::time::Duration;
use truth::control::{Args, serve};
use truth::spin;

fn main() {
    let args = Args::read();
    start("worker-a", || work(Duration::from_millis(3)));
    start("worker-b", || work(Duration::from_millis(1)));
    start("waiter", || {
        loop {
            thread::park();
        }
    });
    serve(&args, "plain", &[], "")
}

fn start(name: &str, work: fn()) {
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .expect("a thread");
}

fn work(time: Duration) {
    loop {
        outer(time);
        thread::sleep(Duration::from_millis(10));
    }
}

#[inline(never)]
fn outer(time: Duration) -> u64 {
    inner(time) + 1
}

#[inline(never)]
fn inner(time: Duration) -> u64 {
    spin!(time)
}
