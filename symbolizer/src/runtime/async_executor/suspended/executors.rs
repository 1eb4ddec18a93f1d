//! The executors of a process, and the tasks that each knows.
//!
//! An executor can stand anywhere: in a static, on a stack, behind any number of pointers.
//! But whoever runs it has a reference to its state among the variables of the future that
//! it blocks on, near the outer end of its stack. So what the words there point to is
//! looked at: it is a state if its slab of active tasks has one in it whose vtable begins
//! with one of the module's functions that run tasks. One that was found is remembered.

use super::super::layout::{Header, Layout, StateLayout, Vtable, is_alive};
use super::super::vtables::Vtables;
use crate::runtime::rust::ranges::{Range, Ranges, join};
use crate::runtime::rust::stacks::{is_pointer, mapping_of, pointers_in};
use crate::runtime::{SeenThreads, ThreadBase};
use awaitscope_sampler::{Avma, Tid};
use std::collections::{BTreeSet, HashMap, HashSet};

/// How much of a stack's outer end is looked at.
const STACK: u64 = 128 << 10;

/// A stack that led to nothing new is left alone for twice as many snapshots each time,
/// up to so many.
const LONGEST_PAUSE: u32 = 64;

/// The most stacks that are looked at for one listing.
const MOST_STACKS: usize = 256;

/// The most executors, and the most tasks of one.
const MOST_EXECUTORS: usize = 1 << 12;
const MOST_TASKS: u64 = 1 << 22;

/// How many tasks are looked at to tell whether something is an executor.
const PROBE: u64 = 64;

/// How often a slab is read that moves to another place meanwhile.
const ATTEMPTS: u32 = 3;

/// Finds executors.
#[derive(Debug)]
pub(super) struct Executors {
    state: StateLayout,
    /// Where the states stand.
    known: BTreeSet<u64>,
    pauses: HashMap<Tid, Pause>,
    vtables: Vtables,
}

/// How long a thread's stack is left alone.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    left: u32,
    length: u32,
}

/// An executor as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Executor {
    /// How many threads run it, where that can be told.
    pub workers: u32,
    /// Its living tasks.
    pub tasks: Vec<Header>,
    /// Tasks that it should have and that could not be listed.
    pub missed: u32,
}

/// The slab of active tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slab {
    entries: u64,
    length: u64,
    active: u64,
    queues: u64,
}

impl Executors {
    pub fn new(vtables: Vtables, state: StateLayout) -> Self {
        Self {
            state,
            known: BTreeSet::new(),
            pauses: HashMap::new(),
            vtables,
        }
    }

    /// The executors that there are now, as far as they can be found.
    pub fn read(&mut self, seen: &SeenThreads<'_>) -> Vec<Executor> {
        let alive: HashSet<Tid> = seen.threads.iter().map(|thread| thread.tid).collect();
        self.pauses.retain(|tid, _| alive.contains(tid));
        let due: Vec<ThreadBase> = seen
            .threads
            .iter()
            .filter(|thread| self.is_due(thread.tid))
            .take(MOST_STACKS)
            .copied()
            .collect();
        for thread in due {
            let new = self.learn(&on_stack(&thread, seen), seen);
            self.looked_at(thread.tid, new);
        }
        let mut executors = Vec::new();
        for at in self.known.clone() {
            match self.as_it_is(at, seen) {
                Some(executor) => executors.push(executor),
                None => {
                    self.known.remove(&at);
                }
            }
        }
        executors
    }

    /// What the vtable of a task tells.
    pub fn vtable(&mut self, address: Avma, seen: &SeenThreads<'_>) -> Option<Vtable> {
        self.vtables.get(address, seen.space, seen.process)
    }

    /// Where things stand in a task.
    pub fn layout(&self) -> Layout {
        self.vtables.layout()
    }

    fn is_due(&mut self, tid: Tid) -> bool {
        let pause = self.pauses.entry(tid).or_default();
        let due = pause.left == 0;
        pause.left = pause.left.saturating_sub(1);
        due
    }

    fn looked_at(&mut self, tid: Tid, new: usize) {
        let pause = self.pauses.entry(tid).or_default();
        if new == 0 {
            pause.length = (pause.length * 2).clamp(1, LONGEST_PAUSE);
            pause.left = pause.length;
        }
    }

    /// Remembers what of `places` is an executor with tasks; says how many are new.
    fn learn(&mut self, places: &[u64], seen: &SeenThreads<'_>) -> usize {
        let before = self.known.len();
        for (at, slab) in self.slabs(places, seen) {
            if slab.active > 0
                && self.known.len() < MOST_EXECUTORS
                && !self.known.contains(&at)
                && !self.tasks(&slab, PROBE, seen).is_empty()
            {
                self.known.insert(at);
            }
        }
        self.known.len() - before
    }

