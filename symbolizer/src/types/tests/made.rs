//! Debug information as no compiler makes it.

use super::{dwarf, types_of};
use crate::module::DwarfReader;
use crate::types::{Form, TypeId, Types};
use gimli::SectionId;

type Attributes = &'static [(gimli::DwAt, gimli::DwForm)];

/// What the entries of [`Unit`] can be: a tag, whether it has children, and its
/// attributes with their forms.
const ABBREVIATIONS: &[(gimli::DwTag, u8, Attributes)] = &[
    (gimli::DW_TAG_compile_unit, 1, &[]),
    (
        gimli::DW_TAG_namespace,
        1,
        &[(gimli::DW_AT_name, gimli::DW_FORM_string)],
    ),
    (
        gimli::DW_TAG_structure_type,
        1,
        &[
            (gimli::DW_AT_name, gimli::DW_FORM_string),
            (gimli::DW_AT_byte_size, gimli::DW_FORM_data1),
        ],
    ),
    (
        gimli::DW_TAG_structure_type,
        0,
        &[
            (gimli::DW_AT_name, gimli::DW_FORM_string),
            (gimli::DW_AT_declaration, gimli::DW_FORM_flag_present),
        ],
    ),
    (
        gimli::DW_TAG_member,
        0,
        &[
            (gimli::DW_AT_name, gimli::DW_FORM_string),
            (gimli::DW_AT_type, gimli::DW_FORM_ref4),
            (gimli::DW_AT_data_member_location, gimli::DW_FORM_data1),
        ],
    ),
    (
        gimli::DW_TAG_typedef,
        0,
        &[(gimli::DW_AT_type, gimli::DW_FORM_ref4)],
    ),
];

fn abbreviations() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, (tag, children, attributes)) in (1..).zip(ABBREVIATIONS) {
        bytes.extend([
            code,
            u8::try_from(tag.0).expect("these are small"),
            *children,
        ]);
        for (name, form) in *attributes {
            bytes.push(u8::try_from(name.0).expect("these are small"));
            bytes.push(u8::try_from(form.0).expect("these are small"));
        }
        bytes.extend([0, 0]);
    }
    bytes.push(0);
    bytes
}

/// A unit of 32-bit DWARF 4.
struct Unit(Vec<u8>);

impl Unit {
    fn new() -> Self {
        let mut unit = Self(vec![0; 11]);
        unit.0[4] = 4;
        unit.0[10] = 8;
        unit.0.push(1);
        unit
    }

    fn at(&self) -> u32 {
        self.0.len() as u32
    }

    fn named(&mut self, code: u8, name: &str) -> u32 {
        let at = self.at();
        self.0.push(code);
        self.0.extend(name.as_bytes());
        self.0.push(0);
        at
    }

    fn namespace(&mut self, name: &str) {
        self.named(2, name);
    }

    /// Ends what has children.
    fn end(&mut self) {
        self.0.push(0);
    }

    fn structure(&mut self, name: &str, size: u8) -> u32 {
        let at = self.named(3, name);
        self.0.push(size);
        at
    }

    fn declaration(&mut self, name: &str) -> u32 {
        self.named(4, name)
    }

    fn member(&mut self, name: &str, of: u32, offset: u8) {
        self.named(5, name);
        self.0.extend(of.to_le_bytes());
        self.0.push(offset);
    }

    fn typedef(&mut self, of: u32) -> u32 {
        let at = self.at();
        self.0.push(6);
        self.0.extend(of.to_le_bytes());
        at
    }

