//! Where Tokio's structures keep their lists of tasks, by the names of their members.

use super::queues::{CoreLayout, QueueLayout};
use super::tagged::{Shift, Tagged, tagged};
use crate::module::Symbol;
use crate::runtime::tokio::layout::{WayToShared, find};
use crate::types::{TypeId, Types};
use gimli::Reader;

/// All that it takes to get from a thread to the tasks of its schedulers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListLayout {
    pub thread: ThreadLayout,
    pub schedulers: Vec<SchedulerLayout>,
    pub task: TaskLayout,
    /// `None` where the program uses no `LocalSet`.
    pub local: Option<LocalSetLayout>,
}

/// Where a thread keeps its schedulers: `tokio::runtime::context::Context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ThreadLayout {
    /// From the start of the module's thread-local block to the context.
    pub tls_offset: u64,
    /// How many bytes the context has.
    pub size: u64,
    /// `current.handle.value`: from the start of the context to an
    /// `Option<scheduler::Handle>`.
    pub current: u64,
    /// From there to the handle.
    pub option: Tagged<u64>,
    /// From the start of a handle to the pointer to the scheduler.
    pub handle: Tagged<Way>,
    /// In the context, the id of the task that the thread polls.
    pub task_id: u64,
    /// In the context, the number of the thread; 0 while it has none.
    pub thread_id: u64,
    /// In the context, the pointer to a worker's `scheduler::Context`.
    pub scheduler: u64,
    /// The way from there to the scheduler.
    pub workers: Tagged<WorkerWay>,
}

/// Where a pointer to a scheduler stands, and to which sort of one:
/// the place in [`ListLayout::schedulers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub pointer: u64,
    pub sort: usize,
}

/// The way from a worker's context to its scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WorkerWay {
    /// Where the context has a pointer to the `Worker` that knows the scheduler, and
    /// does not know it itself.
    pub worker: Option<u64>,
    pub way: Way,
    /// Where the context has the pointer to the worker's core, if it has that.
    pub core: Option<(u64, CoreLayout)>,
}

/// A scheduler; offsets count from the `ArcInner` that holds its handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SchedulerLayout {
    /// The type of that `ArcInner`.
    pub arc: TypeId,
    pub flavor: &'static str,
    /// The count of strong references.
    pub strong: u64,
    pub owned: OwnedLayout,
    /// How many workers it has: the length of a list of them, if there is one.
    pub workers: Option<u64>,
    pub queues: QueueLayout,
}

/// `OwnedTasks`: tasks in lists that are chosen by the task's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnedLayout {
    /// Its number, which all its tasks carry.
    pub id: u64,
    /// The pointer to the lists, and how many there are.
    pub lists: u64,
    pub length: u64,
    /// How many tasks there are.
    pub count: u64,
    /// From one list to the next, and where each keeps its ends.
    pub stride: u64,
    pub ends: EndsLayout,
}

/// Where a list keeps its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndsLayout {
    pub head: u64,
    pub tail: u64,
}

/// A `LocalSet` and what leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalSetLayout {
    /// From the start of the module's thread-local block to the pointer to the `RcInner`
    /// of the `Context`; null while none is polled.
    pub tls_offset: u64,
    /// In a `LocalSet`, the same pointer.
    pub context: u64,
    /// In that, the pointer to the `ArcInner` of what the set shares with its tasks.
    pub shared: u64,
    /// In that, the count of strong references,
    pub strong: u64,
    /// the number of the thread that it belongs to,
    pub thread_id: u64,
    /// the number that its tasks carry,
    pub id: u64,
    /// the list of these,
    pub ends: EndsLayout,
    /// and how many of them wait to be polled.
    pub queued: u64,
}

/// `Vtable` and `Trailer` of a task; its header is `#[repr(C)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskLayout {
    /// How many bytes a vtable has, and where its members stand.
    pub vtable_size: u64,
    pub poll: u64,
    pub trailer_offset: u64,
    pub id_offset: u64,
    /// In the trailer, the neighbours in the list of its owner.
    pub prev: u64,
    pub next: u64,
}

impl ListLayout {
    /// `None` where the debug information has no types of Tokio. `symbols` are the
    /// thread-local ones of the module.
    pub fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        symbols: &[Symbol<'_>],
    ) -> Option<Self> {
        let mut schedulers = Vec::new();
        Some(Self {
            thread: ThreadLayout::find(types, symbols, &mut schedulers)?,
            task: TaskLayout::find(types)?,
            local: LocalSetLayout::find(types, symbols),
            schedulers,
        })
    }
}