    /// What can be the slab of a state, at each of the places.
    fn slabs(&self, places: &[u64], seen: &SeenThreads<'_>) -> Vec<(u64, Slab)> {
        let layout = &self.state;
        let offsets = [layout.entries, layout.length, layout.active];
        let offsets = offsets.into_iter().chain(layout.queues);
        let ranges = places.iter().flat_map(|at| {
            let words = offsets.clone();
            words.map(|offset| Range::new(at.saturating_add(offset), 8))
        });
        let read = Ranges::read(&join(ranges.collect()), seen.process);
        let slab = |at: u64| {
            let word = |offset: u64| read.word(at.checked_add(offset)?);
            let slab = Slab {
                entries: word(layout.entries)?,
                length: word(layout.length)?,
                active: word(layout.active)?,
                queues: layout.queues.map_or(Some(0), word)?,
            };
            let sane = slab.active <= slab.length && slab.length < MOST_TASKS;
            let placed = slab.length == 0 || is_pointer(slab.entries);
            (sane && placed).then_some((at, slab))
        };
        places.iter().filter_map(|at| slab(*at)).collect()
    }

    fn as_it_is(&mut self, at: u64, seen: &SeenThreads<'_>) -> Option<Executor> {
        let mut slab = self.slabs(&[at], seen).first()?.1;
        for _ in 0..ATTEMPTS {
            let tasks = self.tasks(&slab, slab.length, seen);
            let now = self.slabs(&[at], seen).first()?.1;
            // A slab that grows is another one; what comes and goes in it does not matter.
            if now.entries == slab.entries {
                if slab.active > 0 && now.active > 0 && tasks.is_empty() {
                    return None;
                }
                return Some(Executor {
                    workers: u32::try_from(slab.queues).unwrap_or(0),
                    tasks,
                    missed: 0,
                });
            }
            slab = now;
        }
        Some(Executor {
            workers: u32::try_from(slab.queues).unwrap_or(0),
            tasks: Vec::new(),
            missed: u32::try_from(slab.active).unwrap_or(u32::MAX),
        })
    }

    /// The living tasks among the first entries of a slab.
    fn tasks(&mut self, slab: &Slab, most: u64, seen: &SeenThreads<'_>) -> Vec<Header> {
        let layout = self.state;
        let length = slab.length.min(most).saturating_mul(layout.stride);
        let entries = Range::new(slab.entries, length);
        let read = Ranges::read(&[entries], seen.process);
        let occupied = (0..slab.length.min(most)).filter_map(|index| {
            let entry = slab
                .entries
                .checked_add(index.checked_mul(layout.stride)?)?;
            let word = |offset: u64| read.word(entry.checked_add(offset)?);
            let (waker, task) = (word(layout.waker)?, word(layout.task)?);
            (is_pointer(waker) && is_pointer(task)).then_some(task)
        });
        let mut addresses: Vec<u64> = occupied.collect();
        addresses.sort_unstable();
        addresses.dedup();
        let headers = self
            .layout()
            .headers(addresses.iter().copied(), seen.process);
        let mut tasks = Vec::with_capacity(headers.len());
        for header in headers.into_iter().flatten() {
            if is_alive(header.state) && self.vtable(header.vtable, seen).is_some() {
                tasks.push(header);
            }
        }
        tasks
    }
}

/// What the outer end of a thread's stack points to. The thread pointer stands above it, in
/// the same mapping; that of the first thread has one of its own.
fn on_stack(thread: &ThreadBase, seen: &SeenThreads<'_>) -> Vec<u64> {
    let end = match seen.process.blocked_in(thread.tid) {
        // A thread that sleeps says where its stack is.
        Some(blocked) => mapping_of(seen.mappings, blocked.sp.0).map(|stack| {
            let base = thread.tls_base.0;
            let above = (stack.start.0..stack.end.0).contains(&base);
            let end = if above { base } else { stack.end.0 };
            (blocked.sp.0, end)
        }),
        None => mapping_of(seen.mappings, thread.tls_base.0)
            .map(|stack| (stack.start.0, thread.tls_base.0)),
    };
    let Some((start, end)) = end else {
        return Vec::new();
    };
    let start = start.max(end.saturating_sub(STACK)).next_multiple_of(8);
    match end.checked_sub(start) {
        Some(length) => pointers_in(Range::new(start, length), seen),
        None => Vec::new(),
    }
}
