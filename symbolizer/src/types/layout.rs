//! How a type is laid out.

use super::outline::OpenUnit;
use super::{MOST_LINKS, TypeId, Types};
use crate::names::{SourceFile, declaring_file};
use gimli::{AttributeValue, DebuggingInformationEntry, EntriesTreeNode, Reader, UnitOffset};
use std::sync::Arc;

/// The most members or variants of one type that are looked at.
pub(super) const MOST_CHILDREN: usize = 4096;

/// What sort of type it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It has members.
    Struct,
    /// It has variants, each with members: also a coroutine, whose variants are the
    /// points where it can stand.
    Enum,
    /// Its members share their place.
    Union,
    /// An address. Of a pointer to a slice or to a trait object, which has a second
    /// word, the compiler makes a struct.
    Pointer {
        /// Of what; `None` for C's `void*`.
        to: Option<TypeId>,
    },
    /// So many of one type.
    Array {
        /// Of which.
        element: TypeId,
        /// How many; 0 where it is not told.
        count: u64,
    },
    /// A number, a character, or an enumeration without members.
    Base {
        /// In bytes.
        size: u64,
        /// What it means; `None` for an enumeration.
        encoding: Option<gimli::DwAte>,
    },
    /// A function, or something that no layout is told of.
    Other,
}

/// A member of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name; tuple fields are `__0`, `__1`, ….
    pub name: String,
    /// Bytes from the start of the struct.
    pub offset: u64,
    /// Its type.
    pub type_id: TypeId,
    /// The compiler made it, not the source.
    pub artificial: bool,
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
    /// The discriminant's value, in as many bytes as it has; `None` for the one that
    /// all other values mean.
    pub value: Option<u64>,
    /// The variant's name; that of a coroutine's is a number.
    pub name: String,
    /// Bytes from the start of the enum to the variant's payload.
    pub offset: u64,
    /// The payload's type. That of a coroutine is called `Unresumed`, `Returned`,
    /// `Panicked`, `Suspend0`, ….
    pub type_id: TypeId,
    /// Where in the source it is: of a coroutine's variant, the line of the `.await`.
    pub declared: Option<Declared>,
}

/// Where the source of something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The line.
    pub line: u32,
}

impl<R: Reader<Offset = usize>> Types<R> {
    /// What sort of type it is.
    pub fn form(&mut self, id: TypeId) -> Form {
        self.form_of(id).unwrap_or(Form::Other)
    }

    fn form_of(&mut self, id: TypeId) -> Option<Form> {
        let mut id = self.definition(id);
        for _ in 0..MOST_LINKS {
            let unit = self.unit(id)?;
            let entry = unit.unit.entry(UnitOffset(id.offset)).ok()?;
            return Some(match entry.tag() {
                gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type => {
                    if has_variants(&unit, id) {
                        Form::Enum
                    } else {
                        Form::Struct
                    }
                }
                gimli::DW_TAG_union_type => Form::Union,
                gimli::DW_TAG_pointer_type
                | gimli::DW_TAG_reference_type
                | gimli::DW_TAG_rvalue_reference_type => Form::Pointer {
                    to: self.type_of(id, &entry),
                },
                gimli::DW_TAG_array_type => Form::Array {
                    element: self.type_of(id, &entry)?,
                    count: count(&unit, id).unwrap_or(0),
                },
                gimli::DW_TAG_base_type | gimli::DW_TAG_enumeration_type => Form::Base {
                    size: self.size(id)?,
                    encoding: match entry.attr_value(gimli::DW_AT_encoding) {
                        Some(AttributeValue::Encoding(encoding)) => Some(encoding),
                        _ => None,
                    },
                },
                tag if is_other_name(tag) => {
                    let next = self.type_of(id, &entry)?;
                    id = self.definition(next);
                    continue;
                }
                _ => Form::Other,
            });
        }
        None
    }

    /// The size of a type in bytes.
    pub fn size(&mut self, id: TypeId) -> Option<u64> {
        let mut id = id;
        // Arrays of arrays, and other names for them.
        let mut times = 1u64;
        for _ in 0..MOST_LINKS {
            id = self.definition(id);
            let unit = self.unit(id)?;
            let entry = unit.unit.entry(UnitOffset(id.offset)).ok()?;
            if let Some(size) = entry.attr_value(gimli::DW_AT_byte_size) {
                return size.udata_value()?.checked_mul(times);
            }
            // rustc leaves it out where it follows from the rest.
            match entry.tag() {
                gimli::DW_TAG_pointer_type => {
                    return u64::from(unit.unit.encoding().address_size).checked_mul(times);
                }
                gimli::DW_TAG_array_type => times = times.checked_mul(count(&unit, id)?)?,
                tag if is_other_name(tag) => {}
                _ => return None,
            }
            id = self.type_of(id, &entry)?;
        }
        None
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
        match self.form(id) {
            Form::Pointer { to } => to,
            _ => None,
        }
    }

