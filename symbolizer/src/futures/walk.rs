//! Walks many tasks at once, and makes sure of each that it did not move meanwhile.

use super::compile::Shapes;
use super::parse::{Memo, Object, Parser, Tree, Witness, World};
use super::shape::ShapeId;
use crate::module::{AddressSpace, ModuleId};
use crate::snapshot::AwaitTable;
use awaitscope_sampler::{Avma, ReadMemory, ReadRequest};

/// How many tasks are read together.
const TOGETHER: usize = 256;

/// How often a task that moves is read again.
const ATTEMPTS: u32 = 3;

/// The most pointers from one to the next that are followed.
const MOST_ROUNDS: u32 = 200;

/// Nothing of one piece is larger than this.
const LARGEST: u64 = 4 << 20;

/// A root future that is to be walked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// What is read first: where it begins, and how much of it.
    pub address: u64,
    /// Bytes of it.
    pub size: u64,
    /// Where in it the future stands.
    pub offset: u64,
    /// The future's shape.
    pub shape: ShapeId,
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Walked {
    /// What it waits for, and what the guard said all the while.
    Tree(Tree, u64),
    /// The guard did not let us.
    Refused,
    /// It moved each time that it was read.
    Torn,
}

/// What stays the same over many walks of one process.
#[derive(Debug, Default)]
pub(crate) struct Walker {
    memo: Memo,
}

/// Where the tasks are.
#[allow(missing_debug_implementations)]
pub(crate) struct Ground<'a> {
    pub space: &'a AddressSpace,
    /// The module that the shapes are of.
    pub module: ModuleId,
    pub memory: &'a dyn ReadMemory,
}

impl Walker {
    /// Walks all `jobs`. `guard` is given the first bytes of each: it says whether the
    /// future may be read, by a number that must be the same at the end.
    pub fn walk(
        &mut self,
        jobs: &[Job],
        ground: &Ground<'_>,
        shapes: &mut Shapes,
        table: &mut AwaitTable,
        guard: &dyn Fn(usize, &[u8]) -> Option<u64>,
    ) -> Vec<Walked> {
        let mut world = World {
            shapes,
            table,
            memo: &mut self.memo,
            space: ground.space,
            module: ground.module,
            memory: ground.memory,
        };
        let mut results = vec![Walked::Torn; jobs.len()];
        let all: Vec<usize> = (0..jobs.len()).collect();
        for together in all.chunks(TOGETHER) {
            let mut left = together.to_vec();
            for _ in 0..ATTEMPTS {
                left = attempt(&left, jobs, &mut world, guard, &mut results);
                if left.is_empty() {
                    break;
                }
            }
        }
        results
    }
}

/// A job that is being done.
struct Doing {
    job: usize,
    guard: u64,
    objects: Vec<Object>,
    witnesses: Vec<Witness>,
    tree: Tree,
    wants: Vec<(u64, u64)>,
}

/// Tries the jobs `which`; returns those whose tasks moved.
fn attempt(
    which: &[usize],
    jobs: &[Job],
    world: &mut World<'_>,
    guard: &dyn Fn(usize, &[u8]) -> Option<u64>,
    results: &mut [Walked],
) -> Vec<usize> {
    let mut moved = Vec::new();
    let mut doing = Vec::new();
    for (job, object) in first_objects(which, jobs, world.memory) {
        let Some(object) = object else {
            // Its memory is gone: it ended since it was listed.
            results[job] = Walked::Refused;
            continue;
        };
        match guard(job, &object.bytes) {
            Some(guard) => doing.push(Doing {
                job,
                guard,
                objects: vec![object],
                witnesses: Vec::new(),
                tree: Tree::default(),
                wants: Vec::new(),
            }),
            None => results[job] = Walked::Refused,
        }
    }
    let mut done = Vec::new();
    for _ in 0..MOST_ROUNDS {
        let mut unfinished = Vec::new();
        for mut task in doing {
            match parse(&mut task, jobs, world) {
                Parsed::Whole => done.push(task),
                Parsed::Part => unfinished.push(task),
                Parsed::Torn => moved.push(task.job),
            }
        }
        doing = read_wants(unfinished, world.memory, &mut moved);
        if doing.is_empty() {
            break;
        }
    }
    for mut task in doing {
        // Deeper than anything real: what was found so far is true all the same.
        task.tree.unresolved = true;
        done.push(task);
    }
    verify(done, world.memory, guard, results, &mut moved);
    moved
}

fn first_objects(
    which: &[usize],
    jobs: &[Job],
    memory: &dyn ReadMemory,
) -> Vec<(usize, Option<Object>)> {
    let mut objects: Vec<Object> = which
        .iter()
        .map(|job| Object {
            address: jobs[*job].address,
            bytes: vec![0; jobs[*job].size.min(LARGEST) as usize],
        })
        .collect();
    let read = read_all(&mut objects, memory);
    which
        .iter()
        .zip(objects)
        .zip(read)
        .map(|((job, object), read)| (*job, read.then_some(object)))
        .collect()
}

