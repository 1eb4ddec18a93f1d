//! A look at memory that reads each page once, and can tell afterwards what moved.
//!
//! Python keeps objects of one size close together, so that thousands of tasks share a few
//! hundred pages: reading those whole costs a few microseconds each, and reading objects one
//! by one would cost that for every word. Whoever reads says which words must have stood
//! still ([`Pages::watch`]); the same pages are then read once more, and where the words are
//! the same in both readings they were so at one moment between them.

use awaitscope_sampler::{Avma, ReadMemory, ReadRequest};
use std::cell::RefCell;
use std::collections::HashMap;

const PAGE: u64 = 4096;

/// What is longer is read for itself, and not kept.
const LONGEST_KEPT: usize = 16 * PAGE as usize;

/// Pages that were asked for last are found without a search.
const AT_HAND: usize = 256;

/// Memory as it was, page by page.
pub(super) struct Pages<'a> {
    memory: &'a dyn ReadMemory,
    kept: RefCell<Kept>,
}

struct Kept {
    /// Which place in `bytes` a page has; `None` where it cannot be read.
    pages: HashMap<u64, Option<usize>>,
    /// The pages that were read, in the order in which they stand in `bytes`.
    order: Vec<u64>,
    bytes: Vec<u8>,
    at_hand: Box<[(u64, usize); AT_HAND]>,
    watched: Vec<Watched>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            pages: HashMap::new(),
            order: Vec::new(),
            bytes: Vec::new(),
            // No page has this number.
            at_hand: Box::new([(u64::MAX, 0); AT_HAND]),
            watched: Vec::new(),
        }
    }
}

/// Words that must stand still, by where they stand among the bytes that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watched {
    start: u32,
    length: u32,
}

impl<'a> Pages<'a> {
    pub fn new(memory: &'a dyn ReadMemory) -> Self {
        Self {
            memory,
            kept: RefCell::default(),
        }
    }

    /// Forgets all pages.
    pub fn clear(&self) {
        *self.kept.borrow_mut() = Kept::default();
    }

    /// Notes that what stands there must be the same when it is read once more. What cannot
    /// be read was no pointer.
    pub fn watch(&self, address: Avma, length: u64) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if address.0.checked_add(length as u64).is_none() {
            return;
        }
        let kept = &mut *self.kept.borrow_mut();
        for (page, from, to) in pieces(address.0, length) {
            let start = kept.load(page, self.memory);
            let start = start.and_then(|start| u32::try_from(start + from).ok());
            let Some(start) = start else { continue };
            kept.watched.push(Watched {
                start,
                length: (to - from) as u32,
            });
        }
    }

    /// What is to be watched since the last time that this was asked.
    pub fn take_watched(&self) -> Vec<Watched> {
        std::mem::take(&mut self.kept.borrow_mut().watched)
    }

    /// Reads all pages once more, and says of each group whether it stood still.
    pub fn stood_still(&self, groups: &[Vec<Watched>]) -> Vec<bool> {
        let kept = self.kept.borrow();
        let mut now = vec![0; kept.bytes.len()];
        let buffers = now.chunks_exact_mut(PAGE as usize);
        let mut requests: Vec<ReadRequest<'_>> = kept
            .order
            .iter()
            .zip(buffers)
            .map(|(number, into)| ReadRequest::new(Avma(number * PAGE), into))
            .collect();
        self.memory.read_many(&mut requests);
        let done: Vec<bool> = requests.iter().map(|request| request.done).collect();
        let same = |watched: &Watched| {
            let start = watched.start as usize;
            let words = start..start + watched.length as usize;
            done[start / PAGE as usize] && kept.bytes[words.clone()] == now[words]
        };
        groups.iter().map(|group| group.iter().all(same)).collect()
    }

    /// Copies what of `into` stands in one page.
    fn copy(&self, page: u64, from: usize, into: &mut [u8]) -> bool {
        let kept = &mut *self.kept.borrow_mut();
        let Some(start) = kept.load(page, self.memory) else {
            return false;
        };
        let end = from + into.len();
        into.copy_from_slice(&kept.bytes[start + from..start + end]);
        true
    }
}

