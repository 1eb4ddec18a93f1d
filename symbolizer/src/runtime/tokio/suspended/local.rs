//! The `LocalSet`s of a process, also those that nobody polls just now.
//!
//! A thread-local names a `LocalSet` only while it is polled. An idle one belongs to a
//! future that a thread sleeps on in `block_on`, in ways that differ from program to
//! program; but that thread's stack holds pointers to it, those of the future and those
//! left over from polls. So what the words of a sleeping thread's stack point to is
//! looked at. It is a `LocalSet` if it names the thread as its own, by the number that
//! Tokio gave the thread, and if the first task in its list carries the set's number.
//! One that was found is remembered.

use super::chains::Chain;
use super::layout::{ListLayout, LocalSetLayout};
use crate::runtime::SeenThreads;
use crate::runtime::rust::ranges::{Range, Ranges, join};
use crate::runtime::rust::stacks::{is_pointer, mapping_of, pointers_in};
use crate::runtime::tokio::layout::Header;
use awaitscope_sampler::{ReadMemory, Tid};
use std::collections::{BTreeMap, HashMap, HashSet};

#[cfg(test)]
mod tests;

/// How much of a stack is looked at.
const STACK: u64 = 256 << 10;

/// The most sets that are listed.
const MOST_SETS: usize = 1 << 16;

/// A stack that led to nothing new is left alone for twice as many snapshots each time,
/// up to so many.
const LONGEST_PAUSE: u32 = 64;

/// The most stacks that are looked at for one listing.
const MOST_STACKS: u32 = 256;

/// Numbers and references stay below this; pointers do not.
const MOST: u64 = 1 << 40;

/// Finds `LocalSet`s.
#[derive(Debug)]
pub(super) struct LocalSets {
    layout: LocalSetLayout,
    /// From a thread's base down to the module's thread-local block.
    block: u64,
    /// In that, the number of the thread.
    thread_id: u64,
    /// By the address of the `ArcInner`, with the number that its tasks carry.
    known: BTreeMap<u64, u64>,
    pauses: HashMap<Tid, Pause>,
}

/// How long a thread's stack is left alone.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    left: u32,
    length: u32,
}

/// A `LocalSet` as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalSet {
    /// Its tasks.
    pub chain: Chain,
    /// How many of them wait to be polled.
    pub queued: u32,
}

/// A place where a set may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Guess {
    shared: u64,
    /// The thread that it must belong to.
    thread_id: u64,
}

impl LocalSets {
    /// `None` where the program uses none.
    pub fn new(layout: &ListLayout, block: u64) -> Option<Self> {
        let thread = &layout.thread;
        Some(Self {
            layout: layout.local?,
            block,
            thread_id: thread.tls_offset.checked_add(thread.thread_id)?,
            known: BTreeMap::new(),
            pauses: HashMap::new(),
        })
    }

    /// The sets that there are now, as far as they can be found.
    pub fn read(&mut self, seen: &SeenThreads<'_>) -> Vec<LocalSet> {
        let memory = seen.process;
        let mut guesses = Vec::new();
        let alive: HashSet<Tid> = seen.threads.iter().map(|thread| thread.tid).collect();
        self.pauses.retain(|tid, _| alive.contains(tid));
        let mut stacks = 0;
        for (tid, thread_id, polled) in self.threads(seen) {
            guesses.extend(self.set_of(polled, thread_id, memory));
            if stacks < MOST_STACKS && self.is_due(tid) {
                stacks += 1;
                let looked = self.on_stack(tid, thread_id, seen);
                let new = looked.iter().flatten();
                let new = new.filter(|guess| !self.known.contains_key(&guess.shared));
                let fruitless = looked.is_some() && new.count() == 0;
                self.looked_at(tid, fruitless);
                guesses.extend(looked.into_iter().flatten());
            }
        }
        self.learn(guesses, memory);
        self.as_they_are(memory)
    }

    /// The threads that Tokio gave numbers, with these and the set that each polls.
    fn threads(&self, seen: &SeenThreads<'_>) -> Vec<(Tid, u64, u64)> {
        let places = seen.threads.iter().map(|thread| {
            let block = thread.tls_base.0.wrapping_sub(self.block);
            let place = |offset: u64| block.wrapping_add(offset);
            (
                thread.tid,
                place(self.thread_id),
                place(self.layout.tls_offset),
            )
        });
        let places: Vec<(Tid, u64, u64)> = places.collect();
        let words = places.iter().flat_map(|(_, id, set)| [*id, *set]);
        let words = words.map(|at| Range::new(at, 8)).collect();
        let read = Ranges::read(&join(words), seen.process);
        places
            .into_iter()
            .filter_map(|(tid, id, set)| Some((tid, read.word(id)?, read.word(set)?)))
            .filter(|(_, id, _)| (1..MOST).contains(id))
            .collect()
    }

    /// The set whose context is counted at `context`.
    fn set_of(&self, context: u64, thread_id: u64, memory: &dyn ReadMemory) -> Option<Guess> {
        if context == 0 {
            return None;
        }
        let shared = context.wrapping_add(self.layout.shared);
        let read = Ranges::read(&[Range::new(shared, 8)], memory);
        Some(Guess {
            shared: read.word(shared)?,
            thread_id,
        })
    }

    fn is_due(&mut self, tid: Tid) -> bool {
        let pause = self.pauses.entry(tid).or_default();
        let due = pause.left == 0;
        pause.left = pause.left.saturating_sub(1);
        due
    }

    fn looked_at(&mut self, tid: Tid, fruitless: bool) {
        let pause = self.pauses.entry(tid).or_default();
        if fruitless {
            pause.length = (pause.length * 2).clamp(1, LONGEST_PAUSE);
            pause.left = pause.length;
        }
    }

