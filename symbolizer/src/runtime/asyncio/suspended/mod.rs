//! Lists the tasks of all event loops, and where each waits.
//!
//! The process goes on while it is read. What a task shows is believed when the words that
//! tell it were the same in two readings, one after the other (`pages`).

mod chain;
mod children;
mod cython;
mod holds;
mod list;
mod look;
mod loops;
mod pages;
mod sockets;
mod task;
mod uvloop;
mod waits;

use super::code::{Code, Codes, Roots};
use super::detect::Detected;
use super::layout::check;
use super::objects::{Heap, Types};
use super::threads::interpreters;
use crate::frame::{Frame, FrameKind, Origin};
use crate::runtime::{SeenThreads, TaskClass, TaskReader};
use crate::session::TaskKind;
use crate::snapshot::{
    AwaitPoint, AwaitTable, Snapshot, StackNode, TaskSeen, TaskState, Wait, WaitsOn,
};
use awaitscope_sampler::{Avma, Process};
use chain::{Chain, End};
use look::{Doing, Look};
use loops::Loops;
use pages::{Pages, Watched};
use std::sync::Arc;
use task::{FutureState, Task};
use waits::Found;

/// How many tasks are read before it is looked whether they stood still, in the first try and
/// in those after it with what had moved: the fewer, the less time they have to move.
const TOGETHER: [usize; 5] = [1024, 64, 8, 1, 1];

/// The most tasks that are tried again: each costs a reading of its own in the end.
const MOST_AGAIN: usize = 4096;

/// Reads the tasks of all event loops of a process.
#[derive(Debug)]
pub(super) struct Tasks {
    detected: Arc<Detected>,
    /// Whether the layout was seen to fit.
    checked: bool,
    types: Types,
    codes: Codes,
}

impl Tasks {
    pub fn new(detected: &Arc<Detected>) -> Self {
        Self {
            detected: Arc::clone(detected),
            checked: detected.checked,
            types: Types::default(),
            codes: Codes::default(),
        }
    }

    /// Whether the layout fits. What was detected while the interpreter started could not
    /// be checked then.
    fn fits(&mut self, process: &dyn Process) -> bool {
        if !self.checked {
            let heap = Heap {
                memory: process,
                layout: &self.detected.layout,
            };
            self.checked = check(&heap, self.detected.runtime, process) == Ok(true);
        }
        self.checked
    }
}

impl TaskReader for Tasks {
    fn read(
        &mut self,
        runtime: usize,
        seen: &SeenThreads<'_>,
        table: &mut AwaitTable,
        snapshot: &mut Snapshot,
    ) {
        if !self.fits(seen.process) {
            return;
        }
        self.types.begin_round();
        self.codes.begin_round();
        let detected = Arc::clone(&self.detected);
        let pages = Pages::new(seen.process);
        let heap = Heap {
            memory: &pages,
            layout: &detected.layout,
        };
        for interpreter in interpreters(&heap, detected.runtime) {
            if !self.codes.has_roots()
                && let Some(roots) = Roots::read(&heap, interpreter)
            {
                self.codes.set_roots(roots);
            }
            let look = Look {
                heap,
                pages: &pages,
                types: &mut self.types,
                codes: &mut self.codes,
            };
            let mut reading = Reading {
                look,
                loops: Loops::default(),
                runtime,
                table,
                snapshot,
            };
            reading.interpreter(interpreter);
        }
    }
}

/// One snapshot of one interpreter.
struct Reading<'a> {
    look: Look<'a>,
    loops: Loops,
    runtime: usize,
    table: &'a mut AwaitTable,
    snapshot: &'a mut Snapshot,
}

/// What a task was found to do.
struct Seen {
    task: Task,
    state: TaskState,
    chain: Option<Chain>,
    waits: Vec<Found>,
    holds: Vec<u64>,
}

/// What to do with a task of which it was not found out where it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Read it again: something that it led to may have moved.
    TryAgain,
    /// Say that it is so.
    Tell,
}

impl Seen {
    fn shows(&self, codes: &[Arc<Code>]) -> bool {
        let functions = self.chain.iter().flat_map(|chain| &chain.functions);
        !codes.is_empty()
            && functions.into_iter().any(|function| {
                codes
                    .iter()
                    .any(|code| Arc::ptr_eq(code, &function.frame.code))
            })
    }

    fn is_doubtful(&self) -> bool {
        let broken = self
            .chain
            .as_ref()
            .is_none_or(|chain| chain.end == End::Broken);
        match self.state {
            TaskState::Suspended => broken || self.waits.is_empty(),
            TaskState::Ready => broken,
            TaskState::Running | TaskState::Complete => false,
        }
    }
}

