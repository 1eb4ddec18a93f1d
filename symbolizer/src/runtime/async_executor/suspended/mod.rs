//! Lists the tasks of executors, and where each waits.

mod executors;
mod leaves;
mod plan;

use super::detect::Detected;
use super::layout::{CLOSED, COMPLETED, Header, Layout, RUNNING, SCHEDULED, StateLayout, is_alive};
use super::vtables::Vtables;
use crate::frame::Origin;
use crate::futures::{Ground, Job, Shapes, Tree, Walker};
use crate::module::{AddressSpace, ModuleId};
use crate::runtime::rust::roots::Roots;
use crate::runtime::rust::settle::{FuturePlace, Now, Waits, settle};
use crate::runtime::{SeenThreads, TaskClass, TaskId, TaskReader};
use crate::snapshot::{AwaitTable, Queues, SchedulerSeen, Snapshot, TaskSeen, TaskState};
use crate::types::{TypeCache, Types};
use awaitscope_sampler::Avma;
use executors::{Executor, Executors};
use leaves::SMOL;
use plan::Plan;
use std::collections::HashMap;
use std::sync::Arc;

/// Packages whose `block_on` runs a future that is no executor's task.
const BLOCK_ON: &[&str] = &["async_io", "futures_lite", "futures_executor", "pollster"];

/// Reads the tasks of all executors of a process.
#[derive(Debug)]
pub(super) struct Tasks {
    module: ModuleId,
    detected: Arc<Detected>,
    plans: HashMap<Avma, Plan>,
    walker: Walker,
    /// Made when the first snapshot is taken; `None` where there are no types, without
    /// which no executor is found.
    opened: Option<Option<Opened>>,
}

#[derive(Debug)]
struct Opened {
    shapes: Shapes,
    executors: Executors,
    roots: Option<Roots>,
}

impl Tasks {
    pub fn new(detected: &Arc<Detected>) -> Self {
        Self {
            module: detected.module,
            detected: Arc::clone(detected),
            plans: HashMap::new(),
            walker: Walker::default(),
            opened: None,
        }
    }

    fn open(&self, space: &AddressSpace) -> Option<Opened> {
        let cache = TypeCache::of_user();
        // Whatever part of the program it is in, its own code is the user's.
        let module = space.module(self.module)?;
        let types = Types::of_module(module, Origin::User, cache.as_ref())?;
        let mut shapes = Shapes::new(types, Box::new(SMOL));
        let vtables = Vtables::new(&self.detected)?;
        let state = StateLayout::find(shapes.types())?;
        Some(Opened {
            shapes,
            executors: Executors::new(vtables, state),
            roots: Roots::new(space, self.module, BLOCK_ON),
        })
    }
}

impl TaskReader for Tasks {
    fn read(
        &mut self,
        runtime: usize,
        seen: &SeenThreads<'_>,
        table: &mut AwaitTable,
        snapshot: &mut Snapshot,
    ) {
        let mut opened = match self.opened.take() {
            Some(opened) => opened,
            None => self.open(seen.space),
        };
        if let Some(opened) = &mut opened {
            let found = opened.executors.read(seen);
            let mut reading = Reading {
                tasks: self,
                opened,
                seen,
                table,
                snapshot,
                runtime,
            };
            for executor in found {
                reading.executor(executor);
            }
            reading.roots();
        }
        self.opened = Some(opened);
    }
}

/// One snapshot.
struct Reading<'a> {
    tasks: &'a mut Tasks,
    opened: &'a mut Opened,
    seen: &'a SeenThreads<'a>,
    table: &'a mut AwaitTable,
    snapshot: &'a mut Snapshot,
    runtime: usize,
}

