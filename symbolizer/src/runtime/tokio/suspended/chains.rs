//! Walking the linked lists of tasks that a process goes on changing.
//!
//! All lists are walked at once, so that one batch of reads serves one step of each. A
//! task is believed only with the number of the list in it, alive, and with the task
//! that led to it as its neighbour. Where that does not hold, it is read again; if it
//! still does not, the task that led there has left the list meanwhile, and we go back to
//! the last one that is still in it (tokio `util/linked_list.rs`: `remove` clears both
//! links of a node). When none is left, the rest is reached from the list's other end.

use super::addresses::ByAddress;
use super::cells::Cells;
use super::layout::EndsLayout;
use crate::runtime::rust::ranges::{Range, Ranges, join};
use awaitscope_sampler::ReadMemory;

#[cfg(test)]
mod tests;

/// How often a walk may lose its way before it turns round, and before it gives up.
const MOST_LOSSES: u32 = 400;

/// The most tasks that are listed.
const MOST_TASKS: usize = 2 << 20;

/// One list of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    /// The number that its tasks carry.
    pub owner: u64,
    /// Where it stands, and in it its ends.
    pub address: u64,
    pub ends: EndsLayout,
}

/// What came of walking a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// The tasks that were in it.
    pub tasks: Vec<u64>,
    /// Whether these were all.
    pub complete: bool,
}

/// Walks lists from their heads to their tails.
pub(super) fn walk(chains: &[Chain], cells: &mut Cells, memory: &dyn ReadMemory) -> Vec<Walked> {
    let mut seen = ByAddress::default();
    seen.reserve(cells.len());
    let ends = read_ends(chains, memory);
    let mut walks: Vec<Walk> = chains
        .iter()
        .zip(ends)
        .enumerate()
        .map(|(index, (chain, ends))| Walk::new(index, *chain, ends))
        .collect();
    loop {
        let mut wanted = Vec::new();
        for walk in &mut walks {
            if let Step::Read(address) = walk.go(cells, &mut seen) {
                wanted.push(address);
            }
        }
        if !wanted.is_empty() {
            cells.fetch(&wanted, memory);
            continue;
        }
        let closing: Vec<usize> = (0..walks.len())
            .filter(|index| walks[*index].at == At::End)
            .collect();
        if closing.is_empty() {
            break;
        }
        let chains: Vec<Chain> = closing.iter().map(|index| walks[*index].chain).collect();
        for (index, ends) in closing.into_iter().zip(read_ends(&chains, memory)) {
            walks[index].close(ends, &seen);
        }
    }
    walks.into_iter().map(|walk| walk.walked).collect()
}

/// The heads and tails of lists, as they are now.
fn read_ends(chains: &[Chain], memory: &dyn ReadMemory) -> Vec<Option<(u64, u64)>> {
    let places = |chain: &Chain| {
        let place = |offset: u64| chain.address.wrapping_add(offset);
        (place(chain.ends.head), place(chain.ends.tail))
    };
    let ranges = chains.iter().flat_map(|chain| {
        let (head, tail) = places(chain);
        [Range::new(head, 8), Range::new(tail, 8)]
    });
    let read = Ranges::read(&join(ranges.collect()), memory);
    let both = |chain| {
        let (head, tail) = places(chain);
        Some((read.word(head)?, read.word(tail)?))
    };
    chains.iter().map(both).collect()
}

/// Where a walk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before this task.
    Task(u64),
    /// Back at this one with this id, which led to nothing: is it still in the list?
    Back(u64, u64),
    /// At the end, as it seems.
    End,
    /// Done, or given up.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    FromHead,
    FromTail,
}

/// How a task was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// By which walk, and on which way.
    walk: usize,
    way: Way,
    /// Its id: another task may get its memory.
    id: u64,
}

/// What a walk needs to go on.
enum Step {
    /// This task, as it is now.
    Read(u64),
    /// Nothing: it is at an end.
    Rest,
}

#[derive(Debug)]
struct Walk {
    index: usize,
    chain: Chain,
    way: Way,
    at: At,
    /// The tasks that led here, as far as they are still taken for members, and their
    /// ids.
    trail: Vec<(u64, u64)>,
    /// The task that was asked for, and so was just read.
    fresh: Option<u64>,
    losses: u32,
    /// The task that we went back to last, and where it led then.
    back: Option<(u64, u64)>,
    walked: Walked,
}

impl Walk {
    fn new(index: usize, chain: Chain, ends: Option<(u64, u64)>) -> Self {
        let (at, complete) = match ends {
            Some((0, 0)) => (At::Done, true),
            Some((0, _)) => (At::End, false),
            Some((head, _)) => (At::Task(head), false),
            None => (At::Done, false),
        };
        Self {
            index,
            chain,
            way: Way::FromHead,
            at,
            trail: Vec::new(),
            fresh: None,
            losses: 0,
            back: None,
            walked: Walked {
                tasks: Vec::new(),
                complete,
            },
        }
    }

