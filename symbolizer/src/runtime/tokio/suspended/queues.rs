//! The tasks that wait in queues: those of workers, the one that all workers of a
//! scheduler share, and that of its blocking pool.

use super::schedulers::{Core, Scheduler};
use super::tagged::{Shift, Tagged, tagged};
use crate::runtime::rust::ranges::{Range, Ranges, join};
use crate::runtime::tokio::layout::find;
use crate::snapshot::Queues;
use crate::types::{TypeId, Types};
use awaitscope_sampler::ReadMemory;
use gimli::Reader;

#[cfg(test)]
mod tests;

/// The most tasks of a blocking pool's queue that are listed.
const MOST_QUEUED: u64 = 1 << 16;

/// The most workers whose queues are looked at.
const MOST_WORKERS: u32 = 1 << 12;

/// Where a scheduler keeps its queues; offsets count from the `ArcInner` of its handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueLayout {
    /// The length of the queue that all workers share.
    injection: Option<u64>,
    workers: Option<WorkersLayout>,
    pool: Option<PoolLayout>,
}

/// The queues of workers, as their colleagues see them: `Shared.remotes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WorkersLayout {
    /// The pointer to the list of workers, and from one to the next.
    list: u64,
    stride: u64,
    /// In a worker, the pointer to the `ArcInner` of its queue, and in that its ends.
    queue: u64,
    head: u64,
    tail: u64,
}

/// The queue of the blocking pool.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PoolLayout {
    /// The pointer to the `ArcInner` of the pool.
    pointer: u64,
    /// In that, the length of the queue.
    depth: u64,
    /// In that, the queue itself, a `VecDeque`, where it is a single one.
    queue: Option<(u64, Tagged<DequeLayout>)>,
    /// From one task to the next, and in each the pointer to its header.
    stride: u64,
    task: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DequeLayout {
    head: u64,
    length: u64,
    buffer: u64,
    capacity: u64,
}

/// What the core of a worker tells: its own queue, if nobody else has it, and the task
/// that it will run next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CoreLayout {
    length: Option<u64>,
    next: Option<u64>,
}

impl QueueLayout {
    /// Nothing is known of the queues.
    #[cfg(test)]
    pub const NONE: Self = Self {
        injection: None,
        workers: None,
        pool: None,
    };

    /// The queues of a scheduler's handle, which begins at `base`.
    pub fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        base: u64,
        handle: TypeId,
    ) -> Option<Self> {
        let (to_shared, shared) = types.walk(handle, &["shared"])?;
        let shared_at = base.checked_add(to_shared)?;
        let injection = types
            .walk(shared, &["inject"])
            .and_then(|(offset, inject)| {
                let length = find::member_within(types, inject, "len")?;
                shared_at.checked_add(offset)?.checked_add(length)
            });
        Some(Self {
            injection,
            workers: WorkersLayout::find(types, shared_at, shared),
            pool: PoolLayout::find(types, base, handle),
        })
    }
}

impl WorkersLayout {
    fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        base: u64,
        shared: TypeId,
    ) -> Option<Self> {
        let (list, pointer) = types.walk(shared, &["remotes", "data_ptr"])?;
        let remote = types.pointee(pointer)?;
        let (to_steal, steal) = types.walk(remote, &["steal"])?;
        let (to_queue, arc) = find::pointer_to(types, steal, "data")?;
        let (head, head_type) = types.walk(arc, &["data", "head"])?;
        let (tail, tail_type) = types.walk(arc, &["data", "tail"])?;
        // Two numbers of 32 bits in one word, and one.
        let known = types.size(head_type)? == 8 && types.size(tail_type)? == 4;
        known.then_some(())?;
        Some(Self {
            list: base.checked_add(list)?,
            stride: types.size(remote)?,
            queue: to_steal.checked_add(to_queue)?,
            head,
            tail,
        })
    }
}

impl PoolLayout {
    fn find<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        base: u64,
        handle: TypeId,
    ) -> Option<Self> {
        let (to_spawner, spawner) = types.walk(handle, &["blocking_spawner"])?;
        let (to_inner, arc) = find::pointer_to(types, spawner, "data")?;
        let (to_pool, pool) = types.walk(arc, &["data"])?;
        let (depth, _) = types.walk(pool, &["metrics", "queue_depth"])?;
        let task = types.find("tokio::runtime::blocking::pool::Task")?;
        let queue = DequeLayout::of_pool(types, pool);
        Some(Self {
            pointer: base.checked_add(to_spawner)?.checked_add(to_inner)?,
            depth: to_pool.checked_add(depth)?,
            queue: queue.and_then(|(at, queue)| Some((to_pool.checked_add(at)?, queue))),
            stride: types.size(task).filter(|size| (8..=256).contains(size))?,
            task: types.walk(task, &["task", "raw", "ptr"])?.0,
        })
    }
}

