//! Names of types as 64 bits.

/// The hash of a path, to which further names can be joined: an index of millions of
/// types has no room for their names. Whoever looks a hash up compares the real path.
///
/// It reads eight bytes at a time, and gives the same for a path in one piece and for
/// its parts joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::types) struct PathHash {
    state: u64,
    /// Bytes that do not make a word yet, and how many bits they are.
    rest: u64,
    rest_bits: u32,
    length: u64,
}

/// An odd number whose bits look random: the fraction of the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl PathHash {
    /// The path without a name.
    pub const ROOT: Self = Self {
        state: 0x243f_6a88_85a3_08d3,
        rest: 0,
        rest_bits: 0,
        length: 0,
    };

    /// The hash of a whole path.
    pub fn of(path: &str) -> u64 {
        Self::ROOT.join(path.as_bytes()).finish()
    }

    /// The path of `name` in this one.
    pub fn join(mut self, name: &[u8]) -> Self {
        if self.length > 0 {
            self.write(b"::");
        }
        self.write(name);
        self
    }

    pub fn finish(mut self) -> u64 {
        self.mix(self.rest);
        self.mix(self.length);
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            self.mix(self.rest | word << self.rest_bits);
            self.rest = word.checked_shr(64 - self.rest_bits).unwrap_or(0);
        }
        for byte in rest {
            self.rest |= u64::from(*byte) << self.rest_bits;
            self.rest_bits += 8;
            if self.rest_bits == 64 {
                self.mix(self.rest);
                (self.rest, self.rest_bits) = (0, 0);
            }
        }
    }

    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(MULTIPLIER);
        // Both halves, so that every bit of the word reaches every bit of the state.
        self.state = (product as u64) ^ ((product >> 64) as u64).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn different_paths_differ() {
        let paths = [
            "",
            "a",
            "a::b",
            "ab",
            "a::b::c",
            "::",
            "app::handler",
            "app::handle\0r",
        ];
        let mut hashes: Vec<u64> = paths.iter().map(|path| PathHash::of(path)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), paths.len());
    }

    proptest! {
        #[test]
        fn a_path_in_parts_is_the_path_in_one_piece(
            names in proptest::collection::vec("[a-z<>{}#0-9]{1,40}", 1..8),
        ) {
            let joined = names.iter().fold(PathHash::ROOT, |path, name| path.join(name.as_bytes()));
            prop_assert_eq!(joined.finish(), PathHash::of(&names.join("::")));
        }
    }
}
