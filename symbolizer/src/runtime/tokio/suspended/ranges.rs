//! Ranges of memory, read in one go.

use awaitscope_sampler::{Avma, ReadMemory, ReadRequest};

/// Two ranges with less than this between them are read as one: to copy that much
/// costs less than a range more.
const GAP: u64 = 2048;

/// The longest range that others are joined to.
const LONGEST: u64 = 64 << 10;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub start: u64,
    pub end: u64,
}

impl Range {
    /// From `start` on, to the end of the address space at the most.
    pub fn new(start: u64, length: u64) -> Self {
        Self {
            start,
            end: start.saturating_add(length),
        }
    }

    pub fn length(&self) -> u64 {
        self.end - self.start
    }
}

/// Makes one range of neighbours. They come out in order.
pub(super) fn join(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last)
                if range.start <= last.end.saturating_add(GAP)
                    && range.end.saturating_sub(last.start) <= LONGEST =>
            {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// The contents of some ranges.
#[derive(Debug)]
pub(super) struct Ranges {
    /// In order, those that could be read, and where in `bytes` each begins.
    ranges: Vec<(Range, usize)>,
    bytes: Vec<u8>,
}

impl Ranges {
    /// Reads ranges that are in order. Those that cannot be read are left out.
    pub fn read(ranges: &[Range], memory: &dyn ReadMemory) -> Self {
        let mut bytes = vec![0; ranges.iter().map(|range| range.length() as usize).sum()];
        let mut rest = bytes.as_mut_slice();
        let mut requests = Vec::with_capacity(ranges.len());
        for range in ranges {
            let (into, after) = rest.split_at_mut(range.length() as usize);
            requests.push(ReadRequest::new(Avma(range.start), into));
            rest = after;
        }
        memory.read_many(&mut requests);
        let mut at = 0;
        let mut done = Vec::with_capacity(ranges.len());
        for (range, request) in ranges.iter().zip(&requests) {
            if request.done {
                done.push((*range, at));
            }
            at += request.into.len();
        }
        Self {
            ranges: done,
            bytes,
        }
    }

    /// The bytes at `address`, if all of them were read with one range.
    pub fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let after = self
            .ranges
            .partition_point(|(range, _)| range.start <= address);
        let (range, at) = self.ranges.get(after.checked_sub(1)?)?;
        let offset = address - range.start;
        if offset >= range.length() || range.length() - offset < length as u64 {
            return None;
        }
        let start = at + offset as usize;
        self.bytes.get(start..start + length)
    }

    /// The word at `address`.
    pub fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The `size` bytes at `address`, at most a word of them, as a number.
    pub fn narrow(&self, address: u64, size: u64) -> Option<u64> {
        let size = usize::try_from(size).ok().filter(|size| *size <= 8)?;
        let mut word = [0; 8];
        word[..size].copy_from_slice(self.bytes(address, size)?);
        Some(u64::from_le_bytes(word))
    }
}