impl ThreadLayout {
    fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        symbols: &[Symbol<'_>],
        schedulers: &mut Vec<SchedulerLayout>,
    ) -> Option<Self> {
        let context = types.find("tokio::runtime::context::Context")?;
        let variable = "tokio::runtime::context::CONTEXT::";
        let (current, option) = types.walk(context, &["current", "handle", "value", "value"])?;
        let mut handle = None;
        let option = tagged(types, option, |types, payload| {
            let (offset, found) = types.walk(payload, &["__0"])?;
            handle = Some(found);
            Some(offset)
        })?;
        let handle = tagged(types, handle?, |types, payload| {
            way(types, payload, schedulers)
        })?;
        let workers = types.find("tokio::runtime::scheduler::Context")?;
        Some(Self {
            tls_offset: find::thread_local(types, symbols, variable, context)?,
            size: types.size(context).filter(|size| *size <= 4096)?,
            current,
            option,
            handle,
            task_id: task_id(types, context)?,
            thread_id: thread_id(types, context)?,
            scheduler: types.walk(context, &["scheduler"])?.0,
            workers: tagged(types, workers, |types, payload| {
                worker_way(types, payload, schedulers)
            })?,
        })
    }
}

impl Shift for Way {
    fn shift(self, by: u64) -> Option<Self> {
        let pointer = self.pointer.checked_add(by)?;
        Some(Self { pointer, ..self })
    }
}

impl Shift for WorkerWay {
    fn shift(self, by: u64) -> Option<Self> {
        let way = match self.worker {
            Some(_) => self.way,
            None => self.way.shift(by)?,
        };
        let worker = self.worker.map(|worker| worker.checked_add(by));
        let core = self
            .core
            .map(|(slot, core)| Some((slot.checked_add(by)?, core)));
        Some(Self {
            worker: worker.map_or(Some(None), |worker| worker.map(Some))?,
            way,
            core: core.flatten(),
        })
    }
}

/// A pointer inside `outer` to a scheduler's handle.
fn way<R: Reader<Offset = usize>>(
    types: &mut Types<R>,
    outer: TypeId,
    schedulers: &mut Vec<SchedulerLayout>,
) -> Option<Way> {
    let (pointer, arc) = find::pointer_to(types, outer, "data")?;
    let known = schedulers.iter().position(|s| types.same(s.arc, arc));
    let sort = match known {
        Some(known) => known,
        None => {
            schedulers.push(SchedulerLayout::find(types, arc)?);
            schedulers.len() - 1
        }
    };
    Some(Way { pointer, sort })
}

fn worker_way<R: Reader<Offset = usize>>(
    types: &mut Types<R>,
    payload: TypeId,
    schedulers: &mut Vec<SchedulerLayout>,
) -> Option<WorkerWay> {
    let (to_context, context) = types.walk(payload, &["__0"])?;
    let core = types.walk(context, &["core", "value"]);
    let core = core.and_then(|(at, cell)| {
        let (slot, core) = find::pointer_to(types, cell, "tick")?;
        Some((at.checked_add(slot)?, CoreLayout::find(types, core)?))
    });
    let found = match types.walk(context, &["handle"]) {
        Some((to_handle, handle)) => WorkerWay {
            worker: None,
            way: way(types, handle, schedulers)?.shift(to_handle)?,
            core,
        },
        None => {
            let (to_worker, worker) = types.walk(context, &["worker"])?;
            let (to_pointer, arc) = find::pointer_to(types, worker, "data")?;
            let (to_handle, handle) = types.walk(arc, &["data", "handle"])?;
            WorkerWay {
                worker: Some(to_worker.checked_add(to_pointer)?),
                way: way(types, handle, schedulers)?.shift(to_handle)?,
                core,
            }
        }
    };
    found.shift(to_context)
}

impl SchedulerLayout {
    fn find<R: Reader<Offset = usize>>(types: &mut Types<R>, arc: TypeId) -> Option<Self> {
        let (to_handle, handle) = types.walk(arc, &["data"])?;
        let (to_shared, shared) = types.walk(arc, &["data", "shared"])?;
        let (to_owned, owned) = types.walk(shared, &["owned"])?;
        let workers = types.walk(shared, &["remotes", "length"]);
        let workers = workers.and_then(|(offset, _)| to_shared.checked_add(offset));
        Some(Self {
            arc,
            flavor: match workers {
                Some(_) => "multi_thread",
                None => "current_thread",
            },
            strong: types.walk(arc, &["strong"])?.0,
            owned: OwnedLayout::find(types, to_shared.checked_add(to_owned)?, owned)?,
            workers,
            queues: QueueLayout::find(types, to_handle, handle)?,
        })
    }
}

