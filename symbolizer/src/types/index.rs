//! Which types a package's units define, and where.

use gimli::{Dwarf, Reader, Unit};
use std::collections::HashMap;

/// The most types of one package that are kept.
const MOST_TYPES: usize = 2_000_000;

/// A type, or a variable, by the place of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId {
    /// Where its unit begins in `.debug_info`.
    pub unit: usize,
    /// Its offset in the unit.
    pub offset: usize,
}

/// The names a package defines.
#[derive(Default)]
pub(super) struct Index {
    /// Definitions by full name.
    defined: HashMap<String, TypeId>,
    /// Full names of types that are only declared where they stand.
    declared: HashMap<TypeId, String>,
    /// Types that are defined in several units: the definition that stands for
    /// all.
    again: HashMap<TypeId, TypeId>,
    /// Variables with a place in memory, by full name.
    variables: Vec<(String, TypeId)>,
    /// Every unit of the file: where it begins and ends.
    bounds: Vec<(usize, usize)>,
    package_dir: Option<String>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("defined", &self.defined.len())
            .field("declared", &self.declared.len())
            .finish_non_exhaustive()
    }
}

impl Index {
    pub fn of_package<R: Reader<Offset = usize>>(dwarf: &Dwarf<R>, package: &str) -> Self {
        let mut index = Self::default();
        let mark = format!("@/{package}.");
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let Some(start) = header.debug_info_offset() else {
                continue;
            };
            let end = start.0.saturating_add(header.length_including_self());
            index.bounds.push((start.0, end));
            let Ok(unit) = dwarf.unit(header) else {
                continue;
            };
            let text = |reader: &Option<R>| {
                let text = reader.as_ref()?.to_string_lossy().ok()?;
                Some(text.into_owned())
            };
            if text(&unit.name).is_some_and(|name| name.contains(&mark)) {
                index.package_dir = index.package_dir.take().or_else(|| text(&unit.comp_dir));
                // A broken unit gives what could be read of it.
                let _ = index.add(dwarf, &unit, start.0);
            }
        }
        index
    }

    fn add<R: Reader<Offset = usize>>(
        &mut self,
        dwarf: &Dwarf<R>,
        unit: &Unit<R>,
        start: usize,
    ) -> Result<(), gimli::Error> {
        // The entries we are inside of: depth, the length of their path, and
        // whether a function is among them, whose locals are of no interest.
        let mut open: Vec<(isize, usize, bool)> = Vec::new();
        let mut path = String::new();
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let offset = entries.next_offset();
            let depth = entries.next_depth();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let tag = abbreviation.tag();
            if !is_named_place(tag) {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            let (mut name, mut declaration, mut located) = (None, false, false);
            for spec in abbreviation.attributes() {
                let attribute = entries.read_attribute(*spec)?;
                match attribute.name() {
                    gimli::DW_AT_name => name = dwarf.attr_string(unit, attribute.value()).ok(),
                    gimli::DW_AT_declaration => declaration = true,
                    gimli::DW_AT_location => located = true,
                    _ => {}
                }
            }
            while open.last().is_some_and(|(outer, ..)| *outer >= depth) {
                open.pop();
            }
            let (length, in_function) = open.last().map_or((0, false), |(_, l, f)| (*l, *f));
            path.truncate(length);
            if let Some(name) = name {
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(&name.to_string_lossy()?);
            }
            let function = tag == gimli::DW_TAG_subprogram;
            open.push((depth, path.len(), in_function || function));
            if self.defined.len() + self.declared.len() + self.again.len() >= MOST_TYPES {
                return Ok(());
            }
            let id = TypeId {
                unit: start,
                offset: offset.0,
            };
            self.note(tag, &path, id, declaration, located && !in_function);
        }
        Ok(())
    }

    fn note(
        &mut self,
        tag: gimli::DwTag,
        path: &str,
        id: TypeId,
        declaration: bool,
        located: bool,
    ) {
        match tag {
            gimli::DW_TAG_variable if located => self.variables.push((path.to_owned(), id)),
            gimli::DW_TAG_structure_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type => {
                if declaration {
                    self.declared.insert(id, path.to_owned());
                } else if let Some(first) = self.defined.get(path) {
                    self.again.insert(id, *first);
                } else {
                    self.defined.insert(path.to_owned(), id);
                }
            }
            _ => {}
        }
    }

    pub fn find(&self, path: &str) -> Option<TypeId> {
        self.defined.get(path).copied()
    }

    pub fn definition(&self, id: TypeId) -> TypeId {
        let declared = self.declared.get(&id).and_then(|path| self.find(path));
        declared
            .or_else(|| self.again.get(&id).copied())
            .unwrap_or(id)
    }

    pub fn variables(&self, prefix: &str) -> Vec<TypeId> {
        let named = self.variables.iter().filter(|(p, _)| p.starts_with(prefix));
        named.map(|(_, id)| *id).collect()
    }

    pub fn unit_of(&self, section_offset: usize) -> Option<TypeId> {
        let index = self
            .bounds
            .partition_point(|(start, _)| *start <= section_offset)
            .checked_sub(1)?;
        let (start, end) = self.bounds[index];
        (section_offset < end).then_some(TypeId {
            unit: start,
            offset: section_offset - start,
        })
    }

    pub fn package_dir(&self) -> Option<&str> {
        self.package_dir.as_deref()
    }
}

fn is_named_place(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_variable
            | gimli::DW_TAG_subprogram
    )
}
