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
