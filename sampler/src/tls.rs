//! Finding a thread's thread-local data without stopping it.
//!
//! The register that points there (`fs_base`) is not among those that perf tells. But what it
//! points to, the thread control block, begins with a pointer to itself (the ABI for thread-local
//! storage demands it on x86-64: `mov %fs:0, %rax`), and holds the thread's number at a place that
//! depends on the C library:
//!
//! * glibc: a second pointer to itself at 16 (`tcbhead_t.self` in `sysdeps/x86_64/nptl/tls.h`) and
//!   the number at 720 (`struct pthread.tid` in `nptl/descr.h`; seen on 2.36),
//! * musl 1.2: the number at 48; 1.1 had one word more before it (`struct pthread` in
//!   `src/internal/pthread_impl.h`).
//!
//! The pointers alone prove nothing: an empty list of the program points to itself as well, and one was
//! seen above the block of a thread of musl. So a block is taken for one only by the thread's number.
//!
//! Both put the block at the very top of a thread's stack mapping. That of the first thread is in
//! a small mapping made by the loader, or in the data of a static program.

use crate::ids::{Avma, Tid};
use crate::process::{Mapped, Mapping, Process, ReadMemory, ReadRequest};

/// So far below the end of a stack mapping the block can lie.
const TOP: u64 = 64 << 10;

/// When the mapping goes on above the stack (the kernel joins neighbours alike), the block is
/// looked for so far above the stack pointer.
const STACK: u64 = 16 << 20;

/// The largest mapping in which the block of a first thread is looked for, and how much is
/// looked at in all.
const SMALL: u64 = 4 << 20;
const IN_ALL: u64 = 32 << 20;

/// How much is read at once.
const CHUNK: u64 = 256 << 10;

const PAGE: usize = 4096;

/// Where the control block of a thread stands, whose stack pointer is or recently was `sp`:
/// the base for the offsets of its thread-local variables. It does not change while the
/// thread lives. `None` if it cannot be told for certain.
pub fn thread_pointer(
    process: &(impl Process + ?Sized),
    mappings: &[Mapping],
    tid: Tid,
    sp: Avma,
) -> Option<Avma> {
    let number = process.own_number(tid)?;
    let stack = mappings
        .iter()
        .find(|mapping| mapping.start <= sp && sp < mapping.end)?;
    if is_first_stack(stack) {
        return find_first(process, mappings, number);
    }
    let top = Avma(stack.end.0.saturating_sub(TOP).max(stack.start.0));
    let mut search = Search::new(process, number);
    search
        .range(top, stack.end)
        .or_else(|| search.range(sp, Avma(top.0.min(sp.0.saturating_add(STACK)))))
        // A thread may run on a stack of its program's own making (coroutines); and a
        // first thread may have been given one.
        .or_else(|| find_first(process, mappings, number))
}

fn is_first_stack(mapping: &Mapping) -> bool {
    matches!(&mapping.what, Mapped::Anonymous { name: Some(name) } if name == "[stack]")
}

fn find_first(
    process: &(impl Process + ?Sized),
    mappings: &[Mapping],
    number: u32,
) -> Option<Avma> {
    let mut search = Search::new(process, number);
    let mut left = IN_ALL;
    for mapping in mappings {
        if !mapping.permissions.read || !mapping.permissions.write || is_first_stack(mapping) {
            continue;
        }
        // The heap of a static program begins with it.
        let end = mapping.end.0.min(mapping.start.0.saturating_add(SMALL));
        let size = end.saturating_sub(mapping.start.0);
        let is_heap =
            matches!(&mapping.what, Mapped::Anonymous { name: Some(name) } if name == "[heap]");
        if mapping.end.0 > end && !is_heap {
            continue;
        }
        left = left.checked_sub(size)?;
        if let Some(found) = search.range(mapping.start, Avma(end)) {
            return Some(found);
        }
    }
    None
}

/// A search for the block of one thread.
struct Search<'a, P: ?Sized> {
    process: &'a P,
    number: u32,
    /// How many things were looked at that point to themselves.
    looked_at: usize,
    buffer: Vec<u8>,
}

impl<'a, P: Process + ?Sized> Search<'a, P> {
    fn new(process: &'a P, number: u32) -> Self {
        Self {
            process,
            number,
            looked_at: 0,
            buffer: Vec::new(),
        }
    }

    /// Looks through a range, from its end: that is where the blocks are.
    fn range(&mut self, start: Avma, end: Avma) -> Option<Avma> {
        let mut end = end.0;
        while end > start.0 {
            let from = end.saturating_sub(CHUNK).max(start.0);
            if let Some(found) = self.chunk(from, end) {
                return Some(found);
            }
            end = from;
        }
        None
    }

    fn chunk(&mut self, from: u64, end: u64) -> Option<Avma> {
        // At most CHUNK, so it fits.
        let length = (end - from) as usize;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.resize(length, 0);
        // By pages, so that one that is missing does not hide the others. They were zeroed and
        // a zero does not point to itself.
        let mut requests: Vec<ReadRequest<'_>> = (from..)
            .step_by(PAGE)
            .zip(buffer.chunks_mut(PAGE))
            .map(|(address, into)| ReadRequest::new(Avma(address), into))
            .collect();
        self.process.read_many(&mut requests);
        // glibc aligns a block to 64 bytes (`TCB_ALIGNMENT`), musl to no more than a pointer.
        let found = (from.next_multiple_of(8)..end)
            .step_by(8)
            .filter(|&address| word_at(&buffer, address - from) == Some(address))
            .find(|&address| self.is_block(Avma(address)));
        self.buffer = buffer;
        found.map(Avma)
    }

