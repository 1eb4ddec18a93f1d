//! Any number of futures in one task, and streams.

use crate::{FAR, spawn};
use futures_util::future::{join_all, select_all, try_join_all};
use futures_util::stream::{self, BoxStream, FuturesUnordered, Stream, StreamExt};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use truth::parked::{Class, State, task};

pub fn start() {
    spawn("join_few", joins_few());
    spawn("join_many", joins_many());
    spawn("try_join_all", tries_to_join_all());
    spawn("select_all", selects_of_all());
    spawn("unordered", takes_unordered());
    spawn("buffered", takes_buffered());
    spawn("buffer_unordered", takes_buffer_unordered());
    spawn("each_concurrently", works_on_each());
    spawn("stream_macro", reads_generated());
    spawn("hand_stream", reads_hand_made());
    spawn("stream_chain", reads_adapted());
    spawn("join_set", owns_join_set());
}

/// One of them is done.
async fn joins_few() {
    join_all((0..4).map(few)).await; //~ await join_few 0 waits::sets::joins_few
}

async fn few(number: u64) -> u64 {
    if number != 1 {
        sleep(FAR).await; //~ await join_few 1 waits::sets::few | timer x3
    }
    number
}

/// More than `join_all` keeps in a plain list.
async fn joins_many() {
    join_all((0..40).map(many)).await; //~ await join_many 0 waits::sets::joins_many
}

async fn many(number: u64) -> u64 {
    sleep(FAR).await; //~ await join_many 1 waits::sets::many | timer x40
    number
}

async fn tries_to_join_all() {
    let _ = try_join_all((0..3).map(tries)).await; //~ await try_join_all 0 waits::sets::tries_to_join_all
}

async fn tries(number: u64) -> Result<u64, u64> {
    sleep(FAR).await; //~ await try_join_all 1 waits::sets::tries | timer x3
    Err(number)
}

async fn selects_of_all() {
    select_all((0..3).map(|number| Box::pin(selected(number)))).await; //~ await select_all 0 waits::sets::selects_of_all
}

async fn selected(number: u64) -> u64 {
    sleep(FAR).await; //~ await select_all 1 waits::sets::selected | timer x3
    number
}

/// Two are taken out already.
async fn takes_unordered() {
    let mut set: FuturesUnordered<_> = (0..6).map(unordered).collect();
    loop {
        let number = set.next().await; //~ await unordered 0 waits::sets::takes_unordered
        std::hint::black_box(number);
    }
}

async fn unordered(number: u64) -> u64 {
    if number % 3 != 0 {
        sleep(FAR).await; //~ await unordered 1 waits::sets::unordered | timer x4
    }
    number
}

/// Three at a time, of ten.
async fn takes_buffered() {
    let mut numbers = stream::iter(0..10).map(buffered).buffered(3);
    numbers.next().await; //~ await buffered 0 waits::sets::takes_buffered
}

async fn buffered(number: u64) -> u64 {
    sleep(FAR).await; //~ await buffered 1 waits::sets::buffered | timer x3
    number
}

async fn takes_buffer_unordered() {
    let mut numbers = stream::iter(0..10)
        .map(buffer_unordered)
        .buffer_unordered(4);
    loop {
        let number = numbers.next().await; //~ await buffer_unordered 0 waits::sets::takes_buffer_unordered
        std::hint::black_box(number);
    }
}

async fn buffer_unordered(number: u64) -> u64 {
    if number > 1 {
        sleep(FAR).await; //~ await buffer_unordered 1 waits::sets::buffer_unordered | timer x4
    }
    number
}

async fn works_on_each() {
    stream::iter(0..5).for_each_concurrent(2, work).await; //~ await each_concurrently 0 waits::sets::works_on_each
}

async fn work(number: u64) {
    sleep(FAR + Duration::from_secs(number)).await; //~ await each_concurrently 1 waits::sets::work | timer x2
}

fn generated() -> impl Stream<Item = u64> {
    async_stream::stream! {
        for number in 0..u64::MAX {
            yield number;
            paces(number).await; //~ await stream_macro 1~ waits::sets::generated::{async block#0}
        }
    }
}

async fn paces(number: u64) {
    if number > 2 {
        sleep(FAR).await; //~ await stream_macro 2 waits::sets::paces | timer
    }
}

async fn reads_generated() {
    let mut numbers: BoxStream<u64> = Box::pin(generated());
    loop {
        let number = numbers.next().await; //~ await stream_macro 0 waits::sets::reads_generated
        std::hint::black_box(number);
    }
}

/// A stream that gives what one future after the other gives.
struct OneByOne<F, M> {
    make: M,
    current: Pin<Box<F>>,
}

impl<F: Future, M: FnMut() -> F + Unpin> Stream for OneByOne<F, M> {
    type Item = F::Output;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let output = std::task::ready!(self.current.as_mut().poll(cx));
        let next = (self.make)();
        self.current.set(next);
        Poll::Ready(Some(output))
    }
}

async fn reads_hand_made() {
    let mut numbers = OneByOne {
        make: hand_made,
        current: Box::pin(hand_made()),
    };
    numbers.next().await; //~ await hand_stream 0 waits::sets::reads_hand_made
}

async fn hand_made() -> u64 {
    sleep(FAR).await; //~ await hand_stream 1 waits::sets::hand_made | timer
    1
}

async fn reads_adapted() {
    let numbers = stream::unfold(0, unfolded).filter(|&number| async move { number > 1 });
    let mut numbers = Box::pin(numbers.take(5).enumerate());
    loop {
        let number = numbers.next().await; //~ await stream_chain 0 waits::sets::reads_adapted
        std::hint::black_box(number);
    }
}

async fn unfolded(number: u64) -> Option<(u64, u64)> {
    if number == 3 {
        sleep(FAR).await; //~ await stream_chain 1 waits::sets::unfolded | timer
    }
    Some((number, number + 1))
}

/// One member has ended and was joined.
async fn owns_join_set() {
    let mut set = JoinSet::new();
    for number in 0..3 {
        let handle = crate::in_join_set(&mut set, member(number));
        task("join_set_member", Class::Async, State::Suspended, &handle);
    }
    let handle = crate::in_join_set(&mut set, ends_at_once());
    task("join_set_ended", Class::Async, State::Complete, &handle);
    loop {
        let number = set.join_next().await; //~ await join_set 0 waits::sets::owns_join_set | task x1-3
        let _ = std::hint::black_box(number);
    }
}

async fn member(number: u64) -> u64 {
    sleep(FAR).await; //~ await join_set_member 0 waits::sets::member | timer
    number
}

async fn ends_at_once() -> u64 {
    7
}
