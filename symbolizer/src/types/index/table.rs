//! Many places, each found by a number.

/// The most entries of a table. What a program of a gigabyte of debug information
/// needs is a few million.
pub(in crate::types) const MOST_ENTRIES: usize = 1 << 24;

/// An entry on its way into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub key: u64,
    /// Entries of one key that differ in this are different things.
    pub variant: u32,
    pub place: u32,
}

/// Which entries of one key a table keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// All.
    Every,
    /// The first of each variant, up to this number of variants.
    First(usize),
}

/// Places by keys. A key can have several.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::types) struct Table {
    /// In order, each as often as it has places.
    pub keys: Vec<u64>,
    pub places: Vec<u32>,
}

impl Table {
    pub(super) fn new(mut entries: Vec<Entry>, keep: Keep) -> Self {
        tidy(&mut entries, keep);
        entries.truncate(MOST_ENTRIES);
        Self {
            keys: entries.iter().map(|entry| entry.key).collect(),
            places: entries.iter().map(|entry| entry.place).collect(),
        }
    }

    /// The places of `key`, in order.
    pub fn get(&self, key: u64) -> &[u32] {
        let start = self.keys.partition_point(|other| *other < key);
        let length = self.keys[start..].partition_point(|other| *other == key);
        self.places.get(start..start + length).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Puts entries in order, and drops those that are not kept.
pub(super) fn tidy(entries: &mut Vec<Entry>, keep: Keep) {
    entries.sort_unstable();
    entries.dedup();
    if let Keep::First(most) = keep {
        entries.dedup_by_key(|entry| (entry.key, entry.variant));
        let mut alike = (0, 0);
        entries.retain(|entry| {
            alike = if alike.0 == entry.key {
                (entry.key, alike.1 + 1)
            } else {
                (entry.key, 1)
            };
            alike.1 <= most
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u64, variant: u32, place: u32) -> Entry {
        Entry {
            key,
            variant,
            place,
        }
    }

    #[test]
    fn one_definition_of_each_size_stands_for_all() {
        let entries = vec![
            entry(7, 8, 300),
            entry(7, 8, 100),
            entry(7, 16, 200),
            entry(3, 8, 50),
        ];
        let table = Table::new(entries, Keep::First(4));
        assert_eq!(table.get(7), [100, 200]);
        assert_eq!(table.get(3), [50]);
        assert!(table.get(5).is_empty());
    }

    #[test]
    fn a_key_has_only_so_many_places() {
        let entries = (0..100).map(|size| entry(1, size, size)).collect();
        assert_eq!(Table::new(entries, Keep::First(4)).get(1).len(), 4);
        let entries = (0..100).map(|size| entry(1, size, size)).collect();
        assert_eq!(Table::new(entries, Keep::Every).get(1).len(), 100);
    }
}
