//! Who bundles what: `gather`, `wait`, `wait_for`, `shield`, `TaskGroup`, `as_completed`.

use super::super::layout::Variables;
use super::chain::Chain;
use super::look::{Look, Suspended};
use super::task::{FutureState, is_future, is_task};
use super::waits::{Found, GATHERING};
use crate::snapshot::{Detail, WaitsOn};
use awaitscope_sampler::Avma;

/// Bundles in bundles.
const DEEPEST: u32 = 8;

/// No bundle has more.
const MOST: usize = 1 << 14;

/// Nobody has more variables of outer functions.
const MOST_CELLS: usize = 64;
const MOST_VARIABLES: usize = 1 << 10;

/// A future of a thread or process pool.
const POOL_FUTURE: &str = "concurrent.futures._base.Future";

impl Look<'_> {
    /// What the innermost functions of asyncio bundle, if they do.
    pub fn bundled(&mut self, chain: &Chain) -> Option<Vec<Avma>> {
        let mut functions = chain.functions.iter().rev();
        while let Some(function) = functions.next() {
            if !function.frame.code.module.starts_with("asyncio.") {
                return None;
            }
            if let Some(children) = self.children(function) {
                return Some(children);
            }
            if &*function.frame.code.name == "_wait_for_one" {
                return self.as_completed(functions.next()?);
            }
        }
        None
    }

    /// What is left of what `as_completed` was given: up to 3.12 it is a generator, over
    /// which the function that awaits its next iterates.
    fn as_completed(&mut self, function: &Suspended) -> Option<Vec<Avma>> {
        let values = self.stack(function);
        values.into_iter().find_map(|value| {
            let class = self.class(value)?;
            if &*class.name != "generator" {
                return None;
            }
            let bundle = self.generator(value)?.suspended?;
            let code = &bundle.frame.code;
            let is_it = (&*code.module, &*code.name) == ("asyncio.tasks", "as_completed");
            let todo = is_it.then(|| self.local(&bundle, "todo")).flatten()?;
            self.items(todo)
        })
    }

    fn children(&mut self, function: &Suspended) -> Option<Vec<Avma>> {
        let code = &function.frame.code;
        match (&*code.module, &*code.name) {
            ("asyncio.tasks", "_wait") => {
                let all = self.local(function, "fs")?;
                self.items(all)
            }
            ("asyncio.tasks", "wait_for" | "_cancel_and_wait") => {
                // From 3.12 on `wait_for` awaits it directly.
                let future = self.local(function, "fut")?;
                self.is_future(future).then(|| vec![future])
            }
            ("asyncio.tasks", "_wait_for_one") => {
                let all = match self.local(function, "todo") {
                    Some(todo) => todo,
                    None => {
                        let all = self.local(function, "self")?;
                        self.get(all, "_todo")?
                    }
                };
                self.items(all)
            }
            ("asyncio.taskgroups", "__aexit__" | "_aexit") => {
                let group = self.local(function, "self")?;
                let all = self.get(group, "_tasks")?;
                self.items(all)
            }
            _ => None,
        }
    }

    /// The members of a set, list or tuple.
    fn items(&mut self, container: Avma) -> Option<Vec<Avma>> {
        let class = self.class(container)?;
        match &*class.name {
            "set" | "frozenset" => self.heap.set(container, MOST),
            "list" => self.heap.list(container, MOST),
            "tuple" => self.heap.tuple(container, MOST),
            _ => None,
        }
    }

    /// Adds what a child waits on, or nothing when it is done.
    pub fn child(
        &mut self,
        future: Avma,
        through: Option<&'static str>,
        depth: u32,
        found: &mut Vec<Found>,
    ) {
        let Some(class) = self.class(future) else {
            return;
        };
        if depth > DEEPEST || found.len() >= MOST || !is_future(&class) {
            return;
        }
        if self.future_state(future) != Some(FutureState::Pending) {
            return;
        }
        if is_task(&class) {
            let detail = Detail::Task(future.0);
            found.push(Found {
                through,
                ..Found::new(WaitsOn::Task, "asyncio.Task", detail)
            });
            return;
        }
        if &*class.name == GATHERING {
            let children = self.get(future, "_children");
            let children = children.and_then(|children| self.items(children));
            for child in children.unwrap_or_default() {
                self.child(child, Some("asyncio.gather"), depth + 1, found);
            }
            return;
        }
        match self.behind(future) {
            Some(Behind::Shielded(inner)) => {
                self.child(inner, Some("asyncio.shield"), depth + 1, found);
            }
            Some(Behind::Pool(of_pool)) => {
                let detail = Detail::Object(of_pool.0);
                found.push(Found {
                    through,
                    ..Found::new(WaitsOn::Task, "concurrent.futures.Future", detail)
                });
            }
            None => {
                if let Some(own) = self.future(future) {
                    found.push(Found { through, ..own });
                }
            }
        }
    }

    /// What a future passes on, by the variables of the functions that are called when it is
    /// done: `shield` and `run_in_executor` keep there what they wait for.
    fn behind(&mut self, future: Avma) -> Option<Behind> {
        for callback in self.callbacks(future) {
            for (name, held) in self.closure(callback) {
                let Some(class) = self.class(held) else {
                    continue;
                };
                if class.is_a(POOL_FUTURE) {
                    return Some(Behind::Pool(held));
                }
                let shields = || self.function_name(callback);
                if name == "inner"
                    && is_future(&class)
                    && shields().as_deref() == Some("_outer_done_callback")
                {
                    return Some(Behind::Shielded(held));
                }
            }
        }
        None
    }

    /// The variables of outer functions that a function uses, by name.
    fn closure(&mut self, function: Avma) -> Vec<(String, Avma)> {
        let class = self.class(function);
        if class.is_none_or(|class| &*class.name != "function") {
            return Vec::new();
        }
        self.cells(function).unwrap_or_default()
    }

    fn cells(&self, function: Avma) -> Option<Vec<(String, Avma)>> {
        let heap = &self.heap;
        let cells = heap.pointer(function, heap.layout.objects.func_closure)?;
        let cells = heap.tuple(cells, MOST_CELLS)?;
        // Their names are the last of those of all variables.
        let (Variables::One(names) | Variables::Three { free: names, .. }) =
            heap.layout.code.variables;
        let names = heap.pointer(self.code_of(function)?, names)?;
        let names = heap.tuple(names, MOST_VARIABLES)?;
        let names = names.get(names.len().checked_sub(cells.len())?..)?;
        let named = names.iter().zip(cells).filter_map(|(name, cell)| {
            let value = heap.cell(cell)?;
            Some((heap.text(*name)?, value))
        });
        Some(named.collect())
    }

    /// `PyFunctionObject.func_code`.
    fn code_of(&self, function: Avma) -> Option<Avma> {
        let offset = if self.heap.layout.minor < 10 { 16 } else { 48 };
        self.heap.pointer(function, offset)
    }

    /// The name of a function, by its code.
    pub fn function_name(&self, function: Avma) -> Option<String> {
        let heap = &self.heap;
        let code = self.code_of(function)?;
        heap.text(heap.pointer(code, heap.layout.code.name)?)
    }
}

/// What stands behind a future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// A future that is shielded from being cancelled.
    Shielded(Avma),
    /// Work of a pool.
    Pool(Avma),
}
