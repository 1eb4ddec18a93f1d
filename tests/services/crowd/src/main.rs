//! Tasks by the ten thousand.
//!
//! `--tasks N` parks N tasks of a few kinds, each below a chain of async functions.
//! `--churn RATE` makes so many tasks a second beside them, which end at once or after
//! a few milliseconds. `--load N` lets N pairs of tasks pass a number to and fro as fast
//! as they can, and counts how often they do: what costs us time lowers that count.

mod churn;
mod parked;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use truth::control::{Args, serve};
use truth::crowd;

fn main() {
    let args = Args::read_with(&["--tasks", "--churn", "--load"], &[]);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    // First, and from one thread: so each kind's ids are one range.
    parked::start(args.count("--tasks"));
    start_load(args.count("--load"));
    churn::start(args.count("--churn"));
    serve(
        &args,
        "crowd",
        &[
            ("src/churn.rs", include_str!("churn.rs")),
            ("src/main.rs", include_str!("main.rs")),
            ("src/parked.rs", include_str!("parked.rs")),
        ],
        "",
    )
}

fn start_load(pairs: u64) {
    let crowd = crowd::Crowd::moving("load");
    for _ in 0..pairs {
        let (there, from_here) = mpsc::channel(1);
        let (back, from_there) = mpsc::channel(1);
        for (sender, receiver) in [(there, from_there), (back, from_here)] {
            crowd.spawning();
            crowd.reaches(&tokio::spawn(passes_on(sender, receiver)));
        }
    }
}

/// Both begin by sending: two numbers are on their way, so neither worker idles.
async fn passes_on(sender: mpsc::Sender<u64>, mut receiver: mpsc::Receiver<u64>) {
    let mut number = 0;
    loop {
        let _ = sender.send(number).await; //~ await load.send 0 crowd::passes_on | channel x0-1
        number = receiver.recv().await.unwrap_or(0) + 1; //~ await load.receive 0 crowd::passes_on | channel x0-1
        crowd::op();
        if number % 64 == 0 {
            tokio::task::yield_now().await; //~ await load.yield 0 crowd::passes_on | other x0-1
        }
    }
}
