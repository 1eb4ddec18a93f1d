//! Which task a stack runs, and where the task's own frames begin.

use super::detect::Detected;
use super::layout::Header;
use crate::frame::Origin;
use crate::module::{ModuleId, Svma};
use crate::names::{SourceFrame, body_chain, coroutines_in_type, template_arguments};
use crate::runtime::{Anchor, Polled, SeenStack, TaskClass, TaskId};
use crate::unwind::PhysicalFrame;
use awaitscope_sampler::{Avma, ReadMemory, ReadRequest, Register};
use std::collections::{HashMap, HashSet};

/// The most words of a poll frame that are looked at. Poll frames hold the
/// output of a future while it is moved, so they can be large; the header was
/// spilled near their ends.
const MOST_SLOTS: u64 = 256;

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
        let registers = Register::CALLEE_SAVED
            .iter()
            .filter_map(|register| frame.registers.get(*register));
        let slots = frame_slots(frame, seen.stack);
        let mut candidates: Vec<u64> = Vec::new();
        for word in registers.chain(slots) {
            if word != 0 && word.is_multiple_of(8) && !candidates.contains(&word) {
                candidates.push(word);
            }
        }
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

/// The words of a frame, from its stack pointer up.
fn frame_slots<'a>(
    frame: &'a PhysicalFrame,
    stack: &'a dyn Fn(Avma) -> Option<u64>,
) -> impl Iterator<Item = u64> + 'a {
    let start = frame.registers.sp().0;
    let words = frame.cfa.map_or(0, |cfa| cfa.0.saturating_sub(start) / 8);
    (0..words.min(MOST_SLOTS)).filter_map(move |word| stack(Avma(start.checked_add(word * 8)?)))
}

/// Where the task's own frames begin: inside the innermost poll of a task, or
/// else of a `block_on`.
pub(super) fn anchor(frames: &[SourceFrame]) -> Option<Anchor> {
    for (index, frame) in frames.iter().enumerate().rev() {
        let name = frame.function.own_name();
        if name.starts_with("poll<")
            && is_in(frame, &["tokio", "runtime", "task"], "/src/runtime/task/")
        {
            let arguments = template_arguments(name);
            if let [future, scheduler] = arguments.as_slice() {
                return task_anchor(index, future, scheduler);
            }
        }
    }
    if let Some(index) = frames.iter().rposition(is_poll_symbol) {
        return symbol_anchor(frames, index);
    }
    let (index, name) = frames.iter().enumerate().rev().find_map(|(index, frame)| {
        let name = frame.function.own_name();
        let enters =
            name.starts_with("block_on") && is_in(frame, &["tokio", "runtime"], "/src/runtime/");
        enters.then_some((index, name))
    })?;
    Some(Anchor {
        first: index + 1,
        class: TaskClass::BlockOn,
        root: root_coroutine(name),
    })
}

/// A poll frame of which only the symbol is known.
fn is_poll_symbol(frame: &SourceFrame) -> bool {
    frame.function.chain.is_empty()
        && matches!(
            frame.function.path.readable.as_str(),
            "tokio::runtime::task::harness::Harness::poll" | "tokio::runtime::task::raw::poll"
        )
}

/// Without debug information, what a poll frame runs is told by its neighbours: a
/// worker has its loop inside, a closure of the blocking pool has no worker outside.
fn symbol_anchor(frames: &[SourceFrame], index: usize) -> Option<Anchor> {
    let is_loop = |frame: &SourceFrame| is_worker_loop(&frame.function.path.readable);
    if frames[index + 1..].iter().any(is_loop) {
        return None;
    }
    let in_pool = |frame: &SourceFrame| {
        let path = &frame.function.path.readable;
        path.starts_with("tokio::runtime::blocking::pool::")
    };
    let runs_tasks = |frame: &SourceFrame| {
        let path = &frame.function.path.readable;
        path.starts_with("tokio::runtime::scheduler::") || path.starts_with("tokio::task::local::")
    };
    let outside = &frames[..index];
    let blocking = outside.iter().any(in_pool) && !outside.iter().any(runs_tasks);
    Some(Anchor {
        first: index + 1,
        class: if blocking {
            TaskClass::Blocking
        } else {
            TaskClass::Async
        },
        root: None,
    })
}

/// The functions that a worker of the multi-thread runtime goes round in.
pub(super) fn is_worker_loop(path: &str) -> bool {
    let worker = "tokio::runtime::scheduler::multi_thread::worker::";
    path.strip_prefix(worker).is_some_and(|function| {
        matches!(function, "run" | "Context::run" | "Context::run_task")
            || function.starts_with("Context::park")
    })
}

