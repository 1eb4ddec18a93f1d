//! What the types of futures are called.

use crate::module::DwarfReader;
use crate::names::{body_chain, function_path};
use crate::types::{Declared, TypeId, Types};
use std::sync::Arc;

/// What an async body is called, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoroutineName {
    /// As people write it: `app::handler`.
    pub readable: Arc<str>,
    /// The path of its type: `app::handler::{async_fn_env#0}`.
    pub path: Arc<str>,
    /// Where it begins.
    pub declared: Option<Declared>,
}

impl CoroutineName {
    pub fn of(types: &mut Types<DwarfReader>, id: TypeId) -> Self {
        let path = types.path(id).unwrap_or_else(|| Arc::from("?"));
        let body = types.body(id);
        let linkage = body.as_ref().and_then(|body| body.linkage_name.as_deref());
        Self {
            readable: function_path(linkage, &body_chain(&path)).readable.into(),
            path,
            declared: body.and_then(|body| body.declared),
        }
    }
}

/// Whether values of the type with this path are async bodies.
pub(super) fn is_coroutine(path: &str) -> bool {
    let own = own_name(path);
    ["{async_", "{gen_", "{coroutine_"]
        .iter()
        .any(|mark| own.starts_with(mark))
        && own.contains("_env#")
}

/// The last segment of a path, with its arguments.
fn own_name(path: &str) -> &str {
    let mut depth = 0usize;
    let bytes = path.as_bytes();
    for at in (1..bytes.len()).rev() {
        match bytes[at] {
            b'>' if bytes[at - 1] != b'-' => depth += 1,
            b'<' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && bytes[at - 1] == b':' => return &path[at + 1..],
            _ => {}
        }
    }
    path
}

/// A path without the arguments of its last segment.
pub(super) fn without_arguments(path: &str) -> &str {
    match path.find('<') {
        // `<T as Trait>::Type` and the like have no such name.
        Some(0) | None => path,
        Some(at) => &path[..at],
    }
}

/// A type as people read it: futures inside by the names of their functions.
pub(crate) fn readable_type(path: &str) -> String {
    let mut text = path.replace("core::pin::Pin<", "Pin<");
    for mark in [
        "{async_fn_env#",
        "{async_block_env#",
        "{async_closure_env#",
        "{closure_env#",
    ] {
        let shown = mark.replace("_env#", "#").replace("async_", "async ");
        text = text.replace(mark, &shown);
    }
    text.replace("::{async fn#0}", "")
        .replace(", alloc::alloc::Global", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn async_bodies_are_told_from_what_holds_them() {
        assert!(is_coroutine("app::handler::{async_fn_env#0}"));
        assert!(is_coroutine(
            "app::get::{async_fn_env#0}<alloc::vec::Vec<app::Row, alloc::alloc::Global>>"
        ));
        assert!(is_coroutine("app::{impl#0}::call::{async_block_env#3}"));
        assert!(!is_coroutine(
            "core::pin::Pin<&mut app::handler::{async_fn_env#0}>"
        ));
        assert!(!is_coroutine("app::main::{closure_env#0}"));
    }

    #[test]
    fn a_type_is_read_without_what_the_compiler_adds() {
        assert_eq!(
            readable_type("Wrap<app::handler::{async_fn_env#0}>"),
            "Wrap<app::handler>"
        );
    }
}
