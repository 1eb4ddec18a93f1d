//! Tasks that are shown together: of one kind, in one state, waiting at the same points.

use super::edges::Edges;
use super::{ListedTask, TaskList, WaitedFor};
use awaitscope_sampler::Descriptor;
use awaitscope_symbolizer::snapshot::TaskState;
use std::collections::HashMap;
use std::hash::Hash;

/// Things that are told apart in a tally. Ten are shown at the most.
const MOST_TALLIED: usize = 10_000;

/// What tasks have in common that are shown together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub kind: u32,
    pub state: TaskState,
    /// Where they wait: each point once, in ascending order.
    pub points: Vec<u32>,
}

impl Shape {
    pub(super) fn of(task: &ListedTask) -> Self {
        let mut points: Vec<u32> = task.waits.iter().map(|wait| wait.point).collect();
        points.sort_unstable();
        points.dedup();
        Self {
            kind: task.kind,
            state: task.state,
            points,
        }
    }
}

/// Tasks of one shape.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub shape: Shape,
    pub count: u64,
    /// Where they wait, in the order of the source.
    pub waits: Vec<Waits<'a>>,
}

/// What the tasks of a group wait for at one point.
#[derive(Debug, Default)]
pub(super) struct Waits<'a> {
    pub point: u32,
    /// How many waits: a task can have several at one point.
    pub count: u64,
    /// The least and the most time that is left.
    pub left: Option<(i64, i64)>,
    pub peers: Tally<&'a str>,
    pub locals: Tally<&'a str>,
    pub listening: bool,
    /// Files, pipes and others.
    pub files: Tally<&'a str>,
    /// Descriptors of which nothing but the number is known.
    pub numbers: Tally<i32>,
    /// Listed tasks that are awaited.
    pub tasks: Tally<u32>,
    /// Locks and channels by their addresses.
    pub objects: Tally<u64>,
}

/// How often each thing was seen.
#[derive(Debug)]
pub(super) struct Tally<T> {
    counts: HashMap<T, u64>,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self {
            counts: HashMap::new(),
        }
    }
}

impl<T: Copy + Eq + Hash + Ord> Tally<T> {
    pub(super) fn add(&mut self, thing: T) {
        if self.counts.len() < MOST_TALLIED || self.counts.contains_key(&thing) {
            *self.counts.entry(thing).or_default() += 1;
        }
    }

    /// How many different things there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// All, what was seen most often first.
    pub(super) fn ranked(&self) -> Vec<(T, u64)> {
        let mut ranked: Vec<(T, u64)> = self.counts.iter().map(|(t, n)| (*t, *n)).collect();
        ranked.sort_unstable_by(|(a, na), (b, nb)| nb.cmp(na).then(a.cmp(b)));
        ranked
    }
}

/// The tasks `wanted` in groups, the largest first.
pub(super) fn groups<'a>(
    list: &'a TaskList,
    edges: &Edges,
    wanted: impl Fn(u32) -> bool,
) -> Vec<Group<'a>> {
    let mut by_shape: HashMap<Shape, usize> = HashMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut omitted: HashMap<u32, u64> = HashMap::new();
    let mut shapeless: HashMap<Shape, u64> = HashMap::new();
    for rest in list.omitted.iter().filter(|rest| wanted(rest.kind)) {
        let count = match rest.like {
            Some(like) => omitted.entry(like).or_default(),
            None => shapeless.entry(unknown(rest.kind, rest.state)).or_default(),
        };
        *count = count.saturating_add(rest.count);
    }
    for (index, task) in (0..).zip(&list.tasks) {
        if !wanted(task.kind) {
            continue;
        }
        let count = 1 + omitted.get(&index).copied().unwrap_or(0);
        let shape = Shape::of(task);
        let place = *by_shape.entry(shape).or_insert_with_key(|shape| {
            groups.push(Group::new(shape, task));
            groups.len() - 1
        });
        groups[place].add(task, count, edges);
    }
    for (shape, count) in shapeless {
        match by_shape.get(&shape) {
            Some(place) => groups[*place].count = groups[*place].count.saturating_add(count),
            None => groups.push(Group {
                shape,
                count,
                waits: Vec::new(),
            }),
        }
    }
    groups.sort_by(|a, b| {
        let key = |group: &Group<'_>| (group.shape.kind, group.shape.state);
        b.count.cmp(&a.count).then_with(|| key(a).cmp(&key(b)))
    });
    groups
}

/// The shape of tasks of which is not known where they wait.
fn unknown(kind: u32, state: TaskState) -> Shape {
    Shape {
        kind,
        state,
        points: Vec::new(),
    }
}

impl<'a> Group<'a> {
    /// One task by itself.
    pub(super) fn alone(task: &'a ListedTask, edges: &Edges) -> Self {
        let mut group = Self::new(&Shape::of(task), task);
        group.add(task, 1, edges);
        group
    }

    fn new(shape: &Shape, task: &ListedTask) -> Self {
        let mut waits: Vec<Waits<'a>> = Vec::with_capacity(shape.points.len());
        let mut seen = std::collections::HashSet::new();
        let points = task.waits.iter().map(|wait| wait.point);
        waits.extend(
            points
                .filter(|point| seen.insert(*point))
                .map(|point| Waits {
                    point,
                    ..Waits::default()
                }),
        );
        Self {
            shape: shape.clone(),
            count: 0,
            waits,
        }
    }

    fn add(&mut self, task: &'a ListedTask, count: u64, edges: &Edges) {
        self.count = self.count.saturating_add(count);
        // Few points are found faster in a row; a task that has many has them once.
        let places: Option<HashMap<u32, usize>> = (self.waits.len() > 8).then(|| {
            let waits = self.waits.iter().enumerate();
            waits.map(|(place, waits)| (waits.point, place)).collect()
        });
        for wait in &task.waits {
            let place = match &places {
                Some(places) => places.get(&wait.point).copied(),
                None => self
                    .waits
                    .iter()
                    .position(|waits| waits.point == wait.point),
            };
            if let Some(waits) = place.and_then(|place| self.waits.get_mut(place)) {
                waits.count = waits.count.saturating_add(count);
                waits.add(&wait.on, edges);
            }
        }
    }
}

impl<'a> Waits<'a> {
    fn add(&mut self, on: &'a WaitedFor, edges: &Edges) {
        match on {
            WaitedFor::Unknown => {}
            WaitedFor::Timer(left) => {
                let (least, most) = self.left.unwrap_or((*left, *left));
                self.left = Some((least.min(*left), most.max(*left)));
            }
            WaitedFor::File(number, None) => self.numbers.add(*number),
            WaitedFor::File(_, Some(file)) => self.add_file(file),
            WaitedFor::Task(address) => {
                if let Some(task) = edges.task_at(*address) {
                    self.tasks.add(task);
                }
            }
            WaitedFor::Object(address) => self.objects.add(*address),
        }
    }

    fn add_file(&mut self, file: &'a Descriptor) {
        match file {
            Descriptor::Socket(socket) => {
                self.listening |= socket.listening;
                match (&socket.local, &socket.peer) {
                    (None, None) => self.files.add("a socket without a name"),
                    (local, peer) => {
                        local.iter().for_each(|local| self.locals.add(local));
                        peer.iter().for_each(|peer| self.peers.add(peer));
                    }
                }
            }
            Descriptor::File(path) => self.files.add(path),
            Descriptor::Pipe => self.files.add("a pipe"),
            Descriptor::Other(name) => self.files.add(name),
        }
    }
}
