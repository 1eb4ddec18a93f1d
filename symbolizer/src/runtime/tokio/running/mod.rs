//! Which task a stack runs, and where the task's own frames begin.

mod anchor;
mod glue;

pub(super) use anchor::{
    anchor, closure_in_blocking_task, is_tokio_file, is_worker_loop, task_class,
};
pub(super) use glue::is_glue;

use super::detect::Detected;
use super::layout::Header;
use crate::module::{ModuleId, Svma};
use crate::names::template_arguments;
use crate::runtime::rust::stacks::pointers_of;
use crate::runtime::{Polled, SeenStack, TaskClass, TaskId};
use crate::unwind::PhysicalFrame;
use anchor::flavor;
use awaitscope_sampler::{Avma, ReadMemory, ReadRequest};
use std::collections::{HashMap, HashSet};

/// Finds the task of a poll frame.
///
/// Dead stack slots keep the headers of earlier polls, so the header is looked
/// for in one frame only, that of the innermost `Harness::poll` (or `raw::poll`
/// that it was inlined into): first in the registers that the frame kept across
/// its call, then in its slots. A word is the header if it points to a task
/// whose vtable's `poll` is the function that the frame belongs to.
#[derive(Debug)]
pub(super) struct PollFrames {
    module: ModuleId,
    /// For every function that can be a poll frame, by its first address: the
    /// `raw::poll` functions that run it.
    entries: HashMap<Svma, Vec<Svma>>,
    /// The functions of a worker's loop, by their first addresses.
    loops: HashSet<Svma>,
    /// What stood behind a vtable pointer: the vtable's poll function, and
    /// where the task keeps its id.
    vtables: HashMap<Avma, Vtable>,
    /// What sort of task each poll function runs.
    classes: HashMap<Svma, Option<TaskClass>>,
    flavor: Option<&'static str>,
}

#[derive(Debug)]
struct PollFrame {
    index: usize,
    function: Svma,
    /// Where the polls that run it stand.
    entries: Vec<Avma>,
}

#[derive(Debug, Clone, Copy)]
struct Vtable {
    poll: Avma,
    id_offset: u64,
}

impl PollFrames {
    pub fn new(detected: &Detected) -> Self {
        Self {
            module: detected.module,
            entries: detected.poll_entries.clone(),
            loops: detected.worker_loops.clone(),
            vtables: HashMap::new(),
            classes: HashMap::new(),
            flavor: None,
        }
    }

