//! One pass over the units of a module, on as many threads as there are processors.

use super::hash::PathHash;
use super::table::{Entry, Keep, MOST_ENTRIES, Table, tidy};
use super::{BorrowedDwarf, Index, Scope};
use crate::types::MOST_NAMES;
use gimli::{
    AttributeValue, Dwarf, EndianSlice, LittleEndian, Operation, Reader, Section, Unit, UnitHeader,
};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// More threads than this wait for memory more than they read.
const MOST_THREADS: usize = 8;

/// Definitions of one name with different sizes that are kept apart: there are two
/// where a program has a package in two versions.
const MOST_ALIKE: usize = 4;

/// How many entries a thread gathers before it looks for repetitions: most types are
/// told of in many units.
const TIDY_FROM: usize = 1 << 18;

/// What names may be read in all, for each byte of `.debug_info`. Debug information
/// can name a string of megabytes in each of a million entries.
const NAMES_PER_BYTE: u64 = 64;
const LEAST_NAMES: u64 = 256 << 20;

/// Looks at the units of `scope`.
pub(super) fn all_units(dwarf: &BorrowedDwarf<'_>, scope: Scope<'_>) -> Index {
    let mut index = Index::default();
    let mut headers = Vec::new();
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        let Some(start) = header.debug_info_offset() else {
            continue;
        };
        let end = start.0.saturating_add(header.length_including_self());
        // What is further than 32 bits reach is in a file that nobody has made yet.
        let (Ok(start), Ok(end)) = (u32::try_from(start.0), u32::try_from(end)) else {
            break;
        };
        index.bounds.push((start, end));
        headers.push((start, header));
    }
    let work = Work {
        dwarf,
        scope,
        next: AtomicUsize::new(0),
        names: AtomicU64::new(allowance(dwarf)),
        headers,
    };
    let found = on_threads(&work);
    let join = |of: fn(&mut Found) -> &mut Vec<Entry>, found: &mut Vec<Found>| {
        let mut all = Vec::new();
        for one in found {
            // Without a copy where a single thread found them.
            if all.is_empty() {
                all = std::mem::take(of(one));
            } else {
                all.append(of(one));
            }
        }
        all
    };
    let mut found = found;
    index.types = Table::new(join(|f| &mut f.types, &mut found), Keep::First(MOST_ALIKE));
    index.bodies = Table::new(join(|f| &mut f.bodies, &mut found), Keep::First(1));
    index.statics = Table::new(join(|f| &mut f.statics, &mut found), Keep::Every);
    index.vtables = Table::new(join(|f| &mut f.vtables, &mut found), Keep::Every);
    index.thread_locals = found
        .iter_mut()
        .flat_map(|f| f.thread_locals.drain(..))
        .collect();
    index.thread_locals.sort_unstable();
    let dirs = found.iter_mut().filter_map(|f| f.package_dir.take());
    index.package_dir = dirs.min().map(|(_, dir)| dir);
    index
}

fn allowance(dwarf: &BorrowedDwarf<'_>) -> u64 {
    let size = dwarf.debug_info.reader().len() as u64;
    size.saturating_mul(NAMES_PER_BYTE).max(LEAST_NAMES)
}

/// What the threads share.
struct Work<'a, 'd> {
    dwarf: &'a BorrowedDwarf<'d>,
    scope: Scope<'a>,
    headers: Vec<(u32, UnitHeader<Slice<'d>>)>,
    next: AtomicUsize,
    /// Bytes of names that may still be read.
    names: AtomicU64,
}

fn on_threads(work: &Work<'_, '_>) -> Vec<Found> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = processors.min(MOST_THREADS).min(work.headers.len());
    if threads <= 1 {
        return vec![units_of_one_thread(work)];
    }
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .filter_map(|_| {
                // Where no thread can be started, the others do its part.
                let builder = std::thread::Builder::new().name("awaitscope-types".to_owned());
                builder
                    .spawn_scoped(scope, || units_of_one_thread(work))
                    .ok()
            })
            .collect();
        let mut found = vec![units_of_one_thread(work)];
        found.extend(others.into_iter().filter_map(|thread| thread.join().ok()));
        found
    })
}

