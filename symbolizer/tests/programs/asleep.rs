//! Threads asleep in the ways std sleeps.

use std::sync::{Condvar, Mutex, mpsc};
use std::time::Duration;

#[inline(never)]
fn nap(deep: u32) {
    if deep > 0 {
        return nap_deeper(deep);
    }
    std::thread::sleep(Duration::from_secs(1000));
}

#[inline(never)]
fn nap_deeper(deep: u32) {
    nap(std::hint::black_box(deep - 1));
    std::hint::black_box(deep);
}

fn main() {
    let (_keep, receive) = mpsc::channel::<()>();
    let lock = Mutex::new(());
    let bell = Condvar::new();
    let held = lock.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| nap(5));
        scope.spawn(move || receive.recv());
        scope.spawn(|| drop(lock.lock()));
        scope.spawn(|| {
            let other = Mutex::new(());
            drop(bell.wait(other.lock().unwrap()));
        });
        scope.spawn(|| std::io::Read::read(&mut std::io::stdin(), &mut [0]));
        std::thread::park();
    });
    drop(held);
}
