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

/// Memory as it was, page by page.
pub(super) struct Pages<'a> {
    memory: &'a dyn ReadMemory,
    kept: RefCell<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Where the bytes of a page stand; `None` where it cannot be read.
    pages: HashMap<u64, Option<usize>>,
    bytes: Vec<u8>,
    last: Option<(u64, usize)>,
    watched: Vec<Watched>,
}

/// Words that must stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watched {
    address: u64,
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
        let watched = Watched {
            address: address.0,
            length: u32::try_from(length).unwrap_or(u32::MAX),
        };
        let mut kept = self.kept.borrow_mut();
        if watched
            .pages()
            .all(|page| kept.load(page, self.memory).is_some())
        {
            kept.watched.push(watched);
        }
    }

    /// What is to be watched since the last time that this was asked.
    pub fn take_watched(&self) -> Vec<Watched> {
        std::mem::take(&mut self.kept.borrow_mut().watched)
    }

    /// Reads all watched pages once more, and says of each group whether it stood still.
    pub fn stood_still(&self, groups: &[Vec<Watched>]) -> Vec<bool> {
        let kept = self.kept.borrow();
        let mut numbers: Vec<u64> = groups.iter().flatten().flat_map(|w| w.pages()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut bytes = vec![0; numbers.len() * PAGE as usize];
        let buffers = bytes.chunks_exact_mut(PAGE as usize);
        let mut requests: Vec<ReadRequest<'_>> = numbers
            .iter()
            .zip(buffers)
            .map(|(number, into)| ReadRequest::new(Avma(number * PAGE), into))
            .collect();
        self.memory.read_many(&mut requests);
        let now: HashMap<u64, &[u8]> = numbers
            .iter()
            .zip(&requests)
            .filter(|(_, request)| request.done)
            .map(|(number, request)| (*number, &*request.into))
            .collect();
        let same = |watched: &Watched| {
            watched.pieces().all(|(page, from, to)| {
                let before = kept.page(page).and_then(|bytes| bytes.get(from..to));
                let now = now.get(&page).and_then(|bytes| bytes.get(from..to));
                before.is_some() && before == now
            })
        };
        groups.iter().map(|group| group.iter().all(same)).collect()
    }

    /// Copies what of `into` stands in one page.
    fn copy(&self, page: u64, from: usize, into: &mut [u8]) -> bool {
        let mut kept = self.kept.borrow_mut();
        let start = match kept.last {
            Some((last, start)) if last == page => start,
            _ => match kept.load(page, self.memory) {
                Some(start) => start,
                None => return false,
            },
        };
        let end = from + into.len();
        into.copy_from_slice(&kept.bytes[start + from..start + end]);
        true
    }
}

impl Kept {
    fn load(&mut self, page: u64, memory: &dyn ReadMemory) -> Option<usize> {
        let start = match self.pages.get(&page) {
            Some(start) => *start,
            None => {
                let start = self.bytes.len();
                self.bytes.resize(start + PAGE as usize, 0);
                let read = page
                    .checked_mul(PAGE)
                    .is_some_and(|address| memory.read(Avma(address), &mut self.bytes[start..]));
                if !read {
                    self.bytes.truncate(start);
                }
                let start = read.then_some(start);
                self.pages.insert(page, start);
                start
            }
        }?;
        self.last = Some((page, start));
        Some(start)
    }

    fn page(&self, page: u64) -> Option<&[u8]> {
        let start = (*self.pages.get(&page)?)?;
        self.bytes.get(start..start + PAGE as usize)
    }
}

impl Watched {
    fn pages(&self) -> impl Iterator<Item = u64> {
        self.pieces().map(|(page, ..)| page)
    }

    /// Its pages, and which bytes of each.
    fn pieces(&self) -> impl Iterator<Item = (u64, usize, usize)> {
        pieces(self.address, self.length as usize)
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
