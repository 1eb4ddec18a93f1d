//! Where the types, vtables, coroutine bodies and statics of a module are told of.
//!
//! Made in one pass over the units, on several threads, and kept in arrays of numbers:
//! twelve bytes for each name, whatever its length.

mod hash;
mod scan;
mod table;

pub(super) use hash::PathHash;
pub(super) use scan::{Place, place};
pub(super) use table::Table;

use gimli::{Dwarf, EndianSlice, LittleEndian};

/// A type, or a variable, by the place of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId {
    /// Where its unit begins in `.debug_info`.
    pub unit: usize,
    /// Its offset in the unit.
    pub offset: usize,
}

/// DWARF that is only looked at.
pub(super) type BorrowedDwarf<'a> = Dwarf<EndianSlice<'a, LittleEndian>>;

/// Which units are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// All of them.
    Module,
    /// Those of the package of this name.
    Package(&'a str),
}

/// The names of a module. All places are offsets in `.debug_info`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Index {
    /// Where each unit begins and ends, in order.
    pub bounds: Vec<(u32, u32)>,
    /// Definitions of types, by the hash of their full name.
    pub types: Table,
    /// Bodies of closures and coroutines, by the hash of their full name.
    pub bodies: Table,
    /// Variables at an address, by the hash of their own name.
    pub statics: Table,
    /// Variables that stand for a vtable, by its address.
    pub vtables: Table,
    /// Thread-local variables.
    pub thread_locals: Vec<u32>,
    /// Where the sources of the package stood.
    pub package_dir: Option<String>,
}

impl Index {
    /// Looks at the units of `scope`. What is damaged gives what could be read of it.
    pub fn of(dwarf: &BorrowedDwarf<'_>, scope: Scope<'_>) -> Self {
        scan::all_units(dwarf, scope)
    }

    /// Which unit holds what stands at this place.
    pub fn at(&self, place: usize) -> Option<TypeId> {
        let after = self
            .bounds
            .partition_point(|(start, _)| *start as usize <= place);
        let (start, end) = self.bounds[after.checked_sub(1)?];
        let unit = start as usize;
        (place < end as usize).then_some(TypeId {
            unit,
            offset: place - unit,
        })
    }

    /// The entries that `table` has for `key`. The names behind them are yet to be
    /// compared.
    pub fn look_up(&self, table: &Table, key: u64) -> Vec<TypeId> {
        let places = table.get(key).iter();
        places
            .filter_map(|place| self.at(*place as usize))
            .collect()
    }
}
