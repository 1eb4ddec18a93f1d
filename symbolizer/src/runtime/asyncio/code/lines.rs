//! From an instruction to its line, in the three ways that code objects tell it.

use super::super::layout::LineTable;

/// No function has more changes of line.
const MOST_ENTRIES: usize = 1 << 18;

/// The lines of a code object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines {
    /// From which byte of the instructions on it is which line, by byte.
    starts: Vec<(u32, Option<u32>)>,
    /// `co_firstlineno`: where a function stands that has not begun.
    first: Option<u32>,
}

impl Lines {
    /// Reads a table.
    pub fn decode(table: LineTable, bytes: &[u8], first: i32) -> Self {
        let starts = match table {
            LineTable::Lnotab(_) => lnotab(bytes, first),
            LineTable::Lines(_) => lines(bytes, first),
            LineTable::Locations(_) => locations(bytes, first),
        };
        Self {
            starts,
            first: shown(first),
        }
    }

    /// The line of the instruction at a byte; negative before the first.
    pub fn at(&self, offset: i64) -> Option<u32> {
        let Ok(offset) = u32::try_from(offset) else {
            return self.first;
        };
        let after = self.starts.partition_point(|(start, _)| *start <= offset);
        match after.checked_sub(1) {
            Some(index) => self.starts[index].1,
            None => self.first,
        }
    }
}

fn shown(line: i32) -> Option<u32> {
    u32::try_from(line).ok()
}

/// `co_lnotab` (`Objects/lnotab_notes.txt`): pairs of how many bytes and how many lines on.
fn lnotab(bytes: &[u8], first: i32) -> Vec<(u32, Option<u32>)> {
    let (mut start, mut line) = (0_u32, first);
    let mut starts = vec![(0, shown(first))];
    for pair in bytes.chunks_exact(2).take(MOST_ENTRIES) {
        start = start.saturating_add(u32::from(pair[0]));
        line = line.saturating_add(i32::from(pair[1].cast_signed()));
        starts.push((start, shown(line)));
    }
    starts
}

/// `co_linetable` of 3.10 (PEP 626): pairs of how many bytes long and how many lines on.
fn lines(bytes: &[u8], first: i32) -> Vec<(u32, Option<u32>)> {
    /// There is no line.
    const NONE: i8 = -128;
    let (mut start, mut line) = (0_u32, first);
    let mut starts = Vec::new();
    for pair in bytes.chunks_exact(2).take(MOST_ENTRIES) {
        let delta = pair[1].cast_signed();
        let here = match delta {
            NONE => None,
            _ => {
                line = line.saturating_add(i32::from(delta));
                shown(line)
            }
        };
        if pair[0] > 0 {
            starts.push((start, here));
        }
        start = start.saturating_add(u32::from(pair[0]));
    }
    starts
}

/// `co_linetable` from 3.11 on (`Objects/locations.md`, before `locations.md` the notes in
/// `codeobject.c`). The first byte of an entry, and no other, has its highest bit set.
fn locations(bytes: &[u8], first: i32) -> Vec<(u32, Option<u32>)> {
    let (mut start, mut line) = (0_u32, first);
    let mut starts: Vec<(u32, Option<u32>)> = Vec::new();
    let mut rest = bytes;
    while let Some((&head, after)) = rest.split_first() {
        let end = after.iter().position(|byte| byte & 0x80 != 0);
        let (body, next) = after.split_at(end.unwrap_or(after.len()));
        rest = next;
        if head & 0x80 == 0 || starts.len() >= MOST_ENTRIES {
            break;
        }
        let (form, units) = (head >> 3 & 0xf, u32::from(head & 0b111) + 1);
        let delta = match form {
            11 | 12 => i32::from(form) - 10,
            13 | 14 => signed(varint(body)),
            _ => 0,
        };
        line = line.saturating_add(delta);
        let here = (form != 15).then(|| shown(line)).flatten();
        if starts.last().is_none_or(|(_, last)| *last != here) {
            starts.push((start, here));
        }
        start = start.saturating_add(units * 2);
    }
    starts
}

/// Six bits a byte, the lowest first; 0x40 says that more follow.
fn varint(bytes: &[u8]) -> u32 {
    let mut value = 0_u32;
    for (index, byte) in bytes.iter().take(6).enumerate() {
        value |= u32::from(byte & 0x3f)
            .checked_shl(6 * index as u32)
            .unwrap_or(0);
        if byte & 0x40 == 0 {
            break;
        }
    }
    value
}

/// The lowest bit is the sign.
fn signed(value: u32) -> i32 {
    let size = (value >> 1).cast_signed();
    if value & 1 != 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `def f():\n  a = 1\n\n  return (a +\n    1)`, compiled by 3.8.18.
    #[test]
    fn lines_of_3_8_go_up_and_down() {
        let lines = Lines::decode(LineTable::Lnotab(0), &[0, 1, 4, 2, 2, 1, 2, 255], 1);
        let seen: Vec<_> = [0, 2, 4, 6, 8].map(|at| lines.at(at)).to_vec();
        assert_eq!(seen, [Some(2), Some(2), Some(4), Some(5), Some(4)]);
        assert_eq!(lines.at(-1), Some(1));
    }

    #[test]
    fn in_3_10_an_instruction_can_have_no_line() {
        let lines = Lines::decode(LineTable::Lines(0), &[2, 1, 2, 0x80, 4, 2], 10);
        let seen: Vec<_> = [0, 2, 4, 6].map(|at| lines.at(at)).to_vec();
        assert_eq!(seen, [Some(11), None, Some(13), Some(13)]);
    }

    #[test]
    fn each_form_of_a_location_is_read() {
        let table = [
            0x80 | 15 << 3, // no location, one unit
            0x80 | 1,
            0x00, // short form, two units: the same line
            0x80 | 11 << 3,
            1,
            2, // one line on
            0x80 | 13 << 3,
            0b101, // two lines back
            0x80 | 14 << 3,
            0x40 | 0b10_1000,
            1,
            0,
            1,
            1, // fifty-two lines on
        ];
        let lines = Lines::decode(LineTable::Locations(0), &table, 7);
        let seen: Vec<_> = [0, 2, 4, 6, 8, 10].map(|at| lines.at(at)).to_vec();
        let known = [None, Some(7), Some(7), Some(8), Some(6), Some(58)];
        assert_eq!(seen, known);
    }

    proptest! {
        #[test]
        fn no_table_makes_trouble(bytes in prop::collection::vec(any::<u8>(), 0..400), first: i32, at: i64) {
            for table in [LineTable::Lnotab(0), LineTable::Lines(0), LineTable::Locations(0)] {
                let _ = Lines::decode(table, &bytes, first).at(at);
            }
        }
    }
}
