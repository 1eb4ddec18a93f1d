//! A wrapper as users write it, too: it must not hide what it wraps.

use crate::ledger::Meter;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future whose polls are measured.
pub struct Measured<F> {
    meter: Meter,
    future: F,
}

impl<F> Measured<F> {
    /// Writes down every poll of `future` with `meter`.
    pub fn new(meter: Meter, future: F) -> Self {
        Self { meter, future }
    }
}

impl<F: Future> Future for Measured<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let meter = self.meter;
        // SAFETY: `future` is pinned as long as `self` is: it is never moved
        // out, there is no `Drop`, and nothing else hands out a reference to it.
        let future = unsafe { self.map_unchecked_mut(|this| &mut this.future) };
        meter.measure(|| future.poll(cx))
    }
}
