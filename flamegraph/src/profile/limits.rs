//! How large a profile may grow, for its writer and its reader alike.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// Frames below the root of one stack. A copied stack of 64 KiB holds at most
/// 4096 of the smallest frames there are.
pub(crate) const DEPTH: usize = 4096;
/// Distinct frames.
pub(crate) const FRAMES: usize = 1 << 20;
/// Distinct strings: two for each frame.
pub(crate) const STRINGS: usize = 2 * FRAMES;
/// Distinct stacks.
pub(crate) const STACKS: usize = 1 << 20;
/// Of which so many are kept for roots.
pub(crate) const ROOTS: usize = 1 << 16;
/// Kinds of tasks.
pub(crate) const KINDS: usize = 20_000;
/// Tasks kept one by one.
pub(crate) const TASKS: usize = 20_000;
/// Further tasks told apart only to count them.
pub(crate) const TASKS_COUNTED: usize = 500_000;
/// Threads kept one by one.
pub(crate) const THREADS: usize = 20_000;
/// Runtimes in one process.
pub(crate) const RUNTIMES: usize = 1024;
/// Stalls kept one by one.
pub(crate) const STALLS: usize = 50_000;
/// Stacks kept of one stall.
pub(crate) const STALL_STACKS: usize = 64;
/// Weights, and as many thread times, in all buckets together. At 32 bytes
/// each that is 96 MB; when it is reached, buckets are made wider.
pub(crate) const WEIGHTS: usize = 3_000_000;
/// Buckets of time: twelve days of seconds.
pub(crate) const BUCKETS: usize = 1 << 20;
/// No sum of times may come near the end of its type. Tasks × time can be much: this is
/// a day of twenty-six thousand tasks.
pub(crate) const TIME: u64 = 1 << 61;
/// Await points of all kinds.
pub(crate) const WAITS: usize = 125_000;
/// Lengths of stays at one of them.
pub(crate) const STAYS: usize = 256;
/// Tasks that are named as examples.
pub(crate) const NAMED: usize = 16;
/// Locks that tasks waited for.
pub(crate) const LOCKS: usize = 1024;
/// Await points of one lock.
pub(crate) const LOCK_PLACES: usize = 256;
/// Circles of tasks that wait for each other.
pub(crate) const CIRCLES: usize = 256;
/// Tasks of one of them.
pub(crate) const LINKS: usize = 256;
/// Named series.
pub(crate) const SERIES: usize = 1024;
/// Recordings that one profile is merged from.
pub(crate) const RECORDINGS: usize = 1024;
/// Sentences about the quality.
pub(crate) const NOTES: usize = 1000;

/// Reads a list of at most `LIMIT` elements.
///
/// A file of a few megabytes can unpack to lists whose elements take far more
/// room in memory than in the file; this stops before they do.
pub(crate) fn bounded<'de, D, T, const LIMIT: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const LIMIT: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for Bounded<T, LIMIT> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {LIMIT} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut read = Vec::new();
            while let Some(element) = list.next_element()? {
                if read.len() == LIMIT {
                    return Err(A::Error::custom(format_args!(
                        "a list of more than {LIMIT} elements"
                    )));
                }
                read.push(element);
            }
            Ok(read)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, LIMIT>(PhantomData))
}
