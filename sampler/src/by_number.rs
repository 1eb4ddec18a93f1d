//! Tables by numbers that the kernel gives: threads and events.
//!
//! They are asked several times for each record, and nobody but the kernel chooses the numbers; so
//! they need no hash that withstands an adversary.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by a number of the kernel.
pub(crate) type ByNumber<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Multiplies (Knuth, "The Art of Computer Programming", volume 3, section 6.4).
#[derive(Debug, Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    #[inline]
    fn write_u64(&mut self, number: u64) {
        /// 2 to the 64th, over the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        // The table takes the place from the low bits and a mark from the high ones, and the
        // multiplication leaves the low ones poor.
        let product = (self.0 ^ number).wrapping_mul(FACTOR);
        self.0 = product ^ product >> 32;
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Tid;
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    #[test]
    fn neighbouring_numbers_stand_apart() {
        let hasher = BuildHasherDefault::<NumberHasher>::default();
        for stride in [1, 2, 256, 65536] {
            let places: HashSet<u64> = (0..128)
                .map(|n| hasher.hash_one(Tid(4000 + n * stride)) & 0xff)
                .collect();
            assert!(places.len() > 64, "{stride}: {} places", places.len());
        }
    }
}
