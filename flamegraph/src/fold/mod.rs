//! Folds the stacks of a profile into the tree that a flamegraph draws.
//!
//! Frames of the same function and sort become one box, whatever line they
//! stand at: what one asks first is how much time a function takes, and two
//! boxes of the same name side by side would hide that. Await points stay apart
//! all the same, because what is awaited is the box below; and every box knows
//! its lines and how much time each of them took.

mod branches;
mod drawn;
mod groups;
mod over_time;
mod traced;

use crate::error::Error;
use crate::profile::{Profile, StackId, StringId};
use crate::view::{Grouping, RuntimeFrames, View};
use awaitscope_symbolizer::FrameKind;
use awaitscope_symbolizer::snapshot::WaitsOn;
pub use branches::{Branch, branches};
pub(crate) use drawn::{Drawn, Part, drawn};
use groups::{Group, Groups};
pub(crate) use groups::{kind_name, with_class};
pub(crate) use over_time::{OverTime, fold_over_time};
use std::collections::HashMap;
pub(crate) use traced::{Traced, trace};

const RUNTIME: Sort = Sort::Frame(FrameKind::Runtime);

/// Stacks times groups that are taken on. Real profiles stay far below.
const PLACES: usize = 16 << 20;

/// A box of a flamegraph.
#[derive(Debug)]
pub(crate) struct Node {
    /// The box above; the first node has none.
    pub(crate) parent: usize,
    pub(crate) name: String,
    pub(crate) sort: Sort,
    /// Time in this box and in those below it.
    pub(crate) total_ns: u64,
    /// Time in this box alone.
    pub(crate) own_ns: u64,
    /// Where in the source, the most time first.
    pub(crate) lines: Vec<Line>,
}

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    /// Everything.
    All,
    /// A thread, kind or task.
    Group,
    /// A frame.
    Frame(FrameKind),
    /// A frame that held its worker without running.
    Blocked,
    /// Tasks that ran, and not in a function of their own.
    OnCpu,
    /// Tasks that waited for a worker.
    Ready,
    /// What tasks waited for; `None` where it could not be told.
    Waits(Option<WaitsOn>),
}

/// One line of the source, and the time it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) file: Option<StringId>,
    pub(crate) line: Option<u32>,
    pub(crate) ns: u64,
}

/// Folds what `view` shows. The nodes come parents first; the first is all of
/// it.
pub(crate) fn fold(
    profile: &Profile,
    view: View,
    grouping: Grouping,
    runtime_frames: RuntimeFrames,
) -> Result<Vec<Node>, Error> {
    let weights = drawn(profile, view, grouping)?;
    let groups = Groups::of(grouping, &weights);
    let mut folding = Folding::new(profile, runtime_frames);
    for weight in weights.iter().filter(|weight| weight.ns > 0) {
        let group = groups.node(weight, profile, &mut folding);
        folding.add(group, weight)?;
    }
    Ok(folding.finish())
}

/// A stack within a group: where its time is collected before it is summed up.
struct Place {
    /// The place of the calling stack.
    parent: Option<usize>,
    stack: StackId,
    node: usize,
    /// Whether the stack's frame has a box, or is part of its caller's.
    drawn: bool,
    ns: u64,
}

struct Folding<'a> {
    profile: &'a Profile,
    runtime_frames: RuntimeFrames,
    waited_on: HashMap<StackId, WaitsOn>,
    nodes: Vec<Node>,
    children: HashMap<(usize, StringId, Sort), usize>,
    named: HashMap<(usize, &'static str), usize>,
    groups: HashMap<(usize, Option<Group>), usize>,
    places: Vec<Place>,
    place_of: HashMap<(usize, Part, StackId), usize>,
}

impl<'a> Folding<'a> {
    fn new(profile: &'a Profile, runtime_frames: RuntimeFrames) -> Self {
        Self {
            profile,
            runtime_frames,
            waited_on: profile.waited_on(),
            nodes: vec![node(0, "all".to_owned(), Sort::All)],
            children: HashMap::new(),
            named: HashMap::new(),
            groups: HashMap::new(),
            places: Vec::new(),
            place_of: HashMap::new(),
        }
    }

    fn group(&mut self, parent: usize, group: Option<Group>, name: impl Fn() -> String) -> usize {
        let nodes = &mut self.nodes;
        *self.groups.entry((parent, group)).or_insert_with(|| {
            nodes.push(node(parent, name(), Sort::Group));
            nodes.len() - 1
        })
    }

    /// A box for what has no function of its own.
    fn stand_in(&mut self, parent: usize, name: &'static str, sort: Sort) -> usize {
        let nodes = &mut self.nodes;
        *self.named.entry((parent, name)).or_insert_with(|| {
            nodes.push(node(parent, name.to_owned(), sort));
            nodes.len() - 1
        })
    }

    /// Adds time, and says in which box it ends, and at which place.
    fn add(&mut self, group: usize, weight: &Drawn) -> Result<(usize, Option<usize>), Error> {
        let (part, ns) = (weight.part, weight.ns);
        let Some(stack) = weight.stack else {
            let sort = match part {
                Part::Blocked => Sort::Blocked,
                _ => Sort::Frame(FrameKind::Sync),
            };
            let node = self.stand_in(group, "[no stack]", sort);
            self.nodes[node].own_ns += ns;
            return Ok((node, None));
        };
        let place = self.place(group, part, stack)?;
        self.places[place].ns += ns;
        let node = self.end(group, self.places[place].node, part, stack);
        self.nodes[node].own_ns += ns;
        Ok((node, Some(place)))
    }

