//! What the debug information says of a function: its names, and the entries
//! around it.

use super::inlined::{Inlined, inlined_at, inlined_into};
use super::lines::{Line, Lines};
use super::places::Places;
use super::span::Span;
use gimli::{AttributeValue, DebugInfoOffset, Dwarf, Range, Reader, Unit, UnitOffset};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

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

/// A function at an address: the one that holds the code, or one that was inlined
/// into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its entry; `None` where there are only lines.
    pub entry: Option<UnitOffset>,
    /// The line being run, or called from.
    pub line: Option<Line>,
}

/// A file's units, each opened when it is first asked for.
pub(crate) struct Units<R: Reader<Offset = usize>> {
    places: Arc<Places<R>>,
    opened: HashMap<usize, Option<Arc<OpenUnit<R>>>>,
    inlined: HashMap<(usize, usize), Arc<[Inlined]>>,
}

/// A unit with the nesting of its entries.
pub(crate) struct OpenUnit<R: Reader<Offset = usize>> {
    unit: Unit<R>,
    start: usize,
    outline: Outline,
    lines: OnceLock<Option<Lines<R>>>,
}

/// What one pass over a unit keeps.
#[derive(Debug, Default)]
struct Outline {
    /// Entries that can hold a function or be one, by offset, each with the
    /// index of the entry around it.
    nesting: Vec<(u32, Option<NonZeroU32>)>,
    /// The code of its functions, by where it begins.
    functions: Vec<(Range, u32)>,
}

impl<R: Reader<Offset = usize>> Units<R> {
    /// None of them is opened yet.
    pub fn new(places: Arc<Places<R>>) -> Self {
        Self {
            places,
            opened: HashMap::new(),
            inlined: HashMap::new(),
        }
    }

    /// The functions at an address, the innermost first, and where the unit begins
    /// that tells of them.
    pub fn at(&mut self, svma: u64) -> Option<(usize, Vec<Standing>)> {
        let places = Arc::clone(&self.places);
        places.units_at(svma).find_map(|start| {
            let unit = self.open(start)?;
            let line = unit.lines().and_then(|lines| lines.at(svma));
            let found = match unit.outline.function_at(svma) {
                Some(function) => self.inside(&unit, function, svma, line),
                None => vec![Standing {
                    entry: None,
                    line: Some(line?),
                }],
            };
            Some((start, found))
        })
    }

    /// What stands at `svma` in a function.
    fn inside(
        &mut self,
        unit: &OpenUnit<R>,
        function: UnitOffset,
        svma: u64,
        line: Option<Line>,
    ) -> Vec<Standing> {
        let dwarf = self.places.dwarf();
        let all = self
            .inlined
            .entry((unit.start, function.0))
            .or_insert_with(|| {
                let all = inlined_into(dwarf, &unit.unit, function);
                all.unwrap_or_default().into()
            });
        let mut line = line;
        let mut found = Vec::new();
        for inlined in inlined_at(all, svma).into_iter().rev() {
            found.push(Standing {
                entry: Some(inlined.entry),
                line,
            });
            line = Some(Line {
                file: inlined.call_file,
                line: Some(inlined.call_line).filter(|line| *line != 0),
            });
        }
        found.push(Standing {
            entry: Some(function),
            line,
        });
        found
    }

    /// The path of a file, by its number in the line program of a unit.
    pub fn file(&mut self, unit_start: usize, index: u64) -> Option<String> {
        let unit = self.open(unit_start)?;
        unit.lines()?.file(self.places.dwarf(), &unit.unit, index)
    }

    /// The entry that an inlined copy is a copy of.
    pub fn origin(&mut self, unit_start: usize, offset: UnitOffset) -> Option<(usize, UnitOffset)> {
        let unit = self.open(unit_start)?;
        let entry = unit.unit.entry(offset).ok()?;
        let link = entry.attr_value(gimli::DW_AT_abstract_origin)?;
        let (unit, offset) = self.follow(&unit, link)?;
        Some((unit.start, offset))
    }