fn units_of_one_thread(work: &Work<'_, '_>) -> Found {
    let mut found = Found::default();
    loop {
        let number = work.next.fetch_add(1, Ordering::Relaxed);
        let Some((start, header)) = work.headers.get(number) else {
            return found;
        };
        let Ok(unit) = work.dwarf.unit(*header) else {
            continue;
        };
        if let Scope::Package(package) = work.scope {
            // A codegen unit is called `src/lib.rs/@/tokio.0123456789abcdef-cgu.0`.
            let mark = format!("@/{package}.");
            let named = |name: &Slice<'_>| name.to_string_lossy().contains(&mark);
            if !unit.name.as_ref().is_some_and(named) {
                continue;
            }
            if found.package_dir.is_none() {
                let dir = unit.comp_dir.map(|dir| dir.to_string_lossy().into_owned());
                found.package_dir = dir.map(|dir| (number, dir));
            }
        }
        // A broken unit gives what could be read of it.
        let _ = found.add(work, &unit, *start);
        found.tidy();
    }
}

/// What one thread found.
#[derive(Debug, Default)]
struct Found {
    types: Vec<Entry>,
    bodies: Vec<Entry>,
    statics: Vec<Entry>,
    vtables: Vec<Entry>,
    thread_locals: Vec<u32>,
    /// With the number of the unit that told.
    package_dir: Option<(usize, String)>,
    /// How many types there were after the last tidying.
    tidied: usize,
    /// Bytes of names that this thread may still read.
    names: u64,
}

/// What the attributes of an entry say, as far as it matters here.
#[derive(Default)]
struct Said<'d> {
    name: Option<&'d [u8]>,
    declaration: bool,
    size: u64,
    place: Option<Place>,
}

/// Where a variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::types) enum Place {
    Address(u64),
    /// Bytes into the module's thread-local block.
    ThreadLocal(u64),
}

impl Found {
    /// All that one unit tells.
    fn add<'d>(
        &mut self,
        work: &Work<'_, 'd>,
        unit: &Unit<Slice<'d>>,
        start: u32,
    ) -> Result<(), gimli::Error> {
        // The names we are inside of, with their depths.
        let mut open: Vec<(isize, PathHash)> = Vec::new();
        // What a function holds is of no interest.
        let mut function: Option<isize> = None;
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let offset = entries.next_offset();
            let depth = entries.next_depth();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let tag = abbreviation.tag();
            let inside = function.is_some_and(|outer| depth > outer);
            if inside || !is_named_place(tag) {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            function = None;
            let mut said = Said::default();
            for spec in abbreviation.attributes() {
                said.note(work.dwarf, unit, &entries.read_attribute(*spec)?);
            }
            if !self.may_read(said.name.map_or(0, <[u8]>::len), work) {
                return Ok(());
            }
            while open.last().is_some_and(|(outer, _)| *outer >= depth) {
                open.pop();
            }
            let outer = open.last().map_or(PathHash::ROOT, |(_, path)| *path);
            let path = said.name.map_or(outer, |name| outer.join(name));
            let place = start.saturating_add(u32::try_from(offset.0).unwrap_or(u32::MAX));
            if self.types.len() < MOST_ENTRIES {
                self.note(tag, &said, path, place);
            }
            if tag == gimli::DW_TAG_subprogram {
                function = Some(depth);
            } else if abbreviation.has_children() && open.len() < MOST_NAMES {
                open.push((depth, path));
            }
        }
        Ok(())
    }

    fn note(&mut self, tag: gimli::DwTag, said: &Said<'_>, path: PathHash, place: u32) {
        let Some(name) = said.name else {
            return;
        };
        let entry = |key, variant| Entry {
            key,
            variant,
            place,
        };
        match tag {
            gimli::DW_TAG_variable => match said.place {
                Some(Place::ThreadLocal(_)) => self.thread_locals.push(place),
                // What the linker left out stands at 0.
                None | Some(Place::Address(0)) => {}
                Some(Place::Address(address)) if name.ends_with(b"::{vtable}") => {
                    self.vtables.push(entry(address, 0));
                }
                Some(Place::Address(_)) => {
                    let own = PathHash::ROOT.join(name).finish();
                    self.statics.push(entry(own, 0));
                }
            },
            gimli::DW_TAG_subprogram if is_body(name) => {
                self.bodies.push(entry(path.finish(), 0));
            }
            gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
                if !said.declaration =>
            {
                // Sizes beyond 32 bits may be taken for one.
                self.types.push(entry(path.finish(), said.size as u32));
            }
            _ => {}
        }
    }

    /// Drops repetitions, whenever there may be many.
    fn tidy(&mut self) {
        if self.types.len() >= TIDY_FROM.max(self.tidied.saturating_mul(2)) {
            tidy(&mut self.types, Keep::First(MOST_ALIKE));
            tidy(&mut self.bodies, Keep::First(1));
            self.tidied = self.types.len();
        }
    }

    /// Whether names of so many bytes more may be read. A thread takes from what all
    /// may read in large pieces.
    fn may_read(&mut self, bytes: usize, work: &Work<'_, '_>) -> bool {
        const PIECE: u64 = 1 << 20;
        let bytes = bytes as u64;
        if bytes > self.names {
            let wanted = bytes.max(PIECE);
            let take = |left: u64| left.checked_sub(wanted);
            let taken = work
                .names
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
            if taken.is_err() {
                return false;
            }
            self.names += wanted;
        }
        self.names -= bytes;
        true
    }
}

