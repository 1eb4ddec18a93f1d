//! The futures that threads entered a runtime with.
//!
//! They are in no list: `block_on` pins its future on its own stack. Which frame that is
//! and which type it has the unwound stack tells, but optimized code keeps no note of
//! where in the frame it stands. So the future is looked for: of all places where a
//! value of that type could stand, one holds a suspended future all of whose pointers
//! lead somewhere. Copies from before it was moved were never polled. Unless there is
//! exactly one such place, where the root waits is not known.

use super::names::{RootNames, own_coroutine_type, root_coroutine_type, root_name};
use crate::frame::Origin;
use crate::futures::{Ground, Job, NOT_POLLED, ShapeId, Shapes, Tree, Walked, Walker};
use crate::module::DwarfReader;
use crate::module::{AddressSpace, ModuleId, Svma};
use crate::names::{Names, SourceFrame, template_arguments};
use crate::runtime::{SeenThreads, TaskClass};
use crate::snapshot::{AwaitPoint, AwaitTable, TaskSeen, TaskState};
use crate::unwind::{PhysicalFrame, StackReader, Unwinder, copy_stack};
use awaitscope_sampler::{BlockedThread, Registers, Tid};
use std::collections::HashMap;
use std::sync::Arc;

/// How much of a stack is read: an entered runtime is near its outer end, but a future can
/// be 16 KiB before Tokio puts it into a box.
const STACK: usize = 128 << 10;

/// How far beyond its frame the future can stand: it is passed by a pointer to the
/// caller's own copy.
const FRAMES_BEYOND: usize = 3;

/// And how far inside: in a closure that it was moved into.
const FRAMES_WITHIN: usize = 2;

/// The most places that are tried.
const MOST_PLACES: u64 = 8192;

/// How many snapshots a thread that was in no `block_on` is left alone.
const PATIENCE: u32 = 20;

/// A root future.
#[derive(Debug)]
pub(in crate::runtime) struct Root {
    /// Where it stands; where its frame begins if that is not known.
    pub address: u64,
    /// The type of the future.
    pub future: Arc<str>,
    /// What it waits for; `None` where it was not found.
    pub tree: Option<Tree>,
}

impl Root {
    /// The task that it is to people.
    pub fn seen(
        self,
        runtime: usize,
        scheduler: u32,
        shapes: &mut Shapes,
        table: &mut AwaitTable,
    ) -> Option<TaskSeen> {
        let names = RootNames {
            certain: root_name(&self.future, shapes),
            fallback: None,
        };
        let kind = names.kind(TaskClass::BlockOn, runtime, None, table)?;
        let tree = self.tree.unwrap_or_default();
        Some(TaskSeen {
            address: self.address,
            id: None,
            scheduler,
            kind,
            state: TaskState::Suspended,
            waits: tree.waits.into(),
            holds: tree.holds.into(),
        })
    }
}

/// Finds root futures.
pub(in crate::runtime) struct Roots {
    module: ModuleId,
    /// The packages whose `block_on` is meant.
    packages: &'static [&'static str],
    names: Names<DwarfReader>,
    unwinder: Unwinder,
    /// Where stacks are read to.
    scratch: Vec<u8>,
    known: HashMap<Svma, Option<Arc<str>>>,
    shapes: HashMap<Arc<str>, Option<(ShapeId, u64)>>,
    threads: HashMap<Tid, Seen>,
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roots")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// What a thread was last time.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// In a `block_on` whose future stood there.
    Root(u64),
    /// In none, so many snapshots ago.
    Nothing(u32),
}

/// The frame of a `block_on`.
struct Frame {
    future: Arc<str>,
    start: u64,
    end: u64,
    /// Where the frames begin that it may have been moved into.
    within: u64,
}

