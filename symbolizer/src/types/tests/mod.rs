//! The types of a real program, of debug information made up to be awkward, and of
//! damaged one.

mod damage;
mod made;
mod program;

use super::{Index, Types, borrowed};
use crate::frame::Origin;
use crate::module::{DwarfReader, SectionBytes};
use gimli::{Dwarf, LittleEndian, SectionId};
use std::sync::Arc;

/// DWARF of these sections and no others.
fn dwarf(sections: &[(SectionId, &[u8])]) -> Arc<Dwarf<DwarfReader>> {
    let load = |id| {
        let section = sections.iter().find(|(other, _)| *other == id);
        let bytes = section.map_or(Vec::new(), |(_, bytes)| bytes.to_vec());
        let bytes = SectionBytes::owned(bytes);
        Ok::<_, std::convert::Infallible>(DwarfReader::new(bytes, LittleEndian))
    };
    let Ok(dwarf) = Dwarf::load(load);
    Arc::new(dwarf)
}

fn types_of(dwarf: &Arc<Dwarf<DwarfReader>>) -> Types<DwarfReader> {
    let index = Index::of(&borrowed(dwarf), super::Scope::Module);
    Types::new(Arc::clone(dwarf), Arc::new(index), Origin::User)
}

#[test]
fn types_can_go_to_the_thread_that_walks() {
    fn can_be_sent<T: Send>() {}
    can_be_sent::<Types<DwarfReader>>();
}
