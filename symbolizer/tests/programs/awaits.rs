//! Every sort of type that the index of types has to know, in a program of its own.
//! Lines that tests look for are marked.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

mod numbers {
    use super::{AtomicU64, Ordering};

    pub struct Numbered(pub u64);

    impl Numbered {
        pub fn next() -> Self {
            static NEXT_NUMBER: AtomicU64 = AtomicU64::new(17);
            Self(NEXT_NUMBER.fetch_add(1, Ordering::Relaxed))
        }
    }
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(3) };
}

pub enum Shape {
    Empty,
    Square { side: u32 },
    Named(String),
}

#[repr(i8)]
pub enum Signed {
    Below(u8) = -1,
    Above(u8) = 1,
}

#[repr(C)]
pub union Either {
    pub word: u64,
    pub bytes: [u8; 8],
}

pub struct Holder<T> {
    pub value: T,
    pub list: [u16; 5],
    pub either: Either,
    pub next: Option<Box<Holder<T>>>,
}

async fn leaf(polls: &mut u32) {
    poll_fn(|context: &mut Context<'_>| {
        *polls += 1;
        context.waker().wake_by_ref();
        if *polls % 2 == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await; // leaf awaits
}

async fn generic<T: Copy + Into<u64>>(value: T) -> u64 { // generic begins
    let mut polls = black_box(0);
    leaf(&mut polls).await; // generic awaits
    let kept = value.into();
    leaf(&mut polls).await; // generic awaits again
    kept + u64::from(polls)
}

fn boxed(value: u32) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(async move {
        generic(black_box(value)).await // block awaits
    })
}

async fn root() -> u64 {
    let first = boxed(7).await; // root awaits
    let closure = async |more: u64| {
        let mut polls = 0;
        leaf(&mut polls).await; // closure awaits
        more + first
    };
    closure(generic(black_box(9u8)).await).await
}

#[inline(never)]
fn run_to_end<F: Future<Output = u64>, S>(future: F, start: S) -> u64 {
    black_box(&start);
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

fn main() {
    let shapes = [Shape::Empty, Shape::Square { side: 2 }, Shape::Named("x".to_owned())];
    let signed = [Signed::Below(1), Signed::Above(2)];
    let holder = Holder {
        value: numbers::Numbered::next().0,
        list: [1; 5],
        either: Either { word: 1 },
        next: None,
    };
    black_box((&shapes, &signed, &holder));
    let depth = DEPTH.with(|depth| {
        depth.set(depth.get() + 1);
        depth.get()
    });
    println!("{} {depth}", run_to_end(root(), holder));
}
