//! The code that an entry describes.

use gimli::{Attribute, AttributeValue, Dwarf, Range, RangeListsOffset, Reader, Unit};

/// What an entry's attributes say of where its code is (DWARF 5, section 2.17).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    low: Option<u64>,
    high: Option<u64>,
    size: Option<u64>,
    ranges: Option<RangeListsOffset<usize>>,
}

impl Span {
    /// Takes note of an attribute, if it is one of those.
    pub fn note<R: Reader<Offset = usize>>(
        &mut self,
        dwarf: &Dwarf<R>,
        unit: &Unit<R>,
        attribute: &Attribute<R>,
    ) -> Result<(), gimli::Error> {
        match (attribute.name(), attribute.value()) {
            (gimli::DW_AT_low_pc, value) => self.low = dwarf.attr_address(unit, value)?,
            (gimli::DW_AT_high_pc, AttributeValue::Udata(size)) => self.size = Some(size),
            (gimli::DW_AT_high_pc, value) => self.high = dwarf.attr_address(unit, value)?,
            (gimli::DW_AT_ranges, value) => self.ranges = dwarf.attr_ranges_offset(unit, value)?,
            _ => {}
        }
        Ok(())
    }

    /// Each range that is not empty.
    pub fn each<R: Reader<Offset = usize>>(
        self,
        dwarf: &Dwarf<R>,
        unit: &Unit<R>,
        mut take: impl FnMut(Range),
    ) -> Result<(), gimli::Error> {
        let mut take = |range: Range| {
            if range.begin < range.end {
                take(range);
            }
        };
        if let Some(offset) = self.ranges {
            let mut ranges = dwarf.ranges(unit, offset)?;
            while let Some(range) = ranges.next()? {
                take(range);
            }
        } else if let Some(begin) = self.low {
            let by_size = self.size.map(|size| begin.saturating_add(size));
            if let Some(end) = self.high.or(by_size) {
                take(Range { begin, end });
            }
        }
        Ok(())
    }
}
