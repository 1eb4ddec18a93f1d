//! Layouts of the target's types, by name, out of its debug information.
//!
//! One pass over the units makes an index of names: which types are defined where, which
//! vtable stands for which type, which function is the body of which coroutine. The rest
//! is read when it is asked for. A type that is only declared in one unit (rustc does
//! that since 1.88, rust-lang/rust#143241) is found where it is defined.

mod cache;
mod code;
mod index;
mod layout;
mod outline;
mod remembered;
#[cfg(test)]
mod tests;
mod variables;
mod within;

pub use cache::TypeCache;
pub use code::{Body, Function};
pub use index::TypeId;
pub use layout::{Declared, Form, Member, Variant, Variants};
pub use variables::{Static, Variable};

use crate::frame::Origin;
use crate::module::{DwarfReader, Module};
use crate::names::{Places, SourceFile};
use gimli::{
    AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian, Reader, Section,
    SectionId, Unit, UnitOffset,
};
use index::{BorrowedDwarf, Index, PathHash, Scope, Table};
use outline::OpenUnit;
use remembered::Paths;
use std::collections::HashMap;
use std::sync::Arc;

/// How many links (`DW_AT_specification`, `typedef`s) are followed from one entry to
/// the next. Compilers make at most a few.
const MOST_LINKS: usize = 8;

/// How many names a full name has at most. People write a dozen.
const MOST_NAMES: usize = 256;

/// The longest full name. Futures wrapped in each other a hundred times have names of
/// some hundred kilobytes.
const LONGEST_PATH: usize = 4 << 20;

/// How many declarations are remembered to lead somewhere.
const MOST_DECLARED: usize = 1 << 20;

/// How many units are kept open: some hundred kilobytes each, and few are asked for.
const MOST_OPEN: usize = 1024;

/// The types of one module.
pub struct Types<R: Reader<Offset = usize>> {
    dwarf: Arc<Dwarf<R>>,
    index: Arc<Index>,
    /// Whose code it is where a file does not tell.
    own: Origin,
    units: HashMap<usize, Option<Arc<OpenUnit<R>>>>,
    places: Option<Arc<Places<R>>>,
    paths: Paths,
    definitions: HashMap<TypeId, TypeId>,
    files: HashMap<(usize, u64), Option<Arc<SourceFile>>>,
}

impl<R: Reader<Offset = usize>> std::fmt::Debug for Types<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Types")
            .field("types", &self.index.types.len())
            .field("bodies", &self.index.bodies.len())
            .field("vtables", &self.index.vtables.len())
            .finish_non_exhaustive()
    }
}

impl Types<DwarfReader> {
    /// Indexes the types that the units of `package` define. `package` is a
    /// crate name as it stands in a codegen unit's name: `tokio`.
    #[must_use]
    pub fn of_package(dwarf: Arc<Dwarf<DwarfReader>>, package: &str) -> Self {
        let index = Index::of(&borrowed(&dwarf), Scope::Package(package));
        Self::new(dwarf, Arc::new(index), Origin::Library)
    }

    /// Indexes the types that all units of a module define, or takes the index out of
    /// `cache`. `own` is whose the module's own code is: the user's in the program, a
    /// library's elsewhere. Nothing where the module has no debug information.
    #[must_use]
    pub fn of_module(module: &Module, own: Origin, cache: Option<&TypeCache>) -> Option<Self> {
        let dwarf = Arc::clone(module.dwarf().ok()??);
        let make = || Index::of(&borrowed(&dwarf), Scope::Module);
        let index = cache::load_or_make(module, &dwarf, cache, make);
        let mut types = Self::new(dwarf, Arc::new(index), own);
        types.places = module.places().map(Arc::clone);
        Some(types)
    }
}

impl<R: Reader<Offset = usize>> Types<R> {
    fn new(dwarf: Arc<Dwarf<R>>, index: Arc<Index>, own: Origin) -> Self {
        Self {
            dwarf,
            index,
            own,
            units: HashMap::new(),
            places: None,
            paths: Paths::default(),
            definitions: HashMap::new(),
            files: HashMap::new(),
        }
    }

    /// Where the sources of the package stood when it was compiled, with its
    /// version: `…/tokio-1.54.1`. Nothing for a whole module.
    #[must_use]
    pub fn package_dir(&self) -> Option<&str> {
        self.index.package_dir.as_deref()
    }

    /// The definition of the type with this full name.
    pub fn find(&mut self, path: &str) -> Option<TypeId> {
        let found = self.index.look_up(&self.index.types, PathHash::of(path));
        found.into_iter().find(|id| self.is_at(*id, path))
    }

    /// Whether two types are the same: one entry, or one full name and size.
    pub fn same(&mut self, one: TypeId, other: TypeId) -> bool {
        if one == other {
            return true;
        }
        let path = self.path(one);
        path.is_some() && path == self.path(other) && self.size(one) == self.size(other)
    }

    /// The one entry that stands for all that define the same type: a key to remember
    /// things by. A declaration leads to a definition, if there is one.
    pub fn representative(&mut self, id: TypeId) -> TypeId {
        let id = self.definition(id);
        let Some(path) = self.path(id) else {
            return id;
        };
        let size = self.size(id);
        let found = self.index.look_up(&self.index.types, PathHash::of(&path));
        let mut alike = found.into_iter();
        alike
            .find(|other| self.is_at(*other, &path) && self.size(*other) == size)
            .unwrap_or(id)
    }

    /// A type's own name, with its arguments and without its path.
    pub fn name(&mut self, id: TypeId) -> Option<String> {
        let unit = self.unit(id)?;
        let entry = unit.unit.entry(UnitOffset(id.offset)).ok()?;
        self.entry_name(&unit.unit, &entry)
    }

