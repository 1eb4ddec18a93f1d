//! Being told to stop, by Ctrl-C, SIGTERM or somebody else in the house, while one watches.

use anyhow::{Context, Result};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::Thread;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// What ends a recording.
pub const ENDING: &[SignalKind] = &[SignalKind::interrupt(), SignalKind::terminate()];

/// What ends a view on a terminal: also that the terminal is gone.
pub const LEAVING: &[SignalKind] = &[
    SignalKind::interrupt(),
    SignalKind::terminate(),
    SignalKind::hangup(),
];

/// Listens for signals on a thread of its own: the one that watches sleeps between two looks, and
/// should do nothing else, since it does so hundreds of times a second.
pub struct Stop {
    teller: Teller,
    /// Dropped, it ends the thread.
    _listener: oneshot::Sender<()>,
}

/// Tells somebody to stop.
#[derive(Debug, Clone)]
pub struct Teller {
    told: Arc<AtomicBool>,
    watcher: Thread,
}

impl Teller {
    /// It is time to stop.
    pub fn tell(&self) {
        self.told.store(true, Ordering::Release);
        self.watcher.unpark();
    }
}

impl Stop {
    /// Begins to listen to some signals. Whoever calls this is woken ([`std::thread::park`]) when it happens.
    pub fn listen(signals: &[SignalKind]) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .build()
            .context("cannot listen for signals")?;
        let signals: Vec<Signal> = {
            let _inside = runtime.enter();
            let signals = signals.iter().map(|kind| signal(*kind));
            signals.collect::<Result<_, _>>()?
        };
        let teller = Teller {
            told: Arc::new(AtomicBool::new(false)),
            watcher: std::thread::current(),
        };
        let (listener, ended) = oneshot::channel();
        let told = teller.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || wait(&runtime, signals, ended, &told))
            .context("cannot start a thread")?;
        Ok(Self {
            teller,
            _listener: listener,
        })
    }

    /// Whether it is time to stop.
    pub fn is_told(&self) -> bool {
        self.teller.told.load(Ordering::Acquire)
    }

    /// Another way to be told.
    pub fn teller(&self) -> Teller {
        self.teller.clone()
    }
}

fn wait(
    runtime: &Runtime,
    mut signals: Vec<Signal>,
    mut ended: oneshot::Receiver<()>,
    teller: &Teller,
) {
    let any = poll_fn(|context| {
        if Pin::new(&mut ended).poll(context).is_ready() {
            return Poll::Ready(false);
        }
        // All are asked, so that each of them wakes us.
        let came = signals.iter_mut().map(|signal| signal.poll_recv(context));
        match came.fold(false, |any, came| any | came.is_ready()) {
            true => Poll::Ready(true),
            false => Poll::Pending,
        }
    });
    if runtime.block_on(any) {
        teller.tell();
    }
}
