//! An index as bytes.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | [`MAGIC`] |
//! | 4 | [`VERSION`] |
//! | 4 | CRC-32 of all that follows |
//! | 8 + 4 | length of `.debug_info`, checksum of pieces of it |
//! | 1 + 64 | build-id: its length, and its bytes padded with zeroes |
//! | 6 × 4 | how many units, types, bodies, statics, vtables, thread-locals |
//! | … | units: begin and end; then of each table the keys and the places |
//!
//! All numbers are little-endian. The length of the whole is told by the counts, so that
//! nothing is allocated for what is not there.

use super::Key;
use crate::types::index::{Index, Table};

const MAGIC: &[u8; 8] = b"awtypes\0";

/// Changes whenever the format, or what the index has under which key, changes.
const VERSION: u32 = 1;

const BUILD_ID: usize = 64;
const COUNTS: usize = 6;
const HEAD: usize = 8 + 4 + 4;

/// `index` as bytes.
pub(super) fn encode(index: &Index, key: &Key) -> Vec<u8> {
    let tables = tables(index);
    let mut body = Vec::new();
    body.extend(key.length.to_le_bytes());
    body.extend(key.checksum.to_le_bytes());
    let build_id = key.build_id.as_bytes();
    let length = build_id.len().min(BUILD_ID);
    body.push(u8::try_from(length).unwrap_or(0));
    body.extend(&build_id[..length]);
    body.resize(body.len() + BUILD_ID - length, 0);
    let lengths = tables.map(Table::len);
    let counts = [index.bounds.len()].into_iter().chain(lengths);
    for count in counts.chain([index.thread_locals.len()]) {
        body.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }
    for (begin, end) in &index.bounds {
        body.extend(begin.to_le_bytes());
        body.extend(end.to_le_bytes());
    }
    for table in tables {
        body.extend(table.keys.iter().flat_map(|key| key.to_le_bytes()));
        body.extend(table.places.iter().flat_map(|place| place.to_le_bytes()));
    }
    body.extend(index.thread_locals.iter().flat_map(|l| l.to_le_bytes()));
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.append(&mut body);
    bytes
}

/// The index in `bytes`, if they are whole and of the very debug information.
pub(super) fn decode(bytes: &[u8], key: &Key) -> Option<Index> {
    let mut rest = bytes;
    let head = take::<8>(&mut rest)?;
    let version = u32::from_le_bytes(*take(&mut rest)?);
    let checksum = u32::from_le_bytes(*take(&mut rest)?);
    if head != MAGIC || version != VERSION || checksum != crc32fast::hash(rest) {
        return None;
    }
    let length = u64::from_le_bytes(*take(&mut rest)?);
    let pieces = u32::from_le_bytes(*take(&mut rest)?);
    let [build_id_length] = *take(&mut rest)?;
    let build_id = take::<BUILD_ID>(&mut rest)?;
    let build_id = build_id.get(..build_id_length.into())?;
    if (length, pieces, build_id) != (key.length, key.checksum, key.build_id.as_bytes()) {
        return None;
    }
    let mut counts = [0; COUNTS];
    for count in &mut counts {
        *count = u32::from_le_bytes(*take(&mut rest)?) as usize;
    }
    let [units, types, bodies, statics, vtables, thread_locals] = counts;
    let mut index = Index {
        bounds: take_bounds(&mut rest, units, length)?,
        types: take_table(&mut rest, types)?,
        bodies: take_table(&mut rest, bodies)?,
        statics: take_table(&mut rest, statics)?,
        vtables: take_table(&mut rest, vtables)?,
        ..Index::default()
    };
    index.thread_locals = take_u32s(&mut rest, thread_locals)?;
    rest.is_empty().then_some(index)
}

fn tables(index: &Index) -> [&Table; 4] {
    [&index.types, &index.bodies, &index.statics, &index.vtables]
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}

/// Nothing is set aside before as many bytes are there.
fn take_many<'a, const N: usize>(rest: &mut &'a [u8], count: usize) -> Option<&'a [[u8; N]]> {
    let (taken, after) = rest.split_at_checked(count.checked_mul(N)?)?;
    *rest = after;
    Some(taken.as_chunks().0)
}