    /// The full name of a type or variable, with the namespaces around it:
    /// `app::handler::{async_fn_env#0}<u64>`.
    pub fn path(&mut self, id: TypeId) -> Option<Arc<str>> {
        if let Some(path) = self.paths.get(id) {
            return path;
        }
        let path: Option<Arc<str>> = self.read_path(id).map(Arc::from);
        self.paths.remember(id, path.as_ref().map(Arc::clone));
        path
    }

    fn read_path(&mut self, id: TypeId) -> Option<String> {
        let unit = self.unit(id)?;
        let offset = UnitOffset(id.offset);
        let own = self.name(id)?;
        let dwarf = &self.dwarf;
        let mut length = own.len();
        let mut names = vec![own];
        for scope in unit.outline(dwarf).around(offset) {
            let entry = unit.unit.entry(scope).ok()?;
            let Some(name) = self.entry_name(&unit.unit, &entry) else {
                continue;
            };
            length = length.saturating_add(name.len() + 2);
            if length > LONGEST_PATH || names.len() >= MOST_NAMES {
                return None;
            }
            names.push(name);
        }
        names.reverse();
        Some(names.join("::"))
    }

    /// Whether the entry `id` has the full name `path`.
    fn is_at(&mut self, id: TypeId, path: &str) -> bool {
        // Its own name tells most of those that are not.
        let ends = self.name(id).is_some_and(|name| path.ends_with(&name));
        ends && self.path(id).is_some_and(|found| *found == *path)
    }

    /// What `table` has by the full name `path`.
    fn named(&mut self, table: fn(&Index) -> &Table, path: &str) -> Option<TypeId> {
        let found = self.index.look_up(table(&self.index), PathHash::of(path));
        found.into_iter().find(|id| self.is_at(*id, path))
    }

    /// Where the type behind `id` is defined: `id` itself unless it is only a
    /// declaration.
    fn definition(&mut self, id: TypeId) -> TypeId {
        if let Some(definition) = self.definitions.get(&id) {
            return *definition;
        }
        let definition = self.find_definition(id).unwrap_or(id);
        if definition != id {
            if self.definitions.len() >= MOST_DECLARED {
                self.definitions.clear();
            }
            self.definitions.insert(id, definition);
        }
        definition
    }

    fn find_definition(&mut self, id: TypeId) -> Option<TypeId> {
        let unit = self.unit(id)?;
        let entry = unit.unit.entry(UnitOffset(id.offset)).ok()?;
        let declaration = entry.attr_value(gimli::DW_AT_declaration)?;
        if matches!(declaration, AttributeValue::Flag(false)) {
            return None;
        }
        let path = self.path(id)?;
        self.find(&path)
    }

    /// The type that an entry refers to with `DW_AT_type`.
    fn type_of(&self, id: TypeId, entry: &DebuggingInformationEntry<R>) -> Option<TypeId> {
        self.link(id, &entry.attr_value(gimli::DW_AT_type)?)
    }

    /// The entry that an attribute of an entry in the unit of `id` refers to.
    fn link(&self, id: TypeId, value: &AttributeValue<R>) -> Option<TypeId> {
        match value {
            AttributeValue::UnitRef(offset) => Some(TypeId {
                unit: id.unit,
                offset: offset.0,
            }),
            AttributeValue::DebugInfoRef(offset) => self.index.at(offset.0),
            _ => None,
        }
    }

    fn entry_name(&self, unit: &Unit<R>, entry: &DebuggingInformationEntry<R>) -> Option<String> {
        self.text(unit, entry, gimli::DW_AT_name)
    }

    fn text(
        &self,
        unit: &Unit<R>,
        entry: &DebuggingInformationEntry<R>,
        attribute: gimli::DwAt,
    ) -> Option<String> {
        let value = entry.attr_value(attribute)?;
        let text = self.dwarf.attr_string(unit, value).ok()?;
        if text.len() > LONGEST_PATH {
            return None;
        }
        text.to_string_lossy().ok().map(|text| text.into_owned())
    }

    fn unit(&mut self, id: TypeId) -> Option<Arc<OpenUnit<R>>> {
        let dwarf = &self.dwarf;
        if self.units.len() >= MOST_OPEN && !self.units.contains_key(&id.unit) {
            self.units.clear();
        }
        self.units
            .entry(id.unit)
            .or_insert_with(|| OpenUnit::read(dwarf, id.unit).map(Arc::new))
            .as_ref()
            .map(Arc::clone)
    }
}

/// The same sections, without counting who reads them: threads that count on each
/// other's counters wait for each other.
fn borrowed(dwarf: &Dwarf<DwarfReader>) -> BorrowedDwarf<'_> {
    fn slice(reader: &DwarfReader) -> EndianSlice<'_, LittleEndian> {
        EndianSlice::new(reader.bytes(), LittleEndian)
    }
    let load = |id| {
        Ok::<_, std::convert::Infallible>(match id {
            SectionId::DebugAbbrev => slice(dwarf.debug_abbrev.reader()),
            SectionId::DebugAddr => slice(dwarf.debug_addr.reader()),
            SectionId::DebugInfo => slice(dwarf.debug_info.reader()),
            SectionId::DebugLine => slice(dwarf.debug_line.reader()),
            SectionId::DebugLineStr => slice(dwarf.debug_line_str.reader()),
            SectionId::DebugStr => slice(dwarf.debug_str.reader()),
            SectionId::DebugStrOffsets => slice(dwarf.debug_str_offsets.reader()),
            _ => EndianSlice::default(),
        })
    };
    match Dwarf::load(load) {
        Ok(dwarf) => dwarf,
        Err(never) => match never {},
    }
}