impl Kept {
    /// Where a page stands in the bytes.
    fn load(&mut self, page: u64, memory: &dyn ReadMemory) -> Option<usize> {
        let place = (page % AT_HAND as u64) as usize;
        if self.at_hand[place].0 == page {
            return Some(self.at_hand[place].1);
        }
        let start = match self.pages.get(&page) {
            Some(start) => *start,
            None => {
                let start = self.bytes.len();
                self.bytes.resize(start + PAGE as usize, 0);
                let read = page
                    .checked_mul(PAGE)
                    .is_some_and(|address| memory.read(Avma(address), &mut self.bytes[start..]));
                match read {
                    true => self.order.push(page),
                    false => self.bytes.truncate(start),
                }
                let start = read.then_some(start);
                self.pages.insert(page, start);
                start
            }
        }?;
        self.at_hand[place] = (page, start);
        Some(start)
    }
}

fn pieces(address: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut address = address;
    let mut left = length;
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let from = (address % PAGE) as usize;
        let here = left.min(PAGE as usize - from);
        let piece = (address / PAGE, from, from + here);
        // At the end of the address space there is nothing to be read.
        address = address.checked_add(here as u64).unwrap_or(0);
        left -= here;
        Some(piece)
    })
}

impl ReadMemory for Pages<'_> {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            let length = request.into.len();
            if request.address.0.checked_add(length as u64).is_none() {
                continue;
            }
            if length > LONGEST_KEPT {
                request.done = self.memory.read(request.address, request.into);
                continue;
            }
            let mut at = 0;
            request.done = pieces(request.address.0, length).all(|(page, from, to)| {
                let end = at + (to - from);
                let copied = self.copy(page, from, &mut request.into[at..end]);
                at = end;
                copied
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Words that count how often they are read.
    struct Moving {
        words: RefCell<Vec<u8>>,
        reads: Cell<usize>,
    }

    impl ReadMemory for Moving {
        fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
            for request in requests {
                self.reads.set(self.reads.get() + 1);
                let start = request.address.0 as usize;
                let words = self.words.borrow();
                if let Some(bytes) = words.get(start..start.saturating_add(request.into.len())) {
                    request.into.copy_from_slice(bytes);
                    request.done = true;
                }
            }
        }
    }

    fn moving() -> Moving {
        Moving {
            words: RefCell::new((0..3 * PAGE).map(|n| n as u8).collect()),
            reads: Cell::new(0),
        }
    }

    #[test]
    fn a_page_is_read_once_whatever_is_asked_of_it() {
        let memory = moving();
        let pages = Pages::new(&memory);
        for at in (0..PAGE).step_by(8) {
            assert!(pages.read_word(Avma(at)).is_some());
        }
        assert_eq!(memory.reads.get(), 1);
        // Over the end of a page.
        assert_eq!(pages.read_word(Avma(PAGE - 4)), Some(0x0302_0100_fffe_fdfc));
        assert_eq!(pages.read_word(Avma(3 * PAGE - 4)), None);
        assert_eq!(pages.read_word(Avma(u64::MAX - 3)), None);
    }

    #[test]
    fn what_moved_between_two_readings_is_told() {
        let memory = moving();
        let pages = Pages::new(&memory);
        let groups: Vec<Vec<Watched>> = [16, PAGE - 4, 5000]
            .map(|at| {
                pages.read_word(Avma(at));
                pages.watch(Avma(at), 8);
                pages.take_watched()
            })
            .to_vec();
        memory.words.borrow_mut()[PAGE as usize + 2] = 99;
        memory.words.borrow_mut()[40] = 99;
        assert_eq!(pages.stood_still(&groups), [true, false, true]);
    }
}