impl Reading<'_> {
    fn interpreter(&mut self, interpreter: Avma) {
        let mut left = list::tasks(&mut self.look, interpreter);
        let mut torn = 0;
        for (index, together) in TOGETHER.into_iter().enumerate() {
            let doubt = match index + 1 == TOGETHER.len() {
                true => Doubt::Tell,
                false => Doubt::TryAgain,
            };
            let mut moved = Vec::new();
            for some in left.chunks(together) {
                moved.extend(self.tasks(some, doubt));
                self.look.pages.clear();
            }
            torn += moved.len().saturating_sub(MOST_AGAIN);
            moved.truncate(MOST_AGAIN);
            left = moved;
        }
        torn += left.len();
        let torn = u32::try_from(torn).unwrap_or(u32::MAX);
        self.snapshot.torn = self.snapshot.torn.saturating_add(torn);
    }

    /// Reads some tasks, and gives those that moved meanwhile.
    fn tasks(&mut self, addresses: &[Avma], doubt: Doubt) -> Vec<Avma> {
        let mut read: Vec<(Avma, Option<Seen>)> = Vec::new();
        let mut watched: Vec<Vec<Watched>> = Vec::new();
        let mut learned = Vec::new();
        self.look.pages.take_watched();
        self.look.codes.take_learned();
        for address in addresses {
            read.push((*address, self.task(*address)));
            watched.push(self.look.pages.take_watched());
            learned.push(self.look.codes.take_learned());
        }
        let still = self.look.pages.stood_still(&watched);
        // The name of another function may have been taken for its own by what moved, and
        // believed by what did not.
        let mut wrong = Vec::new();
        for (still, learned) in still.iter().zip(&learned) {
            if !still {
                wrong.extend(self.look.codes.forget(learned));
            }
        }
        let mut moved = Vec::new();
        for ((address, seen), still) in read.into_iter().zip(still) {
            let still = still && !seen.as_ref().is_some_and(|seen| seen.shows(&wrong));
            match (still, seen) {
                (true, Some(seen)) if doubt == Doubt::TryAgain && seen.is_doubtful() => {
                    moved.push(address);
                }
                (true, Some(seen)) => self.push(seen),
                // It is no task, or none any more.
                (true, None) => {}
                (false, _) => moved.push(address),
            }
        }
        moved
    }

    fn task(&mut self, address: Avma) -> Option<Seen> {
        let look = &mut self.look;
        let task = look.task(address)?;
        let chain = task.coro.and_then(|coro| look.chain(coro));
        let state = state(look, &task, chain.as_ref());
        let mut waits = Vec::new();
        let mut holds = Vec::new();
        if let (TaskState::Suspended | TaskState::Ready, Some(chain)) = (state, &chain) {
            waits = look.waits(&task, chain);
            holds = look.holds(chain, &waits);
        }
        Some(Seen {
            task,
            state,
            chain,
            waits,
            holds,
        })
    }

    fn push(&mut self, seen: Seen) {
        let Seen { task, state, .. } = seen;
        let root = seen.chain.as_ref().and_then(|chain| chain.frames.first());
        let name: Arc<str> = match root {
            Some(root) => Arc::clone(&root.function),
            // Only its result is kept.
            None if state == TaskState::Complete => return,
            None => "[unnamed coroutine]".into(),
        };
        let kind = self.table.kind(TaskKind {
            name,
            class: TaskClass::Async,
            runtime: self.runtime,
        });
        let scheduler = self.loops.number(
            task.event_loop,
            self.runtime,
            &mut self.look,
            &mut self.snapshot.schedulers,
        );
        let (Some(kind), Some(scheduler)) = (kind, scheduler) else {
            self.snapshot.unresolved = self.snapshot.unresolved.saturating_add(1);
            return;
        };
        let waits = match (state, &seen.chain) {
            (TaskState::Suspended | TaskState::Ready, Some(chain)) => {
                self.waits(state, chain, &seen.waits)
            }
            _ => Vec::new(),
        };
        let waiting = matches!(state, TaskState::Suspended | TaskState::Ready);
        let broken = seen
            .chain
            .as_ref()
            .is_none_or(|chain| chain.end == End::Broken);
        self.snapshot.unresolved += u32::from(waiting && (broken || waits.is_empty()));
        self.snapshot.tasks.push(TaskSeen {
            address: task.address.0,
            id: Some(task.id),
            scheduler,
            kind,
            state,
            waits: waits.into(),
            holds: seen.holds.into(),
        });
    }

    /// The leaves of a task, below the functions that await them.
    fn waits(&mut self, state: TaskState, chain: &Chain, found: &[Found]) -> Vec<Wait> {
        let mut stack = None;
        for frame in &chain.frames {
            stack = self.table.push(stack, frame.clone());
        }
        if found.is_empty() && state == TaskState::Ready {
            let turn = match chain.doing {
                Doing::Created => "[first turn]",
                _ => "[next turn]",
            };
            let turn = Found::new(WaitsOn::Other, turn, Default::default());
            return self.wait(stack, &turn).into_iter().collect();
        }
        let waits = found.iter().filter_map(|found| self.wait(stack, found));
        waits.collect()
    }

    fn wait(&mut self, stack: Option<StackNode>, found: &Found) -> Option<Wait> {
        let mut stack = stack;
        if let Some(through) = found.through {
            stack = self.table.push(stack, synthetic(through, FrameKind::Async));
        }
        let stack = self
            .table
            .push(stack, synthetic(&found.name, FrameKind::Leaf))?;
        let point = self.table.point(AwaitPoint {
            stack,
            what: found.what,
            type_name: Arc::clone(&found.name),
        })?;
        Some(Wait {
            point,
            detail: found.detail,
        })
    }
}

/// A frame for what is no function.
fn synthetic(name: &str, kind: FrameKind) -> Frame {
    Frame {
        function: name.into(),
        file: None,
        line: None,
        kind,
        origin: Origin::Std,
    }
}

/// What a task does. One whose future is done, or that waits for none, has its step in the
/// queue of its loop.
fn state(look: &mut Look<'_>, task: &Task, chain: Option<&Chain>) -> TaskState {
    if task.state == FutureState::Done {
        return TaskState::Complete;
    }
    if chain.is_some_and(|chain| chain.doing == Doing::Executing) {
        return TaskState::Running;
    }
    let waiting = task.waiter.and_then(|waiter| look.future_state(waiter));
    match (task.waiter, waiting) {
        (None, _) | (_, Some(FutureState::Done)) => TaskState::Ready,
        _ => TaskState::Suspended,
    }
}
