//! Futures behind boxes, behind wrappers, and behind themselves.

use crate::{FAR, spawn};
use futures_util::FutureExt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::time::sleep;
use tracing::{Instrument, info_span};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub fn start() {
    let root: Boxed<()> = Box::pin(boxed());
    spawn("boxed", root);
    let twice: Pin<Box<Boxed<()>>> = Box::pin(Box::pin(boxed_twice()));
    spawn("boxed_twice", twice);
    spawn("large", large([3; 5000]));
    spawn("recursion", calls_recursive());
    spawn("dyn_recursion", calls_dyn_recursive());
    spawn("by_reference", awaits_by_reference());
    spawn(
        "wrapped",
        Wrapper {
            label: 1,
            inner: wrapped(),
        },
    );
    spawn("wrapped_inside", awaits_wrapper());
    spawn("one_of_two", awaits_one_of_two());
    spawn("maybe", awaits_maybe());
    spawn("borrowed_dyn", awaits_borrowed_dyn());
    spawn(
        "instrumented",
        instrumented().instrument(info_span!("root")),
    );
    spawn("boxed_by_futures", awaits_boxed_by_futures());
}

async fn boxed() {
    let middle: Boxed<u64> = Box::pin(boxed_middle());
    middle.await; //~ await boxed 0 waits::boxes::boxed
}

async fn boxed_middle() -> u64 {
    let leaf: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(boxed_leaf());
    leaf.await; //~ await boxed 1 waits::boxes::boxed_middle
    1
}

async fn boxed_leaf() {
    sleep(FAR).await; //~ await boxed 2 waits::boxes::boxed_leaf | timer
}

async fn boxed_twice() {
    sleep(FAR).await; //~ await boxed_twice 0 waits::boxes::boxed_twice | timer
}

/// Larger than what Tokio spawns as it is: it boxes this one itself.
async fn large(numbers: [u64; 5000]) -> u64 {
    sleep(FAR).await; //~ await large 0 waits::boxes::large | timer
    numbers.iter().sum()
}

async fn calls_recursive() {
    recursive(5).await; //~ await recursion 0 waits::boxes::calls_recursive
}

async fn recursive(left: u64) -> u64 {
    if left == 0 {
        sleep(FAR).await; //~ await recursion 2 waits::boxes::recursive | timer
        1
    } else {
        Box::pin(recursive(left - 1)).await + 1 //~ await recursion 1*5 waits::boxes::recursive
    }
}

async fn calls_dyn_recursive() {
    dyn_recursive(5).await; //~ await dyn_recursion 0 waits::boxes::calls_dyn_recursive
}

fn dyn_recursive(left: u64) -> Boxed<u64> {
    Box::pin(async move {
        if left == 0 {
            sleep(FAR).await; //~ await dyn_recursion 2 waits::boxes::dyn_recursive::{async block#0} | timer
            1
        } else {
            dyn_recursive(left - 1).await + 1 //~ await dyn_recursion 1*5 waits::boxes::dyn_recursive::{async block#0}
        }
    })
}

/// Polls what it only borrows.
struct ByReference<'a, F>(Pin<&'a mut F>);

impl<F: Future> Future for ByReference<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(cx)
    }
}

async fn awaits_by_reference() -> u64 {
    let mut inner = pin!(referenced());
    ByReference(inner.as_mut()).await //~ await by_reference 0 waits::boxes::awaits_by_reference
}

async fn referenced() -> u64 {
    sleep(FAR).await; //~ await by_reference 1 waits::boxes::referenced | timer
    3
}

/// A wrapper as users write them.
struct Wrapper<F> {
    label: u64,
    inner: F,
}

impl<F: Future> Future for Wrapper<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        std::hint::black_box(self.label);
        // SAFETY: the field is pinned with the whole and never moved out.
        let inner = unsafe { self.map_unchecked_mut(|this| &mut this.inner) };
        inner.poll(cx)
    }
}

async fn wrapped() {
    sleep(FAR).await; //~ await wrapped 0 waits::boxes::wrapped | timer
}

async fn awaits_wrapper() {
    let inner = Wrapper {
        label: 3,
        inner: wrapped_inside(),
    };
    Wrapper { label: 2, inner }.await; //~ await wrapped_inside 0 waits::boxes::awaits_wrapper
}

async fn wrapped_inside() {
    sleep(FAR).await; //~ await wrapped_inside 1 waits::boxes::wrapped_inside | timer
}

/// One future or another.
enum OneOf<A, B> {
    First(A),
    Second(B),
}

impl<A: Future, B: Future<Output = A::Output>> Future for OneOf<A, B> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        // SAFETY: the variants' fields are pinned with the whole and never moved out.
        unsafe {
            match self.get_unchecked_mut() {
                Self::First(first) => Pin::new_unchecked(first).poll(cx),
                Self::Second(second) => Pin::new_unchecked(second).poll(cx),
            }
        }
    }
}

fn one_of(first: bool) -> OneOf<impl Future<Output = u64>, impl Future<Output = u64>> {
    if first {
        OneOf::First(one())
    } else {
        OneOf::Second(other())
    }
}

async fn awaits_one_of_two() -> u64 {
    one_of(std::hint::black_box(false)).await //~ await one_of_two 0 waits::boxes::awaits_one_of_two
}

async fn one() -> u64 {
    sleep(FAR).await;
    1
}

async fn other() -> u64 {
    sleep(FAR).await; //~ await one_of_two 1 waits::boxes::other | timer
    2
}

/// A future that is gone once it is done, as many hand-made ones keep it.
struct Maybe<F>(Option<F>);

impl<F: Future + Unpin> Future for Maybe<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(inner) => Pin::new(inner).poll(cx).map(Some),
            None => Poll::Ready(None),
        }
    }
}

async fn awaits_maybe() {
    Maybe(Some(Box::pin(held_maybe()))).await; //~ await maybe 0 waits::boxes::awaits_maybe
}

async fn held_maybe() {
    sleep(FAR).await; //~ await maybe 1 waits::boxes::held_maybe | timer
}

async fn awaits_borrowed_dyn() {
    let mut inner = pin!(borrowed_dyn());
    let borrowed: Pin<&mut (dyn Future<Output = u64> + Send)> = inner.as_mut();
    borrowed.await; //~ await borrowed_dyn 0 waits::boxes::awaits_borrowed_dyn
}

async fn borrowed_dyn() -> u64 {
    sleep(FAR).await; //~ await borrowed_dyn 1 waits::boxes::borrowed_dyn | timer
    4
}

async fn instrumented() {
    instrumented_inner().instrument(info_span!("inner")).await; //~ await instrumented 0 waits::boxes::instrumented
}

async fn instrumented_inner() -> u64 {
    sleep(FAR).await; //~ await instrumented 1 waits::boxes::instrumented_inner | timer
    5
}

async fn awaits_boxed_by_futures() {
    boxed_by_futures().map(|number| number + 1).boxed().await; //~ await boxed_by_futures 0 waits::boxes::awaits_boxed_by_futures
}

async fn boxed_by_futures() -> u64 {
    sleep(FAR).await; //~ await boxed_by_futures 1 waits::boxes::boxed_by_futures | timer
    6
}
