//! Ranges of memory, read in one go.

use awaitscope_sampler::{Avma, ReadMemory, ReadRequest};

/// Two ranges with less than this between them are read as one: to copy that much
/// costs less than a range more.
const GAP: u64 = 2048;

const PAGE: u64 = 4096;

/// The longest range that others are joined to.
const LONGEST: u64 = 64 << 10;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::runtime) struct Range {
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
pub(in crate::runtime) fn join(mut ranges: Vec<Range>) -> Vec<Range> {
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
pub(in crate::runtime) struct Ranges {
    /// In order, those that could be read, and where in `bytes` each begins.
    ranges: Vec<(Range, usize)>,
    bytes: Vec<u8>,
}

impl Ranges {
    /// Reads ranges that are in order. Of those that cannot be read as a whole, the pages
    /// that can.
    pub fn read(ranges: &[Range], memory: &dyn ReadMemory) -> Self {
        let mut bytes = vec![0; ranges.iter().map(|range| range.length() as usize).sum()];
        let mut places = Vec::with_capacity(ranges.len());
        let mut at = 0;
        for range in ranges {
            places.push((*range, at));
            at += range.length() as usize;
        }
        let (mut done, torn) = fill(places, &mut bytes, memory);
        let pages: Vec<(Range, usize)> = torn.into_iter().flat_map(pages).collect();
        if !pages.is_empty() {
            done.extend(fill(pages, &mut bytes, memory).0);
            done.sort_unstable();
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

/// Ranges, and where in a buffer the bytes of each begin.
type Places = Vec<(Range, usize)>;

/// Reads ranges into a buffer, in which they come one after the other. Returns those that
/// could be read, and those that could not.
fn fill(places: Places, bytes: &mut [u8], memory: &dyn ReadMemory) -> (Places, Places) {
    let mut requests = Vec::with_capacity(places.len());
    let (mut rest, mut passed) = (bytes, 0);
    for (range, at) in &places {
        let (_, from) = std::mem::take(&mut rest).split_at_mut(at - passed);
        let (into, after) = from.split_at_mut(range.length() as usize);
        requests.push(ReadRequest::new(Avma(range.start), into));
        passed = at + range.length() as usize;
        rest = after;
    }
    memory.read_many(&mut requests);
    let all = places.into_iter().zip(&requests);
    let (done, torn): (Vec<_>, Vec<_>) = all.partition(|(_, request)| request.done);
    let only = |pairs: Vec<((Range, usize), &ReadRequest<'_>)>| {
        let places = pairs.into_iter().map(|(place, _)| place);
        places.collect()
    };
    (only(done), only(torn))
}

/// The parts of a range in each page, if it has several.
fn pages((range, at): (Range, usize)) -> impl Iterator<Item = (Range, usize)> {
    let first = range.start / PAGE;
    let last = range.end.saturating_sub(1) / PAGE;
    let pages = if first < last { first..last + 1 } else { 0..0 };
    pages.map(move |page| {
        let start = range.start.max(page * PAGE);
        let end = range.end.min((page * PAGE).saturating_add(PAGE));
        (Range { start, end }, at + (start - range.start) as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One page that can be read, and each byte of it the last of its address.
    struct OnePage;

    impl ReadMemory for OnePage {
        fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
            for request in requests {
                let start = request.address.0;
                let end = start + request.into.len() as u64;
                request.done = start >= PAGE && end <= 2 * PAGE;
                if request.done {
                    for (at, byte) in (start..).zip(request.into.iter_mut()) {
                        *byte = at as u8;
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_does_not_take_its_neighbours_along() {
        let ranges = join(vec![
            Range::new(2 * PAGE - 24, 8),
            Range::new(2 * PAGE - 4, 8),
            Range::new(PAGE + 8, 8),
            Range::new(2 * PAGE + 64, 8),
        ]);
        assert_eq!(ranges.len(), 2);
        let read = Ranges::read(&ranges, &OnePage);
        assert_eq!(read.bytes(2 * PAGE - 24, 2), Some(&[0xe8, 0xe9][..]));
        assert_eq!(read.bytes(PAGE + 8, 2), Some(&[8, 9][..]));
        assert_eq!(read.word(2 * PAGE - 4), None);
        assert_eq!(read.word(2 * PAGE + 64), None);
    }
}
