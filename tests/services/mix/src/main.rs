//! Tasks with a known CPU split and planted stalls, on two workers.
//!
//! `--only split` runs the burners alone, `--only stalls` the stalls alone.
//! All together demand a bit less than one core.

mod split;
mod stalls;

use std::future::Future;
use truth::control::{Args, serve};
use truth::{Measured, Meter};

fn main() {
    let args = Args::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    if args.wants("split") {
        split::start();
    }
    if args.wants("stalls") {
        stalls::start();
    }
    for _ in 0..20 {
        spawn("mix::idles", idles());
    }
    serve(
        &args,
        "mix",
        &[("src/stalls.rs", include_str!("stalls.rs"))],
        "",
    )
}

fn spawn(kind: &'static str, future: impl Future<Output = ()> + Send + 'static) {
    let meter = Meter::task(kind);
    meter.belongs_to(&tokio::spawn(Measured::new(meter, future)));
}

async fn idles() {
    std::future::pending().await
}
