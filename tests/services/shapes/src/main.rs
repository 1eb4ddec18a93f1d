//! Every shape that the stack of a task takes. Each shape spins in a leaf
//! function of its own for about 3 % of a core.
//!
//! `--only NAME` runs the shapes of one file: functions, boxes, combined, places.

mod boxes;
mod combined;
mod functions;
mod places;

use std::time::Duration;
use truth::control::{Args, serve};

/// How long a leaf spins.
const WORK: Duration = Duration::from_micros(1500);

fn main() {
    let args = Args::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    if args.wants("functions") {
        functions::start();
    }
    if args.wants("boxes") {
        boxes::start();
    }
    if args.wants("combined") {
        combined::start();
    }
    if args.wants("places") {
        places::start(runtime.handle());
    }
    serve(
        &args,
        "shapes",
        &[
            ("src/boxes.rs", include_str!("boxes.rs")),
            ("src/combined.rs", include_str!("combined.rs")),
            ("src/functions.rs", include_str!("functions.rs")),
            ("src/places.rs", include_str!("places.rs")),
        ],
        "",
    )
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(48)).await
}
