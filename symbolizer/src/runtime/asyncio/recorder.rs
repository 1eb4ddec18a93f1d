//! Reading what was read before: what was read the last time is read again beforehand, all at
//! once, and what is read is kept.

use awaitscope_sampler::{Avma, MemoryCopy, ReadMemory, ReadRequest};
use std::cell::RefCell;

/// The most that is read of one thread: pieces, and bytes of all.
const MOST_PIECES: usize = 2048;
const MOST_BYTES: usize = 256 << 10;

/// So many pieces are read beforehand.
const MOST_FORESEEN: usize = 512;

/// A range of memory.
pub(in crate::runtime::asyncio) type Range = (Avma, usize);

/// Memory that remembers what was read of it.
pub(in crate::runtime::asyncio) struct Recorder<'a> {
    memory: &'a dyn ReadMemory,
    read: RefCell<Read>,
}

#[derive(Default)]
struct Read {
    pieces: Vec<Piece>,
    bytes: usize,
}

struct Piece {
    address: Avma,
    bytes: Vec<u8>,
    used: bool,
}

impl<'a> Recorder<'a> {
    /// Reads `foreseen` at once.
    pub fn new(memory: &'a dyn ReadMemory, foreseen: &[Range]) -> Self {
        let mut buffers: Vec<Vec<u8>> = foreseen.iter().map(|(_, size)| vec![0; *size]).collect();
        let mut requests: Vec<ReadRequest<'_>> = foreseen
            .iter()
            .zip(&mut buffers)
            .map(|((address, _), into)| ReadRequest::new(*address, into))
            .collect();
        memory.read_many(&mut requests);
        let done: Vec<bool> = requests.iter().map(|request| request.done).collect();
        let mut read = Read::default();
        for (((address, _), bytes), done) in foreseen.iter().zip(buffers).zip(done) {
            if done {
                read.push(*address, bytes, false);
            }
        }
        Self {
            memory,
            read: RefCell::new(read),
        }
    }

    /// What was read and wanted, and where that was.
    pub fn finish(self) -> (MemoryCopy, Vec<Range>) {
        let mut copy = MemoryCopy::default();
        let mut ranges = Vec::new();
        for piece in self.read.into_inner().pieces {
            if piece.used {
                if ranges.len() < MOST_FORESEEN {
                    ranges.push((piece.address, piece.bytes.len()));
                }
                copy.push(piece.address, piece.bytes);
            }
        }
        (copy, ranges)
    }
}

impl Read {
    fn push(&mut self, address: Avma, bytes: Vec<u8>, used: bool) {
        self.bytes += bytes.len();
        self.pieces.push(Piece {
            address,
            bytes,
            used,
        });
    }

    fn has_room(&self, more: usize) -> bool {
        self.pieces.len() < MOST_PIECES && self.bytes + more <= MOST_BYTES
    }

    /// Answers out of what was read already.
    fn answer(&mut self, request: &mut ReadRequest<'_>) -> bool {
        let length = request.into.len();
        let found = self.pieces.iter_mut().find_map(|piece| {
            let at = usize::try_from(request.address.0.checked_sub(piece.address.0)?).ok()?;
            let bytes = piece.bytes.get(at..at.checked_add(length)?)?;
            piece.used = true;
            Some(bytes)
        });
        if let Some(bytes) = found {
            request.into.copy_from_slice(bytes);
            request.done = true;
        }
        request.done
    }
}

impl ReadMemory for Recorder<'_> {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        let mut read = self.read.borrow_mut();
        for request in requests {
            if read.answer(request) || !read.has_room(request.into.len()) {
                continue;
            }
            request.done = self.memory.read(request.address, request.into);
            if request.done {
                read.push(request.address, request.into.to_vec(), true);
            }
        }
    }
}
