//! Tasks that share the CPU of one thread in known parts.

use smol::Timer;
use std::thread;
use std::time::Duration;
use truth::{Measured, Meter, spin};

pub fn start() {
    let own: &'static async_executor::Executor<'static> = Box::leak(Box::default());
    for (kind, work) in [
        ("executors::split::burn_hot", 0),
        ("executors::split::burn_warm", 1),
        ("executors::split::burn_cool", 2),
    ] {
        let meter = Meter::task(kind);
        match work {
            0 => own.spawn(Measured::new(meter, burn_hot())).detach(),
            1 => own.spawn(Measured::new(meter, burn_warm())).detach(),
            _ => own.spawn(Measured::new(meter, burn_cool())).detach(),
        }
    }
    thread::Builder::new()
        .name("split".into())
        .spawn(|| smol::block_on(own.run(std::future::pending::<()>())))
        .expect("a thread");
}

/// 30 % of a core.
async fn burn_hot() {
    loop {
        Timer::after(Duration::from_millis(4)).await;
        spin_hot();
    }
}

#[inline(never)]
fn spin_hot() -> u64 {
    spin!(Duration::from_micros(2000))
}

/// Half of that.
async fn burn_warm() {
    loop {
        Timer::after(Duration::from_millis(4)).await;
        spin_warm();
    }
}

#[inline(never)]
fn spin_warm() -> u64 {
    spin!(Duration::from_micros(1000))
}

/// Half again.
async fn burn_cool() {
    loop {
        Timer::after(Duration::from_millis(4)).await;
        spin_cool();
    }
}

#[inline(never)]
fn spin_cool() -> u64 {
    spin!(Duration::from_micros(500))
}