    /// Whether what points to itself at `block` is the thread's.
    fn is_block(&mut self, block: Avma) -> bool {
        /// With more than this, it is not a search any more.
        const MOST: usize = 4096;
        if self.looked_at >= MOST {
            return false;
        }
        self.looked_at += 1;
        is_thread_block(self.process, block, self.number)
    }
}

/// Whether the control block of the thread that knows itself by `number` stands at `block`, its
/// thread pointer.
pub fn is_thread_block(memory: &(impl ReadMemory + ?Sized), block: Avma, number: u32) -> bool {
    let word = |offset| memory.read_word(block.checked_add(offset)?);
    let number = |offset| word(offset).map(|word| word as u32) == Some(number);
    let glibc = word(16) == Some(block.0) && number(720);
    let musl = number(48) || number(56);
    glibc || musl
}

fn word_at(buffer: &[u8], offset: u64) -> Option<u64> {
    let offset = usize::try_from(offset).ok()?;
    let bytes = buffer.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::ids::Pid;
    use crate::process::{BlockedThread, Permissions};
    use std::collections::HashMap;

    const STACK: Mapping = Mapping {
        start: Avma(0x10_0000),
        end: Avma(0x18_0000),
        file_offset: 0,
        permissions: Permissions {
            read: true,
            write: true,
            execute: false,
        },
        what: Mapped::Anonymous { name: None },
    };
    const SP: Avma = Avma(0x17_0100);
    const TID: Tid = Tid(4321);
    /// The thread lives in a container.
    const OWN_NUMBER: u64 = 21;

    /// One stack, zero but for some words, and without one page.
    struct Made(HashMap<u64, u64>);

    const MISSING: std::ops::Range<u64> = 0x17_c000..0x17_d000;

    impl ReadMemory for Made {
        fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
            for request in requests {
                let start = request.address.0;
                let end = start + request.into.len() as u64;
                request.done = start >= STACK.start.0
                    && end <= STACK.end.0
                    && (end <= MISSING.start || start >= MISSING.end);
                for (&at, word) in self
                    .0
                    .iter()
                    .filter(|&(&at, _)| at >= start && at + 8 <= end)
                {
                    let offset = (at - start) as usize;
                    request.into[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
                }
            }
        }
    }

    impl Process for Made {
        fn pid(&self) -> Pid {
            Pid(4320)
        }

        fn mappings(&self) -> Result<Vec<Mapping>, Error> {
            Ok(vec![STACK])
        }

        fn threads(&self) -> Result<Vec<Tid>, Error> {
            Ok(vec![TID])
        }

        fn thread_name(&self, _: Tid) -> Option<String> {
            None
        }

        fn blocked_in(&self, _: Tid) -> Option<BlockedThread> {
            None
        }

        fn own_number(&self, _: Tid) -> Option<u32> {
            Some(OWN_NUMBER as u32)
        }
    }

    fn find(words: &[(u64, u64)]) -> Option<u64> {
        let process = Made(words.iter().copied().collect());
        thread_pointer(&process, &[STACK], TID, SP).map(|found| found.0)
    }

    #[test]
    fn the_block_of_glibc_is_known_by_its_two_pointers_and_the_number() {
        let at = 0x17_f6c0;
        let block = [(at, at), (at + 16, at), (at + 720, OWN_NUMBER)];
        assert_eq!(find(&block), Some(at));
        assert_eq!(find(&block[..2]), None, "without the number");
        let other = (at + 720, OWN_NUMBER + 1);
        assert_eq!(
            find(&[block[0], block[1], other]),
            None,
            "of another thread"
        );
    }

    #[test]
    fn the_block_of_musl_is_known_by_its_number_at_any_word() {
        let at = 0x17_fab8;
        // The number is the lower half of a word, and the upper one the thread's errno.
        assert_eq!(
            find(&[(at, at), (at + 48, OWN_NUMBER | 11 << 32)]),
            Some(at)
        );
        assert_eq!(find(&[(at, at), (at + 56, OWN_NUMBER)]), Some(at));
    }

    #[test]
    fn something_that_points_to_itself_is_not_taken_for_a_block() {
        assert_eq!(find(&[(0x17_f000, 0x17_f000)]), None);
        let at = 0x17_e6c0;
        let block = [
            (at, at),
            (at + 16, at),
            (at + 720, OWN_NUMBER),
            (at + 136, at + 136),
        ];
        assert_eq!(find(&block), Some(at));
    }

    #[test]
    fn a_block_below_the_top_of_a_joined_mapping_is_found_above_the_stack_pointer() {
        let at = 0x14_f6c0;
        let words: HashMap<u64, u64> = [(at, at), (at + 16, at), (at + 720, OWN_NUMBER)]
            .into_iter()
            .collect();
        let found = thread_pointer(&Made(words), &[STACK], TID, Avma(0x14_0000));
        assert_eq!(found, Some(Avma(at)));
    }

    #[test]
    fn a_stack_pointer_outside_of_everything_finds_nothing() {
        assert_eq!(
            thread_pointer(&Made(HashMap::new()), &[STACK], TID, Avma(8)),
            None
        );
        assert_eq!(thread_pointer(&Made(HashMap::new()), &[], TID, SP), None);
    }
}
