//! Real debug information with wrong bytes in it: nothing panics, and all ends.

use super::{dwarf, program, types_of};
use crate::module::{DwarfReader, Svma};
use crate::types::{Form, TypeId, Types};
use gimli::{Dwarf, Reader, Section, SectionId};
use proptest::prelude::*;
use std::sync::{Arc, OnceLock};

/// How much of a real program's sections is taken: its own units come first.
const MOST_BYTES: usize = 64 << 10;

/// Sections of a real program, the largest cut off.
fn real() -> &'static [(SectionId, Vec<u8>)] {
    static REAL: OnceLock<Vec<(SectionId, Vec<u8>)>> = OnceLock::new();
    REAL.get_or_init(|| {
        let (_folder, module) = program::build(&["-O", "-g"]);
        let dwarf = module.dwarf().expect("it is whole").expect("it has some");
        let part = |reader: &DwarfReader, most: usize| {
            let mut bytes = reader.to_slice().expect("it is whole").into_owned();
            bytes.truncate(most);
            bytes
        };
        vec![
            (
                SectionId::DebugInfo,
                part(dwarf.debug_info.reader(), MOST_BYTES),
            ),
            (
                SectionId::DebugAbbrev,
                part(dwarf.debug_abbrev.reader(), MOST_BYTES),
            ),
            (
                SectionId::DebugStr,
                part(dwarf.debug_str.reader(), usize::MAX),
            ),
            (
                SectionId::DebugLine,
                part(dwarf.debug_line.reader(), MOST_BYTES),
            ),
        ]
    })
}

fn damaged(damage: &[(usize, prop::sample::Index, u8)]) -> Arc<Dwarf<DwarfReader>> {
    let mut sections: Vec<(SectionId, Vec<u8>)> = real().to_vec();
    for (section, at, byte) in damage {
        // Not the names: wrong letters are of no interest.
        let which = [0, 0, 0, 1, 3][section % 5];
        let bytes = &mut sections[which].1;
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    let borrowed: Vec<(SectionId, &[u8])> =
        sections.iter().map(|(id, bytes)| (*id, &**bytes)).collect();
    dwarf(&borrowed)
}

/// Asks everything of every type, and of some that are none.
fn ask_everything(types: &mut Types<DwarfReader>, more: &[TypeId]) -> usize {
    let index = Arc::clone(&types.index);
    let places = [&index.types, &index.bodies, &index.statics, &index.vtables];
    let places = places.into_iter().flat_map(|table| &table.places);
    let ids = places.filter_map(|place| index.at(*place as usize));
    let ids: Vec<TypeId> = ids
        .step_by(3)
        .take(500)
        .chain(more.iter().copied())
        .collect();
    let mut found = 0;
    for id in ids {
        found += usize::from(types.path(id).is_some());
        let other = types.representative(id);
        types.same(id, other);
        types.arguments(id);
        types.body(id);
        let mut at = id;
        // Down into what it holds or points to.
        for _ in 0..16 {
            let next = match types.form(at) {
                Form::Struct | Form::Union => types.members(at).last().map(|m| m.type_id),
                Form::Enum => types
                    .variants(at)
                    .and_then(|v| Some(v.variants.last()?.type_id)),
                Form::Pointer { to } => to,
                Form::Array { element, .. } => Some(element),
                Form::Base { .. } | Form::Other => None,
            };
            let Some(next) = next else {
                break;
            };
            at = next;
        }
    }
    for svma in index.vtables.keys.iter().take(100) {
        types.vtable(Svma(*svma));
        types.function_at(Svma(*svma));
    }
    types.statics("NEXT_NUMBER");
    types.thread_locals("");
    found
}

#[test]
fn the_real_thing_answers_so_that_the_damage_hits_something() {
    let mut types = types_of(&damaged(&[]));
    assert!(ask_everything(&mut types, &[]) > 50);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_debug_information_is_survived(
        damage in proptest::collection::vec((any::<usize>(), any::<prop::sample::Index>(), any::<u8>()), 1..60),
        ids in proptest::collection::vec((0..MOST_BYTES, 0..MOST_BYTES), 0..20),
    ) {
        let mut types = types_of(&damaged(&damage));
        let ids: Vec<TypeId> = ids.into_iter().map(|(unit, offset)| TypeId { unit, offset }).collect();
        ask_everything(&mut types, &ids);
    }

    #[test]
    fn any_bytes_as_debug_information_are_survived(
        info in proptest::collection::vec(any::<u8>(), 0..400),
        abbreviations in proptest::collection::vec(0..0x50u8, 0..200),
    ) {
        let mut unit = vec![0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8];
        unit.extend(&info);
        let length = unit.len() as u32 - 4;
        unit[..4].copy_from_slice(&length.to_le_bytes());
        let mut types = types_of(&dwarf(&[
            (SectionId::DebugInfo, &unit),
            (SectionId::DebugAbbrev, &abbreviations),
        ]));
        let ids: Vec<TypeId> = (0..40).map(|offset| TypeId { unit: 0, offset }).collect();
        ask_everything(&mut types, &ids);
    }

    #[test]
    fn an_index_that_lies_misleads_nobody(
        keys in proptest::collection::vec(any::<u64>(), 0..50),
        places in proptest::collection::vec(any::<u32>(), 0..50),
    ) {
        let mut types = types_of(&damaged(&[]));
        let paths = ["awaits::boxed::{async_block_env#0}", "awaits::root::{async_fn_env#0}"];
        let index = Arc::make_mut(&mut types.index);
        let known = paths.map(crate::types::PathHash::of);
        index.types.keys = known.into_iter().chain(keys).collect();
        index.types.places = places.clone();
        index.vtables.keys = vec![0x1000; places.len()];
        index.vtables.places = places;
        for path in paths {
            if let Some(id) = types.find(path) {
                let found = types.path(id);
                prop_assert_eq!(found.as_deref(), Some(path));
            }
        }
        prop_assert!(types.vtable(Svma(0x1000)).is_empty());
    }
}
