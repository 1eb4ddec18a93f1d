//! Being told to stop, by Ctrl-C or SIGTERM, while one watches.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Listens for signals on a thread of its own: the one that watches sleeps between two looks, and
/// should do nothing else, since it does so hundreds of times a second.
pub struct Stop {
    told: Arc<AtomicBool>,
    /// Dropped, it ends the thread.
    _listener: oneshot::Sender<()>,
}

impl Stop {
    /// Begins to listen. Whoever calls this is woken ([`std::thread::park`]) when it happens.
    pub fn listen() -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .build()
            .context("cannot listen for signals")?;
        let (interrupt, terminate) = {
            let _inside = runtime.enter();
            let signals = (SignalKind::interrupt(), SignalKind::terminate());
            (signal(signals.0)?, signal(signals.1)?)
        };
        let told = Arc::new(AtomicBool::new(false));
        let (listener, ended) = oneshot::channel();
        let (tell, watcher) = (Arc::clone(&told), std::thread::current());
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || wait(&runtime, [interrupt, terminate], ended, &tell, &watcher))
            .context("cannot start a thread")?;
        Ok(Self {
            told,
            _listener: listener,
        })
    }

    /// Whether it is time to stop.
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }
}

fn wait(
    runtime: &Runtime,
    [mut interrupt, mut terminate]: [Signal; 2],
    ended: oneshot::Receiver<()>,
    told: &AtomicBool,
    watcher: &Thread,
) {
    runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = ended => return,
        }
        told.store(true, Ordering::Release);
        watcher.unpark();
    });
}
