//! The list for people.

use super::draw::Drawing;
use super::edges::Edges;
use super::groups::{Group, Waits, groups};
use super::tree::{Member, Path, grow};
use super::{KindPattern, ListedTask, Scheduler, TaskList, words};
use crate::printable::{count, duration, printable};
use crate::profile::{KindClass, Target};
use crate::report::{Color, Ink, shortened, wrapped};
use awaitscope_symbolizer::FrameKind;
use awaitscope_symbolizer::snapshot::TaskState;

/// Kinds that are drawn.
const MOST_KINDS: usize = 40;
/// Schedulers that are named.
const MOST_SCHEDULERS: usize = 8;

/// How a list is shown.
#[derive(Debug, Clone, Default)]
pub struct TaskText {
    /// Whether in colours.
    pub color: Color,
    /// How much of it.
    pub listing: Listing,
    /// Only kinds that fit.
    pub kind: Option<KindPattern>,
}

/// How much of a list is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listing {
    /// Tasks that wait at the same place together.
    #[default]
    Grouped,
    /// Each task by itself.
    Each,
}

impl TaskList {
    /// The list as text, at most 100 columns wide.
    #[must_use]
    pub fn to_text(&self, target: &Target, how: &TaskText) -> String {
        let edges = Edges::of(self);
        let fits = |kind: u32| match &how.kind {
            Some(pattern) => pattern.fits(&self.kind(kind).name),
            None => true,
        };
        let groups = groups(self, &edges, fits);
        let stacks = self.points.iter().map(|point| self.shown(&point.stack));
        let mut page = Page {
            stacks: &stacks.collect::<Vec<_>>(),
            drawing: Drawing {
                list: self,
                edges: &edges,
                color: how.color,
                out: String::new(),
            },
        };
        page.head(target);
        let kinds = kinds(groups);
        if kinds.is_empty() && !self.schedulers.is_empty() {
            page.note("no task fits");
        }
        match how.listing {
            Listing::Grouped => page.kinds(&kinds),
            Listing::Each => page.each(&kinds),
        }
        page.drawing.out
    }

    /// The frames that are shown of a stack: without machinery, and without the leaf,
    /// which has a line of its own.
    fn shown(&self, stack: &[u32]) -> Vec<u32> {
        let kind = |frame: &u32| self.frame(*frame).kind;
        let shown = stack.iter().copied();
        shown
            .filter(|frame| !matches!(kind(frame), FrameKind::Runtime | FrameKind::Leaf))
            .collect()
    }
}

/// The tasks of one kind.
struct KindGroups<'a> {
    kind: u32,
    count: u64,
    groups: Vec<Group<'a>>,
}

