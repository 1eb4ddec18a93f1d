//! Those that stay where they are.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;
use truth::crowd::Crowd;

/// Later than any of us will see.
const FAR: Duration = Duration::from_secs(7200);

/// Of ten tasks, four sleep, three do so behind a box, two wait for a permit, and one
/// selects.
pub fn start(tasks: u64) {
    let permits = Arc::new(Semaphore::new(0));
    let notify = Arc::new(Notify::new());
    start_kind("sleeper", tasks * 4 / 10, |_| sleeper());
    start_kind("boxed", tasks * 3 / 10, boxed);
    start_kind("permit", tasks * 2 / 10, |_| permit(Arc::clone(&permits)));
    let left = tasks - tasks * 4 / 10 - tasks * 3 / 10 - tasks * 2 / 10;
    start_kind("select", left, |_| select(Arc::clone(&notify)));
}

fn start_kind<F>(name: &'static str, tasks: u64, make: impl Fn(u64) -> F)
where
    F: Future<Output = u64> + Send + 'static,
{
    let crowd = Crowd::parked(name);
    for number in 0..tasks {
        crowd.spawning();
        let handle = tokio::spawn(make(number));
        if number == 0 || number + 1 == tasks {
            crowd.reaches(&handle);
        }
    }
}

async fn sleeper() -> u64 {
    sleeper_session().await + 1 //~ await sleeper 0 crowd::parked::sleeper
}

async fn sleeper_session() -> u64 {
    sleeper_request().await + 1 //~ await sleeper 1 crowd::parked::sleeper_session
}

async fn sleeper_request() -> u64 {
    sleeper_query(3).await + 1 //~ await sleeper 2 crowd::parked::sleeper_request
}

async fn sleeper_query(number: u64) -> u64 {
    sleep(FAR).await; //~ await sleeper 3 crowd::parked::sleeper_query | timer
    number
}

async fn boxed(number: u64) -> u64 {
    boxed_session(number).await + 1 //~ await boxed.even,boxed.odd 0 crowd::parked::boxed
}

async fn boxed_session(number: u64) -> u64 {
    // Two concrete futures behind one type, as handlers of a web service are.
    let request: Pin<Box<dyn Future<Output = u64> + Send>> = if number % 2 == 0 {
        Box::pin(boxed_even(number))
    } else {
        Box::pin(boxed_odd(number))
    };
    request.await + 1 //~ await boxed.even,boxed.odd 1 crowd::parked::boxed_session
}

async fn boxed_even(number: u64) -> u64 {
    boxed_query(number).await //~ await boxed.even 2 crowd::parked::boxed_even
}

async fn boxed_odd(number: u64) -> u64 {
    boxed_query(number + 1).await //~ await boxed.odd 2 crowd::parked::boxed_odd
}

async fn boxed_query(number: u64) -> u64 {
    sleep(FAR).await; //~ await boxed.even,boxed.odd 3 crowd::parked::boxed_query | timer x0-1
    number
}

async fn permit(permits: Arc<Semaphore>) -> u64 {
    permit_session(&permits).await + 1 //~ await permit 0 crowd::parked::permit
}

async fn permit_session(permits: &Semaphore) -> u64 {
    permit_request(permits).await + 1 //~ await permit 1 crowd::parked::permit_session
}

async fn permit_request(permits: &Semaphore) -> u64 {
    permit_query(permits).await + 1 //~ await permit 2 crowd::parked::permit_request
}

async fn permit_query(permits: &Semaphore) -> u64 {
    let permit = permits.acquire().await; //~ await permit 3 crowd::parked::permit_query | lock
    u64::from(permit.is_ok())
}

async fn select(notify: Arc<Notify>) -> u64 {
    select_session(&notify).await + 1 //~ await select.stop,select.work 0 crowd::parked::select
}

async fn select_session(notify: &Notify) -> u64 {
    #[rustfmt::skip]
    tokio::select! { //~ await select.stop 1~ crowd::parked::select_session | lock/other //~ await select.work 1~ crowd::parked::select_session
        () = notify.notified() => 0,
        number = select_request() => number,
    }
}

async fn select_request() -> u64 {
    select_query(5).await + 1 //~ await select.work 2 crowd::parked::select_request
}

async fn select_query(number: u64) -> u64 {
    sleep(FAR).await; //~ await select.work 3 crowd::parked::select_query | timer
    number
}
