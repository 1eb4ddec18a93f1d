//! Folds the stacks of a profile into the tree that a flamegraph draws.
//!
//! Frames of the same function and sort become one box, whatever line they
//! stand at: what one asks first is how much time a function takes, and two
//! boxes of the same name side by side would hide that. Await points stay apart
//! all the same, because what is awaited is the box below; and every box knows
//! its lines and how much time each of them took.

use crate::error::Error;
use crate::profile::{KindClass, KindId, Profile, StackId, State, StringId, TaskId, ThreadId};
use crate::view::{Grouping, RuntimeFrames, View};
use awaitscope_symbolizer::FrameKind;
use std::collections::HashMap;

/// Groups of one level that are drawn apart; the lightest others become one.
const GROUPS: usize = 256;
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

/// What makes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Group {
    Thread(ThreadId),
    Kind(Option<KindId>),
    Task(Option<TaskId>),
}

/// Which groups are heavy enough to be drawn apart.
struct Groups {
    grouping: Grouping,
    apart: HashMap<Group, u64>,
}

impl Groups {
    fn of(grouping: Grouping, weights: &[Drawn]) -> Self {
        let mut apart: HashMap<Group, u64> = HashMap::new();
        for weight in weights {
            for group in levels(grouping, weight).into_iter().flatten() {
                *apart.entry(group).or_default() += weight.ns;
            }
        }
        if apart.len() > GROUPS {
            let mut heaviest: Vec<_> = apart.into_iter().collect();
            heaviest.sort_unstable_by_key(|&(group, ns)| (std::cmp::Reverse(ns), group));
            heaviest.truncate(GROUPS);
            apart = heaviest.into_iter().collect();
        }
        Self { grouping, apart }
    }

    /// The node of the group that `weight` belongs to.
    fn node(&self, weight: &Drawn, profile: &Profile, folding: &mut Folding<'_>) -> usize {
        let mut node = 0;
        for group in levels(self.grouping, weight).into_iter().flatten() {
            let apart = self.apart.contains_key(&group);
            node = folding.group(node, apart.then_some(group), || name(profile, group, apart));
        }
        node
    }
}

fn levels(grouping: Grouping, weight: &Drawn) -> [Option<Group>; 2] {
    match grouping {
        Grouping::None => [None, None],
        Grouping::Thread => [Some(Group::Thread(weight.thread)), None],
        Grouping::Kind => [Some(Group::Kind(weight.kind)), None],
        // Outside tasks there are none to tell apart.
        Grouping::Task => [
            Some(Group::Kind(weight.kind)),
            weight.kind.map(|_| Group::Task(weight.task)),
        ],
    }
}

fn name(profile: &Profile, group: Group, apart: bool) -> String {
    match group {
        Group::Thread(_) if !apart => "[other threads]".to_owned(),
        Group::Kind(_) if !apart => "[other kinds]".to_owned(),
        Group::Task(_) if !apart => "[other tasks]".to_owned(),
        Group::Thread(thread) => {
            let thread = &profile.threads[thread.index()];
            format!("{} {}", thread.name, thread.tid)
        }
        Group::Kind(None) => "[outside tasks]".to_owned(),
        Group::Kind(Some(kind)) => kind_name(profile, kind),
        Group::Task(None) => "[tasks not told apart]".to_owned(),
        Group::Task(Some(task)) => format!("task {}", profile.tasks[task.index()].id),
    }
}

