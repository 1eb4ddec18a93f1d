//! Reading the heads of tasks, many at a time.
//!
//! A read of its own for every task would cost more than all the rest (`facts/engine.md`,
//! 1.5: 1.5 µs alone, 0.4 µs in a batch, and hardly more for a page than for a word). So
//! whatever tasks stand near one that is asked for are taken along, and those that were
//! there last time are read first, in long ranges.

use super::addresses::ByAddress;
use super::layout::TaskLayout;
use crate::runtime::rust::ranges::{Range, Ranges, join};
use crate::runtime::tokio::layout::Header;
use awaitscope_sampler::{Avma, ReadMemory, ReadRequest};
use std::collections::{HashMap, HashSet};

const PAGE: u64 = 4096;

/// Tasks begin at a multiple of this (`#[repr(align)]` of `Cell` in tokio
/// `runtime/task/core.rs`: one cache line or two).
const ALIGN: u64 = 64;

/// A task's id stands so near its beginning that one read gives both.
const HEAD: u64 = 64;

/// How many bytes are read before anything is made of them.
const BATCH: u64 = 1 << 20;

/// A program has as many vtables as it has sorts of tasks.
const MOST_VTABLES: usize = 1 << 16;

/// The words of a task that lists need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub state: u64,
    pub vtable: Avma,
    pub owner: u64,
    pub id: u64,
    pub prev: u64,
    pub next: u64,
}

impl Cell {
    /// Whether it is a living task of the list `owner`.
    pub fn belongs_to(&self, owner: u64) -> bool {
        let mut header = [0; Header::SIZE];
        header[..8].copy_from_slice(&self.state.to_le_bytes());
        self.owner == owner && Header(&header).is_alive()
    }
}

/// Where a task keeps what stands behind its future or in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Vtable {
    /// Its neighbours in the owner's list.
    prev: u64,
    next: u64,
    id: u64,
}

/// The tasks that were read.
#[derive(Debug)]
pub(super) struct Cells {
    layout: TaskLayout,
    /// The functions that a task's vtable begins with.
    polls: HashSet<Avma>,
    vtables: HashMap<Avma, Vtable>,
    cells: ByAddress<Cell>,
    /// The lists whose tasks are taken along.
    owners: HashSet<u64>,
}

impl Cells {
    pub fn new(layout: TaskLayout) -> Self {
        Self {
            layout,
            polls: HashSet::new(),
            vtables: HashMap::new(),
            cells: ByAddress::default(),
            owners: HashSet::new(),
        }
    }

    /// Forgets all tasks, to read those of the lists `owners`.
    pub fn begin(&mut self, polls: HashSet<Avma>, owners: HashSet<u64>) {
        if polls != self.polls {
            self.vtables.clear();
            self.polls = polls;
        }
        self.owners = owners;
        self.cells.clear();
    }

