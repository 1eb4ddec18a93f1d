//! What a suspended task waits on.
//!
//! asyncio knows one thing that a task waits on: a future. What that stands for is told by
//! what else holds it: the functions that await it and their variables, and who is called
//! when it is done.

use super::chain::{Chain, End};
use super::look::{Look, Suspended};
use super::task::{FutureState, Task, is_future, is_task};
use crate::frame::Origin;
use crate::snapshot::{Detail, WaitsOn};
use awaitscope_sampler::Avma;
use std::sync::Arc;

/// One thing that a task waits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub what: WaitsOn,
    /// What it is called: `asyncio.Lock`.
    pub name: Arc<str>,
    pub detail: Detail,
    /// What bundles it with others, where no function does that: `asyncio.gather`.
    pub through: Option<&'static str>,
}

impl Found {
    pub fn new(what: WaitsOn, name: impl Into<Arc<str>>, detail: Detail) -> Self {
        Self {
            what,
            name: name.into(),
            detail,
            through: None,
        }
    }
}

/// Nobody awaits more at once.
const MOST_CHILDREN: usize = 1 << 14;

/// So many functions of libraries stand between the service and what it waits on.
const MOST_BETWEEN: usize = 12;

impl Look<'_> {
    /// What a task waits on, in the order in which it holds them.
    pub fn waits(&mut self, task: &Task, chain: &Chain) -> Vec<Found> {
        let mut found = Vec::new();
        let bundled = self.bundled(chain);
        for child in bundled.into_iter().flatten().take(MOST_CHILDREN) {
            self.child(child, None, 0, &mut found);
        }
        if !found.is_empty() {
            return found;
        }
        let Some(waiter) = task.waiter else {
            return found;
        };
        if let Some(class) = self.class(waiter) {
            if is_task(&class) {
                let detail = Detail::Task(waiter.0);
                return vec![Found::new(WaitsOn::Task, "asyncio.Task", detail)];
            }
            if &*class.name == GATHERING {
                self.child(waiter, None, 0, &mut found);
            }
        }
        if found.is_empty() {
            let told = self.by_functions(chain, waiter);
            match told {
                Some(told) => found.push(told),
                None => self.child(waiter, None, 0, &mut found),
            }
        }
        if let (true, End::Opaque(object)) = (found.is_empty(), chain.end) {
            let class = self.class(object);
            let name = class.map_or_else(|| "?".into(), |class| Arc::clone(&class.name));
            found.push(Found::new(WaitsOn::Other, name, Detail::Unknown));
        }
        found
    }

    /// A timer, a socket, a lock or the like, by the functions around a future.
    fn by_functions(&mut self, chain: &Chain, waiter: Avma) -> Option<Found> {
        let innermost = chain.frames.last()?;
        if OF_SOCKETS
            .iter()
            .any(|start| innermost.function.starts_with(start))
        {
            let name = Arc::clone(&innermost.function);
            return Some(Found::new(WaitsOn::Socket, name, Detail::Unknown));
        }
        let mut between = between(chain);
        if let Some(innermost) = between.first()
            && let Some(timer) = self.timer(innermost, waiter)
        {
            return Some(timer);
        }
        between.truncate(MOST_BETWEEN);
        let primitive = self.primitive(&between);
        if let Some((found, waits_for_event)) = primitive {
            // An event can stand for what a socket brings.
            let of_socket = match waits_for_event {
                true => between.iter().find_map(|function| self.socket(function)),
                false => None,
            };
            return Some(of_socket.unwrap_or(found));
        }
        if let Some(found) = between.iter().find_map(|function| self.named(function)) {
            return Some(found);
        }
        between.iter().find_map(|function| self.socket(function))
    }

    /// A callback that is due at a time, with the future as its argument:
    /// `h = loop.call_later(delay, …, future, result)`.
    fn timer(&mut self, function: &Suspended, waiter: Avma) -> Option<Found> {
        /// The timer of a sleep is no argument of it, and so not the last of many.
        const MOST_VARIABLES: usize = 32;
        let variables = Arc::clone(&function.frame.code.variables);
        for name in variables.iter().take(MOST_VARIABLES) {
            let Some(value) = self.local(function, name) else {
                continue;
            };
            let Some(class) = self.class(value) else {
                continue;
            };
            let of_uvloop = class.is_a("uvloop.loop.TimerHandle");
            if !of_uvloop && !class.is_a("asyncio.events.TimerHandle") {
                continue;
            }
            let sleeps = &*function.frame.code.module == "asyncio.tasks";
            let sets = sleeps || !of_uvloop && self.sets(value, waiter);
            if sets {
                let name = if sleeps {
                    "asyncio.sleep"
                } else {
                    "asyncio.TimerHandle"
                };
                let detail = match of_uvloop {
                    true => self.uvloop_deadline(value),
                    false => self.deadline(value),
                };
                return Some(Found::new(WaitsOn::Timer, name, detail));
            }
        }
        None
    }

    /// Whether a handle will set a future: it is an argument, or whose method is called.
    fn sets(&mut self, handle: Avma, future: Avma) -> bool {
        let arguments = self.get(handle, "_args");
        let arguments = arguments.and_then(|arguments| self.heap.tuple(arguments, 16));
        if arguments.is_some_and(|arguments| arguments.contains(&future)) {
            return true;
        }
        let callback = self.get(handle, "_callback");
        callback.is_some_and(|callback| self.bound_to(callback) == Some(future))
    }

    /// Whose method a bound method is: `PyMethodObject.im_self`, `PyCFunctionObject.m_self`.
    pub fn bound_to(&mut self, method: Avma) -> Option<Avma> {
        let class = self.class(method)?;
        match &*class.name {
            "method" | "builtin_function_or_method" => self.heap.pointer(method, 24),
            _ => None,
        }
    }

    /// When a handle is due, on the clock of `loop.time()`, which is the monotonic one.
    fn deadline(&mut self, handle: Avma) -> Detail {
        let when = self.get(handle, "_when");
        let when = when.and_then(|when| self.heap.float(when));
        match when {
            Some(when) if when.is_finite() && (0.0..9e9).contains(&when) => {
                Detail::Deadline(awaitscope_sampler::Nanos((when * 1e9) as u64))
            }
            _ => Detail::Unknown,
        }
    }

    /// A lock or a queue of asyncio that the innermost functions belong to, and whether it
    /// is waited for like an event.
    fn primitive(&mut self, between: &[&Suspended]) -> Option<(Found, bool)> {
        let of_asyncio = |function: &&&Suspended| {
            let module = &*function.frame.code.module;
            matches!(module, "asyncio.locks" | "asyncio.queues")
        };
        let run: Vec<&Suspended> = between.iter().take_while(of_asyncio).copied().collect();
        let innermost = *run.first()?;
        // `Condition.wait` ends with taking its lock: then that is what it waits for.
        let function = match &*innermost.frame.code.qualname {
            "Lock.acquire" => innermost,
            _ => *run.last()?,
        };
        let object = self.local(function, "self")?;
        let class = self.class(object)?;
        let what = match &*function.frame.code.module {
            "asyncio.queues" => WaitsOn::Channel,
            _ => WaitsOn::Lock,
        };
        let found = Found::new(what, shown(&class.name), Detail::Object(object.0));
        Some((found, class.is_a("asyncio.locks.Event")))
    }

    /// A process, or work of a thread, that only the name of a function tells.
    fn named(&mut self, function: &Suspended) -> Option<Found> {
        let code = &function.frame.code;
        let found = NAMED
            .iter()
            .find(|(module, name, ..)| (*module, *name) == (&*code.module, &*code.name));
        found.map(|(_, _, what, shown)| Found::new(*what, *shown, Detail::Unknown))
    }

    /// What a future stands for by itself; nothing when it is done.
    pub fn future(&mut self, future: Avma) -> Option<Found> {
        if self.future_state(future)? == FutureState::Done {
            return None;
        }
        Some(Found::new(
            WaitsOn::Other,
            "asyncio.Future",
            Detail::Object(future.0),
        ))
    }

    /// Whether an object is a future of asyncio.
    pub fn is_future(&mut self, object: Avma) -> bool {
        self.class(object).is_some_and(|class| is_future(&class))
    }
}