fn task_anchor(index: usize, future: &str, scheduler: &str) -> Option<Anchor> {
    let class = task_class(future, scheduler)?;
    Some(Anchor {
        first: index + 1,
        class,
        root: match class {
            TaskClass::Blocking => closure_in_blocking_task(future),
            TaskClass::Async | TaskClass::BlockOn => root_coroutine(future),
        },
    })
}

/// Whose tasks `scheduler` runs.
fn flavor(scheduler: &str) -> Option<&'static str> {
    if scheduler.contains("multi_thread") {
        Some("multi_thread")
    } else if scheduler.contains("current_thread") || scheduler.contains("task::local") {
        Some("current_thread")
    } else {
        None
    }
}

/// Packages whose async functions only run another's future.
const WRAPPING_PACKAGES: &[&str] = &["tokio", "tokio_util", "futures_util", "actix_rt", "tracing"];

/// The coroutine at the root of a future's type: the first that is not a
/// wrapper's.
fn root_coroutine(future: &str) -> Option<Vec<String>> {
    let mut found = coroutines_in_type(future);
    let own = found
        .iter()
        .position(|chain| !WRAPPING_PACKAGES.contains(&chain[0].as_str()));
    let index = own.unwrap_or(0);
    (index < found.len()).then(|| found.swap_remove(index))
}

/// What sort of task `future` on `scheduler` is. `None` for a worker, which is
/// itself a task of the blocking pool and no task to anyone.
fn task_class(future: &str, scheduler: &str) -> Option<TaskClass> {
    if !scheduler.contains("BlockingSchedule") {
        return Some(TaskClass::Async);
    }
    let worker = future.contains("runtime::scheduler::multi_thread");
    (!worker).then_some(TaskClass::Blocking)
}

/// The chain of names of the closure that `BlockingTask<…>` runs.
fn closure_in_blocking_task(future: &str) -> Option<Vec<String>> {
    let arguments = template_arguments(future);
    let closure = arguments.first()?;
    closure
        .contains("{closure_env#")
        .then(|| body_chain(closure))
}

/// Whether a frame is Tokio's, by the namespaces around it or, where there are
/// none (line-tables-only), by its file.
fn is_in(frame: &SourceFrame, namespace: &[&str], folder: &str) -> bool {
    let chain = &frame.function.chain;
    if chain.len() > 1 {
        let mut around = chain.iter();
        return namespace
            .iter()
            .all(|name| around.next().is_some_and(|n| n == name));
    }
    frame
        .file
        .as_ref()
        .is_some_and(|file| is_tokio_file(&file.short) && file.short.contains(folder))
}

fn is_tokio_file(short: &str) -> bool {
    short.starts_with("tokio-") || short.starts_with("tokio/")
}

/// Files of Tokio, and of what is built around it, that schedule and pass on.
const GLUE_FILES: &[&str] = &[
    "/src/future/",
    "/src/loom/",
    "/src/macros/",
    "/src/runtime/blocking/",
    "/src/runtime/builder.rs",
    "/src/runtime/context",
    "/src/runtime/coop.rs",
    "/src/runtime/driver.rs",
    "/src/runtime/handle.rs",
    "/src/runtime/local_runtime/",
    "/src/runtime/park.rs",
    "/src/runtime/runtime.rs",
    "/src/runtime/scheduler/",
    "/src/runtime/task/",
    "/src/runtime/thread_id.rs",
    "/src/task/coop/",
    "/src/task/local.rs",
    "/src/task/unconstrained.rs",
    "/src/time/timeout.rs",
    "/src/util/",
];

/// The same by path, for code without line tables.
const GLUE_PATHS: &[&str] = &[
    "tokio::future::",
    "tokio::loom::",
    "tokio::runtime::blocking::",
    "tokio::runtime::context::",
    "tokio::runtime::coop::",
    "tokio::runtime::driver::",
    "tokio::runtime::handle::",
    "tokio::runtime::park::",
    "tokio::runtime::runtime::",
    "tokio::runtime::scheduler::",
    "tokio::runtime::task::",
    "tokio::task::coop::",
    "tokio::task::local::",
    "tokio::util::",
];

/// Whether a frame is Tokio's machinery.
pub(super) fn is_glue(frame: &SourceFrame) -> bool {
    match &frame.file {
        Some(file) => {
            let package = file.short.split('/').next().unwrap_or_default();
            (file.origin == Origin::Library && package.starts_with("actix-rt-"))
                || (is_tokio_file(&file.short)
                    && GLUE_FILES.iter().any(|glue| file.short.contains(glue)))
        }
        None => {
            let path = frame.function.path.readable.trim_start_matches('<');
            GLUE_PATHS.iter().any(|glue| path.starts_with(glue))
        }
    }
}
