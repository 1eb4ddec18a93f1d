//! Several futures in one task, and futures with something done to them.

use crate::{FAR, spawn};
use futures_util::FutureExt;
use futures_util::future::{self, AbortHandle, Abortable, Either};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{interval, sleep, timeout};

pub fn start() {
    spawn("join", joins());
    spawn("join_half_done", joins_half_done());
    spawn("try_join", tries_to_join());
    spawn("select", selects());
    spawn("select_loop", selects_in_a_loop());
    spawn("select_biased", selects_biased());
    spawn("nested", nests());
    spawn("futures_join", joins_by_futures());
    spawn("futures_select", selects_by_futures());
    spawn("timeout", times_out());
    spawn("either", awaits_either());
    spawn("map", maps());
    spawn("then", chains());
    start_shared();
    spawn("abortable", awaits_abortable());
    spawn("unconstrained", awaits_unconstrained());
    spawn("task_local", awaits_with_task_local());
    spawn("catch", awaits_with_catch());
}

async fn joins() {
    tokio::join!(join_left(), join_right()); //~ await join.left,join.right 0~ waits::combined::joins
}

async fn join_left() -> u64 {
    sleep(FAR).await; //~ await join.left 1 waits::combined::join_left | timer
    1
}

async fn join_right() -> u64 {
    sleep(FAR).await; //~ await join.right 1 waits::combined::join_right | timer
    2
}

/// One of the two is done: the task waits for the other alone.
async fn joins_half_done() {
    tokio::join!(soon_done(), never_done()); //~ await join_half_done 0~ waits::combined::joins_half_done
}

async fn soon_done() -> u64 {
    sleep(Duration::from_millis(1)).await;
    1
}

async fn never_done() -> u64 {
    sleep(FAR).await; //~ await join_half_done 1 waits::combined::never_done | timer
    2
}

async fn tries_to_join() {
    let _ = tokio::try_join!(try_left(), try_right()); //~ await try_join.left,try_join.right 0~ waits::combined::tries_to_join
}

async fn try_left() -> Result<u64, String> {
    sleep(FAR).await; //~ await try_join.left 1 waits::combined::try_left | timer
    Ok(1)
}

async fn try_right() -> Result<u64, String> {
    sleep(FAR).await; //~ await try_join.right 1 waits::combined::try_right | timer
    Err("two".into())
}

async fn selects() {
    #[rustfmt::skip]
    tokio::select! { //~ await select.branch 0~ waits::combined::selects //~ await select.timer 0~ waits::combined::selects | timer
        one = select_branch() => { std::hint::black_box(one); }
        () = sleep(FAR) => {}
    }
}

async fn select_branch() -> u64 {
    sleep(FAR).await; //~ await select.branch 1 waits::combined::select_branch | timer
    1
}

/// As people write it: the futures live outside the loop, and this is the second time
/// around.
async fn selects_in_a_loop() {
    let mut work = pin!(select_loop_work());
    let mut clock = interval(FAR);
    loop {
        #[rustfmt::skip]
        tokio::select! { //~ await select_loop.work 0~ waits::combined::selects_in_a_loop //~ await select_loop.tick 0~ waits::combined::selects_in_a_loop | timer
            done = &mut work => { std::hint::black_box(done); break; }
            tick = clock.tick() => { std::hint::black_box(tick); }
        }
    }
}

async fn select_loop_work() -> u64 {
    sleep(FAR).await; //~ await select_loop.work 1 waits::combined::select_loop_work | timer
    2
}

/// The second branch is disabled by its condition, so nobody waits for it.
async fn selects_biased() {
    let enabled = std::hint::black_box(false);
    #[rustfmt::skip]
    tokio::select! { //~ await select_biased.one,select_biased.off 0~ waits::combined::selects_biased
        biased;
        one = biased_branch() => { std::hint::black_box(one); }
        other = disabled_branch(), if enabled => { std::hint::black_box(other); }
    }
}

async fn biased_branch() -> u64 {
    sleep(FAR).await; //~ await select_biased.one 1 waits::combined::biased_branch | timer
    3
}

/// It was made, and never polled: it may be shown as not begun.
#[rustfmt::skip]
async fn disabled_branch() -> u64 { //~ await select_biased.off 1~ waits::combined::disabled_branch | timer/other x0-1
    sleep(FAR).await;
    4
}

/// Two forks, one below the other.
async fn nests() {
    tokio::join!(nest_join(), nest_leaf()); //~ await nested.first,nested.second,nested.third 0~ waits::combined::nests
}

async fn nest_join() -> u64 {
    let (first, second) = tokio::join!(nest_first(), nest_second()); //~ await nested.first,nested.second 1~ waits::combined::nest_join
    first + second
}

