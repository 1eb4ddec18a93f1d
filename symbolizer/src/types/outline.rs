//! What stands around each entry of a unit, and where its functions begin.

use gimli::{AttributeValue, Dwarf, Reader, Unit, UnitOffset};
use std::sync::OnceLock;

/// A unit, and its outline once somebody asks for it.
pub(super) struct OpenUnit<R: Reader<Offset = usize>> {
    pub unit: Unit<R>,
    pub start: usize,
    outline: OnceLock<Outline>,
}

/// What one pass over a unit keeps.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// By where they begin: what is inside of another comes after it.
    scopes: Vec<Scope>,
    /// By address.
    functions: Vec<Code>,
}

/// Namespaces, types and functions, with all that they hold.
#[derive(Debug)]
struct Scope {
    begin: u32,
    end: u32,
    /// The one around it, by its number plus one.
    around: u32,
}

/// A function that has code of its own.
#[derive(Debug, Clone, Copy)]
struct Code {
    begin: u64,
    entry: u32,
    /// The entry that it is a copy of, or 0.
    origin: u32,
}

impl<R: Reader<Offset = usize>> OpenUnit<R> {
    pub fn read(dwarf: &Dwarf<R>, start: usize) -> Option<Self> {
        let header = dwarf.unit_header(gimli::DebugInfoOffset(start)).ok()?;
        Some(Self {
            unit: dwarf.unit(header).ok()?,
            start,
            outline: OnceLock::new(),
        })
    }

    pub fn outline(&self, dwarf: &Dwarf<R>) -> &Outline {
        self.outline.get_or_init(|| {
            let mut outline = Outline::default();
            // Of a damaged unit, what could be read counts.
            let _ = outline.read(dwarf, &self.unit);
            outline.functions.sort_by_key(|code| code.begin);
            outline
        })
    }
}

impl Outline {
    fn read<R: Reader<Offset = usize>>(
        &mut self,
        dwarf: &Dwarf<R>,
        unit: &Unit<R>,
    ) -> Result<(), gimli::Error> {
        // The scopes we are inside of: their depths and numbers plus one.
        let mut open: Vec<(isize, u32)> = Vec::new();
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let offset = entries.next_offset();
            let depth = entries.next_depth();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let tag = abbreviation.tag();
            let Ok(begin) = u32::try_from(offset.0) else {
                break;
            };
            if tag == gimli::DW_TAG_subprogram {
                let mut code = Code {
                    begin: 0,
                    entry: begin,
                    origin: 0,
                };
                for spec in abbreviation.attributes() {
                    code.note(dwarf, unit, &entries.read_attribute(*spec)?);
                }
                // What the linker left out stands at 0.
                if code.begin != 0 {
                    self.functions.push(code);
                }
            } else {
                entries.skip_attributes(abbreviation.attributes())?;
            }
            while let Some((_, number)) = open.pop_if(|(outer, _)| *outer >= depth) {
                self.scopes[number as usize - 1].end = begin;
            }
            if abbreviation.has_children() && holds_names(tag) {
                self.scopes.push(Scope {
                    begin,
                    end: u32::MAX,
                    around: open.last().map_or(0, |(_, number)| *number),
                });
                let Ok(number) = u32::try_from(self.scopes.len()) else {
                    break;
                };
                open.push((depth, number));
            }
        }
        Ok(())
    }

    /// The scopes that `entry` stands in, the innermost first.
    pub fn around(&self, entry: UnitOffset) -> impl Iterator<Item = UnitOffset> {
        let entry = entry.0;
        let mut at = self
            .scopes
            .partition_point(|scope| (scope.begin as usize) < entry);
        // A scope's number is greater than that of the one around it: this ends.
        std::iter::from_fn(move || {
            loop {
                let scope = self.scopes.get(at.checked_sub(1)?)?;
                at = scope.around as usize;
                if entry < scope.end as usize {
                    return Some(UnitOffset(scope.begin as usize));
                }
            }
        })
    }

    /// The functions whose code begins at `svma`.
    pub fn functions_at(&self, svma: u64) -> impl Iterator<Item = UnitOffset> {
        let start = self.functions.partition_point(|code| code.begin < svma);
        let from = &self.functions[start..];
        let there = from.iter().take_while(move |code| code.begin == svma);
        there.map(|code| UnitOffset(code.entry as usize))
    }

    /// Where the code of the function with this entry begins, or that of a copy of it.
    pub fn code_of(&self, entry: UnitOffset) -> Option<u64> {
        let of = |code: &&Code| code.entry as usize == entry.0 || code.origin as usize == entry.0;
        self.functions.iter().find(of).map(|code| code.begin)
    }
}

impl Code {
    fn note<R: Reader<Offset = usize>>(
        &mut self,
        dwarf: &Dwarf<R>,
        unit: &Unit<R>,
        attribute: &gimli::Attribute<R>,
    ) {
        match (attribute.name(), attribute.value()) {
            (gimli::DW_AT_low_pc, value) => {
                let address = dwarf.attr_address(unit, value).ok().flatten();
                self.begin = address.unwrap_or(0);
            }
            (
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification,
                AttributeValue::UnitRef(origin),
            ) => self.origin = u32::try_from(origin.0).unwrap_or(0),
            _ => {}
        }
    }
}

fn holds_names(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_subprogram
    )
}