/// Functions of libraries whose futures nothing else tells: module, name, and what they wait
/// for.
const NAMED: &[(&str, &str, WaitsOn, &str)] = &[
    (
        "asyncio.base_subprocess",
        "_wait",
        WaitsOn::Other,
        "asyncio.subprocess.Process",
    ),
    // With uvloop, whose transports have no functions of Python.
    (
        "asyncio.subprocess",
        "wait",
        WaitsOn::Other,
        "asyncio.subprocess.Process",
    ),
    (
        "anyio._backends._asyncio",
        "run_sync_in_worker_thread",
        WaitsOn::Task,
        "anyio.to_thread",
    ),
];

/// Functions that were made in C, and keep their sockets to themselves.
const OF_SOCKETS: &[&str] = &["uvloop.loop.Loop.sock_", "uvloop.loop.Server."];

/// What `gather` gives.
pub(super) const GATHERING: &str = "asyncio.tasks._GatheringFuture";

/// The functions between a future and the service, innermost first: those of asyncio, and
/// those of one package above it. Those further out do other things.
fn between(chain: &Chain) -> Vec<&Suspended> {
    let mut package: Option<&str> = None;
    let mut between = Vec::new();
    for function in chain.functions.iter().rev() {
        let code = &function.frame.code;
        // The generator that gives a future of Python to its task.
        if &*code.qualname == "Future.__await__" {
            continue;
        }
        let own = code.module.split('.').next().unwrap_or_default();
        let users = code.file.origin == Origin::User;
        if own != "asyncio" {
            if package.is_some_and(|package| package != own) || users && !between.is_empty() {
                break;
            }
            package = Some(own);
        }
        between.push(function);
        if users {
            break;
        }
    }
    between
}

/// A class as people import it: `asyncio.Lock` for `asyncio.locks.Lock`.
pub(super) fn shown(class: &str) -> String {
    match class.strip_prefix("asyncio.") {
        Some(rest) => format!("asyncio.{}", rest.rsplit('.').next().unwrap_or(rest)),
        None => class.to_owned(),
    }
}
