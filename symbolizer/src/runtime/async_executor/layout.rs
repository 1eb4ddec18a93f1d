//! Where async-task's structures keep what we read.

use crate::runtime::rust::ranges::{Range, Ranges, join};
use crate::types::{TypeId, Types};
use awaitscope_sampler::{Avma, ReadMemory};
use gimli::Reader;

/// Bits of a task's state word (async-task 4, `state.rs`; the same from 4.0 on).
pub(super) const SCHEDULED: u64 = 1 << 0;
pub(super) const RUNNING: u64 = 1 << 1;
pub(super) const COMPLETED: u64 = 1 << 2;
pub(super) const CLOSED: u64 = 1 << 3;

/// From here on references are counted.
const REFERENCE: u32 = 8;

/// No offset in a vtable, header or task is larger.
const LARGEST: u64 = 1 << 30;

/// How deep members are looked for.
pub(super) const DEEPEST: usize = 10;

/// Whether a state word is that of a living task. The allocator writes into the first
/// words of what was freed, which makes numbers of references that nobody has.
pub(super) fn is_alive(state: u64) -> bool {
    state >> REFERENCE < 1 << 24 && (state >> REFERENCE > 0 || state & TASK != 0)
}

/// A `Task` handle holds the task.
const TASK: u64 = 1 << 4;

/// Where things stand in a task and in what its header points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// In a header, the state word.
    pub state: u64,
    /// In a header, the pointer to the vtable.
    pub vtable: u64,
    /// Bytes of a header.
    pub header: u64,
    /// In a vtable, the function that runs the task.
    run: u64,
    /// In a vtable, the pointer to what tells where the future stands.
    info: u64,
    /// There, where the future stands in the task.
    future: u64,
    /// There, how many bytes a task has.
    size: u64,
}

/// The header of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub address: u64,
    pub state: u64,
    pub vtable: Avma,
}

/// What a vtable tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vtable {
    pub run: Avma,
    /// Where in a task its future stands.
    pub future: u64,
    /// Bytes of a task.
    pub size: u64,
}

impl Layout {
    /// Works the layout out of the debug information; `None` where that has no types.
    pub fn find<R: Reader<Offset = usize>>(types: &mut Types<R>) -> Option<Self> {
        let header = types.find("async_task::header::Header<()>")?;
        let vtable = types.find("async_task::raw::TaskVTable")?;
        let info = types.member(vtable, "layout_info")?;
        // Before 4.4 it is a reference to an `Option<TaskLayout>`.
        let told = types.pointee(info.type_id)?;
        let (layout, layout_type) = types.member_within(told, DEEPEST, "layout")?;
        let (size, _) = types.member_within(layout_type, DEEPEST, "size")?;
        let layout = Self {
            state: types.member(header, "state")?.offset,
            vtable: types.member(header, "vtable")?.offset,
            header: types.size(header)?,
            run: types.member(vtable, "run")?.offset,
            info: info.offset,
            future: types.member_within(told, DEEPEST, "offset_f")?.0,
            size: layout.checked_add(size)?,
        };
        layout.is_sane().then_some(layout)
    }

    fn is_sane(&self) -> bool {
        let in_header = |at: u64| at.checked_add(8).is_some_and(|end| end <= self.header);
        let small = [self.run, self.info, self.future, self.size, self.header];
        in_header(self.state) && in_header(self.vtable) && small.iter().all(|at| *at < LARGEST)
    }

    /// What stands at `addresses` where headers should; `None` where nothing can be read.
    pub fn headers(
        &self,
        addresses: impl Iterator<Item = u64> + Clone,
        memory: &dyn ReadMemory,
    ) -> Vec<Option<Header>> {
        let ranges = addresses.clone().map(|at| Range::new(at, self.header));
        let read = Ranges::read(&join(ranges.collect()), memory);
        addresses
            .map(|address| {
                let word = |offset: u64| read.word(address.checked_add(offset)?);
                Some(Header {
                    address,
                    state: word(self.state)?,
                    vtable: Avma(word(self.vtable)?),
                })
            })
            .collect()
    }

