//! Async functions, blocks, closures and methods.

use crate::{FAR, spawn};
use async_trait::async_trait;
use std::time::Duration;
use tokio::time::sleep;

pub fn start() {
    spawn("plain", plain());
    start_blocks();
    spawn("async_closure", calls_async_closure());
    spawn("method", calls_method());
    spawn("async_trait", calls_async_trait());
    spawn("native_trait", calls_native_trait());
    spawn("static_trait", calls_any_device(Disk(2)));
    spawn("generic_small", generic(Small(1)));
    spawn("generic_large", generic(Large([1; 64])));
    spawn("arguments", takes_future(given()));
    spawn("second_point", passes_points());
    spawn("in_a_branch", awaits_in_a_match(Some(1)));
}

async fn plain() {
    plain_middle().await; //~ await plain 0 waits::functions::plain
}

async fn plain_middle() -> u64 {
    plain_leaf().await + 1 //~ await plain 1 waits::functions::plain_middle
}

async fn plain_leaf() -> u64 {
    sleep(FAR).await; //~ await plain 2 waits::functions::plain_leaf | timer
    1
}

fn start_blocks() {
    spawn("block", async {
        let inner = async {
            sleep(FAR).await; //~ await block 1 waits::functions::start_blocks::{async block#0}::{async block#0} | timer
        };
        inner.await; //~ await block 0 waits::functions::start_blocks::{async block#0}
    });
    let moved = vec![1, 2, 3];
    spawn("moving_block", async move {
        sleep(FAR).await; //~ await moving_block 0 waits::functions::start_blocks::{async block#1} | timer
        drop(moved);
    });
}

async fn calls_async_closure() {
    let seconds = 7000;
    let work = async |more: u64| {
        sleep(Duration::from_secs(seconds + more)).await; //~ await async_closure 1 waits::functions::calls_async_closure::{closure#0}::{async closure#0} | timer
    };
    work(1).await; //~ await async_closure 0 waits::functions::calls_async_closure
}

struct Session(u64);

impl Session {
    async fn refresh(&mut self) -> u64 {
        sleep(FAR).await; //~ await method 1 waits::functions::Session::refresh | timer
        self.0 += 1;
        self.0
    }
}

async fn calls_method() {
    let mut session = Session(1);
    session.refresh().await; //~ await method 0 waits::functions::calls_method
}

#[async_trait]
trait Store: Send + Sync {
    async fn load(&self, key: u64) -> u64;
}

struct Shelf(u64);

#[async_trait]
impl Store for Shelf {
    async fn load(&self, key: u64) -> u64 {
        sleep(FAR).await; //~ await async_trait 1 <waits::functions::Shelf as waits::functions::Store>::load::{async block#0} | timer
        self.0 + key
    }
}

async fn calls_async_trait() {
    let store: Box<dyn Store> = Box::new(Shelf(1));
    store.load(1).await; //~ await async_trait 0 waits::functions::calls_async_trait
}

trait Device {
    fn measure(&self) -> impl Future<Output = u64> + Send;
}

struct Disk(u64);

impl Device for Disk {
    async fn measure(&self) -> u64 {
        sleep(FAR).await; //~ await native_trait,static_trait 1 <waits::functions::Disk as waits::functions::Device>::measure | timer
        self.0
    }
}

async fn calls_native_trait() {
    let disk = Disk(1);
    disk.measure().await; //~ await native_trait 0 waits::functions::calls_native_trait
}

async fn calls_any_device<D: Device>(device: D) {
    device.measure().await; //~ await static_trait 0 waits::functions::calls_any_device
}

trait Size: Send + Sync {
    fn size(&self) -> u64;
}

struct Small(u64);

struct Large([u64; 64]);

impl Size for Small {
    fn size(&self) -> u64 {
        self.0
    }
}

impl Size for Large {
    fn size(&self) -> u64 {
        self.0.iter().sum()
    }
}

async fn generic<S: Size>(size: S) -> u64 {
    generic_leaf(&size).await + size.size() //~ await generic_small,generic_large 0 waits::functions::generic
}

async fn generic_leaf<S: Size>(size: &S) -> u64 {
    sleep(FAR + Duration::from_secs(size.size())).await; //~ await generic_small,generic_large 1 waits::functions::generic_leaf | timer
    size.size()
}

async fn takes_future(future: impl Future<Output = u64>) -> u64 {
    future.await + 1 //~ await arguments 0 waits::functions::takes_future
}

async fn given() -> u64 {
    sleep(FAR).await; //~ await arguments 1 waits::functions::given | timer
    2
}

/// Several await points: those passed and those to come say nothing.
async fn passes_points() -> u64 {
    tokio::task::yield_now().await;
    let first = passed(1).await;
    let second = stays(first).await; //~ await second_point 0 waits::functions::passes_points
    let third = passed(second).await;
    first + second + third
}

async fn passed(number: u64) -> u64 {
    sleep(Duration::from_millis(number)).await;
    number
}

async fn stays(number: u64) -> u64 {
    sleep(FAR).await; //~ await second_point 1 waits::functions::stays | timer
    number
}

async fn awaits_in_a_match(number: Option<u64>) -> u64 {
    match number {
        None => sleep(Duration::from_secs(1)).await,
        Some(number) => sleep(FAR + Duration::from_secs(number)).await, //~ await in_a_branch 0 waits::functions::awaits_in_a_match | timer
    }
    1
}
