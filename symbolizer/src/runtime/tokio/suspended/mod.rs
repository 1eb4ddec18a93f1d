//! Lists the tasks of Tokio, and where each waits.

mod addresses;
mod blocking;
mod cells;
mod chains;
mod layout;
mod leaves;
mod lists;
mod local;
mod plan;
mod queues;
mod scan;
mod schedulers;
mod tagged;

use super::detect::Detected;
use super::layout::Header;
use crate::frame::Origin;
use crate::futures::{Ground, Job, Shapes, Tree, Walker};
use crate::module::{AddressSpace, ModuleId};
use crate::runtime::rust::names::RootNames;
use crate::runtime::rust::roots::Roots;
use crate::runtime::rust::settle::{FuturePlace, Now, Waits, settle};
use crate::runtime::{SeenThreads, TaskClass, TaskReader};
use crate::snapshot::{AwaitTable, KindId, SchedulerSeen, Snapshot, TaskSeen, TaskState};
use crate::types::{TypeCache, Types};
use leaves::TOKIO;
use lists::{Found, ListedTask, Lists};
use plan::{Plan, Plans};

use scan::HeaderScan;
use std::sync::Arc;

/// Bits of a task's state word (tokio `runtime/task/state.rs`; the same in 1.20 to 1.54).
const RUNNING: u64 = 0b1;
const COMPLETE: u64 = 0b10;
const NOTIFIED: u64 = 0b100;
const CANCELLED: u64 = 0b10_0000;

/// Reads the tasks of all Tokio schedulers of a process.
#[derive(Debug)]
pub(super) struct Tasks {
    module: ModuleId,
    detected: Arc<Detected>,
    plans: Plans,
    walker: Walker,
    /// Made when the first snapshot is taken.
    opened: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    /// `None` where there is no debug information.
    shapes: Option<Shapes>,
    tasks: Finder,
    roots: Option<Roots>,
}

/// How tasks are found.
#[derive(Debug)]
enum Finder {
    /// By the lists of their schedulers.
    Lists(Box<Lists>),
    /// Without types: by what they look like.
    Scan(HeaderScan),
}

impl Finder {
    fn read(&mut self, seen: &SeenThreads<'_>) -> Found {
        match self {
            Self::Lists(lists) => lists.read(seen),
            Self::Scan(scan) => scan.read(seen),
        }
    }
}

impl Tasks {
    pub fn new(detected: &Arc<Detected>) -> Self {
        Self {
            module: detected.module,
            detected: Arc::clone(detected),
            plans: Plans::new(detected),
            walker: Walker::default(),
            opened: None,
        }
    }

    fn open(&self, space: &AddressSpace) -> Opened {
        let detected = &*self.detected;
        let module = space.module(self.module);
        let mut shapes = module.and_then(|module| {
            let cache = TypeCache::of_user();
            // Whatever part of the program Tokio is in, its own code is the user's.
            let types = Types::of_module(module, Origin::User, cache.as_ref())?;
            Some(Shapes::new(types, Box::new(TOKIO)))
        });
        let lists = shapes
            .as_mut()
            .and_then(|shapes| Lists::new(space, detected, shapes.types()));
        let tasks = match lists {
            Some(lists) => Finder::Lists(Box::new(lists)),
            None => {
                let polls = detected.poll_entries.values().flatten();
                Finder::Scan(HeaderScan::new(self.module, polls.copied()))
            }
        };
        Opened {
            shapes,
            tasks,
            roots: Roots::new(space, self.module, &["tokio"]),
        }
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
        self.read_with(&mut opened, runtime, seen, table, snapshot);
        self.opened = Some(opened);
    }
}

impl Tasks {
    fn read_with(
        &mut self,
        opened: &mut Opened,
        runtime: usize,
        seen: &SeenThreads<'_>,
        table: &mut AwaitTable,
        snapshot: &mut Snapshot,
    ) {
        let found = opened.tasks.read(seen);
        let first = u32::try_from(snapshot.schedulers.len()).unwrap_or(u32::MAX);
        let schedulers = found.schedulers.into_iter();
        snapshot
            .schedulers
            .extend(schedulers.map(|scheduler| SchedulerSeen {
                runtime,
                ..scheduler
            }));
        snapshot.torn = snapshot.torn.saturating_add(found.incomplete.tasks);
        let mut reading = Reading {
            tasks: self,
            shapes: opened.shapes.as_mut(),
            seen,
            table,
            snapshot,
            runtime,
            first,
        };
        reading.tasks(found.tasks);
        if let Some(roots) = &mut opened.roots {
            reading.roots(roots);
        }
    }
}

/// One snapshot of one runtime.
struct Reading<'a> {
    tasks: &'a mut Tasks,
    shapes: Option<&'a mut Shapes>,
    seen: &'a SeenThreads<'a>,
    table: &'a mut AwaitTable,
    snapshot: &'a mut Snapshot,
    runtime: usize,
    /// The number of our first scheduler.
    first: u32,
}

