//! Maps by address: there are hundreds of thousands of tasks, and each is looked up a few
//! times.
//!
//! The hash of the standard library costs more than all that is done with what it finds.
//! This one multiplies, with a secret of its own for each map, so that a process cannot
//! choose its addresses to make one slow.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A map by address.
pub(super) type ByAddress<T> = HashMap<u64, T, Secret>;

/// What a map's hashes depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secret {
    before: u64,
    factor: u64,
}

impl Default for Secret {
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            before: random.hash_one(0),
            factor: random.hash_one(1) | 1,
        }
    }
}

impl BuildHasher for Secret {
    type Hasher = Product;

    fn build_hasher(&self) -> Product {
        Product {
            secret: *self,
            hash: 0,
        }
    }
}

/// A hash that is made.
#[derive(Debug)]
pub(super) struct Product {
    secret: Secret,
    hash: u64,
}

impl Hasher for Product {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = number ^ self.secret.before ^ self.hash;
        let product = u128::from(mixed) * u128::from(self.secret.factor);
        // Both halves: each alone depends on some of the bits only.
        self.hash = (product as u64) ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn tasks_in_a_row_have_hashes_that_differ_at_both_ends() {
        let secret = Secret::default();
        let hashes: Vec<u64> = (0..4096u64)
            .map(|task| secret.hash_one(0x7f00_0000_0000 + task * 512))
            .collect();
        // A map takes its place from the lower bits, and tells neighbours by the upper 7.
        let low: HashSet<u64> = hashes.iter().map(|hash| hash & 0xfff).collect();
        let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(low.len() > 1024, "{}", low.len());
        assert!(high.len() > 64, "{}", high.len());
    }
}