async fn nest_first() -> u64 {
    sleep(FAR).await; //~ await nested.first 2 waits::combined::nest_first | timer
    5
}

async fn nest_second() -> u64 {
    sleep(FAR).await; //~ await nested.second 2 waits::combined::nest_second | timer
    6
}

async fn nest_leaf() -> u64 {
    sleep(FAR).await; //~ await nested.third 1 waits::combined::nest_leaf | timer
    7
}

async fn joins_by_futures() {
    futures_util::join!(futures_left(), futures_right()); //~ await futures_join.left,futures_join.right 0~ waits::combined::joins_by_futures
}

async fn futures_left() -> u64 {
    sleep(FAR).await; //~ await futures_join.left 1 waits::combined::futures_left | timer
    8
}

async fn futures_right() -> u64 {
    sleep(FAR).await; //~ await futures_join.right 1 waits::combined::futures_right | timer
    9
}

async fn selects_by_futures() {
    let (left, right) = (pin!(either_left()), pin!(either_right()));
    future::select(left, right).await; //~ await futures_select.left,futures_select.right 0 waits::combined::selects_by_futures
}

async fn either_left() -> u64 {
    sleep(FAR).await; //~ await futures_select.left 1 waits::combined::either_left | timer
    10
}

async fn either_right() -> u64 {
    sleep(FAR).await; //~ await futures_select.right 1 waits::combined::either_right | timer
    11
}

async fn times_out() {
    truth::parked::deadline("timeout.limit", FAR);
    let _ = timeout(FAR, in_time()).await; //~ await timeout.value 0 waits::combined::times_out //~ await timeout.limit 0 waits::combined::times_out | timer
}

async fn in_time() {
    futures_util::future::pending::<()>().await; //~ await timeout.value 1 waits::combined::in_time | other
}

async fn awaits_either() -> u64 {
    let left = std::hint::black_box(false);
    let either = if left {
        Either::Left(left_side())
    } else {
        Either::Right(right_side())
    };
    either.await //~ await either 0 waits::combined::awaits_either
}

async fn left_side() -> u64 {
    sleep(FAR).await;
    1
}

async fn right_side() -> u64 {
    sleep(FAR).await; //~ await either 1 waits::combined::right_side | timer
    2
}

async fn maps() -> u64 {
    mapped().map(|number| number + 1).await //~ await map 0 waits::combined::maps
}

async fn mapped() -> u64 {
    sleep(FAR).await; //~ await map 1 waits::combined::mapped | timer
    3
}

/// The first part is done.
async fn chains() -> u64 {
    soon_done().then(chained).await //~ await then 0 waits::combined::chains
}

async fn chained(number: u64) -> u64 {
    sleep(FAR).await; //~ await then 1 waits::combined::chained | timer
    number
}

/// Two tasks wait for the same future. Either may poll it, so each may show it; or stop
/// at what they share.
fn start_shared() {
    let shared = shared().shared();
    let other = shared.clone();
    spawn("shared_first", async move {
        shared.await; //~ await shared_first 0 waits::combined::start_shared::{async block#0}
    });
    spawn("shared_second", async move {
        other.await; //~ await shared_second 0 waits::combined::start_shared::{async block#1}
        std::hint::black_box(2);
    });
}

async fn shared() -> u64 {
    sleep(FAR).await; //~ await shared_first,shared_second 1? waits::combined::shared | timer/other
    4
}

async fn awaits_abortable() {
    let (handle, registration) = AbortHandle::new_pair();
    let _ = Abortable::new(abortable(), registration).await; //~ await abortable 0 waits::combined::awaits_abortable
    handle.abort();
}

async fn abortable() -> u64 {
    sleep(FAR).await; //~ await abortable 1 waits::combined::abortable | timer
    5
}

async fn awaits_unconstrained() -> u64 {
    tokio::task::unconstrained(unconstrained()).await //~ await unconstrained 0 waits::combined::awaits_unconstrained
}

async fn unconstrained() -> u64 {
    sleep(FAR).await; //~ await unconstrained 1 waits::combined::unconstrained | timer
    6
}

tokio::task_local! {
    static REQUEST: u64;
}

async fn awaits_with_task_local() -> u64 {
    REQUEST.scope(7, with_task_local()).await //~ await task_local 0 waits::combined::awaits_with_task_local
}

async fn with_task_local() -> u64 {
    sleep(FAR).await; //~ await task_local 1 waits::combined::with_task_local | timer
    REQUEST.get()
}

async fn awaits_with_catch() {
    let _ = AssertUnwindSafe(catches()).catch_unwind().await; //~ await catch 0 waits::combined::awaits_with_catch
}

async fn catches() -> u64 {
    sleep(FAR).await; //~ await catch 1 waits::combined::catches | timer
    8
}
