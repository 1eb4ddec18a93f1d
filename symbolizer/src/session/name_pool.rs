//! Looks names up on threads of its own, while the recording goes on.

use crate::frame::Origin;
use crate::module::{DwarfReader, Module, ModuleId, Svma};
use crate::names::{Names, SourceFrame, symbol_frame};
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How many threads look names up.
const MOST_THREADS: usize = 4;

/// Neighbouring code shares a unit, and so a shard that has parsed it.
const SHARD_BITS: u64 = 16;

type Key = (ModuleId, Svma);

/// Names of places in modules, each looked up once.
pub(crate) struct NamePool {
    shared: Arc<Shared>,
    queue: Option<Sender<(Arc<Module>, Key)>>,
    asked: HashSet<Key>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    found: Mutex<HashMap<Key, Arc<[SourceFrame]>>>,
    modules: Mutex<HashMap<ModuleId, Arc<ModuleNames>>>,
}

/// A module's names: several readers of the same debug information, so that
/// several threads can look things up at once.
struct ModuleNames {
    module: Arc<Module>,
    shards: Vec<Mutex<Shard>>,
}

enum Shard {
    Unopened,
    Open(Box<Names<DwarfReader>>),
    /// There is no debug information.
    Nothing,
}

impl std::fmt::Debug for NamePool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamePool")
            .field("asked", &self.asked.len())
            .finish_non_exhaustive()
    }
}

impl NamePool {
    pub fn new() -> Self {
        let shared = Arc::new(Shared::default());
        let (queue, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = (0..shard_count())
            .filter_map(|_| {
                let (shared, jobs) = (Arc::clone(&shared), Arc::clone(&jobs));
                std::thread::Builder::new()
                    .name("names".to_owned())
                    .spawn(move || work(&shared, &jobs))
                    .ok()
            })
            .collect();
        Self {
            shared,
            queue: Some(queue),
            asked: HashSet::new(),
            threads,
        }
    }

    /// Has the names at a place looked up some time.
    pub fn want(&mut self, module: &Arc<Module>, key: Key) {
        if self.asked.insert(key)
            && let Some(queue) = &self.queue
        {
            // Without a thread to do it, `get` does it later.
            let _ = queue.send((Arc::clone(module), key));
        }
    }

    /// The names at a place, innermost first, looked up now if need be.
    pub fn get(&self, module: &Arc<Module>, key: Key) -> Arc<[SourceFrame]> {
        self.shared.get(module, key)
    }

    /// Waits until all that was wanted is there.
    pub fn finish(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked leaves its work to `get`.
            let _ = thread.join();
        }
    }
}

impl Drop for NamePool {
    fn drop(&mut self) {
        self.queue = None;
    }
}

fn work(shared: &Shared, jobs: &Mutex<Receiver<(Arc<Module>, Key)>>) {
    loop {
        let job = lock(jobs).recv();
        match job {
            Ok((module, key)) => drop(shared.get(&module, key)),
            Err(_) => return,
        }
    }
}

impl Shared {
    fn get(&self, module: &Arc<Module>, key: Key) -> Arc<[SourceFrame]> {
        if let Some(found) = lock(&self.found).get(&key) {
            return Arc::clone(found);
        }
        let names = Arc::clone(lock(&self.modules).entry(key.0).or_insert_with(|| {
            Arc::new(ModuleNames {
                module: Arc::clone(module),
                shards: (0..shard_count())
                    .map(|_| Mutex::new(Shard::Unopened))
                    .collect(),
            })
        }));
        let frames: Arc<[SourceFrame]> = names.lookup(key.1).into();
        lock(&self.found).insert(key, Arc::clone(&frames));
        frames
    }
}

impl ModuleNames {
    fn lookup(&self, svma: Svma) -> Vec<SourceFrame> {
        let symbol = self.module.symbols().function_at(svma);
        let symbol = symbol.as_ref().map(|symbol| symbol.name);
        let index = (svma.0 >> SHARD_BITS) as usize % self.shards.len();
        let mut shard = lock(&self.shards[index]);
        if matches!(*shard, Shard::Unopened) {
            let own = whose(self.module.name());
            let names = self.module.places();
            let names = names.map(|places| Names::new(Arc::clone(places), own));
            *shard = names.map_or(Shard::Nothing, |names| Shard::Open(Box::new(names)));
        }
        match &mut *shard {
            Shard::Open(names) => names.lookup(svma.0, symbol),
            Shard::Unopened | Shard::Nothing => {
                // Cargo names a program after its package, with hyphens kept.
                let package = self.module.name().replace('-', "_");
                let frame = symbol.map(|symbol| symbol_frame(symbol, &package));
                frame.into_iter().collect()
            }
        }
    }
}

/// A shared object is a library, anything else is the program.
fn whose(module: &str) -> Origin {
    let library = module.ends_with(".so") || module.contains(".so.") || module.starts_with('[');
    if library {
        Origin::Library
    } else {
        Origin::User
    }
}

fn shard_count() -> usize {
    std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(MOST_THREADS)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
