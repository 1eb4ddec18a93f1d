//! Strings, bytes and numbers.

use super::{Heap, at};
use crate::runtime::asyncio::layout::IntLayout;
use awaitscope_sampler::Avma;

/// No name and no path is longer. What is, is cut off.
const LONGEST_TEXT: u64 = 4096;

/// No table of lines or instructions is longer.
const LONGEST_BYTES: usize = 4 << 20;

/// `PyASCIIObject.length`, `PyVarObject.ob_size`.
const SIZE: u64 = 16;

/// `PyASCIIObject.state`.
const STATE: u64 = 32;

/// What the bits of `state` say, above those of the kind.
const COMPACT: u32 = 1;
const ASCII: u32 = 1 << 1;

impl Heap<'_> {
    /// The characters of a `str`, at most the first [`LONGEST_TEXT`].
    pub fn text(&self, object: Avma) -> Option<String> {
        let length = self.word(object, SIZE)?.min(LONGEST_TEXT);
        let state = self.int32(object, STATE)?.cast_unsigned() >> self.layout.objects.kind_shift;
        let (kind, flags) = (state & 0b111, state >> 3);
        let start = match (flags & COMPACT != 0, flags & ASCII != 0) {
            (true, true) => at(object, self.layout.objects.ascii),
            (true, false) => at(object, self.layout.objects.compact),
            // Not compact: the characters stand elsewhere.
            (false, _) => self.pointer(object, self.layout.objects.compact)?,
        };
        let bytes = self.block(start, length * u64::from(kind), 4 * 4096)?;
        let character = |point: u32| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
        match kind {
            1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
            2 => Some(
                bytes
                    .chunks_exact(2)
                    .map(|two| character(u32::from(u16::from_le_bytes([two[0], two[1]]))))
                    .collect(),
            ),
            4 => Some(
                bytes
                    .chunks_exact(4)
                    .map(|four| character(u32::from_le_bytes([four[0], four[1], four[2], four[3]])))
                    .collect(),
            ),
            _ => None,
        }
    }

    /// The contents of a `bytes`.
    pub fn bytes(&self, object: Avma) -> Option<Vec<u8>> {
        /// `PyBytesObject.ob_sval`.
        const CONTENTS: u64 = 32;
        let length = self.word(object, SIZE)?;
        self.block(at(object, CONTENTS), length, LONGEST_BYTES)
    }

    /// The value of an `int`, if that is not too large.
    pub fn int(&self, object: Avma) -> Option<i64> {
        /// `PyLongObject.ob_digit`.
        const DIGITS: u64 = 24;
        /// Each digit has so many bits (`PyLong_SHIFT`).
        const BITS: u32 = 30;
        let size = self.word(object, SIZE)?;
        let (count, negative) = match self.layout.objects.int {
            IntLayout::Size => (size.cast_signed().unsigned_abs(), size.cast_signed() < 0),
            IntLayout::Tag => (size >> 3, size & 0b11 == 2),
        };
        let count = u32::try_from(count).ok().filter(|count| *count <= 2)?;
        let mut value = 0_i64;
        for digit in 0..count {
            let bits = self.int32(object, DIGITS + 4 * u64::from(digit))?;
            value |= i64::from(bits) << (BITS * digit);
        }
        Some(if negative { -value } else { value })
    }

    /// The value of a `float`.
    pub fn float(&self, object: Avma) -> Option<f64> {
        /// `PyFloatObject.ob_fval`.
        const VALUE: u64 = 16;
        self.word(object, VALUE).map(f64::from_bits)
    }
}
