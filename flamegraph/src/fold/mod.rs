//! Folds the stacks of a profile into the tree that a flamegraph draws.
//!
//! Frames of the same function and sort become one box, whatever line they
//! stand at: what one asks first is how much time a function takes, and two
//! boxes of the same name side by side would hide that. Await points stay apart
//! all the same, because what is awaited is the box below; and every box knows
//! its lines and how much time each of them took.

mod groups;

use crate::error::Error;
use crate::profile::{KindId, Profile, StackId, State, StringId, TaskId, ThreadId};
use crate::view::{Grouping, RuntimeFrames, View};
use awaitscope_symbolizer::FrameKind;
use groups::{Group, Groups};
use std::collections::HashMap;

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
    let mut weights = Vec::new();
    each_weight(profile, view, &mut |weight| weights.push(weight))?;
    let groups = Groups::of(grouping, &weights);
    let mut folding = Folding::new(profile, runtime_frames);
    for weight in &weights {
        let group = groups.node(weight, profile, &mut folding);
        folding.add(group, weight.stack, weight.ns)?;
    }
    Ok(folding.finish())
}

/// Time to be drawn.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    thread: ThreadId,
    kind: Option<KindId>,
    task: Option<TaskId>,
    /// `None` where the stack is not known.
    stack: Option<StackId>,
    ns: u64,
}

fn each_weight(profile: &Profile, view: View, each: &mut dyn FnMut(Drawn)) -> Result<(), Error> {
    match view {
        View::Cpu => {
            let on_cpu = profile.weights().filter(|w| w.key.state == State::OnCpu);
            for weight in on_cpu {
                each(Drawn {
                    thread: weight.key.thread,
                    kind: weight.key.kind,
                    task: weight.key.task,
                    stack: Some(weight.key.stack),
                    ns: weight.ns,
                });
            }
            Ok(())
        }
        View::Stall => {
            stalls(profile, each);
            Ok(())
        }
        View::Wait | View::Wall => Err(Error::NoSnapshots { view }),
    }
}

fn stalls(profile: &Profile, each: &mut dyn FnMut(Drawn)) {
    for stall in &profile.stalls {
        let drawn = |stack, ns| Drawn {
            thread: stall.thread,
            kind: stall.kind,
            task: stall.task,
            stack,
            ns,
        };
        let mut left = stall.duration_ns;
        for &(stack, ns) in &stall.stacks {
            let ns = ns.min(left);
            left -= ns;
            each(drawn(Some(stack), ns));
        }
        each(drawn(None, left));
    }
    for sum in &profile.stall_sums {
        each(Drawn {
            thread: sum.thread,
            kind: sum.kind,
            task: None,
            stack: sum.stack,
            ns: sum.total_ns,
        });
    }
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
    nodes: Vec<Node>,
    children: HashMap<(usize, StringId, FrameKind), usize>,
    named: HashMap<(usize, &'static str), usize>,
    groups: HashMap<(usize, Option<Group>), usize>,
    places: Vec<Place>,
    place_of: HashMap<(usize, StackId), usize>,
}

impl<'a> Folding<'a> {
    fn new(profile: &'a Profile, runtime_frames: RuntimeFrames) -> Self {
        Self {
            profile,
            runtime_frames,
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
    fn stand_in(&mut self, parent: usize, name: &'static str, kind: FrameKind) -> usize {
        let nodes = &mut self.nodes;
        *self.named.entry((parent, name)).or_insert_with(|| {
            nodes.push(node(parent, name.to_owned(), Sort::Frame(kind)));
            nodes.len() - 1
        })
    }

    fn add(&mut self, group: usize, stack: Option<StackId>, ns: u64) -> Result<(), Error> {
        if ns == 0 {
            return Ok(());
        }
        let Some(stack) = stack else {
            let node = self.stand_in(group, "[no stack]", FrameKind::Sync);
            self.nodes[node].own_ns += ns;
            return Ok(());
        };
        let place = self.place(group, stack)?;
        self.places[place].ns += ns;
        let mut node = self.places[place].node;
        if node == group {
            // Nothing but machinery: an idle or busy executor.
            node = self.stand_in(group, "[runtime]", FrameKind::Runtime);
        }
        self.nodes[node].own_ns += ns;
        Ok(())
    }

    fn place(&mut self, group: usize, stack: StackId) -> Result<usize, Error> {
        let mut missing = Vec::new();
        let mut next = Some(stack);
        let mut place = None;
        while let Some(stack) = next {
            if let Some(&known) = self.place_of.get(&(group, stack)) {
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
            place = Some(self.new_place(group, place, stack));
        }
        // `missing` begins with the stack itself, so one of both was found.
        Ok(place.unwrap_or_default())
    }

    fn new_place(&mut self, group: usize, parent: Option<usize>, stack: StackId) -> usize {
        let above = parent.map_or(group, |parent| self.places[parent].node);
        let frame = self.profile.frames[self.profile.stacks[stack.index()].frame.index()];
        let folded =
            frame.kind == FrameKind::Runtime && self.runtime_frames == RuntimeFrames::Folded;
        let node = if folded {
            above
        } else {
            let mut above = above;
            if above == group && parent.is_some() && frame.kind == FrameKind::Kernel {
                // The kernel at work for the executor, not for a task.
                above = self.stand_in(group, "[runtime]", FrameKind::Runtime);
            }
            self.child(above, frame.function, frame.kind)
        };
        self.places.push(Place {
            parent,
            stack,
            node,
            drawn: !folded,
            ns: 0,
        });
        let place = self.places.len() - 1;
        self.place_of.insert((group, stack), place);
        place
    }

    fn child(&mut self, parent: usize, function: StringId, kind: FrameKind) -> usize {
        let (nodes, profile) = (&mut self.nodes, self.profile);
        *self
            .children
            .entry((parent, function, kind))
            .or_insert_with(|| {
                let name = profile.strings[function.index()].to_string();
                nodes.push(node(parent, name, Sort::Frame(kind)));
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