    /// The vtable at `address`, if what stands there can be one.
    pub fn vtable(&self, address: Avma, memory: &dyn ReadMemory) -> Option<Vtable> {
        if address.0 == 0 || !address.0.is_multiple_of(8) {
            return None;
        }
        let word = |at: u64| {
            let mut word = [0; 8];
            let read = memory.read(Avma(at), &mut word);
            read.then(|| u64::from_le_bytes(word))
        };
        let run = word(address.0.checked_add(self.run)?)?;
        let info = word(address.0.checked_add(self.info)?)?;
        let future = word(info.checked_add(self.future)?)?;
        let size = word(info.checked_add(self.size)?)?;
        let sane = run != 0 && self.header <= future && future <= size && size < LARGEST;
        sane.then_some(Vtable {
            run: Avma(run),
            future,
            size,
        })
    }
}

/// Where an executor keeps its tasks (async-executor 1, `struct State`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateLayout {
    /// The pointer to the entries of the slab of active tasks.
    pub entries: u64,
    /// Their number.
    pub length: u64,
    /// How many of them are tasks.
    pub active: u64,
    /// The number of queues of threads that run the executor.
    pub queues: Option<u64>,
    /// Bytes of an entry.
    pub stride: u64,
    /// In an entry, the pointer to the task; and the waker's vtable, null where the entry
    /// is vacant.
    pub task: u64,
    pub waker: u64,
}

impl StateLayout {
    /// Works the layout out of the debug information; `None` where that has no types.
    pub fn find<R: Reader<Offset = usize>>(types: &mut Types<R>) -> Option<Self> {
        let state = types.find("async_executor::State")?;
        let (at, active) = types.member_within(state, DEEPEST, "active")?;
        let (in_active, slab) = slab_in(types, active)?;
        let at = at.checked_add(in_active)?;
        let entries = types.member(slab, "entries")?;
        let (pointer, _) =
            types.search(entries.type_id, DEEPEST, &mut |types, id| types.pointee(id))?;
        let (length, _) = types.walk(entries.type_id, &["len"])?;
        let vector = at.checked_add(entries.offset)?;
        let arguments = types.arguments(entries.type_id);
        let entry = arguments.first()?.1;
        let variants = types.variants(entry)?.variants.into_iter();
        let mut occupied = variants.filter(|variant| variant.name == "Occupied");
        let occupied = occupied.next()?;
        let in_entry = |types: &mut Types<R>, name: &str| {
            let (offset, _) = types.member_within(occupied.type_id, DEEPEST, name)?;
            occupied.offset.checked_add(offset)
        };
        Some(Self {
            entries: vector.checked_add(pointer)?,
            length: vector.checked_add(length)?,
            active: at.checked_add(types.member(slab, "len")?.offset)?,
            queues: queues(types, state),
            stride: types.size(entry).filter(|size| (16..4096).contains(size))?,
            task: in_entry(types, "data")?,
            waker: in_entry(types, "vtable")?,
        })
    }
}

fn slab_in<R: Reader<Offset = usize>>(
    types: &mut Types<R>,
    outer: TypeId,
) -> Option<(u64, TypeId)> {
    types.search(outer, DEEPEST, &mut |types, id| {
        let path = types.path(id)?;
        path.starts_with("slab::Slab<").then_some(id)
    })
}

fn queues<R: Reader<Offset = usize>>(types: &mut Types<R>, state: TypeId) -> Option<u64> {
    let (at, queues) = types.member_within(state, DEEPEST, "local_queues")?;
    let (length, _) = types.member_within(queues, DEEPEST, "len")?;
    at.checked_add(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_was_freed_is_not_alive() {
        assert!(is_alive(1 << REFERENCE));
        assert!(is_alive(TASK));
        assert!(!is_alive(0));
        // What glibc's allocator leaves in a freed chunk: a mangled pointer.
        assert!(!is_alive(0x5_5a1b_3c4d_5e6f));
    }
}
