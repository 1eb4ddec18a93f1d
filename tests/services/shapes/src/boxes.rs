//! Futures behind boxes, behind wrappers, and behind themselves.

use crate::{WORK, pause};
use async_trait::async_trait;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::spawn;
use tracing::{Instrument, info_span};
use truth::spin;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub fn start() {
    let root: Boxed<()> = Box::pin(boxed());
    spawn(root);
    spawn(calls_async_trait());
    spawn(instrumented().instrument(info_span!("root")));
    spawn(Wrapper(wrapped()));
    spawn(calls_recursive());
}

async fn boxed() {
    loop {
        pause().await;
        let middle: Boxed<u64> = Box::pin(boxed_middle());
        middle.await; //~ frame boxed 0 async shapes::boxes::boxed
    }
}

async fn boxed_middle() -> u64 {
    spin_boxed() + 1 //~ frame boxed 1 async shapes::boxes::boxed_middle
}

#[inline(never)]
fn spin_boxed() -> u64 {
    spin!(WORK) //~ frame boxed 2 sync shapes::boxes::spin_boxed
}

#[async_trait]
trait Store: Send + Sync {
    async fn load(&self, key: u64) -> u64;
}

struct Shelf;

#[async_trait]
impl Store for Shelf {
    async fn load(&self, key: u64) -> u64 {
        spin_load() + key //~ frame async_trait 1 async <shapes::boxes::Shelf as shapes::boxes::Store>::load::{async block#0}
    }
}

#[inline(never)]
fn spin_load() -> u64 {
    spin!(WORK) //~ frame async_trait 2 sync shapes::boxes::spin_load
}

async fn calls_async_trait() {
    let store: Box<dyn Store> = Box::new(Shelf);
    loop {
        pause().await;
        store.load(1).await; //~ frame async_trait 0 async shapes::boxes::calls_async_trait
    }
}

async fn instrumented() {
    loop {
        pause().await;
        instrumented_inner().instrument(info_span!("inner")).await; //~ frame instrumented 0 async shapes::boxes::instrumented
    }
}

async fn instrumented_inner() -> u64 {
    spin_instrumented() + 1 //~ frame instrumented 1 async shapes::boxes::instrumented_inner
}

#[inline(never)]
fn spin_instrumented() -> u64 {
    spin!(WORK) //~ frame instrumented 2 sync shapes::boxes::spin_instrumented
}

/// A wrapper as users write them.
struct Wrapper<F>(F);

impl<F: Future> Future for Wrapper<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the field is pinned with the whole and never moved out.
        let inner = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        black_box(inner.poll(cx)) //~ frame wrapper 0? sync <shapes::boxes::Wrapper as core::future::future::Future>::poll
    }
}

async fn wrapped() {
    loop {
        pause().await;
        black_box(spin_wrapped()); //~ frame wrapper 1 async shapes::boxes::wrapped
    }
}

#[inline(never)]
fn spin_wrapped() -> u64 {
    spin!(WORK) //~ frame wrapper 2 sync shapes::boxes::spin_wrapped
}

async fn calls_recursive() {
    loop {
        pause().await;
        recursive(4).await; //~ frame recursion 0 async shapes::boxes::calls_recursive
    }
}

async fn recursive(left: u64) -> u64 {
    if left == 0 {
        spin_recursive() + 1 //~ frame recursion 2 async shapes::boxes::recursive
    } else {
        Box::pin(recursive(left - 1)).await + 1 //~ frame recursion 1* async shapes::boxes::recursive
    }
}

#[inline(never)]
fn spin_recursive() -> u64 {
    spin!(WORK) //~ frame recursion 3 sync shapes::boxes::spin_recursive
}