    /// What the stack of a sleeping thread points to, that could be a set. `None` if it
    /// does not sleep.
    fn on_stack(&self, tid: Tid, thread_id: u64, seen: &SeenThreads<'_>) -> Option<Vec<Guess>> {
        let sp = seen.process.blocked_in(tid)?.sp;
        let stack = mapping_of(seen.mappings, sp.0)?;
        let start = sp.0.next_multiple_of(8);
        let length = stack.end.0.checked_sub(start)?.min(STACK);
        let pointers = pointers_in(Range::new(start, length), seen);
        Some(self.behind(&pointers, thread_id, seen.process))
    }

    /// The sets that pointers lead to: to what a set shares, to its context, or to the
    /// set itself.
    fn behind(&self, pointers: &[u64], thread_id: u64, memory: &dyn ReadMemory) -> Vec<Guess> {
        let layout = &self.layout;
        let ranges = pointers.iter().flat_map(|at| {
            let words = [layout.context, layout.shared];
            words.map(|offset| Range::new(at.wrapping_add(offset), 8))
        });
        let read = Ranges::read(&join(ranges.collect()), memory);
        let follow = |offset: u64| {
            let words = pointers.iter().map(move |at| at.wrapping_add(offset));
            let words = words.filter_map(|at| read.word(at));
            words.filter(|word| is_pointer(*word))
        };
        let contexts: Vec<u64> = follow(layout.context).collect();
        let ranges = contexts
            .iter()
            .map(|at| Range::new(at.wrapping_add(layout.shared), 8));
        let last = Ranges::read(&join(ranges.collect()), memory);
        let in_contexts = contexts.iter().map(|at| at.wrapping_add(layout.shared));
        let in_contexts = in_contexts.filter_map(|at| last.word(at));
        let all = pointers
            .iter()
            .copied()
            .chain(follow(layout.shared))
            .chain(in_contexts);
        let mut all: Vec<u64> = all.collect();
        all.sort_unstable();
        all.dedup();
        let owned = all
            .iter()
            .map(|at| Range::new(at.wrapping_add(layout.thread_id), 8));
        let owners = Ranges::read(&join(owned.collect()), memory);
        let is_owned = |at: &u64| owners.word(at.wrapping_add(layout.thread_id)) == Some(thread_id);
        let owned = all.into_iter().filter(is_owned);
        owned.map(|shared| Guess { shared, thread_id }).collect()
    }

    /// Remembers those guesses that are sets with tasks.
    fn learn(&mut self, mut guesses: Vec<Guess>, memory: &dyn ReadMemory) {
        guesses.sort_unstable();
        guesses.dedup();
        guesses.retain(|guess| !self.known.contains_key(&guess.shared));
        let words = guesses
            .iter()
            .flat_map(|guess| self.layout.words(guess.shared));
        let read = Ranges::read(&join(words.collect()), memory);
        let found: Vec<(Guess, SetWords)> = guesses
            .into_iter()
            .filter_map(|guess| Some((guess, self.layout.set(guess.shared, &read)?)))
            .filter(|(guess, set)| set.thread_id == guess.thread_id && set.head != 0)
            .collect();
        let owners = found
            .iter()
            .map(|(_, set)| set.head.wrapping_add(Header::OWNER));
        let read = Ranges::read(&join(owners.map(|at| Range::new(at, 8)).collect()), memory);
        for (guess, set) in found {
            let owner = read.word(set.head.wrapping_add(Header::OWNER));
            if owner == Some(set.id) && self.known.len() < MOST_SETS {
                self.known.insert(guess.shared, set.id);
            }
        }
    }

    /// The sets that are known, unless they are gone.
    fn as_they_are(&mut self, memory: &dyn ReadMemory) -> Vec<LocalSet> {
        let layout = self.layout;
        let words = self.known.keys().flat_map(|at| layout.words(*at));
        let read = Ranges::read(&join(words.collect()), memory);
        let mut sets = Vec::new();
        self.known.retain(|at, id| {
            let set = layout.set(*at, &read).filter(|set| set.id == *id);
            sets.extend(set.map(|set| LocalSet {
                chain: Chain {
                    owner: set.id,
                    address: *at,
                    ends: layout.ends,
                },
                queued: u32::try_from(set.queued).unwrap_or(0),
            }));
            set.is_some()
        });
        sets
    }
}

/// What tells whether something is a set.
#[derive(Debug, Clone, Copy)]
struct SetWords {
    thread_id: u64,
    id: u64,
    head: u64,
    queued: u64,
}

impl LocalSetLayout {
    fn words(&self, at: u64) -> impl Iterator<Item = Range> + use<> {
        let ends = [self.ends.head, self.ends.tail];
        let others = [self.strong, self.thread_id, self.id, self.queued];
        let places = ends.into_iter().chain(others);
        places.map(move |offset| Range::new(at.wrapping_add(offset), 8))
    }

    /// The set at `at`, if what stands there can be one.
    fn set(&self, at: u64, read: &Ranges) -> Option<SetWords> {
        let word = |offset: u64| read.word(at.wrapping_add(offset));
        let (head, tail) = (word(self.ends.head)?, word(self.ends.tail)?);
        let set = SetWords {
            thread_id: word(self.thread_id)?,
            id: word(self.id)?,
            head,
            queued: word(self.queued)?,
        };
        let numbers = [word(self.strong)?, set.thread_id, set.id];
        let plausible = numbers.iter().all(|number| (1..MOST).contains(number));
        (plausible && (head == 0) == (tail == 0)).then_some(set)
    }
}
