//! The ring in which the kernel leaves its records (`perf_event_open(2)`,
//! "MMAP layout").
//!
//! A ring is one page of bookkeeping and then a power of two of data pages. The
//! kernel moves `data_head` forward as it writes, we move `data_tail` forward as we
//! have read; what does not fit in between is lost, and counted by a record.
//! Both only grow; modulo the size they are places in the data.

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use perf_event_open_sys::bindings::{perf_event_header, perf_event_mmap_page};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, addr_of_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const HEADER: usize = size_of::<perf_event_header>();

/// A record as it lies in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawRecord<'a> {
    /// `perf_event_header.type`
    pub kind: u32,
    /// `perf_event_header.misc`
    pub misc: u16,
    /// What follows the header.
    pub body: &'a [u8],
}

/// A mapped ring of one perf event, to read from.
#[derive(Debug)]
pub(crate) struct Ring {
    map: Arc<RingMap>,
    scratch: Vec<u8>,
}

/// The mapping of a ring.
#[derive(Debug)]
pub(crate) struct RingMap {
    page: NonNull<perf_event_mmap_page>,
    mapped: usize,
    data: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping belongs to this value alone and is not bound to a thread.
unsafe impl Send for RingMap {}
// SAFETY: through a shared reference the data are read by `Ring`, of which there is one, between
// `tail` and `head`, where the kernel does not write, and else a word at a time, atomically.
unsafe impl Sync for RingMap {}

impl Ring {
    /// Maps the ring of `event`, with `bytes` (a power of two of pages) of data.
    pub(crate) fn map(event: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let page_size = page_size()?;
        let mapped = page_size + bytes;
        let length = NonZeroUsize::new(mapped).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at a place the kernel chooses; it cannot disturb
        // any other memory.
        let start = unsafe {
            mmap(
                None,
                length,
                // Writable, so that the kernel respects `data_tail` and does not
                // overwrite what we have not read.
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                event,
                0,
            )?
        };
        // SAFETY: the mapping is `page_size + bytes` long, so this stays inside.
        let data = unsafe { start.cast::<u8>().add(page_size) };
        Ok(Self {
            map: Arc::new(RingMap {
                page: start.cast(),
                mapped,
                data,
                size: bytes,
            }),
            scratch: Vec::new(),
        })
    }

    /// The mapping, for whoever looks on.
    pub(crate) fn share(&self) -> Arc<RingMap> {
        Arc::clone(&self.map)
    }

    /// Hands the records that are there to `sink` and frees their place. Returns
    /// whether the ring made sense; if not, its content was thrown away.
    pub(crate) fn read(&mut self, sink: &mut dyn FnMut(RawRecord<'_>)) -> Sane {
        let map = &*self.map;
        let head = map.head();
        let tail = map.tail().load(Ordering::Relaxed);
        // SAFETY: the kernel writes only between `head` and `tail + size`, which
        // `walk` does not look at, until we move `tail` below.
        let data = unsafe { std::slice::from_raw_parts(map.data.as_ptr(), map.size) };
        let sane = walk(data, tail, head, &mut self.scratch, sink);
        map.tail().store(head, Ordering::Release);
        sane
    }
}

impl RingMap {
    /// How far the kernel has written, ever.
    pub(crate) fn head(&self) -> u64 {
        self.head_word().load(Ordering::Acquire)
    }

    /// Whether the byte that was written at `at` is still there.
    pub(crate) fn holds(&self, at: u64) -> bool {
        // The kernel may be at the next record, which has at most 64 KiB.
        let kept = (self.size as u64).saturating_sub(1 << 16);
        self.head().wrapping_sub(at) <= kept
    }

    /// The eight bytes at `at`, a multiple of eight, as they are just now: they mean something if
    /// the ring still [`holds`](Self::holds) them afterwards.
    pub(crate) fn word(&self, at: u64) -> u64 {
        let place = (at % self.size.max(8) as u64) as usize & !7;
        // SAFETY: `place` is a multiple of eight and below `size`, which is a multiple of pages; the
        // mapping is aligned to pages and lives as long as `self`.
        let word = unsafe { AtomicU64::from_ptr(self.data.as_ptr().add(place).cast()) };
        word.load(Ordering::Relaxed)
    }

    fn head_word(&self) -> &AtomicU64 {
        // SAFETY: `page` is mapped as long as `self` lives, the field is aligned,
        // and it is only ever used atomically.
        unsafe { AtomicU64::from_ptr(addr_of_mut!((*self.page.as_ptr()).data_head)) }
    }

    fn tail(&self) -> &AtomicU64 {
        // SAFETY: as in `head`.
        unsafe { AtomicU64::from_ptr(addr_of_mut!((*self.page.as_ptr()).data_tail)) }
    }
}

impl Drop for RingMap {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `map`, and nothing borrows from it
        // any more. A failure would leave it mapped, which harms nobody.
        let _ = unsafe { munmap(self.page.cast(), self.mapped) };
    }
}

/// Whether the content of a ring made sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sane {
    /// Every record was whole.
    Yes,
    /// A record had an impossible length; the rest was skipped.
    No,
}