/// Reads objects; says of each whether it came.
fn read_all(objects: &mut [Object], memory: &dyn ReadMemory) -> Vec<bool> {
    let mut requests: Vec<ReadRequest<'_>> = objects
        .iter_mut()
        .map(|object| ReadRequest::new(Avma(object.address), &mut object.bytes))
        .collect();
    memory.read_many(&mut requests);
    requests.iter().map(|request| request.done).collect()
}

enum Parsed {
    Whole,
    Part,
    Torn,
}

fn parse(task: &mut Doing, jobs: &[Job], world: &mut World<'_>) -> Parsed {
    let job = &jobs[task.job];
    let Some(address) = job.address.checked_add(job.offset) else {
        return Parsed::Torn;
    };
    let mut parser = Parser::new(world, &mut task.objects);
    parser.root(job.shape, address);
    let Parser {
        wants,
        witnesses,
        tree,
        torn,
        ..
    } = parser;
    if torn {
        return Parsed::Torn;
    }
    let whole = wants.is_empty();
    task.wants = wants;
    task.witnesses = witnesses;
    task.tree = tree;
    match whole {
        true => Parsed::Whole,
        false => Parsed::Part,
    }
}

/// Reads what the parsers found missing.
fn read_wants(
    mut tasks: Vec<Doing>,
    memory: &dyn ReadMemory,
    moved: &mut Vec<usize>,
) -> Vec<Doing> {
    let mut objects = Vec::new();
    let mut counts = Vec::new();
    for task in &mut tasks {
        task.wants.sort_unstable();
        task.wants.dedup();
        counts.push(task.wants.len());
        objects.extend(task.wants.drain(..).map(|(address, size)| Object {
            address,
            bytes: vec![0; size.min(LARGEST * 2) as usize],
        }));
    }
    let read = read_all(&mut objects, memory);
    let mut objects = objects.into_iter().zip(read);
    let mut going_on = Vec::new();
    for (mut task, count) in tasks.into_iter().zip(counts) {
        let mut whole = true;
        for (object, read) in objects.by_ref().take(count) {
            whole &= read;
            task.objects.push(object);
        }
        match whole {
            true => going_on.push(task),
            // A pointer that leads nowhere is none.
            false => moved.push(task.job),
        }
    }
    going_on
}

/// Reads all that led the way once more. What is the same was not touched in between; or
/// it came back to where it was, and then what was found is true again.
fn verify(
    done: Vec<Doing>,
    memory: &dyn ReadMemory,
    guard: &dyn Fn(usize, &[u8]) -> Option<u64>,
    results: &mut [Walked],
    moved: &mut Vec<usize>,
) {
    let mut again = Vec::new();
    let mut counts = Vec::new();
    for task in &done {
        let before = again.len();
        again.extend(
            task.objects
                .iter()
                .enumerate()
                .filter_map(|(index, object)| {
                    let (start, end) = span(object, &task.witnesses, index == 0)?;
                    Some(Object {
                        address: object.address.wrapping_add(start as u64),
                        bytes: vec![0; end - start],
                    })
                }),
        );
        counts.push(again.len() - before);
    }
    let read = read_all(&mut again, memory);
    let mut again = again.into_iter().zip(read);
    for (task, count) in done.into_iter().zip(counts) {
        let now: Vec<(Object, bool)> = again.by_ref().take(count).collect();
        let whole = now.iter().all(|(_, read)| *read);
        let same = |witness: &Witness| {
            let length = usize::from(witness.length);
            let then = task.objects.iter();
            let then = then.filter_map(|o| o.get(witness.address, length)).next();
            let now = now.iter();
            let now = now
                .filter_map(|(o, _)| o.get(witness.address, length))
                .next();
            then.is_some() && then == now
        };
        let guarded = now
            .first()
            .and_then(|(first, _)| guard(task.job, &first.bytes));
        if whole && guarded == Some(task.guard) && task.witnesses.iter().all(same) {
            results[task.job] = Walked::Tree(task.tree, task.guard);
        } else {
            moved.push(task.job);
        }
    }
}

/// How many bytes of the first object a guard may look at.
pub(crate) const GUARDED: usize = 256;

/// The part of an object that holds all its witnesses; of the first, what the guard looks
/// at too.
fn span(object: &Object, witnesses: &[Witness], first: bool) -> Option<(usize, usize)> {
    let length = object.bytes.len();
    let mut span = first.then(|| (0, GUARDED.min(length)));
    for witness in witnesses {
        if object
            .get(witness.address, usize::from(witness.length))
            .is_none()
        {
            continue;
        }
        let start = (witness.address - object.address) as usize;
        let end = start + usize::from(witness.length);
        span = Some(match span {
            Some((from, to)) => (from.min(start), to.max(end)),
            None => (start, end),
        });
    }
    span
}