/// The name of a kind, and of its class where that is not the usual one.
pub(crate) fn kind_name(profile: &Profile, kind: KindId) -> String {
    let kind = profile.kind(kind);
    match kind.class {
        KindClass::Async => kind.name.clone(),
        KindClass::Blocking => format!("{} (spawn_blocking)", kind.name),
        KindClass::BlockOn => format!("{} (block_on)", kind.name),
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
mod tests {
    use super::*;
    use crate::profile::{ThreadRole, WeightKey};
    use crate::sample;
    use proptest::prelude::*;

    const GROUPINGS: [Grouping; 4] = [
        Grouping::None,
        Grouping::Thread,
        Grouping::Kind,
        Grouping::Task,
    ];
    const BOTH: [RuntimeFrames; 2] = [RuntimeFrames::Folded, RuntimeFrames::Shown];

    /// The tree as indented lines: name and total.
    fn drawn(nodes: &[Node]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut pending = vec![(0, 0)];
        while let Some((index, depth)) = pending.pop() {
            let node: &Node = &nodes[index];
            lines.push(format!(
                "{}{} {}",
                " ".repeat(depth),
                node.name,
                node.total_ns
            ));
            let children = (1..nodes.len())
                .rev()
                .filter(|&child| nodes[child].parent == index);
            pending.extend(children.map(|child| (child, depth + 1)));
        }
        lines
    }

    fn cpu(stacks: &[(&[&str], u64)]) -> Profile {
        let mut builder = sample::builder();
        let thread = builder.thread(1, "main", ThreadRole::Other);
        for (frames, ns) in stacks {
            let stack = sample::stack(&mut builder, frames);
            let key = WeightKey {
                thread,
                state: State::OnCpu,
                kind: None,
                task: None,
                stack,
            };
            builder.add_weight(key, 0, *ns, 1);
        }
        builder.finish(1)
    }

    fn folded(profile: &Profile) -> Vec<Node> {
        fold(profile, View::Cpu, Grouping::None, RuntimeFrames::Folded).unwrap()
    }

    #[test]
    fn the_time_of_machinery_goes_to_the_function_that_called_it() {
        let profile = cpu(&[
            (&["async user a", "runtime std poll", "async user b"], 3),
            (&["async user a", "runtime std poll"], 4),
        ]);
        assert_eq!(drawn(&folded(&profile)), ["all 7", " a 7", "  b 3"]);
    }

    #[test]
    fn an_executor_at_work_is_one_box() {
        let profile = cpu(&[
            (&["runtime library park", "kernel kernel epoll_wait"], 3),
            (&["runtime library park", "runtime library turn"], 4),
        ]);
        assert_eq!(
            drawn(&folded(&profile)),
            ["all 7", " [runtime] 7", "  epoll_wait 3"]
        );
    }

    #[test]
    fn a_function_awaiting_at_two_lines_is_one_box_that_knows_both() {
        let profile = cpu(&[
            (&["async user a @ src/a.rs:10", "async user b"], 3),
            (&["async user a @ src/a.rs:20", "async user c"], 5),
            (&["async user a @ src/a.rs:20"], 1),
        ]);
        let nodes = folded(&profile);
        assert_eq!(drawn(&nodes), ["all 9", " a 9", "  b 3", "  c 5"]);
        let a = nodes.iter().find(|node| node.name == "a").unwrap();
        let lines: Vec<_> = a.lines.iter().map(|line| (line.line, line.ns)).collect();
        assert_eq!(lines, [(Some(20), 6), (Some(10), 3)]);
    }

    #[test]
    fn a_function_that_calls_itself_is_a_box_for_every_call() {
        let profile = cpu(&[(&["sync user f", "sync user f", "sync user f"], 2)]);
        assert_eq!(
            drawn(&folded(&profile)),
            ["all 2", " f 2", "  f 2", "   f 2"]
        );
    }

    #[test]
    fn what_waits_is_not_in_a_profile_without_snapshots() {
        let profile = sample::service();
        for view in [View::Wait, View::Wall] {
            let error = fold(&profile, view, Grouping::Kind, RuntimeFrames::Folded).unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("this profile has no snapshots"), "{said}");
        }
    }

    #[test]
    fn every_stalled_nanosecond_is_drawn() {
        let mut profile = sample::service();
        // One whose stacks account for half of it only.
        profile.stalls[0].stacks[0].1 /= 2;
        let stalled: u64 = profile.stalls.iter().map(|stall| stall.duration_ns).sum();
        for grouping in GROUPINGS {
            let nodes = fold(&profile, View::Stall, grouping, RuntimeFrames::Folded).unwrap();
            assert_eq!(nodes[0].total_ns, stalled);
        }
    }

    #[test]
    fn a_thousand_tasks_are_drawn_as_the_heaviest_and_the_others() {
        let mut builder = sample::builder();
        let thread = builder.thread(1, "main", ThreadRole::Other);
        let kind = builder.kind("app::serve", KindClass::Async, Some(0));
        let stack = sample::stack(&mut builder, &["async user app::serve"]);
        for number in 0..1000_u64 {
            let task = builder.task(&number.to_string(), kind);
            let key = WeightKey {
                thread,
                state: State::OnCpu,
                kind: Some(kind),
                task,
                stack,
            };
            builder.add_weight(key, 0, 1 + number, 1);
        }
        let profile = builder.finish(1);
        let nodes = fold(&profile, View::Cpu, Grouping::Task, RuntimeFrames::Folded).unwrap();
        assert_eq!(nodes[0].total_ns, 500_500);
        let groups = nodes.iter().filter(|node| node.sort == Sort::Group);
        assert_eq!(groups.count(), GROUPS + 1);
        assert!(nodes.iter().any(|node| node.name == "task 999"));
        assert!(nodes.iter().all(|node| node.name != "task 0"));
    }

    const FRAMES: [&str; 8] = [
        "runtime std poll",
        "runtime library run_task",
        "async user a @ a.rs:1",
        "async user a @ a.rs:2",
        "async user b @ b.rs:1",
        "sync std alloc",
        "kernel kernel read",
        "sync user a @ a.rs:1",
    ];

    proptest! {
        #[test]
        fn folding_preserves_totals(
            stacks in prop::collection::vec(
                (prop::collection::vec(0..FRAMES.len(), 1..9), 0..3_u32, 0..4_u32, 0..1_000_000_u64),
                1..60,
            )
        ) {
            let mut builder = sample::builder();
            let mut total = 0;
            for (frames, kind, task, ns) in &stacks {
                let frames: Vec<&str> = frames.iter().map(|&frame| FRAMES[frame]).collect();
                let stack = sample::stack(&mut builder, &frames);
                let thread = builder.thread(*task, "worker", ThreadRole::Other);
                let kind = (*kind > 0).then(|| {
                    builder.kind(&format!("kind{kind}"), KindClass::Async, Some(0))
                });
                let task = kind.filter(|_| *task > 0).and_then(|kind| {
                    builder.task(&task.to_string(), kind)
                });
                let key = WeightKey { thread, state: State::OnCpu, kind, task, stack };
                builder.add_weight(key, 0, *ns, 1);
                total += ns;
            }
            let profile = builder.finish(1);
            for (grouping, frames) in GROUPINGS.into_iter().flat_map(|g| BOTH.map(|f| (g, f))) {
                let nodes = fold(&profile, View::Cpu, grouping, frames).unwrap();
                prop_assert_eq!(nodes[0].total_ns, total);
                prop_assert_eq!(nodes.iter().map(|node| node.own_ns).sum::<u64>(), total);
                for (index, node) in nodes.iter().enumerate() {
                    prop_assert!(index == 0 || node.parent < index);
                    let of = |child: &&Node| child.parent == index;
                    let below: u64 = nodes[1..].iter().filter(of).map(|child| child.total_ns).sum();
                    prop_assert_eq!(node.total_ns, node.own_ns + below);
                    let lines: u64 = node.lines.iter().map(|line| line.ns).sum();
                    prop_assert!(lines == 0 || lines == node.total_ns);
                }
                if frames == RuntimeFrames::Folded {
                    let machinery = nodes.iter().filter(|node| node.sort == Sort::Frame(FrameKind::Runtime));
                    prop_assert!(machinery.into_iter().all(|node| node.name == "[runtime]"));
                }
            }
        }
    }
}