    /// The names of the function whose entry (or inlined copy) stands at
    /// `offset` of the unit that begins at `unit_start`.
    pub fn function(&mut self, unit_start: usize, offset: UnitOffset) -> Option<FunctionDie> {
        let dwarf = Arc::clone(self.places.dwarf());
        let mut at = (self.open(unit_start)?, offset);
        let mut linkage = None;
        let mut own_name = None;
        for _ in 0..MOST_LINKS {
            let (unit, offset) = &at;
            let entry = unit.unit.entry(*offset).ok()?;
            let text = |name| {
                let value = entry.attr_value(name)?;
                let text = dwarf.attr_string(&unit.unit, value).ok()?;
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
        let start = self.places.unit_of(offset.0)?;
        Some((self.open(start)?, UnitOffset(offset.0 - start)))
    }

    fn around(&self, unit: &OpenUnit<R>, offset: UnitOffset) -> Vec<String> {
        let nesting = &unit.outline.nesting;
        let Ok(mut index) = nesting.binary_search_by_key(&offset.0, |(at, _)| *at as usize) else {
            return Vec::new();
        };
        let mut names = Vec::new();
        while let Some(parent) = nesting[index].1 {
            index = parent.get() as usize - 1;
            let name = unit
                .unit
                .entry(UnitOffset(nesting[index].0 as usize))
                .ok()
                .and_then(|entry| entry.attr_value(gimli::DW_AT_name))
                .and_then(|value| self.places.dwarf().attr_string(&unit.unit, value).ok())
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
        let dwarf = self.places.dwarf();
        let header = dwarf
            .debug_info
            .header_from_offset(DebugInfoOffset(start))
            .ok()?;
        let unit = dwarf.unit(header).ok()?;
        // Of a damaged unit, what could be read counts.
        let mut outline = Outline::default();
        let _ = outline.read(dwarf, &unit);
        outline.functions.sort_by_key(|(range, _)| range.begin);
        Some(OpenUnit {
            unit,
            start,
            outline,
            lines: OnceLock::new(),
        })
    }
}

impl<R: Reader<Offset = usize>> OpenUnit<R> {
    fn lines(&self) -> Option<&Lines<R>> {
        self.lines.get_or_init(|| Lines::of(&self.unit)).as_ref()
    }
}

impl Outline {
    /// One pass over a unit that keeps only what can stand around a function.
    fn read<R: Reader<Offset = usize>>(
        &mut self,
        dwarf: &Dwarf<R>,
        unit: &Unit<R>,
    ) -> Result<(), gimli::Error> {
        // The entries we are inside of: their depth, and their index plus one.
        let mut open: Vec<(isize, NonZeroU32)> = Vec::new();
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let offset = entries.next_offset();
            let depth = entries.next_depth();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            // Only DWARF for 64-bit offsets, which nobody makes, has larger units.
            let (true, Ok(offset)) = (holds_functions(abbreviation.tag()), u32::try_from(offset.0))
            else {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            };
            if abbreviation.tag() == gimli::DW_TAG_subprogram {
                let mut span = Span::default();
                for spec in abbreviation.attributes() {
                    span.note(dwarf, unit, &entries.read_attribute(*spec)?)?;
                }
                span.each(dwarf, unit, |range| self.functions.push((range, offset)))?;
            } else {
                entries.skip_attributes(abbreviation.attributes())?;
            }
            while open.last().is_some_and(|(outer, _)| *outer >= depth) {
                open.pop();
            }
            self.nesting
                .push((offset, open.last().map(|(_, number)| *number)));
            let number = u32::try_from(self.nesting.len()).ok();
            let Some(number) = number.and_then(NonZeroU32::new) else {
                break;
            };
            open.push((depth, number));
        }
        Ok(())
    }

    fn function_at(&self, svma: u64) -> Option<UnitOffset> {
        let after = self
            .functions
            .partition_point(|(range, _)| range.begin <= svma);
        let (range, offset) = self.functions[after.checked_sub(1)?];
        (svma < range.end).then_some(UnitOffset(offset as usize))
    }
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
