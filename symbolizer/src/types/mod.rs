//! Layouts of the target's types, by name, out of its debug information.
//!
//! Nothing is read until something is asked for, and then only the units of
//! the packages in question. A type that is only declared in one unit (rustc
//! does that since 1.88, rust-lang/rust#143241) is found where it is defined.

mod index;

pub use index::TypeId;

use gimli::{AttributeValue, DebuggingInformationEntry, Dwarf, Reader, Unit, UnitOffset};
use index::Index;
use std::collections::HashMap;
use std::sync::Arc;

/// The most members or variants of one type that are looked at.
const MOST_CHILDREN: usize = 4096;

/// A member of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name; tuple fields are `__0`, `__1`, ….
    pub name: String,
    /// Bytes from the start of the struct.
    pub offset: u64,
    /// Its type.
    pub type_id: TypeId,
}

/// How an enum stores which variant it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variants {
    /// Where the discriminant stands and how many bytes it has; `None` when
    /// there is a single variant.
    pub discriminant: Option<(u64, u64)>,
    /// The variants.
    pub variants: Vec<Variant>,
}

/// One variant of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The discriminant's value; `None` for the one that all other values mean.
    pub value: Option<u64>,
    /// The variant's name.
    pub name: String,
    /// Bytes from the start of the enum to the variant's payload.
    pub offset: u64,
    /// The payload's type.
    pub type_id: TypeId,
}

/// A thread-local or static variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Bytes into the module's thread-local block.
    pub tls_offset: u64,
    /// Its type.
    pub type_id: TypeId,
}

/// The types of one module.
pub struct Types<R: Reader<Offset = usize>> {
    dwarf: Arc<Dwarf<R>>,
    index: Index,
    units: HashMap<usize, Option<Arc<Unit<R>>>>,
}

