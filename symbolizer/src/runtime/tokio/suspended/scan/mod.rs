//! Finding the tasks of a process without types, by what their headers look like
//! (`facts/rust.md`, fact 8).
//!
//! A task begins with `[state][queue_next][&Vtable][owner_id]` at a multiple of 128
//! (`#[repr(align(128))]` of `Cell`, tokio `runtime/task/core.rs`, in all of 1.35 to
//! 1.54), and there are few vtables: those that begin with a `raw::poll` function, which the
//! symbols name. So one word in 128 bytes of all writable memory tells nearly all.
//!
//! What has ended, or not begun, is told from what lives:
//! - The last reference that is given up leaves a count of zero in the state, and an
//!   allocator that writes there leaves no small number.
//! - While a task is made it stands on a stack, without an owner. Stacks are not looked
//!   at; and where there may be one, or others of its vtable were ever seen to have an owner,
//!   a task without one is none. (Closures of the blocking pool never have one.)
//! - Neighbours in the owner's list must point back. A task without any is alone in its
//!   list, unless it is done: so if tasks that have neighbours show that its list is
//!   another, it is none.
//!
//! What cannot be told: a task that has ended, the first word of whose memory became a
//! small number again while the next three stayed as they were, and whose list is empty by
//! now or which looks done.

mod links;
mod parts;
mod read;
#[cfg(test)]
mod tests;
mod vtables;

use super::lists::{Found, Incomplete, ListedTask, Source};
use crate::module::{ModuleId, Svma};
use crate::runtime::{SeenThreads, TaskId, ThreadBase};
use crate::snapshot::{Queues, SchedulerSeen};
use awaitscope_sampler::{Avma, Mapping, ReadMemory};
use links::{Links, Lists};
use parts::{in_chunks, parts};
use read::Place;
use std::collections::HashSet;
use vtables::Vtables;

/// Where tasks begin.
const ALIGN: usize = 128;

/// A mapping that is larger was reserved rather than filled.
const LARGEST: u64 = 4 << 30;

/// So much is looked at in all.
const IN_ALL: u64 = 8 << 30;

/// More tasks are not kept.
const MOST_TASKS: usize = 1 << 22;

/// Lists move while they are read: so often is read again what does not fit.
const TRIES: u32 = 8;

/// A task that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FoundHeader {
    address: Avma,
    vtable: Avma,
    state: u64,
    /// The number of the list that it is in; zero for one of the blocking pool.
    owner: u64,
    id: TaskId,
}

/// What one scan brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Scanned {
    /// The tasks, by address.
    headers: Vec<FoundHeader>,
    /// Tasks that others know, and that moved whenever they were read.
    torn: u32,
    /// Bytes of memory that were not looked at: there is too much of it, or it could
    /// not be read.
    unseen: u64,
}

/// Scans the memory of a process for tasks.
#[derive(Debug)]
pub(super) struct HeaderScan {
    module: ModuleId,
    polls: HashSet<Svma>,
    vtables: Vtables,
    /// The vtables of tasks that have owners.
    owned: HashSet<Avma>,
    buffer: Vec<u8>,
}

/// A task with its neighbours.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    found: FoundHeader,
    prev: u64,
    next: u64,
}

impl HeaderScan {
    /// Scans for tasks that the functions `polls` of `module` poll.
    pub fn new(module: ModuleId, polls: impl IntoIterator<Item = Svma>) -> Self {
        Self {
            module,
            polls: polls.into_iter().collect(),
            vtables: Vtables::default(),
            owned: HashSet::new(),
            buffer: Vec::new(),
        }
    }

    /// Finds all tasks. Each owner is a scheduler, of which nothing else is known; closures
    /// of the blocking pool are given to the first.
    pub fn read(&mut self, seen: &SeenThreads<'_>) -> Found {
        let scanned = self.scan(seen);
        let owners = scanned.headers.iter().map(|found| found.owner);
        let mut owners: Vec<u64> = owners.filter(|owner| *owner != 0).collect();
        owners.sort_unstable();
        owners.dedup();
        let scheduler = SchedulerSeen {
            runtime: 0,
            flavor: None,
            workers: 0,
            queues: Queues::default(),
        };
        let task = |found: &FoundHeader| ListedTask {
            address: found.address.0,
            vtable: found.vtable,
            state: found.state,
            owner: found.owner,
            id: Some(found.id),
            scheduler: owners.binary_search(&found.owner).unwrap_or(0) as u32,
            source: Source::Scan,
        };
        Found {
            tasks: scanned.headers.iter().map(task).collect(),
            schedulers: vec![scheduler; owners.len().max(1)],
            incomplete: Incomplete {
                tasks: scanned.torn,
                bytes: scanned.unseen,
                lists: 0,
            },
        }
    }