/// Goes over the records between `tail` and `head`. `data` is the ring's, a
/// power of two long. A record that wraps is put together in `scratch`.
fn walk(
    data: &[u8],
    tail: u64,
    head: u64,
    scratch: &mut Vec<u8>,
    sink: &mut dyn FnMut(RawRecord<'_>),
) -> Sane {
    let available = head.wrapping_sub(tail);
    if available > data.len() as u64 {
        return Sane::No;
    }
    // Both fit into usize: `available` is at most the length of a slice.
    let mut left = available as usize;
    let mut at = (tail % data.len().max(1) as u64) as usize;
    while left > 0 {
        let mut header = [0; HEADER];
        if left < HEADER || !copy_out(data, at, &mut header) {
            return Sane::No;
        }
        let [k0, k1, k2, k3, m0, m1, s0, s1] = header;
        let size = usize::from(u16::from_le_bytes([s0, s1]));
        if size < HEADER || size > left {
            return Sane::No;
        }
        let body: &[u8] = if let Some(body) = data.get(at + HEADER..at + size) {
            body
        } else {
            scratch.resize(size - HEADER, 0);
            if !copy_out(data, (at + HEADER) % data.len(), scratch) {
                return Sane::No;
            }
            &*scratch
        };
        sink(RawRecord {
            kind: u32::from_le_bytes([k0, k1, k2, k3]),
            misc: u16::from_le_bytes([m0, m1]),
            body,
        });
        left -= size;
        at = (at + size) % data.len();
    }
    Sane::Yes
}

/// Copies from `at`, going on at the beginning where the data end.
fn copy_out(data: &[u8], at: usize, into: &mut [u8]) -> bool {
    if at >= data.len() || into.len() > data.len() {
        return false;
    }
    let (first, rest) = into.split_at_mut(into.len().min(data.len() - at));
    first.copy_from_slice(&data[at..at + first.len()]);
    rest.copy_from_slice(&data[..rest.len()]);
    true
}

/// The size of a page of memory.
pub(crate) fn page_size() -> io::Result<usize> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?;
    size.and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| io::Error::other("the system does not tell its page size"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ring as the kernel would write it, for the tests.
    struct Written {
        data: Vec<u8>,
        head: u64,
    }

    impl Written {
        fn new(size: usize, at: u64) -> Self {
            Self {
                data: vec![0xee; size],
                head: at,
            }
        }

        fn put(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                let place = (self.head % self.data.len() as u64) as usize;
                self.data[place] = byte;
                self.head += 1;
            }
        }

        fn record(&mut self, kind: u32, misc: u16, body: &[u8]) {
            self.put(&kind.to_le_bytes());
            self.put(&misc.to_le_bytes());
            self.put(&((body.len() + HEADER) as u16).to_le_bytes());
            self.put(body);
        }

        fn read(&self, tail: u64) -> (Sane, Vec<(u32, u16, Vec<u8>)>) {
            let mut records = Vec::new();
            let mut scratch = Vec::new();
            let sane = walk(&self.data, tail, self.head, &mut scratch, &mut |raw| {
                records.push((raw.kind, raw.misc, raw.body.to_vec()));
            });
            (sane, records)
        }
    }

    #[test]
    fn a_record_that_wraps_comes_whole() {
        let mut ring = Written::new(64, 44);
        ring.record(9, 1, b"0123456789abcdef");
        ring.record(2, 0, b"later on");
        let expected = vec![
            (9, 1, b"0123456789abcdef".to_vec()),
            (2, 0, b"later on".to_vec()),
        ];
        assert_eq!(ring.read(44), (Sane::Yes, expected));
    }

    #[test]
    fn a_header_that_wraps_comes_whole() {
        let mut ring = Written::new(64, 60);
        ring.record(14, 0x2000, b"12345678");
        assert_eq!(
            ring.read(60),
            (Sane::Yes, vec![(14, 0x2000, b"12345678".to_vec())])
        );
    }

    #[test]
    fn a_truncated_record_is_noticed_and_those_before_it_come() {
        let mut ring = Written::new(64, 0);
        ring.record(2, 0, b"good");
        ring.record(9, 0, b"cut off here");
        ring.head -= 4;
        assert_eq!(ring.read(0), (Sane::No, vec![(2, 0, b"good".to_vec())]));
    }

    #[test]
    fn a_record_shorter_than_its_header_does_not_hold_us_forever() {
        let ring = Written {
            data: vec![0; 64],
            head: 64,
        };
        assert_eq!(ring.read(0), (Sane::No, vec![]));
    }

    #[test]
    fn a_full_ring_is_read_to_its_end() {
        let mut ring = Written::new(64, 8);
        for n in 0..4 {
            ring.record(n, 0, b"8 bytes.");
        }
        let (sane, records) = ring.read(8);
        assert_eq!((sane, records.len()), (Sane::Yes, 4));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            start in 0u64..100_000,
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            let mut ring = Written::new(1024, start);
            for body in &bodies {
                ring.record(body.len() as u32, 7, body);
            }
            let (sane, records) = ring.read(start);
            prop_assert_eq!(sane, Sane::Yes);
            prop_assert_eq!(records.into_iter().map(|record| record.2).collect::<Vec<_>>(), bodies);
        }

        #[test]
        fn nonsense_neither_panics_nor_hangs(
            data in prop::collection::vec(any::<u8>(), 128),
            tail in any::<u64>(),
            length in 0u64..300,
        ) {
            let mut bytes = 0;
            walk(&data, tail, tail.wrapping_add(length), &mut Vec::new(), &mut |raw| {
                bytes += raw.body.len() + HEADER;
            });
            prop_assert!(bytes as u64 <= length);
        }
    }
}