fn take_u32s(rest: &mut &[u8], count: usize) -> Option<Vec<u32>> {
    let numbers = take_many(rest, count)?.iter();
    Some(numbers.map(|bytes| u32::from_le_bytes(*bytes)).collect())
}

fn take_table(rest: &mut &[u8], count: usize) -> Option<Table> {
    let keys = take_many(rest, count)?.iter();
    let keys: Vec<u64> = keys.map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let table = Table {
        keys,
        places: take_u32s(rest, count)?,
    };
    table.keys.is_sorted().then_some(table)
}

fn take_bounds(rest: &mut &[u8], count: usize, length: u64) -> Option<Vec<(u32, u32)>> {
    let numbers = take_u32s(rest, count.checked_mul(2)?)?;
    let (pairs, _) = numbers.as_chunks::<2>();
    let bounds: Vec<(u32, u32)> = pairs.iter().map(|[begin, end]| (*begin, *end)).collect();
    let ordered = bounds.iter().all(|(begin, end)| begin < end);
    let apart = bounds.windows(2).all(|two| two[0].1 <= two[1].0);
    let within = bounds
        .last()
        .is_none_or(|(_, end)| u64::from(*end) <= length);
    (ordered && apart && within).then_some(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::BuildId;
    use proptest::prelude::*;

    fn key() -> Key {
        Key {
            build_id: BuildId::new(&[1, 2, 3, 4]).unwrap(),
            length: 1000,
            checksum: 99,
        }
    }

    fn index() -> Index {
        let table = |keys: &[u64]| Table {
            keys: keys.to_vec(),
            places: (1..).take(keys.len()).collect(),
        };
        Index {
            bounds: vec![(0, 100), (100, 1000)],
            types: table(&[3, 3, u64::MAX]),
            bodies: table(&[7]),
            statics: table(&[]),
            vtables: table(&[0x1000, 0x2000]),
            thread_locals: vec![12, 500],
            package_dir: None,
        }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let bytes = encode(&index(), &key());
        assert_eq!(decode(&bytes, &key()), Some(index()));
    }

    #[test]
    fn the_index_of_other_debug_information_is_not_taken() {
        let bytes = encode(&index(), &key());
        let others = [
            Key {
                build_id: BuildId::new(&[1, 2, 3, 5]).unwrap(),
                ..key()
            },
            Key {
                length: 1001,
                ..key()
            },
            Key {
                checksum: 98,
                ..key()
            },
        ];
        for other in others {
            assert_eq!(decode(&bytes, &other), None);
        }
    }

    #[test]
    fn a_file_with_a_true_checksum_and_false_counts_is_not_taken() {
        let bytes = encode(&index(), &key());
        let counts = HEAD + 8 + 4 + 1 + BUILD_ID;
        for at in (counts..counts + COUNTS * 4).step_by(4) {
            for count in [0u32, 1 << 30, u32::MAX] {
                let mut bytes = bytes.clone();
                if bytes[at..at + 4] == count.to_le_bytes() {
                    continue;
                }
                bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
                let sum = crc32fast::hash(&bytes[HEAD..]).to_le_bytes();
                bytes[HEAD - 4..HEAD].copy_from_slice(&sum);
                assert_eq!(decode(&bytes, &key()), None);
            }
        }
    }

    proptest! {
        #[test]
        fn a_damaged_or_cut_off_file_is_not_taken(
            at in any::<prop::sample::Index>(),
            change in 1..=u8::MAX,
            length in any::<prop::sample::Index>(),
        ) {
            let whole = encode(&index(), &key());
            let mut bytes = whole.clone();
            bytes[at.index(whole.len())] ^= change;
            prop_assert_eq!(decode(&bytes, &key()), None);
            prop_assert_eq!(decode(&whole[..length.index(whole.len())], &key()), None);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut file = MAGIC.to_vec();
            file.extend(VERSION.to_le_bytes());
            file.extend(crc32fast::hash(&bytes).to_le_bytes());
            file.extend(&bytes);
            prop_assert_eq!(decode(&file, &key()), None);
        }
    }
}
