//! What a task is called: by the async function at its root.

use crate::frame::FrameKind;
use crate::futures::{Shapes, Tree};
use crate::names::{body_chain, coroutines_in_type, function_path};
use crate::runtime::TaskClass;
use crate::session::TaskKind;
use crate::snapshot::{AwaitTable, KindId};
use std::sync::Arc;

/// Packages whose async functions only run another's future.
const WRAPPING_PACKAGES: &[&str] = &[
    "actix_rt",
    "async_executor",
    "async_global_executor",
    "async_io",
    "futures_lite",
    "futures_util",
    "smol",
    "tokio",
    "tokio_util",
    "tracing",
];

/// The coroutine at the root of a future's type, as the path of its type: the first that
/// is not a wrapper's, or else the first.
pub(in crate::runtime) fn root_coroutine_type(future: &str) -> Option<&str> {
    own_coroutine_type(future).or(coroutines_in_type(future).first().copied())
}

/// The same, unless all are wrappers'.
pub(in crate::runtime) fn own_coroutine_type(future: &str) -> Option<&str> {
    let mut found = coroutines_in_type(future).into_iter();
    found.find(|path| {
        let package = path.split("::").next().unwrap_or_default();
        !WRAPPING_PACKAGES.contains(&package)
    })
}

/// The chain of names of the coroutine at the root of a future's type: `app`, `handler`,
/// `{async_fn#0}`.
pub(in crate::runtime) fn root_coroutine(future: &str) -> Option<Vec<String>> {
    root_coroutine_type(future).map(body_chain)
}

/// The name of the root function, as on the side of those that run.
pub(in crate::runtime) fn root_name(future: &str, shapes: &mut Shapes) -> Option<Arc<str>> {
    let root = root_coroutine_type(future)?;
    if let Some(id) = shapes.types().find(root) {
        return Some(Arc::clone(&shapes.coroutine_name(id).readable));
    }
    let chain = body_chain(root);
    Some(function_path(None, &chain).readable.into())
}

/// What is known of the names of a task's root.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct RootNames {
    /// The root function's name, where the future's type tells it.
    pub certain: Option<Arc<str>>,
    /// The future's type, for those whose type names no async function.
    pub fallback: Option<Arc<str>>,
}

impl RootNames {
    /// The kind of a task: by its name, by the root of its tree, or by its type.
    pub fn kind(
        self,
        class: TaskClass,
        runtime: usize,
        tree: Option<&Tree>,
        table: &mut AwaitTable,
    ) -> Option<KindId> {
        let told = self.certain.or_else(|| root_of(tree?, table));
        let name = told.or(self.fallback);
        table.kind(TaskKind {
            name: name.unwrap_or_else(|| Arc::from(unnamed(class))),
            class,
            runtime,
        })
    }
}

/// The function at the root of a tree.
fn root_of(tree: &Tree, table: &AwaitTable) -> Option<Arc<str>> {
    let point = tree.waits.first()?.point;
    let point = table.points().get(point.0 as usize)?;
    let frames = table.frames_of(point.stack);
    let root = table.frames().get(*frames.first()? as usize)?;
    (root.kind != FrameKind::Leaf).then(|| Arc::clone(&root.function))
}

fn unnamed(class: TaskClass) -> &'static str {
    match class {
        TaskClass::Async => "[unnamed future]",
        TaskClass::Blocking => "[unnamed closure]",
        TaskClass::BlockOn | TaskClass::Callback => "[unnamed block_on]",
    }
}
