//! What the debug information says of a function: its names, and the entries
//! around it.

use gimli::{AttributeValue, DebugInfoOffset, Dwarf, Reader, Unit, UnitOffset};
use std::collections::HashMap;
use std::sync::Arc;

/// How many links (`DW_AT_abstract_origin`, `DW_AT_specification`) are followed
/// from one entry to the next. Compilers make at most two.
const MOST_LINKS: usize = 8;

/// How many entries around a function are looked at.
const MOST_ANCESTORS: usize = 128;

/// The names of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionDie {
    /// The symbol, where the entry has one.
    pub linkage: Option<String>,
    /// The names of the namespaces, types and functions around it, outermost
    /// first, and its own last.
    pub chain: Vec<String>,
}

/// A file's units, each opened when it is first asked for.
pub(crate) struct Units<R: Reader<Offset = usize>> {
    dwarf: Arc<Dwarf<R>>,
    /// Where each unit begins and ends in `.debug_info`, in order.
    bounds: Vec<(usize, usize)>,
    opened: HashMap<usize, Option<Arc<OpenUnit<R>>>>,
}

/// A unit with the nesting of its entries.
pub(crate) struct OpenUnit<R: Reader<Offset = usize>> {
    unit: Unit<R>,
    /// Entries that can hold a function or be one, by offset, each with the
    /// index of the entry around it.
    nesting: Vec<(usize, Option<u32>)>,
}

impl<R: Reader<Offset = usize>> Units<R> {
    /// Reads where the units are, nothing more.
    pub fn new(dwarf: Arc<Dwarf<R>>) -> Self {
        let mut bounds = Vec::new();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            if let Some(offset) = header.debug_info_offset() {
                let end = offset.0.saturating_add(header.length_including_self());
                bounds.push((offset.0, end));
            }
        }
        Self {
            dwarf,
            bounds,
            opened: HashMap::new(),
        }
    }

    /// The names of the function whose entry (or inlined copy) stands at
    /// `offset` of the unit that begins at `unit_start`.
    pub fn function(&mut self, unit_start: usize, offset: UnitOffset) -> Option<FunctionDie> {
        let mut at = (self.open(unit_start)?, offset);
        let mut linkage = None;
        let mut own_name = None;
        for _ in 0..MOST_LINKS {
            let (unit, offset) = &at;
            let entry = unit.unit.entry(*offset).ok()?;
            let text = |name| {
                let value = entry.attr_value(name)?;
                let text = self.dwarf.attr_string(&unit.unit, value).ok()?;
                text.to_string_lossy().ok().map(|text| text.into_owned())
            };
            linkage = linkage
                .or_else(|| text(gimli::DW_AT_linkage_name))
                .or_else(|| text(gimli::DW_AT_MIPS_linkage_name));
            own_name = own_name.or_else(|| text(gimli::DW_AT_name));
            let link = entry
                .attr_value(gimli::DW_AT_abstract_origin)
                .or_else(|| entry.attr_value(gimli::DW_AT_specification));
            match link.and_then(|link| self.follow(&at.0, link)) {
                Some(next) => at = next,
                None => break,
            }
        }
        let mut chain = self.around(&at.0, at.1);
        chain.extend(own_name);
        Some(FunctionDie { linkage, chain })
    }

    /// The directory a unit was compiled in.
    pub fn compilation_dir(&mut self, unit_start: usize) -> Option<String> {
        let unit = self.open(unit_start)?;
        let dir = unit.unit.comp_dir.as_ref()?;
        dir.to_string_lossy().ok().map(|dir| dir.into_owned())
    }

    fn follow(
        &mut self,
        unit: &Arc<OpenUnit<R>>,
        link: AttributeValue<R>,
    ) -> Option<(Arc<OpenUnit<R>>, UnitOffset)> {
        match link {
            AttributeValue::UnitRef(offset) => Some((Arc::clone(unit), offset)),
            AttributeValue::DebugInfoRef(offset) => self.at_section_offset(offset),
            _ => None,
        }
    }

    fn at_section_offset(
        &mut self,
        offset: DebugInfoOffset,
    ) -> Option<(Arc<OpenUnit<R>>, UnitOffset)> {
        let index = self
            .bounds
            .partition_point(|(start, _)| *start <= offset.0)
            .checked_sub(1)?;
        let (start, end) = self.bounds[index];
        if offset.0 >= end {
            return None;
        }
        Some((self.open(start)?, UnitOffset(offset.0 - start)))
    }

    fn around(&self, unit: &OpenUnit<R>, offset: UnitOffset) -> Vec<String> {
        let Ok(mut index) = unit
            .nesting
            .binary_search_by_key(&offset.0, |(offset, _)| *offset)
        else {
            return Vec::new();
        };
        let mut names = Vec::new();
        while let Some(parent) = unit.nesting[index].1 {
            index = parent as usize;
            let name = unit
                .unit
                .entry(UnitOffset(unit.nesting[index].0))
                .ok()
                .and_then(|entry| entry.attr_value(gimli::DW_AT_name))
                .and_then(|value| self.dwarf.attr_string(&unit.unit, value).ok())
                .and_then(|text| text.to_string_lossy().ok().map(|text| text.into_owned()));
            names.extend(name);
            if names.len() >= MOST_ANCESTORS {
                break;
            }
        }
        names.reverse();
        names
    }

    fn open(&mut self, start: usize) -> Option<Arc<OpenUnit<R>>> {
        if let Some(unit) = self.opened.get(&start) {
            return unit.as_ref().map(Arc::clone);
        }
        let unit = self.parse(start).map(Arc::new);
        let result = unit.as_ref().map(Arc::clone);
        self.opened.insert(start, unit);
        result
    }

    fn parse(&self, start: usize) -> Option<OpenUnit<R>> {
        let header = self
            .dwarf
            .debug_info
            .header_from_offset(DebugInfoOffset(start))
            .ok()?;
        let unit = self.dwarf.unit(header).ok()?;
        let nesting = nesting(&unit).unwrap_or_default();
        Some(OpenUnit { unit, nesting })
    }
}

/// One pass over a unit that keeps only what can stand around a function.
fn nesting<R: Reader<Offset = usize>>(
    unit: &Unit<R>,
) -> Result<Vec<(usize, Option<u32>)>, gimli::Error> {
    let mut found: Vec<(usize, Option<u32>)> = Vec::new();
    // The entries we are inside of: their depth and index in `found`.
    let mut open: Vec<(isize, u32)> = Vec::new();
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let offset = entries.next_offset();
        let depth = entries.next_depth();
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        entries.skip_attributes(abbreviation.attributes())?;
        if !holds_functions(abbreviation.tag()) {
            continue;
        }
        while open.last().is_some_and(|(outer, _)| *outer >= depth) {
            open.pop();
        }
        let Ok(index) = u32::try_from(found.len()) else {
            break;
        };
        found.push((offset.0, open.last().map(|(_, index)| *index)));
        open.push((depth, index));
    }
    Ok(found)
}

fn holds_functions(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_subprogram
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
    )
}
