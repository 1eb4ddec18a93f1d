//! Those that come and go.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, sleep};
use truth::crowd::Crowd;

/// At most so many are behind their time: a machine that cannot keep up makes fewer.
const MOST_AT_ONCE: u64 = 2000;

pub fn start(per_second: u64) {
    if per_second > 0 {
        let crowd = Crowd::moving("maker");
        crowd.spawning();
        crowd.reaches(&tokio::spawn(makes(per_second)));
    }
}

async fn makes(per_second: u64) {
    let short = Crowd::moving("short");
    let brief = Crowd::moving("brief");
    let mut clock = interval(Duration::from_millis(2));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = Instant::now();
    let mut made = 0;
    loop {
        clock.tick().await; //~ await maker 0 crowd::churn::makes | timer x0-1
        let due = (begin.elapsed().as_micros() as u64).saturating_mul(per_second) / 1_000_000;
        for number in 0..due.saturating_sub(made).min(MOST_AT_ONCE) {
            if number % 2 == 0 {
                brief.spawning();
                brief.reaches(&tokio::spawn(briefly(brief, number % 16)));
            } else {
                short.spawning();
                short.reaches(&tokio::spawn(shortly(short, number)));
            }
        }
        made = due;
    }
}

/// Done at its second poll.
async fn shortly(crowd: &'static Crowd, number: u64) {
    shortly_inner(number).await; //~ await short.boxed,short.plain 0 crowd::churn::shortly
    crowd.finished();
}

async fn shortly_inner(number: u64) {
    if number % 4 == 1 {
        let boxed: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(shortly_boxed());
        boxed.await; //~ await short.boxed 1 crowd::churn::shortly_inner
    } else {
        yield_now().await; //~ await short.plain 1 crowd::churn::shortly_inner | other x0-1
    }
}

async fn shortly_boxed() {
    yield_now().await; //~ await short.boxed 2 crowd::churn::shortly_boxed | other x0-1
}

/// Sleeps once, then is done: so some hundreds of them live at any moment.
async fn briefly(crowd: &'static Crowd, ms: u64) {
    briefly_inner(ms).await; //~ await brief 0 crowd::churn::briefly
    crowd.finished();
}

async fn briefly_inner(ms: u64) {
    sleep(Duration::from_millis(ms)).await; //~ await brief 1 crowd::churn::briefly_inner | timer x0-1
}
