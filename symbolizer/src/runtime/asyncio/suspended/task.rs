//! Tasks and futures, whoever made them.

use super::super::identity::number_of;
use super::super::layout::TaskLayout;
use super::super::objects::{TypeInfo, at};
use super::look::Look;
use crate::runtime::TaskId;
use awaitscope_sampler::Avma;

/// The classes of tasks and futures, made in C and in Python.
const C_TASK: &str = "_asyncio.Task";
const C_FUTURE: &str = "_asyncio.Future";
const PYTHON_TASK: &str = "asyncio.tasks.Task";
const PYTHON_FUTURE: &str = "asyncio.futures.Future";

/// `fut_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FutureState {
    Pending,
    /// With a result, with an exception, or cancelled.
    Done,
}

/// A task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub address: Avma,
    pub state: FutureState,
    pub event_loop: Avma,
    /// What it waits on.
    pub waiter: Option<Avma>,
    /// Its coroutine.
    pub coro: Option<Avma>,
    pub id: TaskId,
}

/// Whether a class is one of tasks.
pub(super) fn is_task(class: &TypeInfo) -> bool {
    class.is_a(C_TASK) || class.is_a(PYTHON_TASK)
}

/// Whether a class is one of futures; tasks are.
pub(super) fn is_future(class: &TypeInfo) -> bool {
    class.is_a(C_FUTURE) || class.is_a(PYTHON_FUTURE) || is_task(class)
}

impl Look<'_> {
    /// The task at an address, if there is one.
    pub fn task(&mut self, address: Avma) -> Option<Task> {
        let class = self.class(address)?;
        if class.is_a(C_TASK) {
            self.c_task(address)
        } else if class.is_a(PYTHON_TASK) {
            self.python_task(address)
        } else {
            None
        }
    }

    fn c_task(&mut self, address: Avma) -> Option<Task> {
        let layout = self.heap.layout.task;
        // The class and the loop, and what changes with each step.
        self.pages.watch(at(address, 8), 16);
        self.pages.watch(at(address, layout.state), 4);
        self.pages.watch(at(address, layout.fut_waiter), 16);
        let event_loop = self.heap.pointer(address, TaskLayout::LOOP)?;
        let name = self.heap.pointer(address, layout.name);
        Some(Task {
            address,
            state: self.c_state(address)?,
            event_loop,
            waiter: self.heap.pointer(address, layout.fut_waiter),
            coro: self.heap.pointer(address, layout.coro),
            id: self.id(address, name),
        })
    }

    fn python_task(&mut self, address: Avma) -> Option<Task> {
        let event_loop = self.get(address, "_loop")?;
        let waiter = self.get(address, "_fut_waiter").filter(|waiter| {
            // Otherwise it is `None`.
            let class = self.types.of(*waiter, &self.heap);
            class.is_some_and(|class| is_future(&class))
        });
        let coro = self.get(address, "_coro");
        let name = self.get(address, "_name");
        Some(Task {
            address,
            state: self.future_state(address)?,
            event_loop,
            waiter,
            coro,
            id: self.id(address, name),
        })
    }

    /// Whether a future is done.
    pub fn future_state(&mut self, address: Avma) -> Option<FutureState> {
        let class = self.class(address)?;
        if class.is_a(C_FUTURE) || class.is_a(C_TASK) {
            return self.c_state(address);
        }
        let state = self.get(address, "_state")?;
        match self.heap.text(state)?.as_str() {
            "PENDING" => Some(FutureState::Pending),
            "CANCELLED" | "FINISHED" => Some(FutureState::Done),
            _ => None,
        }
    }

    fn c_state(&self, address: Avma) -> Option<FutureState> {
        let state = self.heap.layout.task.state;
        self.pages.watch(at(address, state), 4);
        match self.heap.int32(address, state)? {
            0 => Some(FutureState::Pending),
            1 | 2 => Some(FutureState::Done),
            _ => None,
        }
    }

    fn id(&self, address: Avma, name: Option<Avma>) -> TaskId {
        let number = name.and_then(|name| number_of(&self.heap, name));
        number.unwrap_or(TaskId(address.0))
    }

    /// Who is called when a future is done.
    pub fn callbacks(&mut self, future: Avma) -> Vec<Avma> {
        /// Nobody has more.
        const MOST: usize = 64;
        let Some(class) = self.class(future) else {
            return Vec::new();
        };
        let (first, more) = match class.is_a(C_FUTURE) || class.is_a(C_TASK) {
            true => (
                self.heap.pointer(future, TaskLayout::CALLBACK0),
                self.heap.pointer(future, TaskLayout::CALLBACKS),
            ),
            false => (None, self.get(future, "_callbacks")),
        };
        let more = more.filter(|more| {
            let class = self.types.of(*more, &self.heap);
            class.is_some_and(|class| &*class.name == "list")
        });
        let more = more.and_then(|more| self.heap.list(more, MOST));
        let more = more.unwrap_or_default();
        let more = more
            .iter()
            .filter_map(|pair| self.heap.tuple_item(*pair, 0));
        first.into_iter().chain(more).collect()
    }
}