    fn finish(mut self) -> Vec<u8> {
        self.end();
        let length = self.at() - 4;
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

fn types(units: &[Vec<u8>]) -> Types<DwarfReader> {
    types_of(&dwarf(&[
        (SectionId::DebugAbbrev, &abbreviations()),
        (SectionId::DebugInfo, &units.concat()),
    ]))
}

fn id(unit: usize, offset: u32) -> TypeId {
    TypeId {
        unit,
        offset: offset as usize,
    }
}

#[test]
fn a_declaration_in_one_unit_finds_the_definition_in_another() {
    let mut first = Unit::new();
    first.namespace("a");
    let declared = first.declaration("T");
    first.end();
    let first = first.finish();
    let mut second = Unit::new();
    second.namespace("a");
    second.namespace("b");
    let elsewhere = second.structure("T", 4);
    second.end();
    second.end();
    let defined = second.structure("T", 24);
    second.member("x", elsewhere, 8);
    second.end();
    second.end();
    let start = first.len();
    let mut types = types(&[first, second.finish()]);
    let declared = id(0, declared);
    assert_eq!(types.find("a::T"), Some(id(start, defined)));
    assert_eq!(types.find("a::b::T"), Some(id(start, elsewhere)));
    assert_eq!(types.find("T"), None);
    assert_eq!(types.size(declared), Some(24));
    assert_eq!(types.members(declared)[0].name, "x");
    assert_eq!(types.path(declared).as_deref(), Some("a::T"));
    assert!(types.same(declared, id(start, defined)));
    assert!(!types.same(declared, id(start, elsewhere)));
}

#[test]
fn two_versions_of_a_package_are_kept_apart() {
    let unit = |size| {
        let mut unit = Unit::new();
        unit.namespace("a");
        let at = unit.structure("T", size);
        unit.end();
        unit.end();
        (unit.finish(), at)
    };
    let ((one, at), (two, _), (three, _)) = (unit(8), unit(16), unit(8));
    let (second, third) = (one.len(), one.len() + two.len());
    let mut types = types(&[one, two, three]);
    assert!(types.same(id(0, at), id(third, at)));
    assert!(!types.same(id(0, at), id(second, at)));
    assert_eq!(types.representative(id(third, at)), id(0, at));
    assert_eq!(types.representative(id(second, at)), id(second, at));
}

#[test]
fn a_hash_that_another_name_has_too_misleads_nobody() {
    let mut unit = Unit::new();
    let first = unit.structure("First", 1);
    unit.end();
    let second = unit.structure("Second", 2);
    unit.end();
    let mut types = types(&[unit.finish()]);
    let index = std::sync::Arc::make_mut(&mut types.index);
    // As if both names had the hash of the second.
    let key = crate::types::PathHash::of("Second");
    index.types.keys = vec![key, key];
    index.types.places = vec![first, second];
    assert_eq!(types.find("Second"), Some(id(0, second)));
    assert_eq!(types.find("First"), None);
}

#[test]
fn a_type_that_is_itself_ends() {
    let mut unit = Unit::new();
    let itself = unit.at();
    unit.typedef(itself);
    let one = unit.at();
    // Two that are each other.
    unit.typedef(one + 5);
    unit.typedef(one);
    let holds_itself = unit.structure("Endless", 8);
    unit.member("inner", holds_itself, 0);
    unit.end();
    let mut types = types(&[unit.finish()]);
    assert_eq!(types.form(id(0, itself)), Form::Other);
    assert_eq!(types.form(id(0, one)), Form::Other);
    let endless = types.find("Endless").expect("it is defined");
    let inner = ["inner"; 100];
    assert_eq!(types.walk(endless, &inner), Some((0, endless)));
}

#[test]
fn a_declaration_without_a_definition_has_no_layout() {
    let mut unit = Unit::new();
    let at = unit.declaration("Missing");
    let mut types = types(&[unit.finish()]);
    let missing = id(0, at);
    assert_eq!(types.size(missing), None);
    assert!(types.members(missing).is_empty());
    assert_eq!(types.representative(missing), missing);
    assert_eq!(types.variants(missing), None);
}

#[test]
fn names_deeper_than_anybody_writes_are_not_followed() {
    let mut unit = Unit::new();
    const DEPTH: usize = 100_000;
    for _ in 0..DEPTH {
        unit.namespace("n");
    }
    let at = unit.structure("Deep", 1);
    unit.0.resize(unit.0.len() + DEPTH + 1, 0);
    let mut types = types(&[unit.finish()]);
    assert_eq!(types.path(id(0, at)), None);
    assert_eq!(types.size(id(0, at)), Some(1));
}

#[test]
fn entries_that_are_nowhere_answer_nothing() {
    let mut types = types(&[Unit::new().finish()]);
    for nowhere in [
        id(0, 0),
        id(0, 1),
        id(0, u32::MAX),
        id(7, 7),
        id(usize::MAX, 1),
    ] {
        assert_eq!(types.path(nowhere), None);
        assert_eq!(types.size(nowhere), None);
        assert_eq!(types.form(nowhere), Form::Other);
        assert!(types.arguments(nowhere).is_empty());
        assert_eq!(types.representative(nowhere), nowhere);
        assert!(!types.same(nowhere, id(0, 11)));
    }
}