impl<R: Reader<Offset = usize>> std::fmt::Debug for Types<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Types")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl<R: Reader<Offset = usize>> Types<R> {
    /// Indexes the types that the units of `package` define. `package` is a
    /// crate name as it stands in a codegen unit's name: `tokio`.
    #[must_use]
    pub fn of_package(dwarf: Arc<Dwarf<R>>, package: &str) -> Self {
        Self {
            index: Index::of_package(&dwarf, package),
            dwarf,
            units: HashMap::new(),
        }
    }

    /// Where the sources of the package stood when it was compiled, with its
    /// version: `…/tokio-1.54.1`.
    #[must_use]
    pub fn package_dir(&self) -> Option<&str> {
        self.index.package_dir()
    }

    /// The definition of the type with this full name.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<TypeId> {
        self.index.find(path)
    }

    /// The thread-local variables whose full name begins with `prefix`.
    pub fn thread_locals(&mut self, prefix: &str) -> Vec<Variable> {
        let found = self.index.variables(prefix);
        found
            .into_iter()
            .filter_map(|id| self.variable(id))
            .collect()
    }

    /// Whether two types are the same: one entry, or one full name.
    #[must_use]
    pub fn same(&self, one: TypeId, other: TypeId) -> bool {
        self.index.definition(one) == self.index.definition(other)
    }

    /// The size of a type in bytes.
    pub fn size(&mut self, id: TypeId) -> Option<u64> {
        let id = self.definition(id);
        let unit = self.unit(id)?;
        let entry = unit.entry(UnitOffset(id.offset)).ok()?;
        entry.attr_value(gimli::DW_AT_byte_size)?.udata_value()
    }

    /// A type's own name, with its arguments and without its path.
    pub fn name(&mut self, id: TypeId) -> Option<String> {
        let unit = self.unit(id)?;
        let entry = unit.entry(UnitOffset(id.offset)).ok()?;
        self.entry_name(&unit, &entry)
    }

    /// The members of a struct, or of the struct behind a declaration.
    pub fn members(&mut self, id: TypeId) -> Vec<Member> {
        let id = self.definition(id);
        self.members_of(id).unwrap_or_default()
    }

    /// The member `name` of a struct.
    pub fn member(&mut self, id: TypeId, name: &str) -> Option<Member> {
        self.members(id).into_iter().find(|m| m.name == name)
    }

    /// Follows `path` from member to member: the offset from the start of `id`,
    /// and the last member's type.
    pub fn walk(&mut self, id: TypeId, path: &[&str]) -> Option<(u64, TypeId)> {
        let mut at = (0u64, id);
        for name in path {
            let member = self.member(at.1, name)?;
            at = (at.0.checked_add(member.offset)?, member.type_id);
        }
        Some(at)
    }

    /// What a pointer type points to.
    pub fn pointee(&mut self, id: TypeId) -> Option<TypeId> {
        let unit = self.unit(id)?;
        let entry = unit.entry(UnitOffset(id.offset)).ok()?;
        if entry.tag() != gimli::DW_TAG_pointer_type {
            return None;
        }
        self.type_of(id, &entry)
    }

    /// The variants of an enum.
    pub fn variants(&mut self, id: TypeId) -> Option<Variants> {
        let id = self.definition(id);
        let unit = self.unit(id)?;
        let mut tree = unit.entries_tree(Some(UnitOffset(id.offset))).ok()?;
        let mut children = tree.root().ok()?.children();
        while let Some(child) = children.next().ok()? {
            if child.entry().tag() == gimli::DW_TAG_variant_part {
                return self.variant_part(id, &unit, child);
            }
        }
        None
    }

    fn variant_part(
        &mut self,
        id: TypeId,
        unit: &Unit<R>,
        part: gimli::EntriesTreeNode<'_, '_, R>,
    ) -> Option<Variants> {
        let discriminant_member = match part.entry().attr_value(gimli::DW_AT_discr) {
            Some(AttributeValue::UnitRef(offset)) => Some(offset),
            _ => None,
        };
        let mut out = Variants {
            discriminant: discriminant_member.and_then(|offset| self.place(id, unit, offset)),
            variants: Vec::new(),
        };
        let mut children = part.children();
        while let Some(child) = children.next().ok()? {
            if child.entry().tag() != gimli::DW_TAG_variant || out.variants.len() >= MOST_CHILDREN {
                continue;
            }
            let value = child
                .entry()
                .attr_value(gimli::DW_AT_discr_value)
                .and_then(|value| {
                    value
                        .udata_value()
                        .or(value.sdata_value().map(i64::cast_unsigned))
                });
            let mut payload = child.children();
            while let Some(member) = payload.next().ok()? {
                if let Some(member) = self.as_member(id, unit, member.entry()) {
                    out.variants.push(Variant {
                        value,
                        name: member.name,
                        offset: member.offset,
                        type_id: member.type_id,
                    });
                    break;
                }
            }
        }
        Some(out)
    }

    /// Offset and size of the member at `offset`.
    fn place(&mut self, id: TypeId, unit: &Unit<R>, offset: UnitOffset) -> Option<(u64, u64)> {
        let entry = unit.entry(offset).ok()?;
        let at = entry
            .attr_value(gimli::DW_AT_data_member_location)?
            .udata_value()?;
        let type_id = self.type_of(id, &entry)?;
        Some((at, self.size(type_id)?))
    }

    fn members_of(&mut self, id: TypeId) -> Option<Vec<Member>> {
        let unit = self.unit(id)?;
        let mut tree = unit.entries_tree(Some(UnitOffset(id.offset))).ok()?;
        let mut children = tree.root().ok()?.children();
        let mut out = Vec::new();
        while let Some(child) = children.next().ok()? {
            out.extend(self.as_member(id, &unit, child.entry()));
            if out.len() >= MOST_CHILDREN {
                break;
            }
        }
        Some(out)
    }

    fn as_member(
        &self,
        id: TypeId,
        unit: &Unit<R>,
        entry: &DebuggingInformationEntry<R>,
    ) -> Option<Member> {
        if entry.tag() != gimli::DW_TAG_member {
            return None;
        }
        Some(Member {
            name: self.entry_name(unit, entry).unwrap_or_default(),
            offset: entry
                .attr_value(gimli::DW_AT_data_member_location)?
                .udata_value()?,
            type_id: self.type_of(id, entry)?,
        })
    }

    fn variable(&mut self, id: TypeId) -> Option<Variable> {
        let unit = self.unit(id)?;
        let entry = unit.entry(UnitOffset(id.offset)).ok()?;
        let expression = entry.attr_value(gimli::DW_AT_location)?.exprloc_value()?;
        let mut operations = expression.operations(unit.encoding());
        let gimli::Operation::UnsignedConstant { value } = operations.next().ok()?? else {
            return None;
        };
        let gimli::Operation::TLS = operations.next().ok()?? else {
            return None;
        };
        Some(Variable {
            tls_offset: value,
            type_id: self.type_of(id, &entry)?,
        })
    }

    /// The type that an entry refers to with `DW_AT_type`.
    fn type_of(&self, id: TypeId, entry: &DebuggingInformationEntry<R>) -> Option<TypeId> {
        match entry.attr_value(gimli::DW_AT_type)? {
            AttributeValue::UnitRef(offset) => Some(TypeId {
                unit: id.unit,
                offset: offset.0,
            }),
            AttributeValue::DebugInfoRef(offset) => self.index.unit_of(offset.0),
            _ => None,
        }
    }

    /// Where the type behind `id` is defined: `id` itself unless it is only a
    /// declaration.
    fn definition(&mut self, id: TypeId) -> TypeId {
        self.index.definition(id)
    }

    fn entry_name(&self, unit: &Unit<R>, entry: &DebuggingInformationEntry<R>) -> Option<String> {
        let value = entry.attr_value(gimli::DW_AT_name)?;
        let text = self.dwarf.attr_string(unit, value).ok()?;
        text.to_string_lossy().ok().map(|text| text.into_owned())
    }

    fn unit(&mut self, id: TypeId) -> Option<Arc<Unit<R>>> {
        let dwarf = &self.dwarf;
        self.units
            .entry(id.unit)
            .or_insert_with(|| {
                let header = dwarf
                    .debug_info
                    .header_from_offset(gimli::DebugInfoOffset(id.unit))
                    .ok()?;
                dwarf.unit(header).ok().map(Arc::new)
            })
            .as_ref()
            .map(Arc::clone)
    }
}
