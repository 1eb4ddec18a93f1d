//! What moves while a `LocalSet` polls one task after the other in one poll of its
//! own, where the worker's tick stands still.

use super::context::{TlsRange, is_pointer, words};
use crate::runtime::tokio::layout::LocalLayout;
use awaitscope_sampler::{Avma, ReadMemory};

/// The way to something that moves.
#[derive(Debug, Clone)]
pub(super) enum LocalSets {
    /// None is in the program.
    None,
    /// To the head of the queue, by types.
    Known(LocalLayout),
    /// To all that the `LocalSet` keeps for itself: the head is somewhere in it, and
    /// other things that move as well may end a poll that goes on, but hide no end.
    /// These are the places of `tokio::task::local::CURRENT`.
    Unknown(Vec<TlsRange>),
}

/// So much of an `ArcInner<Shared>` is looked at. It has 152 bytes in tokio 1.54:
/// two counts, `local_state` (with the queue), `queue`, `waker`.
const SHARED_WORDS: u64 = 19;

impl LocalSets {
    /// A number that is another one after each task that a `LocalSet` polls; `None`
    /// while the thread polls none. `block` is the thread's block of the module.
    pub fn position(&self, block: Avma, memory: &dyn ReadMemory) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Known(local) => head(local, block, memory),
            Self::Unknown(places) => {
                let mut places = places.iter();
                places.find_map(|place| fingerprint(&place.read(block, memory)?, memory))
            }
        }
    }
}

/// The head of the queue, counted from one.
fn head(local: &LocalLayout, block: Avma, memory: &dyn ReadMemory) -> Option<u64> {
    let context = memory.read_word(local.current(block)?)?;
    let shared = Avma(context.checked_add(local.shared)?);
    let shared = (context != 0).then(|| memory.read_word(shared)).flatten()?;
    let head = memory.read_word(Avma(shared.checked_add(local.head)?))?;
    head.checked_add(1)
}

/// `LocalData` has a pointer to `RcInner<Context>`: two counts, then `Context`, which
/// has a pointer to `ArcInner<Shared>`. While none is polled the first is null.
fn fingerprint(data: &[u64], memory: &dyn ReadMemory) -> Option<u64> {
    let context = data.iter().find(|word| is_pointer(**word))?;
    let context = words(Avma(*context), 4, memory).unwrap_or_default();
    let shared = context.iter().filter(|word| is_pointer(**word));
    let shared = shared.filter_map(|at| words(Avma(*at), SHARED_WORDS, memory));
    // 32-bit FNV-1a, by words; the same in every build, because captures are replayed.
    let hash = shared.flatten().fold(0x811c_9dc5u64, |hash, word| {
        let half = |hash: u64, half: u64| (hash ^ half).wrapping_mul(0x0100_0193) & 0xffff_ffff;
        half(half(hash, word & 0xffff_ffff), word >> 32)
    });
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use awaitscope_sampler::ReadRequest;
    use std::collections::HashMap;

    struct Words(HashMap<u64, u64>);

    impl ReadMemory for Words {
        fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
            for request in requests {
                let start = request.address.0;
                let addresses = (start..).step_by(8);
                for (at, into) in addresses.zip(request.into.chunks_mut(8)) {
                    let word = self.0.get(&at).copied().unwrap_or_default();
                    into.copy_from_slice(&word.to_le_bytes()[..into.len()]);
                }
                request.done = true;
            }
        }
    }

    #[test]
    fn every_step_of_the_queue_shows_and_none_is_seen_where_none_is_polled() {
        let (block, context, shared, head) = (0x10_0000, 0x20_0000, 0x30_0000, 0x30_0050);
        let place = TlsRange {
            offset: 0x68,
            size: 24,
        };
        let sets = LocalSets::Unknown(vec![place]);
        let mut memory = Words(HashMap::from([(context + 16, shared)]));
        assert_eq!(sets.position(Avma(block), &memory), None);
        memory.0.insert(block + 0x68, context);
        let mut seen = Vec::new();
        for step in 0..64 {
            memory.0.insert(head, step);
            let position = sets.position(Avma(block), &memory);
            assert_eq!(position, sets.position(Avma(block), &memory));
            assert!(!seen.contains(&position));
            seen.push(position);
        }
    }
}