impl DequeLayout {
    /// The queue of a pool. It stood behind a lock; since 1.54 there is a choice of one
    /// behind a lock, or several.
    fn of_pool<R: Reader<Offset = usize>>(
        types: &mut Types<R>,
        pool: TypeId,
    ) -> Option<(u64, Tagged<Self>)> {
        if let Some((at, shared)) = types.walk(pool, &["shared"]) {
            let queue = Self::within(types, shared)?;
            let arms = vec![(None, Some(queue))];
            return Some((at, Tagged { tag: None, arms }));
        }
        let (at, choice) = types.walk(pool, &["inner_impl"])?;
        let queue = tagged(types, choice, Self::within)?;
        Some((at, queue))
    }

    /// The `queue` somewhere in `outer`.
    fn within<R: Reader<Offset = usize>>(types: &mut Types<R>, outer: TypeId) -> Option<Self> {
        let (at, queue) = find::within(types, outer, "queue")?;
        let (to_buffer, buffer) = types.walk(queue, &["buf"])?;
        let found = Self {
            head: types.walk(queue, &["head"])?.0,
            length: types.walk(queue, &["len"])?.0,
            buffer: to_buffer.checked_add(find::member_within(types, buffer, "ptr")?)?,
            capacity: to_buffer.checked_add(find::member_within(types, buffer, "cap")?)?,
        };
        found.shift(at)
    }
}

impl Shift for DequeLayout {
    fn shift(self, by: u64) -> Option<Self> {
        Some(Self {
            head: self.head.checked_add(by)?,
            length: self.length.checked_add(by)?,
            buffer: self.buffer.checked_add(by)?,
            capacity: self.capacity.checked_add(by)?,
        })
    }
}

impl CoreLayout {
    pub fn find<R: Reader<Offset = usize>>(types: &mut Types<R>, core: TypeId) -> Option<Self> {
        let tasks = types
            .walk(core, &["tasks"])
            .and_then(|(at, queue)| at.checked_add(types.walk(queue, &["len"])?.0));
        let next = types
            .walk(core, &["lifo_slot"])
            .and_then(|(at, slot)| (types.size(slot)? == 8).then_some(at));
        Some(Self {
            length: tasks,
            next,
        })
    }
}

/// The queues of one scheduler, and the tasks in that of its blocking pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Queued {
    pub queues: Queues,
    pub blocking: Vec<u64>,
}

/// Words at addresses, asked for together and then read.
#[derive(Debug, Default)]
struct Words(Vec<Range>);

impl Words {
    fn ask(&mut self, base: u64, offset: u64) {
        self.0.push(Range::new(base.wrapping_add(offset), 8));
    }

    fn read(self, memory: &dyn ReadMemory) -> Ranges {
        Ranges::read(&join(self.0), memory)
    }
}

/// The queues of schedulers.
pub(super) fn read(
    schedulers: &[(u64, &Scheduler, &QueueLayout)],
    cores: &[Core],
    memory: &dyn ReadMemory,
) -> Vec<Queued> {
    let mut first = Words::default();
    for (at, _, layout) in schedulers {
        let list = layout.workers.map(|workers| workers.list);
        let pool = layout.pool.as_ref().map(|pool| pool.pointer);
        for offset in [layout.injection, list, pool].into_iter().flatten() {
            first.ask(*at, offset);
        }
    }
    for core in cores {
        for offset in [core.layout.length, core.layout.next].into_iter().flatten() {
            first.ask(core.address, offset);
        }
    }
    let first = first.read(memory);
    let local = in_workers(schedulers, &first, memory);
    let pools = pools(schedulers, &first, memory);
    let all = schedulers.iter().zip(local).zip(pools);
    all.map(|(((at, _, layout), local), (depth, blocking))| {
        let word = |offset: u64| first.word(at.wrapping_add(offset));
        let own = cores.iter().filter(|core| core.scheduler == *at);
        let in_cores: Vec<u32> = own.filter_map(|core| core.queued(&first)).collect();
        let in_cores = (!in_cores.is_empty()).then(|| in_cores.iter().sum::<u32>());
        let local = match (local, in_cores) {
            (Some(local), cores) => Some(local.saturating_add(cores.unwrap_or(0))),
            (None, cores) => cores,
        };
        Queued {
            queues: Queues {
                local,
                injection: layout.injection.and_then(word).and_then(length),
                blocking: depth.and_then(length),
            },
            blocking,
        }
    })
    .collect()
}

/// A queue's length, unless it is absurd.
fn length(word: u64) -> Option<u32> {
    u32::try_from(word).ok().filter(|length| *length < 1 << 30)
}

impl Core {
    /// How many tasks wait in it.
    fn queued(&self, read: &Ranges) -> Option<u32> {
        let word = |offset: u64| read.word(self.address.wrapping_add(offset));
        let length = match self.layout.length {
            Some(offset) => length(word(offset)?)?,
            None => 0,
        };
        let next = match self.layout.next {
            Some(offset) => u32::from(word(offset)? != 0),
            None => 0,
        };
        length.checked_add(next)
    }
}