impl Reading<'_> {
    fn tasks(&mut self, listed: Vec<ListedTask>) {
        let mut waiting = Vec::new();
        let mut others = Vec::new();
        for task in listed {
            match self.standing(&task) {
                Standing::Waits(place, id_offset) => waiting.push(Waiting {
                    task,
                    place,
                    id_offset,
                }),
                Standing::Told => others.push(task),
                Standing::Nobody => {}
            }
        }
        // Only types tell where a future stands: without them nobody waits.
        if let Some(shapes) = self.shapes.as_deref_mut() {
            let ground = Ground {
                space: self.seen.space,
                module: self.tasks.module,
                memory: self.seen.process,
            };
            let walker = &mut self.tasks.walker;
            let settled = settle(waiting, walker, &ground, shapes, self.table);
            self.snapshot.torn = self.snapshot.torn.saturating_add(settled.torn);
            others.extend(settled.others.into_iter().map(|waiting| waiting.task));
            for (waiting, tree, guard) in settled.waiting {
                self.with_tree(&waiting.task, tree, guard);
            }
        }
        for task in others {
            self.without_tree(&task);
        }
    }

    fn standing(&mut self, task: &ListedTask) -> Standing {
        let Some(plan) = self.plan(task) else {
            return Standing::Nobody;
        };
        let still = task.state & (RUNNING | COMPLETE) == 0;
        match (plan.class, plan.future) {
            (None, _) => Standing::Nobody,
            (Some(TaskClass::Async), Some(place)) if still => {
                Standing::Waits(place, plan.id_offset)
            }
            _ => Standing::Told,
        }
    }

    /// The futures that threads sleep on.
    fn roots(&mut self, roots: &mut Roots) {
        let Some(shapes) = self.shapes.as_deref_mut() else {
            return;
        };
        for root in roots.find(self.seen, shapes, &mut self.tasks.walker, self.table) {
            self.snapshot.unresolved += u32::from(root.tree.is_none());
            let task = root.seen(self.runtime, self.first, shapes, self.table);
            self.snapshot.tasks.extend(task);
        }
    }

    fn plan(&mut self, task: &ListedTask) -> Option<&mut Plan> {
        let shapes = self.shapes.as_deref_mut();
        let plan = self.tasks.plans.get(task.vtable, self.seen, shapes)?;
        // Where names do not tell: none but a closure of the blocking pool is in no list.
        if task.owner == 0 && plan.class == Some(TaskClass::Async) {
            plan.class = Some(TaskClass::Blocking);
        }
        Some(plan)
    }

    fn with_tree(&mut self, task: &ListedTask, tree: Tree, guard: u64) {
        let Some(kind) = self.kind(task, Some(&tree)) else {
            return;
        };
        self.snapshot.unresolved += u32::from(tree.unresolved);
        self.push(task, kind, state_of(guard), tree);
    }

    fn without_tree(&mut self, task: &ListedTask) {
        let Some(kind) = self.kind(task, None) else {
            return;
        };
        let state = state_of(task.state);
        let waits = matches!(state, TaskState::Ready | TaskState::Suspended);
        let class = self.plan(task).and_then(|plan| plan.class);
        self.snapshot.unresolved += u32::from(waits && class == Some(TaskClass::Async));
        self.push(task, kind, state, Tree::default());
    }

    fn push(&mut self, task: &ListedTask, kind: KindId, state: TaskState, tree: Tree) {
        self.snapshot.tasks.push(TaskSeen {
            address: task.address,
            id: task.id,
            scheduler: self.first.saturating_add(task.scheduler),
            kind,
            state,
            waits: tree.waits.into(),
            holds: tree.holds.into(),
        });
    }

    fn kind(&mut self, task: &ListedTask, tree: Option<&Tree>) -> Option<KindId> {
        let runtime = self.runtime;
        let plan = self.plan(task)?;
        if let Some(kind) = plan.kind {
            return Some(kind);
        }
        let class = plan.class?;
        let (name, fallback) = (plan.name.clone(), plan.future_name.clone());
        let names = RootNames {
            certain: name.clone(),
            fallback,
        };
        let kind = names.kind(class, runtime, tree, self.table)?;
        // Behind a `dyn Future` each task can be of another kind.
        if name.is_some() {
            self.plan(task)?.kind = Some(kind);
        }
        Some(kind)
    }
}

/// What is to be done about a listed task.
enum Standing {
    /// It waits, and its future can be walked; its id stands there.
    Waits(FuturePlace, u64),
    /// More than its state cannot be told.
    Told,
    /// It is a worker, or nothing that is known.
    Nobody,
}

/// A task that waits.
struct Waiting {
    task: ListedTask,
    place: FuturePlace,
    id_offset: u64,
}

impl Waiting {
    /// The state word, if it is still the task that was listed.
    fn state(&self, bytes: &[u8]) -> Option<u64> {
        let header = Header(bytes.first_chunk()?);
        let at = usize::try_from(self.id_offset).ok()?;
        let id = bytes.get(at..at.checked_add(8)?)?.first_chunk()?;
        let id = u64::from_le_bytes(*id);
        let known = self.task.id.is_none_or(|known| known.0 == id);
        let same = known && header.is_alive() && header.vtable() == self.task.vtable;
        same.then(|| header.state())
    }
}

impl Waits for Waiting {
    fn job(&self) -> Job {
        self.place.job(self.task.address)
    }

    fn guard(&self, bytes: &[u8]) -> Option<u64> {
        let bits = self.state(bytes)? & (RUNNING | COMPLETE | NOTIFIED | CANCELLED);
        (bits & (RUNNING | COMPLETE) == 0).then_some(bits)
    }

    fn look(&mut self, bytes: &[u8]) -> Now {
        let Some(state) = self.state(bytes) else {
            return Now::Gone;
        };
        self.task.state = state;
        match state & (RUNNING | COMPLETE) {
            0 => Now::Waits,
            _ => Now::Moved,
        }
    }
}

fn state_of(state: u64) -> TaskState {
    if state & COMPLETE != 0 {
        TaskState::Complete
    } else if state & RUNNING != 0 {
        TaskState::Running
    } else if state & NOTIFIED != 0 {
        TaskState::Ready
    } else {
        TaskState::Suspended
    }
}