impl Roots {
    /// Those that a `block_on` of one of the `packages` has. `None` where there is no debug
    /// information.
    pub fn new(
        space: &AddressSpace,
        module: ModuleId,
        packages: &'static [&'static str],
    ) -> Option<Self> {
        let places = Arc::clone(space.module(module)?.places()?);
        Some(Self {
            module,
            packages,
            names: Names::new(places, Origin::User),
            unwinder: Unwinder::new(),
            scratch: vec![0; STACK],
            known: HashMap::new(),
            shapes: HashMap::new(),
            threads: HashMap::new(),
        })
    }

    /// The roots of all threads that sleep in a `block_on`.
    pub fn find(
        &mut self,
        seen: &SeenThreads<'_>,
        shapes: &mut Shapes,
        walker: &mut Walker,
        table: &mut AwaitTable,
    ) -> Vec<Root> {
        let alive: Vec<Tid> = seen.threads.iter().map(|thread| thread.tid).collect();
        self.threads.retain(|tid, _| alive.contains(tid));
        let mut roots = Vec::new();
        for tid in alive {
            if let Some(Seen::Nothing(since)) = self.threads.get_mut(&tid)
                && *since < PATIENCE
            {
                *since += 1;
                continue;
            }
            let Some(blocked) = seen.process.blocked_in(tid) else {
                continue;
            };
            let Some(frame) = self.block_on(&blocked, seen) else {
                self.threads.insert(tid, Seen::Nothing(0));
                continue;
            };
            let root = self.root(tid, frame, seen, shapes, walker, table);
            // Unless it slept all the while, it may have been anywhere.
            if seen.process.blocked_in(tid) == Some(blocked) {
                self.threads.insert(tid, Seen::Root(root.address));
                roots.push(root);
            }
        }
        roots
    }

    fn root(
        &mut self,
        tid: Tid,
        frame: Frame,
        seen: &SeenThreads<'_>,
        shapes: &mut Shapes,
        walker: &mut Walker,
        table: &mut AwaitTable,
    ) -> Root {
        let ground = Ground {
            space: seen.space,
            module: self.module,
            memory: seen.process,
        };
        let mut root = Root {
            address: frame.start,
            future: Arc::clone(&frame.future),
            tree: None,
        };
        let Some((shape, size)) = self.shape(&frame.future, shapes) else {
            return root;
        };
        let job = |address: u64| Job {
            address,
            size,
            offset: 0,
            shape,
        };
        let last = frame.end.saturating_sub(size);
        let known = match self.threads.get(&tid) {
            Some(Seen::Root(address)) if (frame.within..=last).contains(address) => Some(*address),
            _ => None,
        };
        let mut try_places = |places: Vec<u64>| -> Vec<(u64, Tree)> {
            let jobs: Vec<Job> = places.into_iter().map(job).collect();
            let walked = walker.walk(&jobs, &ground, shapes, table, &|_, _| Some(0));
            let trees = jobs.iter().zip(walked);
            trees
                .filter_map(|(job, walked)| match walked {
                    Walked::Tree(tree, _) if is_sound(&tree, table) => Some((job.address, tree)),
                    _ => None,
                })
                .collect()
        };
        let mut found = try_places(known.into_iter().collect());
        // Most have it in their own frame: what looks like it further in is a copy then.
        let inside = frame.start.saturating_sub(8).min(last);
        for (from, to) in [(frame.start, last), (frame.within, inside)] {
            if found.is_empty() {
                let places = (from.next_multiple_of(8)..=to).step_by(8);
                found = try_places(places.take(MOST_PLACES as usize).collect());
            }
        }
        if let [(address, tree)] = found.as_slice() {
            root.address = *address;
            root.tree = Some(tree.clone());
        }
        root
    }

    fn shape(&mut self, future: &Arc<str>, shapes: &mut Shapes) -> Option<(ShapeId, u64)> {
        *self.shapes.entry(Arc::clone(future)).or_insert_with(|| {
            let id = shapes.types().find(future)?;
            let size = shapes.types().size(id).filter(|size| *size > 0)?;
            let shape = shapes.of(id);
            shapes.holds_something(shape).then_some((shape, size))
        })
    }

    /// The innermost `block_on` on the stack of a sleeping thread that has its future for
    /// itself.
    fn block_on(&mut self, blocked: &BlockedThread, seen: &SeenThreads<'_>) -> Option<Frame> {
        let stack = copy_stack(seen.process, blocked.sp, &mut self.scratch);
        let registers = Registers::from_ip_sp(blocked.ip, blocked.sp);
        let mut frames = Vec::new();
        let mut reader = StackReader::new(&stack);
        self.unwinder
            .unwind(seen.space, &registers, &mut reader, &mut frames);
        let (index, future) = frames.iter().enumerate().find_map(|(index, frame)| {
            let future = self.future_of(frame, seen.space)?;
            Some((index, future))
        })?;
        let beyond = &frames[index..frames.len().min(index + 1 + FRAMES_BEYOND)];
        let ends = beyond.iter().filter_map(|frame| frame.cfa);
        Some(Frame {
            future,
            start: frames[index].registers.sp().0,
            end: ends.map(|cfa| cfa.0).max()?,
            within: frames[index.saturating_sub(FRAMES_WITHIN)].registers.sp().0,
        })
    }

    fn is_ours(&self, frame: &SourceFrame) -> bool {
        let package = frame.function.chain.first();
        package.is_some_and(|package| self.packages.contains(&package.as_str()))
    }

    /// The type of the future that a frame blocks on.
    fn future_of(&mut self, frame: &PhysicalFrame, space: &AddressSpace) -> Option<Arc<str>> {
        let (module, svma) = space.lookup(frame.lookup)?;
        if module != self.module {
            return None;
        }
        if let Some(known) = self.known.get(&svma) {
            return known.clone();
        }
        let symbols = space.module(module)?.symbols();
        let symbol = symbols.function_at(svma).map(|symbol| symbol.name);
        let frames = self.names.lookup(svma.0, symbol);
        let mut entered = frames.iter().filter(|frame| self.is_ours(frame));
        let future = entered.find_map(blocked_on);
        self.known.insert(svma, future.clone());
        future
    }
}

/// The future among the arguments of `block_on<F>` or `block_on<T, F>`, unless it is a
/// reference to what somebody else has.
fn blocked_on(frame: &SourceFrame) -> Option<Arc<str>> {
    let name = frame.function.own_name();
    if !(name.starts_with("block_on<") || name.starts_with("block_on_inner<")) {
        return None;
    }
    let arguments = template_arguments(name).into_iter();
    let mut futures = arguments.filter(|argument| root_coroutine_type(argument).is_some());
    let future = futures.next()?;
    let borrowed = future.starts_with("core::pin::Pin<&mut ") || future.starts_with('&');
    // What only runs an executor is a worker of it, and no task to anyone.
    let works = future.starts_with("async_executor::") && own_coroutine_type(future).is_none();
    (!borrowed && !works).then(|| Arc::from(future))
}

/// Whether a tree can be that of a future that was polled, found by looking for one: it
/// waits for something, and what was never polled in it is not all of it.
fn is_sound(tree: &Tree, table: &AwaitTable) -> bool {
    let points = || {
        let points = tree.waits.iter();
        points.filter_map(|wait| table.points().get(wait.point.0 as usize))
    };
    // A copy that was never polled has no frame but its own.
    let inside = |point: &AwaitPoint| table.frames_of(point.stack).len() > 1;
    let polled = |point: &AwaitPoint| *point.type_name != *NOT_POLLED;
    let whole = !tree.unresolved && !tree.untold;
    whole && points().all(inside) && points().any(polled)
}
