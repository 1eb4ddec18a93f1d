//! What is known of all tasks with the same vtable.

use super::super::layout::Vtable;
use crate::futures::{Shapes, readable_type};
use crate::module::{AddressSpace, Svma};
use crate::names::template_arguments;
use crate::runtime::rust::names::{RootNames, root_name};
use crate::runtime::rust::settle::FuturePlace;
use crate::snapshot::KindId;

/// What is known of all tasks with the same vtable.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub names: RootNames,
    /// Where the future stands in a task; `None` where the debug information does not tell.
    pub place: Option<FuturePlace>,
    /// The number of the kind, once it was asked for.
    pub kind: Option<KindId>,
}

impl Plan {
    /// By the function `RawTask::<F, T, S, M>::run`, whose name tells the types.
    pub fn of(vtable: &Vtable, space: &AddressSpace, shapes: &mut Shapes) -> Self {
        let place = space.lookup(vtable.run);
        let told = place.and_then(|(_, svma)| told_by(svma, vtable, shapes));
        told.unwrap_or(Self {
            names: RootNames {
                certain: None,
                fallback: None,
            },
            place: None,
            kind: None,
        })
    }
}

fn told_by(run: Svma, vtable: &Vtable, shapes: &mut Shapes) -> Option<Plan> {
    let function = shapes.types().function_at(run)?;
    let arguments = template_arguments(&function.name);
    let name = *arguments.first()?;
    let future = function.arguments.iter().find(|(name, _)| name == "F");
    let size = future.and_then(|(_, id)| shapes.types().size(*id));
    // What two types of future share is no way to read either.
    let fits = size.is_some_and(|size| size <= vtable.size - vtable.future);
    let place = future.filter(|_| fits).map(|(_, id)| FuturePlace {
        size: vtable.size,
        offset: vtable.future,
        shape: shapes.of_root(*id),
    });
    let own = unwrapped(name);
    Some(Plan {
        names: RootNames {
            certain: root_name(own, shapes),
            fallback: (!own.contains("dyn ")).then(|| readable_type(own).into()),
        },
        place,
        kind: None,
    })
}

/// The future that was spawned: an executor puts it into one that takes it out of its slab
/// at the end.
fn unwrapped(future: &str) -> &str {
    if !future.starts_with("async_executor::AsyncCallOnDrop<") {
        return future;
    }
    template_arguments(future)
        .first()
        .copied()
        .unwrap_or(future)
}