impl<'d> Said<'d> {
    fn note(
        &mut self,
        dwarf: &BorrowedDwarf<'d>,
        unit: &Unit<Slice<'d>>,
        attribute: &gimli::Attribute<Slice<'d>>,
    ) {
        match (attribute.name(), attribute.value()) {
            (gimli::DW_AT_name, value) => {
                let name = dwarf.attr_string(unit, value).ok();
                self.name = name.map(|name| name.slice());
            }
            (gimli::DW_AT_declaration, value) => {
                self.declaration = value != AttributeValue::Flag(false);
            }
            (gimli::DW_AT_byte_size, value) => self.size = value.udata_value().unwrap_or(0),
            (gimli::DW_AT_location, value) => self.place = place(dwarf, unit, &value),
            _ => {}
        }
    }
}

/// Where a variable is, if that is one place for the whole program or thread.
pub(in crate::types) fn place<R: Reader<Offset = usize>>(
    dwarf: &Dwarf<R>,
    unit: &Unit<R>,
    location: &AttributeValue<R>,
) -> Option<Place> {
    let mut operations = location.exprloc_value()?.operations(unit.encoding());
    // DWARF 5 keeps addresses in a table of their own.
    let in_thread = match operations.next().ok()?? {
        Operation::Address { address } => return Some(Place::Address(address)),
        Operation::AddressIndex { index } => {
            return dwarf.address(unit, index).ok().map(Place::Address);
        }
        Operation::UnsignedConstant { value } => value,
        Operation::ConstantIndex { index } => dwarf.address(unit, index).ok()?,
        _ => return None,
    };
    match operations.next().ok()?? {
        Operation::TLS => Some(Place::ThreadLocal(in_thread)),
        _ => None,
    }
}

/// Whether a function's own name is one that rustc gives to a closure or a coroutine:
/// `{async_fn#0}<u64>`, `{closure#1}` (rustc_codegen_ssa, `debuginfo/type_names.rs`).
fn is_body(name: &[u8]) -> bool {
    name.first() == Some(&b'{') && !name.starts_with(b"{impl") && name.contains(&b'#')
}

fn is_named_place(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_variable
            | gimli::DW_TAG_subprogram
    )
}