    fn scan(&mut self, seen: &SeenThreads<'_>) -> Scanned {
        if self.vtables.is_empty() {
            let polls = self.polls.iter();
            let polls = polls.filter_map(|poll| seen.space.avma(self.module, *poll));
            let constants = vtables::constants(self.module, seen.space, seen.mappings);
            self.vtables = Vtables::find(&polls.collect(), &constants, seen.process);
        }
        self.scan_memory(seen.mappings, seen.threads, seen.process)
    }

    fn scan_memory(
        &mut self,
        mappings: &[Mapping],
        threads: &[ThreadBase],
        memory: &dyn ReadMemory,
    ) -> Scanned {
        let mut out = Scanned::default();
        if self.vtables.is_empty() {
            return out;
        }
        let mut left = IN_ALL;
        let mut places = Vec::new();
        let mut on_stacks = HashSet::new();
        for part in parts(mappings, threads) {
            let size = part.end - part.start;
            if size > LARGEST.min(left) {
                out.unseen = out.unseen.saturating_add(size);
                continue;
            }
            left -= size;
            let before = places.len();
            let (vtables, range) = (&self.vtables, (part.start, part.end));
            out.unseen += in_chunks(&mut self.buffer, range, memory, |at, bytes| {
                let cells = (at..).step_by(ALIGN).zip(bytes.chunks_exact(ALIGN));
                let tasks = cells.filter_map(|(at, cell)| {
                    let (vtable, members) = vtables.begins_task(cell)?;
                    Some((at, vtable, members))
                });
                places.extend(tasks.take(MOST_TASKS - places.len()));
            });
            if part.stack {
                on_stacks.extend(places[before..].iter().map(|(at, ..)| *at));
            }
        }
        self.judge(&places, &on_stacks, memory, &mut out);
        out
    }

    /// Keeps the tasks that live. Those at `on_stacks` may be on a stack.
    fn judge(
        &mut self,
        places: &[Place],
        on_stacks: &HashSet<u64>,
        memory: &dyn ReadMemory,
        out: &mut Scanned,
    ) {
        let mut candidates = read::tasks(places, &self.vtables, memory);
        let owned = candidates.iter().filter(|c| c.found.owner != 0);
        self.owned
            .extend(owned.map(|candidate| candidate.found.vtable));
        candidates.retain(|candidate| {
            let found = &candidate.found;
            let doubtful = on_stacks.contains(&found.address.0);
            found.owner != 0 || !doubtful && !self.owned.contains(&found.vtable)
        });
        out.torn += self.link(&mut candidates, memory);
        let lists = Lists::of(&candidates);
        let living = candidates.iter().filter(|c| lists.may_have(c));
        out.headers.extend(living.map(|candidate| candidate.found));
        out.headers.sort_unstable_by_key(|found| found.address);
    }

    /// Reads anew those whose neighbours do not point back, and neighbours that were not
    /// there yet. Drops those that none points back to then either, and counts them where
    /// another task knows of them.
    fn link(&self, candidates: &mut Vec<Candidate>, memory: &dyn ReadMemory) -> u32 {
        for _ in 0..TRIES {
            let links = Links::of(candidates);
            let unlinked = candidates.iter().filter(|c| !links.all_point_back(c));
            let around = |c: &Candidate| [c.found.address.0, c.prev, c.next];
            let again: HashSet<u64> = unlinked.flat_map(around).filter(|at| *at != 0).collect();
            if again.is_empty() || candidates.len() > MOST_TASKS {
                break;
            }
            candidates.retain(|candidate| !again.contains(&candidate.found.address.0));
            let again: Vec<u64> = again.into_iter().collect();
            let places = read::places(&again, &self.vtables, memory);
            candidates.extend(read::tasks(&places, &self.vtables, memory));
        }
        let links = Links::of(candidates);
        let (living, others): (Vec<_>, Vec<_>) =
            candidates.drain(..).partition(|c| links.any_points_back(c));
        let known: HashSet<u64> = living.iter().flat_map(|c| [c.prev, c.next]).collect();
        *candidates = living;
        let torn = others.iter().filter(|c| known.contains(&c.found.address.0));
        u32::try_from(torn.count()).unwrap_or(u32::MAX)
    }
}

/// The word of that number; zero where there is none.
fn word(bytes: &[u8], index: usize) -> u64 {
    let word = bytes.get(index * 8..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}
