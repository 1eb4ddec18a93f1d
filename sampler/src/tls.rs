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
//! Both put the block at the very top of a thread's stack mapping. That of the first thread is in
//! a small mapping made by the loader, or in the data of a static program.

use crate::ids::{Avma, Tid};
use crate::process::{Mapped, Mapping, Process, ReadRequest};

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
    if let Some(found) = search.range(top, stack.end) {
        return Some(found);
    }
    let alone = search.only_candidate();
    search
        .range(sp, Avma(top.0.min(sp.0.saturating_add(STACK))))
        // A thread may run on a stack of its program's own making (coroutines); and a
        // first thread may have been given one.
        .or_else(|| find_first(process, mappings, number))
        .or(alone)
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
    /// Things that point to themselves, but do not hold the number where we know it to be.
    selfish: Vec<Avma>,
    buffer: Vec<u8>,
}

impl<'a, P: Process + ?Sized> Search<'a, P> {
    fn new(process: &'a P, number: u32) -> Self {
        Self {
            process,
            number,
            selfish: Vec::new(),
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
        // A block is aligned to 64 bytes in both libraries (`TCB_ALIGNMENT` of glibc, and the
        // alignment of the data in musl, which is at least that of a pointer): 16 is safe.
        let found = (from.next_multiple_of(16)..end)
            .step_by(16)
            .filter(|&address| word_at(&buffer, address - from) == Some(address))
            .find(|&address| self.is_block(Avma(address)));
        self.buffer = buffer;
        found.map(Avma)
    }

    /// Whether what points to itself at `block` is the thread's.
    fn is_block(&mut self, block: Avma) -> bool {
        /// More than this in one range is not a search any more.
        const MOST: usize = 4096;
        if self.selfish.len() >= MOST {
            return false;
        }
        let word = |offset| self.process.read_word(block.checked_add(offset)?);
        let number = |offset| word(offset).map(|word| word as u32) == Some(self.number);
        let glibc = word(16) == Some(block.0) && number(720);
        let musl = number(48) || number(56);
        let is_block = glibc || musl;
        if !is_block {
            self.selfish.push(block);
        }
        is_block
    }

    /// For a library whose layout we do not know: the only thing at the top of the stack that
    /// points to itself, twice as glibc does or once.
    fn only_candidate(&self) -> Option<Avma> {
        match self.selfish[..] {
            [block] => Some(block),
            _ => None,
        }
    }
}

fn word_at(buffer: &[u8], offset: u64) -> Option<u64> {
    let offset = usize::try_from(offset).ok()?;
    let bytes = buffer.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}