    /// The sort of runtime, once a task of it was seen.
    pub fn flavor(&self) -> Option<&'static str> {
        self.flavor
    }

    pub fn polled(&mut self, seen: &SeenStack<'_>) -> Polled {
        let Some(poll) = self.innermost_poll(seen) else {
            return Polled::Nothing;
        };
        let frame = &seen.frames[poll.index];
        let candidates = pointers_of(frame, seen.stack);
        // The registers nearly always have it: read those few first.
        let (first, rest) = candidates.split_at(candidates.len().min(6));
        let id = self
            .task_among(first, &poll.entries, seen.memory)
            .or_else(|| self.task_among(rest, &poll.entries, seen.memory));
        if self.has_worker_loop(&seen.frames[..poll.index], seen) {
            return Polled::Worker { shows: id };
        }
        match self.class(poll.function, seen) {
            Some(class) => Polled::Task { class, id },
            None => Polled::Worker { shows: id },
        }
    }

    /// Whether the frames inside a poll are a worker's loop: then the poll is that
    /// of the worker itself.
    fn has_worker_loop(&self, inside: &[PhysicalFrame], seen: &SeenStack<'_>) -> bool {
        inside.iter().any(|frame| {
            let place = seen.space.lookup(frame.lookup);
            let here = place.filter(|(module, _)| *module == self.module);
            here.is_some_and(|(module, svma)| {
                let symbols = seen.space.module(module).map(|module| module.symbols());
                let function = symbols.and_then(|symbols| symbols.function_at(svma));
                function.is_some_and(|function| self.loops.contains(&function.svma))
            })
        })
    }

    /// What sort of task a poll function runs; `None` for the one that runs a
    /// worker.
    fn class(&mut self, function: Svma, seen: &SeenStack<'_>) -> Option<TaskClass> {
        if let Some(class) = self.classes.get(&function) {
            return *class;
        }
        let frames = (seen.names)(self.module, function);
        let class = frames.iter().rev().find_map(|frame| {
            let arguments = template_arguments(frame.function.own_name());
            match arguments.as_slice() {
                [future, scheduler] => {
                    self.flavor = self.flavor.or(flavor(scheduler));
                    Some(task_class(future, scheduler))
                }
                _ => None,
            }
        });
        // Without a name that tells, a poll is taken for what most are.
        let class = class.unwrap_or(Some(TaskClass::Async));
        self.classes.insert(function, class);
        class
    }

    /// The innermost poll frame.
    fn innermost_poll(&self, seen: &SeenStack<'_>) -> Option<PollFrame> {
        seen.frames.iter().enumerate().find_map(|(index, frame)| {
            let (module, svma) = seen.space.lookup(frame.lookup)?;
            if module != self.module {
                return None;
            }
            let symbols = seen.space.module(module)?.symbols();
            let function = symbols.function_at(svma)?.svma;
            let entries = self.entries.get(&function)?.iter();
            Some(PollFrame {
                index,
                function,
                entries: entries
                    .filter_map(|svma| seen.space.avma(module, *svma))
                    .collect(),
            })
        })
    }

    fn task_among(
        &mut self,
        candidates: &[u64],
        polls: &[Avma],
        memory: &dyn ReadMemory,
    ) -> Option<TaskId> {
        let mut headers = vec![[0u8; Header::SIZE]; candidates.len()];
        let mut requests: Vec<ReadRequest<'_>> = candidates
            .iter()
            .zip(&mut headers)
            .map(|(address, into)| ReadRequest::new(Avma(*address), into))
            .collect();
        memory.read_many(&mut requests);
        let readable: Vec<bool> = requests.iter().map(|request| request.done).collect();
        for ((address, header), readable) in candidates.iter().zip(&headers).zip(readable) {
            if !readable {
                continue;
            }
            let Some(vtable) = self.vtable(Header(header).vtable(), memory) else {
                continue;
            };
            if polls.contains(&vtable.poll) {
                return living_id(*address, vtable.id_offset, memory);
            }
        }
        None
    }

    /// The vtable at `address`, if one stands there.
    fn vtable(&mut self, address: Avma, memory: &dyn ReadMemory) -> Option<Vtable> {
        if address.0 == 0 || !address.0.is_multiple_of(8) {
            return None;
        }
        // Only what was a vtable once is remembered: anything else may be
        // another thing by now, and there is no end of it.
        if let Some(known) = self.vtables.get(&address) {
            return Some(*known);
        }
        let (poll, id_offset) = super::layout::read_vtable(address, memory)?;
        let found = Vtable { poll, id_offset };
        self.vtables.insert(address, found);
        Some(found)
    }
}

/// The id of the task at `address`, unless the task ended since the stack was
/// copied: then its memory is free, and holds anything.
fn living_id(address: u64, id_offset: u64, memory: &dyn ReadMemory) -> Option<TaskId> {
    let mut header = [0; Header::SIZE];
    let mut id = [0; 8];
    let at = Avma(address).checked_add(id_offset)?;
    let mut requests = [
        ReadRequest::new(at, &mut id),
        ReadRequest::new(Avma(address), &mut header),
    ];
    memory.read_many(&mut requests);
    let whole = requests.iter().all(|request| request.done);
    let id = u64::from_le_bytes(id);
    (whole && Header(&header).is_alive() && id != 0).then_some(TaskId(id))
}