impl OwnedLayout {
    fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        base: u64,
        owned: TypeId,
    ) -> Option<Self> {
        let (lists, pointer) = types.walk(owned, &["list", "lists", "data_ptr"])?;
        let list = types.pointee(pointer)?;
        let at = |offset: u64| base.checked_add(offset);
        Some(Self {
            id: at(types.walk(owned, &["id"])?.0)?,
            lists: at(lists)?,
            length: at(types.walk(owned, &["list", "lists", "length"])?.0)?,
            count: at(types.walk(owned, &["list", "count"])?.0)?,
            stride: types.size(list).filter(|size| (16..=4096).contains(size))?,
            ends: EndsLayout::find(types, list)?,
        })
    }
}

impl EndsLayout {
    /// The ends of the list inside `outer`, which may be a lock around it.
    pub fn find<R: Reader<Offset = usize>>(types: &mut Types<R>, outer: TypeId) -> Option<Self> {
        Some(Self {
            head: find::member_within(types, outer, "head")?,
            tail: find::member_within(types, outer, "tail")?,
        })
    }
}

impl LocalSetLayout {
    fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        symbols: &[Symbol<'_>],
    ) -> Option<Self> {
        let WayToShared {
            tls_offset,
            shared,
            arc,
        } = WayToShared::find(types, symbols)?;
        let set = types.find("tokio::task::local::LocalSet")?;
        let (in_set, counted) = types.walk(set, &["context"])?;
        let (to_context, _) = find::pointer_to(types, counted, "value")?;
        let (base, state) = types.walk(arc, &["data", "local_state"])?;
        let at = |offset: u64| base.checked_add(offset);
        let (in_state, owned) = types.walk(state, &["owned"])?;
        let ends = EndsLayout::find(types, owned)?;
        let (queue_at, queue) = types.walk(state, &["local_queue"])?;
        let queued = find::member_within(types, queue, "len")?;
        Some(Self {
            tls_offset,
            context: in_set.checked_add(to_context)?,
            shared,
            strong: types.walk(arc, &["strong"])?.0,
            thread_id: at(types.walk(state, &["owner"])?.0)?,
            id: at(types.walk(state, &["owned", "id"])?.0)?,
            ends: EndsLayout {
                head: at(in_state.checked_add(ends.head)?)?,
                tail: at(in_state.checked_add(ends.tail)?)?,
            },
            queued: at(queue_at.checked_add(queued)?)?,
        })
    }
}

/// Where a context has the id of the current task. Before 1.40 an id could be 0, so that
/// `Option<Id>` has a word in front of it.
fn task_id<R: Reader<Offset = usize>>(types: &mut Types<R>, context: TypeId) -> Option<u64> {
    let (offset, cell) = types.walk(context, &["current_task_id"])?;
    match types.size(cell)? {
        8 => Some(offset),
        16 => offset.checked_add(8),
        _ => None,
    }
}

/// Where a context has its thread's number, which is never 0.
fn thread_id<R: Reader<Offset = usize>>(types: &mut Types<R>, context: TypeId) -> Option<u64> {
    let (offset, cell) = types.walk(context, &["thread_id"])?;
    (types.size(cell)? == 8).then_some(offset)
}

impl TaskLayout {
    fn find<R: Reader<Offset = usize>>(types: &mut Types<R>) -> Option<Self> {
        let vtable = types.find("tokio::runtime::task::raw::Vtable")?;
        let trailer = types.find("tokio::runtime::task::core::Trailer")?;
        let (to_owned, owned) = types.walk(trailer, &["owned"])?;
        let prev = find::member_within(types, owned, "prev")?;
        let next = find::member_within(types, owned, "next")?;
        let mut member = |name: &str| types.walk(vtable, &[name]).map(|(offset, _)| offset);
        Some(Self {
            poll: member("poll")?,
            trailer_offset: member("trailer_offset")?,
            id_offset: member("id_offset")?,
            vtable_size: types.size(vtable).filter(|size| *size <= 4096)?,
            prev: to_owned.checked_add(prev)?,
            next: to_owned.checked_add(next)?,
        })
    }
}
