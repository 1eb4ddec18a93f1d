//! What a task is called: by the async function at its root.

use crate::futures::Shapes;
use crate::names::{body_chain, coroutines_in_type, function_path};
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