    /// The variants of an enum, or the points where a coroutine can stand.
    pub fn variants(&mut self, id: TypeId) -> Option<Variants> {
        let id = self.definition(id);
        let unit = self.unit(id)?;
        let mut tree = unit.unit.entries_tree(Some(UnitOffset(id.offset))).ok()?;
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
        unit: &OpenUnit<R>,
        part: EntriesTreeNode<'_, '_, R>,
    ) -> Option<Variants> {
        let discriminant_member = match part.entry().attr_value(gimli::DW_AT_discr) {
            Some(AttributeValue::UnitRef(offset)) => Some(offset),
            _ => None,
        };
        let mut out = Variants {
            discriminant: discriminant_member.and_then(|offset| self.place(id, unit, offset)),
            variants: Vec::new(),
        };
        let size = out.discriminant.map_or(8, |(_, size)| size);
        let mut children = part.children();
        while let Some(child) = children.next().ok()? {
            if child.entry().tag() != gimli::DW_TAG_variant || out.variants.len() >= MOST_CHILDREN {
                continue;
            }
            let value = child.entry().attr_value(gimli::DW_AT_discr_value);
            let value = value.and_then(|value| discriminant(&value, size));
            let mut payload = child.children();
            while let Some(member) = payload.next().ok()? {
                let declared = self.declared(unit, member.entry());
                if let Some(member) = self.as_member(id, unit, member.entry()) {
                    out.variants.push(Variant {
                        value,
                        name: member.name,
                        offset: member.offset,
                        type_id: member.type_id,
                        declared,
                    });
                    break;
                }
            }
        }
        Some(out)
    }

    /// Offset and size of the member at `offset`.
    fn place(&mut self, id: TypeId, unit: &OpenUnit<R>, offset: UnitOffset) -> Option<(u64, u64)> {
        let entry = unit.unit.entry(offset).ok()?;
        let at = entry
            .attr_value(gimli::DW_AT_data_member_location)?
            .udata_value()?;
        let type_id = self.type_of(id, &entry)?;
        Some((at, self.size(type_id)?))
    }

    fn members_of(&mut self, id: TypeId) -> Option<Vec<Member>> {
        let unit = self.unit(id)?;
        let mut tree = unit.unit.entries_tree(Some(UnitOffset(id.offset))).ok()?;
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
        unit: &OpenUnit<R>,
        entry: &DebuggingInformationEntry<R>,
    ) -> Option<Member> {
        if entry.tag() != gimli::DW_TAG_member {
            return None;
        }
        Some(Member {
            name: self.entry_name(&unit.unit, entry).unwrap_or_default(),
            // That of a union need not be told (DWARF 5, section 5.7.6).
            offset: match entry.attr_value(gimli::DW_AT_data_member_location) {
                Some(offset) => offset.udata_value()?,
                None => 0,
            },
            type_id: self.type_of(id, entry)?,
            artificial: matches!(
                entry.attr_value(gimli::DW_AT_artificial),
                Some(AttributeValue::Flag(true))
            ),
        })
    }

    /// Where the source of what `entry` tells of is.
    pub(super) fn declared(
        &mut self,
        unit: &OpenUnit<R>,
        entry: &DebuggingInformationEntry<R>,
    ) -> Option<Declared> {
        let line = entry.attr_value(gimli::DW_AT_decl_line)?.udata_value()?;
        let number = match entry.attr_value(gimli::DW_AT_decl_file)? {
            AttributeValue::FileIndex(number) => number,
            value => value.udata_value()?,
        };
        let (dwarf, own) = (&self.dwarf, self.own);
        let file = self.files.entry((unit.start, number)).or_insert_with(|| {
            let file = declaring_file(dwarf, &unit.unit, number, own);
            file.map(Arc::new)
        });
        Some(Declared {
            file: Arc::clone(file.as_ref()?),
            line: u32::try_from(line).ok()?,
        })
    }
}

/// Whether a type only stands for another.
fn is_other_name(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_typedef
            | gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type
    )
}

fn has_variants<R: Reader<Offset = usize>>(unit: &OpenUnit<R>, id: TypeId) -> bool {
    let find = || {
        let mut tree = unit.unit.entries_tree(Some(UnitOffset(id.offset))).ok()?;
        let mut children = tree.root().ok()?.children();
        while let Some(child) = children.next().ok()? {
            if child.entry().tag() == gimli::DW_TAG_variant_part {
                return Some(());
            }
        }
        None
    };
    find().is_some()
}

/// How many elements an array has: the product over its dimensions.
fn count<R: Reader<Offset = usize>>(unit: &OpenUnit<R>, id: TypeId) -> Option<u64> {
    let mut tree = unit.unit.entries_tree(Some(UnitOffset(id.offset))).ok()?;
    let mut children = tree.root().ok()?.children();
    let mut total: Option<u64> = None;
    while let Some(child) = children.next().ok()? {
        let entry = child.entry();
        if entry.tag() != gimli::DW_TAG_subrange_type {
            continue;
        }
        let number = |name| entry.attr_value(name)?.udata_value();
        let bound = || number(gimli::DW_AT_upper_bound)?.checked_add(1);
        let length = number(gimli::DW_AT_count).or_else(bound)?;
        total = Some(total.unwrap_or(1).checked_mul(length)?);
    }
    total
}

/// A discriminant's value as it stands in memory, in `size` bytes.
fn discriminant<R: Reader>(value: &AttributeValue<R>, size: u64) -> Option<u64> {
    let value = value
        .udata_value()
        .or(value.sdata_value().map(i64::cast_unsigned))?;
    let bits = u32::try_from(size.saturating_mul(8)).ok()?;
    let mask = 1u64.checked_shl(bits).map_or(u64::MAX, |bit| bit - 1);
    Some(value & mask)
}
