//! Channels of every sort, each waited on at its end.

use crate::spawn;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub fn start() {
    spawn("mpsc_receive", receives());
    spawn("mpsc_send", sends_to_a_full_one());
    spawn("mpsc_reserve", reserves());
    spawn("mpsc_unbounded", receives_unbounded());
    spawn("mpsc_closed", waits_until_closed());
    spawn("oneshot", receives_once());
    spawn("oneshot_closed", waits_for_receiver_to_go());
    spawn("broadcast", receives_broadcast());
    spawn("watch_changed", watches());
    spawn("watch_wait_for", watches_for_a_value());
}

async fn receives() {
    let (sender, mut receiver) = mpsc::channel::<u64>(4);
    receiver.recv().await; //~ await mpsc_receive 0 waits::channels::receives | channel
    drop(sender);
}

async fn sends_to_a_full_one() {
    let (sender, receiver) = mpsc::channel::<u64>(1);
    sender.try_send(1).expect("there is room");
    let _ = sender.send(2).await; //~ await mpsc_send 0 waits::channels::sends_to_a_full_one | channel
    drop(receiver);
}

async fn reserves() {
    let (sender, receiver) = mpsc::channel::<[u64; 9]>(2);
    sender.try_send([1; 9]).expect("there is room");
    sender.try_send([2; 9]).expect("there is room");
    let _ = sender.reserve().await; //~ await mpsc_reserve 0 waits::channels::reserves | channel
    drop(receiver);
}

async fn receives_unbounded() {
    let (sender, mut receiver) = mpsc::unbounded_channel::<String>();
    receiver.recv().await; //~ await mpsc_unbounded 0 waits::channels::receives_unbounded | channel
    drop(sender);
}

async fn waits_until_closed() {
    let (sender, receiver) = mpsc::channel::<u32>(1);
    sender.closed().await; //~ await mpsc_closed 0 waits::channels::waits_until_closed | channel
    drop(receiver);
}

async fn receives_once() {
    let (sender, receiver) = oneshot::channel::<u64>();
    let _ = receiver.await; //~ await oneshot 0 waits::channels::receives_once | channel
    drop(sender);
}

async fn waits_for_receiver_to_go() {
    let (mut sender, receiver) = oneshot::channel::<u64>();
    sender.closed().await; //~ await oneshot_closed 0 waits::channels::waits_for_receiver_to_go | channel
    drop(receiver);
}

async fn receives_broadcast() {
    let (sender, mut receiver) = broadcast::channel::<u64>(4);
    let _ = receiver.recv().await; //~ await broadcast 0 waits::channels::receives_broadcast | channel
    drop(sender);
}

async fn watches() {
    let (sender, mut receiver) = watch::channel(1_u64);
    let _ = receiver.changed().await; //~ await watch_changed 0 waits::channels::watches | channel
    drop(sender);
}

async fn watches_for_a_value() {
    let (sender, mut receiver) = watch::channel(1_u64);
    let _ = receiver.wait_for(|&value| value > 1).await; //~ await watch_wait_for 0 waits::channels::watches_for_a_value | channel
    drop(sender);
}