    /// The box that time ends in, below the last that has a frame: every part of a
    /// task's life has a box of its sort.
    fn end(&mut self, group: usize, node: usize, part: Part, stack: StackId) -> usize {
        let sort = self.nodes[node].sort;
        match part {
            Part::Ready => self.stand_in(node, "[ready, waits for a worker]", Sort::Ready),
            Part::Waiting if !matches!(sort, Sort::Waits(_)) => {
                let what = self.waited_on.get(&stack).copied();
                self.stand_in(node, "[waits]", Sort::Waits(what))
            }
            Part::Blocked if sort != Sort::Blocked => {
                self.stand_in(node, "[holds its worker]", Sort::Blocked)
            }
            Part::OnCpu if matches!(sort, Sort::Frame(FrameKind::Async) | Sort::Group) => {
                self.stand_in(node, "[on CPU]", Sort::OnCpu)
            }
            // Nothing but machinery: an idle or busy executor.
            _ if node == group => self.stand_in(group, "[runtime]", RUNTIME),
            _ => node,
        }
    }

    fn place(&mut self, group: usize, part: Part, stack: StackId) -> Result<usize, Error> {
        let mut missing = Vec::new();
        let mut next = Some(stack);
        let mut place = None;
        while let Some(stack) = next {
            if let Some(&known) = self.place_of.get(&(group, part, stack)) {
                place = Some(known);
                break;
            }
            missing.push(stack);
            next = self.profile.stacks[stack.index()].parent;
        }
        if self.places.len() + missing.len() > PLACES {
            return Err(Error::TooManyBoxes);
        }
        for &stack in missing.iter().rev() {
            place = Some(self.new_place(group, part, place, stack));
        }
        // `missing` begins with the stack itself, so one of both was found.
        Ok(place.unwrap_or_default())
    }

    fn new_place(
        &mut self,
        group: usize,
        part: Part,
        parent: Option<usize>,
        stack: StackId,
    ) -> usize {
        let above = parent.map_or(group, |parent| self.places[parent].node);
        let frame = self.profile.frames[self.profile.stacks[stack.index()].frame.index()];
        let folded = match (part, frame.kind) {
            (_, FrameKind::Runtime) => self.runtime_frames == RuntimeFrames::Folded,
            // It waits for that no more.
            (Part::Ready, FrameKind::Leaf) => true,
            _ => false,
        };
        let node = if folded {
            above
        } else {
            let mut above = above;
            if above == group && parent.is_some() && frame.kind == FrameKind::Kernel {
                // The kernel at work for the executor, not for a task.
                above = self.stand_in(group, "[runtime]", RUNTIME);
            }
            let sort = self.sort(part, frame.kind, stack);
            self.child(above, frame.function, sort)
        };
        self.places.push(Place {
            parent,
            stack,
            node,
            drawn: !folded,
            ns: 0,
        });
        let place = self.places.len() - 1;
        self.place_of.insert((group, part, stack), place);
        place
    }

    fn sort(&self, part: Part, kind: FrameKind, stack: StackId) -> Sort {
        match (part, kind) {
            (Part::Waiting, FrameKind::Leaf) => Sort::Waits(self.waited_on.get(&stack).copied()),
            (Part::Blocked, FrameKind::Sync | FrameKind::Kernel | FrameKind::Leaf) => Sort::Blocked,
            _ => Sort::Frame(kind),
        }
    }

    fn child(&mut self, parent: usize, function: StringId, sort: Sort) -> usize {
        let (nodes, profile) = (&mut self.nodes, self.profile);
        *self
            .children
            .entry((parent, function, sort))
            .or_insert_with(|| {
                let name = profile.strings[function.index()].to_string();
                nodes.push(node(parent, name, sort));
                nodes.len() - 1
            })
    }

    /// Sums up, from the leaves to the root.
    fn finish(mut self) -> Vec<Node> {
        let mut lines: HashMap<(usize, Option<StringId>, Option<u32>), u64> = HashMap::new();
        for index in (0..self.places.len()).rev() {
            let place = &self.places[index];
            let (ns, parent) = (place.ns, place.parent);
            if place.drawn {
                let entry = self.profile.stacks[place.stack.index()];
                let frame = self.profile.frames[entry.frame.index()];
                *lines
                    .entry((place.node, frame.file, frame.line))
                    .or_default() += ns;
            }
            if let Some(parent) = parent {
                self.places[parent].ns += ns;
            }
        }
        for ((node, file, line), ns) in lines {
            self.nodes[node].lines.push(Line { file, line, ns });
        }
        for index in (0..self.nodes.len()).rev() {
            let node = &mut self.nodes[index];
            node.lines
                .sort_unstable_by_key(|line| (std::cmp::Reverse(line.ns), line.file, line.line));
            node.total_ns += node.own_ns;
            let (total, parent) = (node.total_ns, node.parent);
            if index > 0 {
                self.nodes[parent].total_ns += total;
            }
        }
        self.nodes
    }
}

fn node(parent: usize, name: String, sort: Sort) -> Node {
    Node {
        parent,
        name,
        sort,
        total_ns: 0,
        own_ns: 0,
        lines: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
