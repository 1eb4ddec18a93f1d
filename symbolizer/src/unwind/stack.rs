//! Reading a stack: first the copy that came with the sample, then memory.

use awaitscope_sampler::{Avma, ReadMemory, ReadRequest, StackCopy};

/// Reads words of a stopped or copied stack.
pub trait ReadStack {
    /// The word at `address`.
    fn word(&mut self, address: Avma) -> Option<u64>;

    /// Whether words were withheld because the stack changed since it was copied.
    fn moved(&self) -> bool {
        false
    }

    /// Reads code at `address`, for places whose code is in no file. False when
    /// it cannot.
    fn code(&mut self, _address: Avma, _into: &mut [u8]) -> bool {
        false
    }
}

impl<F: FnMut(Avma) -> Option<u64>> ReadStack for F {
    fn word(&mut self, address: Avma) -> Option<u64> {
        self(address)
    }
}

/// How much is read at once beyond the copy.
const BLOCK: u64 = 16 << 10;
const PAGE: u64 = 4 << 10;

/// How much of the copy's end must still be the same in memory.
const OVERLAP: usize = 256;

/// How far beyond the copy a stack may reach: the default limit of a main thread
/// is 8 MiB, and Rust's threads have 2.
const LARGEST_STACK: u64 = 256 << 20;

/// A sampled stack: the copied bytes and, for a stack deeper than those, the
/// target's memory.
///
/// The memory is read later than the copy was made. What lies deep in a stack
/// changes seldom, but it may: so the last bytes of the copy are compared with
/// memory every time, and where they differ nothing is taken from there.
pub struct StackReader<'a> {
    copy: &'a StackCopy,
    memory: Option<&'a dyn ReadMemory>,
    block: Vec<u8>,
    block_start: u64,
    moved: bool,
}

impl std::fmt::Debug for StackReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StackReader")
            .field("copy", self.copy)
            .field("continued", &self.memory.is_some())
            .field("moved", &self.moved)
            .finish_non_exhaustive()
    }
}

impl<'a> StackReader<'a> {
    /// Reads the copy alone.
    #[must_use]
    pub fn new(copy: &'a StackCopy) -> Self {
        Self {
            copy,
            memory: None,
            block: Vec::new(),
            block_start: 0,
            moved: false,
        }
    }

    /// Reads the copy, and goes on in memory behind its end.
    #[must_use]
    pub fn continued(copy: &'a StackCopy, memory: &'a dyn ReadMemory) -> Self {
        Self {
            memory: Some(memory),
            ..Self::new(copy)
        }
    }

    #[cold]
    fn word_beyond(&mut self, address: u64) -> Option<u64> {
        let end = self.copy.end().0;
        // A word may straddle the end.
        let beyond = address.checked_add(7)?.checked_sub(end)?;
        if beyond > LARGEST_STACK || address < self.copy.start.0 || self.moved {
            return None;
        }
        if let Some(word) = self.word_in_block(address) {
            return Some(word);
        }
        self.load(address)?;
        self.word_in_block(address)
    }

    fn word_in_block(&self, address: u64) -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(self.block_start)?).ok()?;
        let bytes = self.block.get(offset..offset.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Reads the block that begins at `address`, or what there is of it.
    fn load(&mut self, address: u64) -> Option<()> {
        let memory = self.memory?;
        let known = self.copy.bytes.len().min(OVERLAP);
        let overlap = &self.copy.bytes[self.copy.bytes.len() - known..];
        if overlap.is_empty() {
            return None;
        }
        let end = self.copy.end().0;
        let to_page_end = PAGE - address % PAGE;
        // The stack may end within the block, but not within a page; a word may
        // lie across two pages.
        for size in [BLOCK, to_page_end + PAGE, to_page_end] {
            let mut block = std::mem::take(&mut self.block);
            block.resize(usize::try_from(size).ok()?, 0);
            let mut now = [0; OVERLAP];
            // The overlap is read last: if it is still the same then, the deeper
            // frames that were read before it had not returned.
            let mut requests = [
                ReadRequest::new(Avma(address), &mut block),
                ReadRequest::new(Avma(end - known as u64), &mut now[..known]),
            ];
            memory.read_many(&mut requests);
            let (read, compared) = (requests[0].done, requests[1].done);
            self.block = block;
            if !compared || now[..known] != *overlap {
                self.block.clear();
                self.moved = true;
                return None;
            }
            if read {
                self.block_start = address;
                return Some(());
            }
            self.block.clear();
        }
        None
    }
}

impl ReadStack for StackReader<'_> {
    #[inline]
    fn word(&mut self, address: Avma) -> Option<u64> {
        self.copy
            .word(address)
            .or_else(|| self.word_beyond(address.0))
    }

    fn moved(&self) -> bool {
        self.moved
    }

    fn code(&mut self, address: Avma, into: &mut [u8]) -> bool {
        self.memory.is_some_and(|memory| memory.read(address, into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const START: u64 = 0x7fff_1000_0010;

    /// A stack whose every word is its own address, readable up to `end`.
    struct Deep {
        end: u64,
        changed: bool,
        reads: Cell<usize>,
    }

    impl ReadMemory for Deep {
        fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
            self.reads.set(self.reads.get() + 1);
            for request in requests {
                let start = request.address.0;
                if start + request.into.len() as u64 > self.end {
                    continue;
                }
                request
                    .into
                    .copy_from_slice(&bytes(start, request.into.len()));
                if self.changed {
                    request.into[0] ^= 1;
                }
                request.done = true;
            }
        }
    }

    fn bytes(start: u64, length: usize) -> Vec<u8> {
        (start..start + length as u64)
            .map(|address| (address & !7).to_le_bytes()[(address % 8) as usize])
            .collect()
    }

    fn copy(length: usize) -> StackCopy {
        StackCopy {
            start: Avma(START),
            bytes: bytes(START, length),
        }
    }

    fn deep(size: u64) -> Deep {
        Deep {
            end: (START + size).next_multiple_of(PAGE),
            changed: false,
            reads: Cell::new(0),
        }
    }

    #[test]
    fn a_stack_deeper_than_its_copy_is_read_on_in_blocks() {
        let (copy, memory) = (copy(1000), deep(100_000));
        let mut stack = StackReader::continued(&copy, &memory);
        for address in (START..START + 99_992).step_by(8) {
            assert_eq!(stack.word(Avma(address)), Some(address));
        }
        assert!(memory.reads.get() < 20, "{} reads", memory.reads.get());
        assert_eq!(stack.word(Avma(memory.end)), None);
        assert!(!stack.moved());
    }

    #[test]
    fn a_word_across_the_end_of_the_copy_is_read_from_memory() {
        let (copy, memory) = (copy(1004), deep(4096));
        let mut stack = StackReader::continued(&copy, &memory);
        assert_eq!(stack.word(Avma(START + 1000)), Some(START + 1000));
    }

    #[test]
    fn a_stack_that_changed_since_its_copy_is_not_read_on() {
        let copy = copy(1000);
        let memory = Deep {
            changed: true,
            ..deep(100_000)
        };
        let mut stack = StackReader::continued(&copy, &memory);
        assert_eq!(stack.word(Avma(START + 8)), Some(START + 8));
        assert_eq!(stack.word(Avma(START + 2000)), None);
        assert!(stack.moved());
    }

    #[test]
    fn without_memory_the_copy_is_all_there_is() {
        let copy = copy(1000);
        let mut stack = StackReader::new(&copy);
        assert_eq!(stack.word(Avma(START + 992)), Some(START + 992));
        assert_eq!(stack.word(Avma(START + 1000)), None);
        assert!(!stack.moved());
    }
}
