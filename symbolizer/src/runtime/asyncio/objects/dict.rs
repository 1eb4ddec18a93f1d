//! Dictionaries, in all the ways that they are kept.

use super::{Heap, MOST_ITEMS, at};
use crate::runtime::asyncio::layout::KeysLayout;
use awaitscope_sampler::Avma;

/// `PyDictObject`.
const MA_KEYS: u64 = 32;
const MA_VALUES: u64 = 40;

/// The keys of a dict: where its entries stand and how many there are.
#[derive(Debug, Clone, Copy)]
struct Keys {
    entries: Avma,
    count: u64,
    /// Words in an entry: hash, key and value, or key and value.
    words: u64,
}

impl Keys {
    /// Where in an entry the key stands.
    fn key(self) -> usize {
        usize::from(self.words == 3)
    }
}

impl Heap<'_> {
    /// The keys and values of a `dict`, if it has at most `most` entries.
    pub fn dict(&self, object: Avma, most: usize) -> Option<Vec<(Avma, Avma)>> {
        let keys = self.keys(self.pointer(object, MA_KEYS)?)?;
        let entries = self.entries(keys, most)?;
        let Some(values) = self.pointer(object, MA_VALUES) else {
            // What was taken out has no value.
            let living = entries.into_iter();
            return Some(
                living
                    .filter(|(key, value)| key.0 != 0 && value.0 != 0)
                    .collect(),
            );
        };
        let values = self.split_values(values, keys.count, most)?;
        Some(with_values(&entries, &values))
    }

    /// The value under the key of this name.
    pub fn dict_get(&self, object: Avma, name: &str) -> Option<Avma> {
        let entries = self.dict(object, MOST_ITEMS)?;
        let mut entries = entries.into_iter();
        let found = entries.find(|(key, _)| self.is_text(*key, name));
        found.map(|(_, value)| value)
    }

    /// The attributes of an object whose class keeps their names: `keys` those, `values`
    /// where the values stand.
    pub(super) fn split(&self, keys: Avma, values: Avma) -> Option<Vec<(Avma, Avma)>> {
        /// More are kept in no such way (`SHARED_KEYS_MAX_SIZE` is 30).
        const MOST: usize = 64;
        let keys = self.keys(keys)?;
        let entries = self.entries(keys, MOST)?;
        let values = self.words(values, keys.count, MOST)?;
        Some(with_values(&entries, &values))
    }

    /// The values of a dict whose keys are shared.
    fn split_values(&self, values: Avma, count: u64, most: usize) -> Option<Vec<u64>> {
        // From 3.13 the values have a header of one word.
        let header = if self.layout.minor >= 13 { 8 } else { 0 };
        self.words(at(values, header), count, most.min(MOST_ITEMS))
    }

    fn keys(&self, keys: Avma) -> Option<Keys> {
        match self.layout.objects.keys {
            KeysLayout::Size => {
                let size = self.word(keys, 8)?;
                let index_bytes = match size {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    0x1_0000..=0xffff_ffff => 4,
                    _ => return None,
                };
                Some(Keys {
                    entries: at(keys, 40 + size * index_bytes),
                    count: self.word(keys, 32)?.min(size),
                    words: 3,
                })
            }
            KeysLayout::Log2 => {
                let (size, index_bytes) = (self.byte(keys, 8)?, self.byte(keys, 9)?);
                if size > 32 || index_bytes > 35 {
                    return None;
                }
                Some(Keys {
                    entries: at(keys, 32 + (1 << index_bytes)),
                    count: self.word(keys, 24)?.min(1 << size),
                    // `DICT_KEYS_GENERAL` is 0; else all keys are strings.
                    words: if self.byte(keys, 10)? == 0 { 3 } else { 2 },
                })
            }
        }
    }

    /// All entries, those without a value as well.
    fn entries(&self, keys: Keys, most: usize) -> Option<Vec<(Avma, Avma)>> {
        let count = usize::try_from(keys.count).ok()?;
        if count > most.min(MOST_ITEMS) {
            return None;
        }
        let words = self.words(keys.entries, keys.count * keys.words, count * 3)?;
        let entries = words.chunks_exact(keys.words as usize);
        Some(
            entries
                .map(|entry| (Avma(entry[keys.key()]), Avma(entry[keys.key() + 1])))
                .collect(),
        )
    }

    /// Whether a `str` is this one.
    pub fn is_text(&self, object: Avma, text: &str) -> bool {
        /// `PyASCIIObject.length`.
        const LENGTH: u64 = 16;
        let count = text.chars().count() as u64;
        object.0 != 0
            && self.word(object, LENGTH) == Some(count)
            && self.text(object).as_deref() == Some(text)
    }
}

fn with_values(entries: &[(Avma, Avma)], values: &[u64]) -> Vec<(Avma, Avma)> {
    entries
        .iter()
        .zip(values)
        .map(|((key, _), value)| (*key, Avma(*value)))
        .filter(|(key, value)| key.0 != 0 && value.0 != 0)
        .collect()
}