/// The groups by kind, the largest kind first.
fn kinds(groups: Vec<Group<'_>>) -> Vec<KindGroups<'_>> {
    let mut places = std::collections::HashMap::new();
    let mut kinds: Vec<KindGroups<'_>> = Vec::new();
    for group in groups {
        let kind = group.shape.kind;
        let place = *places.entry(kind).or_insert(kinds.len());
        if place == kinds.len() {
            kinds.push(KindGroups {
                kind,
                count: 0,
                groups: Vec::new(),
            });
        }
        kinds[place].count = kinds[place].count.saturating_add(group.count);
        kinds[place].groups.push(group);
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    kinds
}

struct Page<'a> {
    drawing: Drawing<'a>,
    /// The shown frames of each await point.
    stacks: &'a [Vec<u32>],
}

impl Page<'_> {
    fn head(&mut self, target: &Target) {
        let list = self.drawing.list;
        let [running, ready, suspended, complete] = list.by_state();
        let states = [
            (suspended, "suspended"),
            (running, "running"),
            (ready, "ready"),
            (complete, "complete"),
        ];
        let states = states.iter().filter(|(number, _)| *number > 0);
        let states = states.map(|(number, name)| format!("{} {name}", count(*number)));
        let states: Vec<String> = states.collect();
        let tasks = match list.live() {
            0 => "no tasks".to_owned(),
            1 => format!("1 task: {}", states.join("")),
            live => format!("{} tasks: {}", count(live), states.join(", ")),
        };
        let name = shortened(&target.name, 40);
        let head = format!("{name} (pid {})  {tasks}", target.pid);
        self.drawing.line("", &[(Some(Ink::Bold), &head)]);
        let shown = list.schedulers.iter().take(MOST_SCHEDULERS);
        for scheduler in shown {
            wrapped(
                &mut self.drawing.out,
                "",
                0,
                &printable(&words_of(scheduler)),
            );
        }
        if list.schedulers.len() > MOST_SCHEDULERS {
            let more = list.schedulers.len() - MOST_SCHEDULERS;
            self.note(&format!("and {more} schedulers more"));
        }
        wrapped(&mut self.drawing.out, "", 0, &how_read(list));
    }

    fn note(&mut self, text: &str) {
        self.drawing.line("", &[(Some(Ink::Dim), text)]);
    }

    fn kinds(&mut self, kinds: &[KindGroups<'_>]) {
        for kind in kinds.iter().take(MOST_KINDS) {
            self.drawing.out.push('\n');
            self.kind_head(kind);
            for state in [
                TaskState::Suspended,
                TaskState::Running,
                TaskState::Ready,
                TaskState::Complete,
            ] {
                self.state(kind, state);
            }
        }
        if kinds.len() > MOST_KINDS {
            let hidden = &kinds[MOST_KINDS..];
            let tasks = hidden
                .iter()
                .fold(0, |sum: u64, kind| sum.saturating_add(kind.count));
            let text = format!(
                "and {} tasks of {} further kinds (--kind shows those that you name)",
                count(tasks),
                count(hidden.len() as u64)
            );
            self.drawing.out.push('\n');
            self.note(&text);
        }
    }

    fn kind_head(&mut self, kind: &KindGroups<'_>) {
        let kind_of = self.drawing.list.kind(kind.kind);
        let number = format!("{}  ", count(kind.count));
        let class = class(kind_of.class);
        let room = 92_usize.saturating_sub(number.chars().count() + class.len());
        let name = shortened(&kind_of.name, room);
        let head = format!("{number}{name}");
        self.drawing
            .line("", &[(Some(Ink::Bold), &head), (Some(Ink::Dim), class)]);
    }

    /// The tasks of a kind in one state: suspended ones as a tree, the others with how
    /// many there are.
    fn state(&mut self, kind: &KindGroups<'_>, state: TaskState) {
        let groups = kind
            .groups
            .iter()
            .filter(|group| group.shape.state == state);
        let groups: Vec<&Group<'_>> = groups.collect();
        let total = groups
            .iter()
            .fold(0, |sum: u64, group| sum.saturating_add(group.count));
        if total == 0 {
            return;
        }
        let all = total == kind.count;
        if state != TaskState::Suspended || !all {
            let number = if all {
                String::new()
            } else {
                format!("{} ", count(total))
            };
            let text = format!("{number}{}", words::state(state));
            self.drawing.line("  ", &[(Some(Ink::Cyan), &text)]);
        }
        // What else is ready or runs was somewhere when it was last looked at.
        if state == TaskState::Suspended || groups.iter().any(|group| !group.waits.is_empty()) {
            let tree = grow(groups.iter().map(|group| self.member(group)).collect(), 0);
            let indent = if all { "  " } else { "    " };
            self.drawing.node(&tree, indent);
        }
    }

    fn member<'g>(&self, group: &'g Group<'g>) -> Member<'g>
    where
        Self: 'g,
    {
        let path = |waits: &'g Waits<'g>| Path {
            frames: &self.stacks[waits.point as usize],
            waits,
        };
        Member {
            count: group.count,
            paths: group.waits.iter().map(path).collect(),
        }
    }

    /// Each task with its own tree.
    fn each(&mut self, kinds: &[KindGroups<'_>]) {
        let list = self.drawing.list;
        let mut tasks: Vec<Vec<&ListedTask>> = vec![Vec::new(); list.kinds.len()];
        for task in &list.tasks {
            tasks[task.kind as usize].push(task);
        }
        for kind in kinds {
            let tasks = &mut tasks[kind.kind as usize];
            tasks.sort_by_key(|task| (task.id, task.address));
            for task in tasks.iter() {
                self.task(task);
            }
            let hidden = kind.count - (tasks.len() as u64).min(kind.count);
            if hidden > 0 {
                let text = format!(
                    "{} more tasks of this kind were counted and not kept",
                    count(hidden)
                );
                self.note(&text);
            }
        }
    }

    fn task(&mut self, task: &ListedTask) {
        let list = self.drawing.list;
        let kind = list.kind(task.kind);
        self.drawing.out.push('\n');
        let name = format!("task {}  {}", task.name(), shortened(&kind.name, 60));
        let state = format!("{}  {}", class(kind.class), words::state(task.state));
        self.drawing
            .line("", &[(Some(Ink::Bold), &name), (None, &state)]);
        let alone = Group::alone(task, self.drawing.edges);
        if !alone.waits.is_empty() || task.state == TaskState::Suspended {
            let tree = grow(vec![self.member(&alone)], 0);
            self.drawing.node(&tree, "  ");
        }
    }
}

fn class(class: KindClass) -> &'static str {
    match class {
        KindClass::Async => "",
        KindClass::Blocking => "  (blocking)",
        KindClass::BlockOn => "  (block_on)",
        KindClass::Callback => "  (callback)",
    }
}

/// `tokio 1.54.1 multi_thread, 4 workers, 12 tasks queued`.
fn words_of(scheduler: &Scheduler) -> String {
    let mut words = scheduler.name.clone();
    for more in [scheduler.version.as_deref(), Some(&*scheduler.flavor)] {
        if let Some(more) = more.filter(|more| !more.is_empty()) {
            words.push(' ');
            words.push_str(more);
        }
    }
    if scheduler.workers > 0 {
        let plural = if scheduler.workers == 1 { "" } else { "s" };
        words.push_str(&format!(
            ", {} worker{plural}",
            count(scheduler.workers.into())
        ));
    }
    let queues = &scheduler.queues;
    for (length, of) in [
        (queues.local, "queued at workers"),
        (queues.injection, "queued for any worker"),
        (queues.blocking, "queued for the blocking pool"),
    ] {
        if let Some(length) = length.filter(|length| *length > 0) {
            words.push_str(&format!(", {} {of}", count(length.into())));
        }
    }
    words
}

fn how_read(list: &TaskList) -> String {
    let mut words = match list.stopped_ns {
        Some(stopped) => format!(
            "read while the process was stopped for {}",
            duration(stopped)
        ),
        None => format!("read in {} while the process ran", duration(list.took_ns)),
    };
    for (number, what) in [
        (list.torn, "that moved while they were read"),
        (list.unresolved, "whose await point could not be told"),
    ] {
        if number > 0 {
            words.push_str(&format!("; {} {what}", count(number.into())));
        }
    }
    if list.omitted() > 0 {
        words.push_str(&format!(
            "; {} tasks are counted and not kept one by one",
            count(list.omitted())
        ));
    }
    words
}