    /// How many were read.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    pub fn get(&self, address: u64) -> Option<&Cell> {
        self.cells.get(&address)
    }

    /// Reads tasks anew, and those that stand near them unless they were read before.
    /// What is no task is not there afterwards.
    pub fn fetch(&mut self, wanted: &[u64], memory: &dyn ReadMemory) {
        for address in wanted {
            self.cells.remove(address);
        }
        let mut pages: Vec<u64> = wanted.iter().map(|at| at & !(PAGE - 1)).collect();
        pages.sort_unstable();
        pages.dedup();
        let pages: Vec<Range> = pages.into_iter().map(|at| Range::new(at, PAGE)).collect();
        let mut apart = Vec::new();
        for batch in pages.chunks((BATCH / PAGE) as usize) {
            let read = Ranges::read(batch, memory);
            self.learn(wanted, &read, memory);
            for address in wanted {
                self.take(*address, &read, &mut apart);
            }
            for range in batch {
                for address in (range.start..range.end).step_by(ALIGN as usize) {
                    self.take_along(address, &read);
                }
            }
        }
        self.take_apart(apart, memory);
    }

    /// Reads the tasks that were there last time, each with its vtable as it was then.
    pub fn read_again(&mut self, known: &mut [(u64, Avma)], memory: &dyn ReadMemory) {
        known.sort_unstable();
        self.cells.reserve(known.len());
        let mut wanted = Vec::with_capacity(known.len() * 2);
        for (address, vtable) in &*known {
            wanted.push(Range::new(*address, HEAD));
            if let Some(vtable) = self.vtables.get(vtable) {
                let first = vtable.prev.min(vtable.next);
                let length = vtable.prev.max(vtable.next) - first + 8;
                wanted.push(Range::new(address.wrapping_add(first), length));
            }
        }
        let ranges = join(wanted);
        let (mut ranges, mut known) = (ranges.as_slice(), &*known);
        let mut apart = Vec::new();
        while !ranges.is_empty() {
            let mut bytes = 0;
            let fitting = ranges.iter().take_while(|range| {
                bytes += range.length();
                bytes <= BATCH
            });
            let (batch, later) = ranges.split_at(fitting.count().max(1));
            ranges = later;
            let end = later.first().map_or(u64::MAX, |range| range.start);
            let (here, later) = known.split_at(known.partition_point(|(at, _)| *at < end));
            known = later;
            let read = Ranges::read(batch, memory);
            for (address, _) in here {
                self.take(*address, &read, &mut apart);
            }
        }
        self.take_apart(apart, memory);
    }

    /// Takes a task out of what was read. What `read` has only the beginning of goes to
    /// `apart`.
    fn take(&mut self, address: u64, read: &Ranges, apart: &mut Vec<(u64, Cell)>) {
        let Some(cell) = self.head(address, read) else {
            return;
        };
        match self.links(address, &cell, read) {
            Some(cell) => {
                self.cells.insert(address, cell);
            }
            None => apart.push((address, cell)),
        }
    }

    /// The same for what stands there by chance.
    fn take_along(&mut self, address: u64, read: &Ranges) {
        let owner = read.word(address.wrapping_add(Header::OWNER));
        let ours = owner.is_some_and(|owner| self.owners.contains(&owner));
        if !ours || self.cells.contains_key(&address) {
            return;
        }
        let cell = self.head(address, read);
        if let Some(cell) = cell.and_then(|cell| self.links(address, &cell, read)) {
            self.cells.insert(address, cell);
        }
    }

    /// The beginning of a task, without its links.
    fn head(&self, address: u64, read: &Ranges) -> Option<Cell> {
        if !address.is_multiple_of(ALIGN) {
            return None;
        }
        let header = read.bytes(address, Header::SIZE)?.try_into().ok()?;
        let header = Header(header);
        let vtable = self.vtables.get(&header.vtable())?;
        Some(Cell {
            state: header.state(),
            vtable: header.vtable(),
            owner: header.owner(),
            id: read.word(address.checked_add(vtable.id)?).unwrap_or(0),
            prev: 0,
            next: 0,
        })
    }

    fn links(&self, address: u64, cell: &Cell, read: &Ranges) -> Option<Cell> {
        let vtable = self.vtables.get(&cell.vtable)?;
        Some(Cell {
            prev: read.word(address.checked_add(vtable.prev)?)?,
            next: read.word(address.checked_add(vtable.next)?)?,
            ..*cell
        })
    }

    /// Reads the links of tasks whose beginnings were read without them.
    fn take_apart(&mut self, apart: Vec<(u64, Cell)>, memory: &dyn ReadMemory) {
        for batch in apart.chunks((BATCH / HEAD) as usize) {
            let vtable = |cell: &Cell| self.vtables.get(&cell.vtable);
            let links = batch.iter().filter_map(|(address, cell)| {
                let vtable = vtable(cell)?;
                let both = [vtable.prev, vtable.next];
                Some(both.map(|offset| Range::new(address.wrapping_add(offset), 8)))
            });
            let read = Ranges::read(&join(links.flatten().collect()), memory);
            for (address, cell) in batch {
                if let Some(cell) = self.links(*address, cell, &read) {
                    self.cells.insert(*address, cell);
                }
            }
        }
    }

    /// Reads the vtables that tasks refer to and that are not known yet.
    fn learn(&mut self, tasks: &[u64], read: &Ranges, memory: &dyn ReadMemory) {
        let vtables = tasks.iter().filter_map(|address| {
            let vtable = Avma(read.word(address.checked_add(Header::VTABLE)?)?);
            let new = vtable.0.is_multiple_of(8) && !self.vtables.contains_key(&vtable);
            new.then_some(vtable)
        });
        let new: HashSet<Avma> = vtables.collect();
        let size = self.layout.vtable_size as usize;
        let mut bytes = vec![0; new.len() * size];
        let mut requests: Vec<ReadRequest<'_>> = new
            .iter()
            .zip(bytes.chunks_exact_mut(size))
            .map(|(vtable, into)| ReadRequest::new(*vtable, into))
            .collect();
        memory.read_many(&mut requests);
        for request in requests.iter().filter(|request| request.done) {
            if self.vtables.len() >= MOST_VTABLES {
                return;
            }
            if let Some(vtable) = self.vtable(request.into) {
                self.vtables.insert(request.address, vtable);
            }
        }
    }

    /// What a vtable says, if it is one: it begins with the poll of a task.
    fn vtable(&self, bytes: &[u8]) -> Option<Vtable> {
        let word = |offset: u64| {
            let offset = usize::try_from(offset).ok()?;
            let word = bytes.get(offset..offset.checked_add(8)?)?;
            Some(u64::from_le_bytes(word.try_into().ok()?))
        };
        let poll = Avma(word(self.layout.poll)?);
        let (trailer, id) = (
            word(self.layout.trailer_offset)?,
            word(self.layout.id_offset)?,
        );
        let head = Header::SIZE as u64;
        let plausible = head <= id && id < trailer && trailer < 1 << 32;
        (plausible && self.polls.contains(&poll)).then_some(Vtable {
            prev: trailer + self.layout.prev,
            next: trailer + self.layout.next,
            id,
        })
    }
}
