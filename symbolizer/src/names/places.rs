//! Which unit of a file describes an address.

use gimli::{Dwarf, Range, Reader, Unit, UnitHeader, UnitType};
use std::sync::Arc;

/// Between two functions of a unit lies padding up to the next boundary, which
/// belongs to nobody. What is no further apart is one stretch.
const PADDING: u64 = 64;

/// Where the units of a file are, and what code they describe. Read once, and
/// shared by all that look names up.
///
/// A unit of a large program lists each of its functions, millions in all; but a
/// linker lays the code of a unit together, so that a few stretches remain.
pub struct Places<R: Reader<Offset = usize>> {
    dwarf: Arc<Dwarf<R>>,
    /// Where each unit begins and ends in `.debug_info`, in order.
    bounds: Vec<(usize, usize)>,
    /// By where they begin.
    stretches: Vec<Stretch>,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    begin: u64,
    end: u64,
    /// How far this one, or any before it, reaches.
    reach: u64,
    /// Where the unit begins in `.debug_info`.
    unit: usize,
}

impl<R: Reader<Offset = usize>> std::fmt::Debug for Places<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places")
            .field("units", &self.bounds.len())
            .field("stretches", &self.stretches.len())
            .finish_non_exhaustive()
    }
}

impl<R: Reader<Offset = usize>> Places<R> {
    /// Reads the first entry of every unit, nothing more. A damaged unit describes
    /// nothing.
    #[must_use]
    pub fn of(dwarf: Arc<Dwarf<R>>) -> Self {
        let mut places = Self {
            bounds: Vec::new(),
            stretches: Vec::new(),
            dwarf,
        };
        let mut headers = places.dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            if let Some(offset) = header.debug_info_offset() {
                let end = offset.0.saturating_add(header.length_including_self());
                places.bounds.push((offset.0, end));
                // What could be read of it counts.
                let _ = places.add(header, offset.0);
            }
        }
        places.stretches.sort_by_key(|stretch| stretch.begin);
        places.stretches.dedup_by(|next, kept| {
            let joined = kept.unit == next.unit && kept.joins(next.begin);
            if joined {
                kept.end = kept.end.max(next.end);
            }
            joined
        });
        places.stretches.shrink_to_fit();
        let mut reach = 0;
        for stretch in &mut places.stretches {
            reach = stretch.end.max(reach);
            stretch.reach = reach;
        }
        places
    }

    pub(super) fn dwarf(&self) -> &Arc<Dwarf<R>> {
        &self.dwarf
    }

    fn add(&mut self, header: UnitHeader<R>, start: usize) -> Result<(), gimli::Error> {
        // Others hold types, or parts that units refer to.
        if !matches!(
            header.type_(),
            UnitType::Compilation | UnitType::Skeleton(_)
        ) {
            return Ok(());
        }
        let dwarf = Arc::clone(&self.dwarf);
        let unit = dwarf.unit(header)?;
        let before = self.stretches.len();
        let mut ranges = dwarf.unit_ranges(&unit)?;
        while let Some(range) = ranges.next()? {
            self.add_range(range, start, before);
        }
        if self.stretches.len() == before {
            self.add_lines(&unit, start)?;
        }
        Ok(())
    }

    /// A unit that does not say what it describes tells by its lines.
    fn add_lines(&mut self, unit: &Unit<R>, start: usize) -> Result<(), gimli::Error> {
        let before = self.stretches.len();
        if let Some(program) = unit.line_program.clone() {
            let (_, sequences) = program.sequences()?;
            for sequence in sequences {
                let range = Range {
                    begin: sequence.start,
                    end: sequence.end,
                };
                self.add_range(range, start, before);
            }
        }
        Ok(())
    }

    fn add_range(&mut self, range: Range, unit: usize, first: usize) {
        // What the linker left out stands at 0.
        if range.begin == 0 || range.begin >= range.end {
            return;
        }
        if let Some(last) = self.stretches[first..].last_mut()
            && last.joins(range.begin)
        {
            last.end = last.end.max(range.end);
            return;
        }
        self.stretches.push(Stretch {
            begin: range.begin,
            end: range.end,
            reach: 0,
            unit,
        });
    }

    /// The units that may describe `svma`, the likeliest first.
    pub(crate) fn units_at(&self, svma: u64) -> impl Iterator<Item = usize> + '_ {
        let after = self.stretches.partition_point(|s| s.begin <= svma);
        let before = self.stretches[..after].iter().rev();
        before
            .take_while(move |stretch| stretch.reach > svma)
            .filter(move |stretch| stretch.end > svma)
            .map(|stretch| stretch.unit)
    }

    /// The unit that holds an entry, by where both stand in `.debug_info`.
    pub(super) fn unit_of(&self, entry: usize) -> Option<usize> {
        let after = self.bounds.partition_point(|(start, _)| *start <= entry);
        let (start, end) = self.bounds[after.checked_sub(1)?];
        (entry < end).then_some(start)
    }
}

impl Stretch {
    fn joins(&self, begin: u64) -> bool {
        self.begin <= begin && begin <= self.end.saturating_add(PADDING)
    }
}