/// How many tasks wait in the queues of each scheduler's workers.
fn in_workers(
    schedulers: &[(u64, &Scheduler, &QueueLayout)],
    first: &Ranges,
    memory: &dyn ReadMemory,
) -> Vec<Option<u32>> {
    let workers = |(at, scheduler, layout): &(u64, &Scheduler, &QueueLayout)| {
        let layout = layout.workers?;
        let list = first.word(at.wrapping_add(layout.list))?;
        let count = scheduler.workers.min(MOST_WORKERS);
        let place = move |index: u32| {
            let offset = layout.stride.wrapping_mul(u64::from(index));
            list.wrapping_add(offset).wrapping_add(layout.queue)
        };
        Some((layout, (0..count).map(place).collect::<Vec<u64>>()))
    };
    let workers: Vec<Option<(WorkersLayout, Vec<u64>)>> = schedulers.iter().map(workers).collect();
    let mut second = Words::default();
    for place in workers.iter().flatten().flat_map(|(_, places)| places) {
        second.ask(*place, 0);
    }
    let second = second.read(memory);
    let mut third = Words::default();
    for (layout, places) in workers.iter().flatten() {
        for queue in places.iter().filter_map(|place| second.word(*place)) {
            third.ask(queue, layout.head);
            third.ask(queue, layout.tail);
        }
    }
    let third = third.read(memory);
    let in_queue = |layout: &WorkersLayout, place: u64| {
        let queue = second.word(place)?;
        // The lower half is the head; the upper is ahead of it while tasks are stolen.
        let head = third.narrow(queue.wrapping_add(layout.head), 4)?;
        let tail = third.narrow(queue.wrapping_add(layout.tail), 4)?;
        let tasks = (tail as u32).wrapping_sub(head as u32);
        // A queue has 256 places. Head and tail were not read at one moment.
        Some(if tasks <= 256 { tasks } else { 0 })
    };
    let sum = |workers: &Option<(WorkersLayout, Vec<u64>)>| {
        let (layout, places) = workers.as_ref()?;
        let queues = places.iter().map(|place| in_queue(layout, *place));
        queues.sum::<Option<u32>>()
    };
    workers.iter().map(sum).collect()
}

/// The length of each scheduler's blocking pool's queue, and what is in it.
fn pools(
    schedulers: &[(u64, &Scheduler, &QueueLayout)],
    first: &Ranges,
    memory: &dyn ReadMemory,
) -> Vec<(Option<u64>, Vec<u64>)> {
    let pools = schedulers.iter().map(|(at, _, layout)| {
        let pool = layout.pool.as_ref()?;
        Some((pool, first.word(at.wrapping_add(pool.pointer))?))
    });
    let pools: Vec<Option<(&PoolLayout, u64)>> = pools.collect();
    let mut words = Words::default();
    for (layout, pool) in pools.iter().flatten() {
        layout.ask(*pool, &mut words);
    }
    let read = words.read(memory);
    pools
        .iter()
        .map(|pool| {
            let Some((layout, pool)) = pool else {
                return (None, Vec::new());
            };
            let depth = read.word(pool.wrapping_add(layout.depth));
            let tasks = layout.tasks(*pool, &read, memory);
            (depth, tasks.unwrap_or_default())
        })
        .collect()
}

impl PoolLayout {
    fn ask(&self, pool: u64, words: &mut Words) {
        words.ask(pool, self.depth);
        let Some((at, queue)) = &self.queue else {
            return;
        };
        let queue_at = pool.wrapping_add(*at);
        if let Some((offset, _)) = queue.tag {
            words.ask(queue_at, offset);
        }
        for deque in queue.arms.iter().filter_map(|(_, deque)| *deque) {
            for offset in [deque.head, deque.length, deque.buffer, deque.capacity] {
                words.ask(queue_at, offset);
            }
        }
    }

    /// The headers of the tasks in the queue.
    fn tasks(&self, pool: u64, read: &Ranges, memory: &dyn ReadMemory) -> Option<Vec<u64>> {
        let (at, queue) = self.queue.as_ref()?;
        let queue_at = pool.wrapping_add(*at);
        let deque = queue.pick(|offset, size| read.narrow(queue_at.wrapping_add(offset), size))?;
        let word = |offset: u64| read.word(queue_at.wrapping_add(offset));
        let (head, length) = (word(deque.head)?, word(deque.length)?);
        let (buffer, capacity) = (word(deque.buffer)?, word(deque.capacity)?);
        if length > capacity || head > capacity || capacity > 1 << 40 {
            return None;
        }
        let places = (0..length.min(MOST_QUEUED)).map(|index| {
            let index = (head + index) % capacity.max(1);
            let offset = index.wrapping_mul(self.stride).wrapping_add(self.task);
            buffer.wrapping_add(offset)
        });
        let places: Vec<u64> = places.collect();
        let ranges = places.iter().map(|at| Range::new(*at, 8)).collect();
        let read = Ranges::read(&join(ranges), memory);
        Some(places.iter().filter_map(|at| read.word(*at)).collect())
    }
}
