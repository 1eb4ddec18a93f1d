//! Takes snapshots of a process, one after the other.

use super::{AwaitTable, Snapshot};
use crate::module::AddressSpace;
use crate::runtime::{self, RuntimeInfo, SeenThreads, TaskReader, ThreadBase};
use awaitscope_sampler::{Avma, Mapping, Nanos, Process, Tid, thread_pointer};
use std::collections::HashMap;
use std::sync::Arc;

/// How often a thread's thread pointer is looked for before it is given up.
const MOST_TLS_TRIES: u32 = 50;

/// How many snapshots go by before threads and mappings are listed anew.
const LISTED_EVERY: u32 = 10;

/// Takes snapshots of a process.
pub struct Snapshotter {
    process: Arc<dyn Process + Send + Sync>,
    space: AddressSpace,
    mappings: Vec<Mapping>,
    infos: Vec<RuntimeInfo>,
    readers: Vec<Box<dyn TaskReader>>,
    bases: HashMap<Tid, Base>,
    table: AwaitTable,
    /// Snapshots until the next listing.
    fresh: u32,
}

impl std::fmt::Debug for Snapshotter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshotter")
            .field("runtimes", &self.infos)
            .field("threads", &self.bases.len())
            .finish_non_exhaustive()
    }
}

/// What is known of a thread's thread pointer.
#[derive(Debug, Clone, Copy)]
enum Base {
    Found(Avma),
    /// Looked for so many times.
    Sought(u32),
}

impl Snapshotter {
    /// Begins. `space` may know the modules already; it is brought up to date.
    #[must_use]
    pub fn new(process: Arc<dyn Process + Send + Sync>, space: AddressSpace) -> Self {
        let mut snapshotter = Self {
            process,
            space,
            mappings: Vec::new(),
            infos: Vec::new(),
            readers: Vec::new(),
            bases: HashMap::new(),
            table: AwaitTable::default(),
            fresh: 0,
        };
        snapshotter.list();
        snapshotter
    }

    /// The runtimes of the process.
    #[must_use]
    pub fn runtimes(&self) -> &[RuntimeInfo] {
        &self.infos
    }

    /// Why a runtime that is in the process is not among those, in a sentence.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        runtime::refused(&self.space, &*self.process)
    }

    /// The modules of the process.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// What the snapshots have in common.
    #[must_use]
    pub fn table(&self) -> &AwaitTable {
        &self.table
    }

    /// The same, at the end.
    #[must_use]
    pub fn into_table(self) -> AwaitTable {
        self.table
    }

    /// Lists threads and mappings anew before the next snapshot.
    pub fn look_again(&mut self) {
        self.fresh = 0;
    }

    /// Looks at all tasks once.
    pub fn take(&mut self) -> Snapshot {
        if self.fresh == 0 {
            self.list();
        }
        self.fresh -= 1;
        let bases: Vec<ThreadBase> = self
            .bases
            .iter()
            .filter_map(|(tid, base)| match base {
                Base::Found(tls_base) => Some(ThreadBase {
                    tid: *tid,
                    tls_base: *tls_base,
                }),
                Base::Sought(_) => None,
            })
            .collect();
        let time = Nanos::now();
        let mut snapshot = Snapshot {
            time,
            ..Snapshot::default()
        };
        let seen = SeenThreads {
            threads: &bases,
            space: &self.space,
            mappings: &self.mappings,
            process: &*self.process,
        };
        for (index, reader) in self.readers.iter_mut().enumerate() {
            reader.read(index, &seen, &mut self.table, &mut snapshot);
        }
        snapshot.took = Nanos::now().since(time);
        snapshot
    }

    /// Lists threads and mappings anew, and looks for runtimes while there are none.
    fn list(&mut self) {
        self.fresh = LISTED_EVERY;
        if let Ok(mappings) = self.process.mappings() {
            self.space.update(&mappings, &*self.process);
            self.mappings = mappings;
        }
        if self.infos.is_empty() {
            let runtimes = runtime::detect(&self.space, &*self.process);
            self.infos = runtimes.iter().map(|runtime| runtime.info()).collect();
            self.readers = runtimes.iter().map(|runtime| runtime.tasks()).collect();
        }
        let Ok(threads) = self.process.threads() else {
            return;
        };
        self.bases.retain(|tid, _| threads.contains(tid));
        for tid in threads {
            self.find_base(tid);
        }
    }

    /// A thread tells its stack pointer only while it sleeps, so it may take some tries.
    fn find_base(&mut self, tid: Tid) {
        let base = self.bases.entry(tid).or_insert(Base::Sought(0));
        let Base::Sought(tries) = base else {
            return;
        };
        if *tries >= MOST_TLS_TRIES {
            return;
        }
        *tries += 1;
        let Some(blocked) = self.process.blocked_in(tid) else {
            return;
        };
        if let Some(found) = thread_pointer(&*self.process, &self.mappings, tid, blocked.sp) {
            *base = Base::Found(found);
        }
    }
}