impl Reading<'_> {
    fn executor(&mut self, executor: Executor) {
        let scheduler = self.scheduler(executor.workers);
        self.snapshot.torn = self.snapshot.torn.saturating_add(executor.missed);
        let mut waiting = Vec::new();
        let mut others = Vec::new();
        for header in executor.tasks {
            let still = header.state & (RUNNING | COMPLETED | CLOSED) == 0;
            match self.plan(header.vtable).and_then(|plan| plan.place) {
                Some(place) if still => waiting.push(Waiting {
                    header,
                    place,
                    layout: self.opened.executors.layout(),
                }),
                _ => others.push(header),
            }
        }
        let ground = Ground {
            space: self.seen.space,
            module: self.tasks.module,
            memory: self.seen.process,
        };
        let walker = &mut self.tasks.walker;
        let settled = settle(
            waiting,
            walker,
            &ground,
            &mut self.opened.shapes,
            self.table,
        );
        self.snapshot.torn = self.snapshot.torn.saturating_add(settled.torn);
        for (waiting, tree, guard) in settled.waiting {
            self.snapshot.unresolved += u32::from(tree.unresolved);
            self.push(scheduler, &waiting.header, state_of(guard), Some(tree));
        }
        others.extend(settled.others.into_iter().map(|waiting| waiting.header));
        for header in others {
            let state = state_of(header.state);
            let waits = matches!(state, TaskState::Ready | TaskState::Suspended);
            self.snapshot.unresolved += u32::from(waits);
            self.push(scheduler, &header, state, None);
        }
    }

    /// The number of a new scheduler.
    fn scheduler(&mut self, workers: u32) -> u32 {
        let number = u32::try_from(self.snapshot.schedulers.len()).unwrap_or(u32::MAX);
        self.snapshot.schedulers.push(SchedulerSeen {
            runtime: self.runtime,
            flavor: None,
            workers,
            queues: Queues::default(),
        });
        number
    }

    fn plan(&mut self, vtable: Avma) -> Option<&mut Plan> {
        let told = self.opened.executors.vtable(vtable, self.seen)?;
        let shapes = &mut self.opened.shapes;
        let plans = &mut self.tasks.plans;
        let space = self.seen.space;
        Some(
            plans
                .entry(vtable)
                .or_insert_with(|| Plan::of(&told, space, shapes)),
        )
    }

    fn push(&mut self, scheduler: u32, header: &Header, state: TaskState, tree: Option<Tree>) {
        let runtime = self.runtime;
        let Some((names, known)) = self
            .plan(header.vtable)
            .map(|plan| (plan.names.clone(), plan.kind))
        else {
            return;
        };
        let certain = names.certain.is_some();
        let kind =
            known.or_else(|| names.kind(TaskClass::Async, runtime, tree.as_ref(), self.table));
        let Some(kind) = kind else { return };
        // Behind a `dyn Future` each task can be of another kind.
        if certain && let Some(plan) = self.plan(header.vtable) {
            plan.kind = Some(kind);
        }
        let tree = tree.unwrap_or_default();
        self.snapshot.tasks.push(TaskSeen {
            address: header.address,
            id: Some(TaskId(header.address)),
            scheduler,
            kind,
            state,
            waits: tree.waits.into(),
            holds: tree.holds.into(),
        });
    }

    /// The futures that threads sleep on.
    fn roots(&mut self) {
        let Some(mut roots) = self.opened.roots.take() else {
            return;
        };
        let shapes = &mut self.opened.shapes;
        let found = roots.find(self.seen, shapes, &mut self.tasks.walker, self.table);
        for root in found {
            let schedulers = &self.snapshot.schedulers;
            let ours = schedulers
                .iter()
                .position(|seen| seen.runtime == self.runtime);
            // A thread can block on a future without any executor.
            let scheduler = match ours.and_then(|number| u32::try_from(number).ok()) {
                Some(number) => number,
                None => self.scheduler(0),
            };
            self.snapshot.unresolved += u32::from(root.tree.is_none());
            let shapes = &mut self.opened.shapes;
            let task = root.seen(self.runtime, scheduler, shapes, self.table);
            self.snapshot.tasks.extend(task);
        }
        self.opened.roots = Some(roots);
    }
}

/// A task that waits.
struct Waiting {
    header: Header,
    place: FuturePlace,
    layout: Layout,
}

impl Waiting {
    /// The state word, if it is still a task of the same sort.
    fn state(&self, bytes: &[u8]) -> Option<u64> {
        let word = |at: u64| {
            let at = usize::try_from(at).ok()?;
            let word = bytes.get(at..at.checked_add(8)?)?.first_chunk()?;
            Some(u64::from_le_bytes(*word))
        };
        let state = word(self.layout.state)?;
        let same = word(self.layout.vtable)? == self.header.vtable.0;
        (same && is_alive(state)).then_some(state)
    }
}

impl Waits for Waiting {
    fn job(&self) -> Job {
        self.place.job(self.header.address)
    }

    fn guard(&self, bytes: &[u8]) -> Option<u64> {
        let bits = self.state(bytes)? & (SCHEDULED | RUNNING | COMPLETED | CLOSED);
        (bits & (RUNNING | COMPLETED | CLOSED) == 0).then_some(bits)
    }

    fn look(&mut self, bytes: &[u8]) -> Now {
        let Some(state) = self.state(bytes) else {
            return Now::Gone;
        };
        self.header.state = state;
        match state & (RUNNING | COMPLETED | CLOSED) {
            0 => Now::Waits,
            _ => Now::Moved,
        }
    }
}

fn state_of(state: u64) -> TaskState {
    if state & RUNNING != 0 {
        TaskState::Running
    } else if state & (COMPLETED | CLOSED) != 0 {
        TaskState::Complete
    } else if state & SCHEDULED != 0 {
        TaskState::Ready
    } else {
        TaskState::Suspended
    }
}
