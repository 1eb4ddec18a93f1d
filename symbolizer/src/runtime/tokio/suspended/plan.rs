//! What is known of all tasks with the same vtable.

use super::super::detect::Detected;
use super::super::running;
use crate::futures::{Shapes, readable_type};
use crate::module::{AddressSpace, ModuleId, Svma};
use crate::names::{function_path, template_arguments};
use crate::runtime::rust::names::root_name;
use crate::runtime::rust::settle::FuturePlace;
use crate::runtime::{SeenThreads, TaskClass};
use crate::snapshot::KindId;
use crate::types::TypeId;
use awaitscope_sampler::Avma;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// What is known of all tasks with the same vtable: their future's type, its name, and
/// where in the task it stands.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// What sort of tasks; `None` for workers, which are no tasks to anyone.
    pub class: Option<TaskClass>,
    /// The root function's name, where the future's type tells it.
    pub name: Option<Arc<str>>,
    /// The future's type, for those whose type names no async function.
    pub future_name: Option<Arc<str>>,
    /// Where the future stands in a task, and how many bytes a task has; `None` where
    /// the debug information does not tell.
    pub future: Option<FuturePlace>,
    /// Where in a task its id stands.
    pub id_offset: u64,
    /// The number of the kind, once it was asked for.
    pub kind: Option<KindId>,
}

/// The plans of all vtables that were met.
#[derive(Debug, Default)]
pub(super) struct Plans {
    by_vtable: HashMap<Avma, Plan>,
    /// For every `raw::poll` the function that it is a jump to: debug information with
    /// lines alone knows only functions into which others were inlined.
    bodies: HashMap<Svma, Svma>,
}

impl Plans {
    pub fn new(detected: &Detected) -> Self {
        let entries = detected.poll_entries.iter();
        let bodies = entries.flat_map(|(body, polls)| {
            let jumps = polls.iter().filter(move |poll| *poll != body);
            jumps.map(|poll| (*poll, *body))
        });
        Self {
            by_vtable: HashMap::new(),
            bodies: bodies.collect(),
        }
    }

    /// The plan of a vtable; `None` if it cannot be read.
    pub fn get(
        &mut self,
        vtable: Avma,
        seen: &SeenThreads<'_>,
        shapes: Option<&mut Shapes>,
    ) -> Option<&mut Plan> {
        let plan = match self.by_vtable.entry(vtable) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let (poll, id_offset) = super::super::layout::read_vtable(vtable, seen.process)?;
                let place = seen.space.lookup(poll)?;
                let plan = match shapes {
                    Some(shapes) => {
                        let body = self.bodies.get(&place.1).copied();
                        with_types(place, body, seen.space, shapes)
                    }
                    None => by_symbol(place, seen.space),
                };
                new.insert(Plan { id_offset, ..plan })
            }
        };
        Some(plan)
    }
}

fn with_types(
    poll: (ModuleId, Svma),
    body: Option<Svma>,
    space: &AddressSpace,
    shapes: &mut Shapes,
) -> Plan {
    let mut places = [Some(poll.1), body].into_iter().flatten();
    let Some(function) = places.find_map(|at| shapes.types().function_at(at)) else {
        return by_symbol(poll, space);
    };
    let arguments = template_arguments(&function.name);
    let [future, scheduler] = arguments.as_slice() else {
        return by_symbol(poll, space);
    };
    let class = running::task_class(future, scheduler);
    let cell = format!("tokio::runtime::task::core::Cell<{future}, {scheduler}>");
    let place = match class {
        Some(TaskClass::Async) => future_place(&cell, &function.arguments, shapes),
        _ => None,
    };
    Plan {
        class,
        name: name_of(future, class, shapes),
        future_name: (!future.contains("dyn ")).then(|| readable_type(future).into()),
        future: place,
        id_offset: 0,
        kind: None,
    }
}

/// `Cell { core: Core { stage: CoreStage { stage: … Stage<T> } } }` (tokio
/// `runtime/task/core.rs`).
fn future_place(
    cell: &str,
    arguments: &[(String, TypeId)],
    shapes: &mut Shapes,
) -> Option<FuturePlace> {
    let cell = shapes.types().find(cell)?;
    let size = shapes.types().size(cell)?;
    let (core_at, core) = shapes.types().walk(cell, &["core"])?;
    let (stage_at, stage) = shapes.type_within(core, "tokio::runtime::task::core::Stage")?;
    let future = arguments.iter().find(|(name, _)| name == "T")?.1;
    Some(FuturePlace {
        size,
        offset: core_at.checked_add(stage_at)?,
        shape: shapes.root(stage, "Running", future)?,
    })
}

/// The name of the root function, as on the side of those that run: the first async
/// function in the future's type that is no library's.
fn name_of(future: &str, class: Option<TaskClass>, shapes: &mut Shapes) -> Option<Arc<str>> {
    if class == Some(TaskClass::Blocking) {
        let chain = running::closure_in_blocking_task(future)?;
        return Some(function_path(None, &chain).readable.into());
    }
    root_name(future, shapes)
}

/// Without types: what the symbol, or a debug information without types, tells.
fn by_symbol(poll: (ModuleId, Svma), space: &AddressSpace) -> Plan {
    let function = space.module(poll.0).and_then(|module| {
        let function = module.symbols().function_at(poll.1)?;
        let name = format!("{:#}", rustc_demangle::demangle(function.name));
        let (_, arguments) = name.split_once("::poll::")?;
        Some(format!("poll{arguments}"))
    });
    let arguments = function.as_deref().map(template_arguments);
    let (class, name) = match arguments.as_deref() {
        Some([future, scheduler]) => {
            let class = running::task_class(future, scheduler);
            (class, root_of_symbol(future))
        }
        // Legacy symbols name no types.
        _ => (Some(TaskClass::Async), None),
    };
    Plan {
        class,
        name,
        future_name: None,
        future: None,
        id_offset: 0,
        kind: None,
    }
}

/// A symbol calls every async body a closure.
fn root_of_symbol(future: &str) -> Option<Arc<str>> {
    let (path, number) = future.rsplit_once("{closure#")?;
    let plain = !path.contains('<') && number.ends_with('}');
    plain.then(|| format!("{path}{{async#{number}").into())
}
