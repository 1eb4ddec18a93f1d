//! Statics and thread-locals.

use super::index::{PathHash, Place, place};
use super::{TypeId, Types};
use crate::module::Svma;
use gimli::{Reader, UnitOffset};
use std::sync::Arc;

/// The most statics of one name that are looked at. A library's macros can define one
/// of the same name at every use: thousands in all.
const MOST_STATICS: usize = 1 << 16;

/// A thread-local variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Bytes into the module's thread-local block.
    pub tls_offset: u64,
    /// Its type.
    pub type_id: TypeId,
}

/// A static variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Static {
    /// Its full name.
    pub path: Arc<str>,
    /// Where it stands.
    pub svma: Svma,
    /// Its type.
    pub type_id: TypeId,
}

impl<R: Reader<Offset = usize>> Types<R> {
    /// The thread-local variables whose full name begins with `prefix`.
    pub fn thread_locals(&mut self, prefix: &str) -> Vec<Variable> {
        let index = Arc::clone(&self.index);
        let places = index.thread_locals.iter();
        let ids = places.filter_map(|place| index.at(*place as usize));
        ids.filter_map(|id| {
            let named = self.path(id).is_some_and(|path| path.starts_with(prefix));
            match self.variable(id).filter(|_| named)? {
                (Place::ThreadLocal(tls_offset), type_id) => Some(Variable {
                    tls_offset,
                    type_id,
                }),
                (Place::Address(_), _) => None,
            }
        })
        .collect()
    }

    /// The static with this full name.
    pub fn static_at(&mut self, path: &str) -> Option<Static> {
        let own = path.rsplit_once("::").map_or(path, |(_, own)| own);
        let mut statics = self.statics(own).into_iter();
        statics.find(|found| *found.path == *path)
    }

    /// All statics with this own name: those in methods have a number in their path
    /// that differs from version to version (`id::{impl#3}::next::NEXT_ID`).
    pub fn statics(&mut self, name: &str) -> Vec<Static> {
        let own = PathHash::of(name);
        let ids = self.index.look_up(&self.index.statics, own);
        let mut found = Vec::new();
        for id in ids.into_iter().take(MOST_STATICS) {
            if self.name(id).is_none_or(|own| own != name) {
                continue;
            }
            let variable = self.variable(id);
            if let (Some(path), Some((Place::Address(svma), type_id))) = (self.path(id), variable) {
                found.push(Static {
                    path,
                    svma: Svma(svma),
                    type_id,
                });
            }
        }
        found
    }

    /// Where a variable is, and its type.
    pub(super) fn variable(&mut self, id: TypeId) -> Option<(Place, TypeId)> {
        let unit = self.unit(id)?;
        let entry = unit.unit.entry(UnitOffset(id.offset)).ok()?;
        let location = entry.attr_value(gimli::DW_AT_location)?;
        Some((
            place(&self.dwarf, &unit.unit, &location)?,
            self.type_of(id, &entry)?,
        ))
    }
}