    /// Goes on until something must be read. `seen` has all tasks of all lists so far.
    fn go(&mut self, cells: &Cells, seen: &mut ByAddress<Seen>) -> Step {
        loop {
            match self.at {
                At::End | At::Done => return Step::Rest,
                At::Task(0) => self.at = At::End,
                At::Task(address) => match self.visit(address, cells, seen) {
                    Some(next) => self.at = next,
                    None => return self.ask(address),
                },
                At::Back(address, id) => {
                    if self.fresh != Some(address) {
                        return self.ask(address);
                    }
                    self.at = self.back_at(address, id, cells, seen);
                }
            }
        }
    }

    fn ask(&mut self, address: u64) -> Step {
        self.fresh = Some(address);
        Step::Read(address)
    }

    /// Takes up a task; `None` if it has to be read for that.
    fn visit(&mut self, address: u64, cells: &Cells, seen: &mut ByAddress<Seen>) -> Option<At> {
        let led_here = self.trail.last().map_or(0, |(address, _)| *address);
        let cell = cells.get(address).filter(|cell| {
            let (before, _) = self.neighbours(cell.prev, cell.next);
            // New ones come before the head, none behind the tail.
            let first = led_here == 0 && self.way == Way::FromHead;
            cell.belongs_to(self.chain.owner) && (before == led_here || first)
        });
        let Some(cell) = cell else {
            return (self.fresh == Some(address)).then(|| self.lost());
        };
        let found = Seen {
            walk: self.index,
            way: self.way,
            id: cell.id,
        };
        match seen.get(&address) {
            None if seen.len() >= MOST_TASKS => return Some(self.finish(false)),
            None => self.walked.tasks.push(address),
            // Another one in the memory of one that we met before.
            Some(known) if known.id != cell.id && self.losses < MOST_LOSSES => self.losses += 1,
            // From the tail back to where we were lost, it is all of them.
            Some(known) if self.meets(known) => return Some(self.finish(true)),
            Some(_) => return Some(self.lost()),
        }
        seen.insert(address, found);
        self.trail.push((address, cell.id));
        let (_, after) = self.neighbours(cell.prev, cell.next);
        Some(At::Task(after))
    }

    /// Whether that task was found on the way from the head, and we come from the tail.
    fn meets(&self, known: &Seen) -> bool {
        self.way == Way::FromTail && known.way == Way::FromHead && known.walk == self.index
    }

    /// The neighbours of a task before and after it, in the direction we go.
    fn neighbours(&self, prev: u64, next: u64) -> (u64, u64) {
        match self.way {
            Way::FromHead => (prev, next),
            Way::FromTail => (next, prev),
        }
    }

    /// The chain broke behind the last task of the trail.
    fn lost(&mut self) -> At {
        self.losses += 1;
        match self.trail.pop() {
            Some((last, id)) if self.losses < MOST_LOSSES => At::Back(last, id),
            // The other end is to be read first.
            _ => At::End,
        }
    }

    /// Back at a task of the trail that was just read.
    fn back_at(&mut self, address: u64, id: u64, cells: &Cells, seen: &ByAddress<Seen>) -> At {
        let cell = cells.get(address);
        let same = cell.filter(|cell| cell.belongs_to(self.chain.owner) && cell.id == id);
        let Some(cell) = same else {
            return self.lost();
        };
        let (before, after) = self.neighbours(cell.prev, cell.next);
        // Both links are cleared when a task leaves. The only one of a list has none
        // either; reading the ends will tell.
        let left = before == 0 && after == 0;
        let known = seen.get(&after);
        if left || known.is_some_and(|known| !self.meets(known)) {
            return self.lost();
        }
        // What does not change will not come right by reading it over and over.
        if self.back.replace((address, after)) == Some((address, after)) {
            self.losses += MOST_LOSSES / 8;
        }
        self.trail.push((address, id));
        At::Task(after)
    }

    /// At the end of the chain: it is the end of the list if that is a task we know.
    fn close(&mut self, ends: Option<(u64, u64)>, seen: &ByAddress<Seen>) {
        let Some((head, tail)) = ends else {
            self.at = self.finish(false);
            return;
        };
        let (_, end) = self.neighbours(head, tail);
        let reached = match self.way {
            Way::FromHead => seen.get(&end).is_some_and(|known| known.walk == self.index),
            Way::FromTail => self.trail.last().is_some_and(|(last, _)| *last == end),
        };
        if end == 0 || reached {
            self.at = self.finish(true);
        } else if self.losses < MOST_LOSSES && !self.trail.is_empty() {
            self.at = self.lost();
        } else if self.way == Way::FromHead {
            self.way = Way::FromTail;
            self.losses = 0;
            self.trail.clear();
            self.at = At::Task(end);
        } else if self.losses < MOST_LOSSES {
            self.losses += 1;
            self.at = At::Task(end);
        } else {
            self.at = self.finish(false);
        }
    }

    fn finish(&mut self, complete: bool) -> At {
        self.walked.complete = complete;
        At::Done
    }
}
