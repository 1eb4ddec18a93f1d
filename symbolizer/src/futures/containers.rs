//! Containers that hide what they hold behind raw pointers, and ways to find things inside
//! types.

use super::compile::{NOTHING, Shapes};
use super::name::without_arguments;
use super::shape::{Elements, List, Part, Shape};
use crate::module::DwarfReader;
use crate::types::{TypeId, Types};
use std::sync::Arc;

/// How deep a member is looked for: the descriptor of a socket that two halves share is twelve
/// types inside of what they point to.
const DEEPEST: usize = 16;

/// The shape of a known container.
pub(super) fn container(
    shapes: &mut Shapes,
    id: TypeId,
    path: &str,
    depth: usize,
) -> Option<Shape> {
    match without_arguments(path) {
        "alloc::vec::Vec" => vector(shapes, id, depth),
        "futures_util::stream::futures_unordered::FuturesUnordered" => unordered(shapes, id, depth),
        "tokio::util::idle_notified_set::IdleNotifiedSet" => idle_notified(shapes, id, depth),
        _ => None,
    }
}

/// `Vec { buf: RawVec { … ptr … }, len }`.
fn vector(shapes: &mut Shapes, id: TypeId, depth: usize) -> Option<Shape> {
    let element = argument(shapes.types(), id, "T")?;
    let shape = shapes.inner(element, depth + 1);
    if shape == NOTHING {
        return None;
    }
    let types = shapes.types();
    let buffer = types.member(id, "buf")?;
    let (pointer, _) = pointer_within(types, buffer.type_id)?;
    Some(Shape::Elements(Arc::new(Elements {
        pointer: buffer.offset.checked_add(pointer)?,
        count: types.member(id, "len")?.offset,
        element: shape,
        stride: types.size(element)?,
    })))
}

/// `FuturesUnordered { head_all: AtomicPtr<Task<Fut>>, … }`, `Task { future, next_all, … }`
/// (futures-util `stream/futures_unordered`). The node of an end has a null pointer.
fn unordered(shapes: &mut Shapes, id: TypeId, depth: usize) -> Option<Shape> {
    let types = shapes.types();
    let head = types.member(id, "head_all")?;
    let (in_head, node) = pointer_within(types, head.type_id)?;
    let next = types.member(node, "next_all")?;
    let (in_next, _) = pointer_within(types, next.type_id)?;
    let future = types.member(node, "future")?;
    let size = types.size(node)?;
    let shape = shapes.inner(future.type_id, depth + 1);
    (shape != NOTHING).then_some(())?;
    Some(Shape::List(Arc::new(List {
        through: Vec::new(),
        heads: vec![head.offset.checked_add(in_head)?],
        size,
        next: next.offset.checked_add(in_next)?,
        part: Part {
            offset: future.offset,
            shape,
        },
    })))
}

/// `IdleNotifiedSet { lists: Arc<Mutex<ListsInner { notified, idle, … }>>, length }`, which is
/// what a `JoinSet` is (tokio `util/idle_notified_set.rs`).
fn idle_notified(shapes: &mut Shapes, id: TypeId, depth: usize) -> Option<Shape> {
    let types = shapes.types();
    let lists = types.member(id, "lists")?;
    let (in_lists, counted) = pointer_within(types, lists.type_id)?;
    let mut heads = Vec::new();
    let mut node = None;
    for name in ["notified", "idle"] {
        let (at, list) = member_within(types, counted, name)?;
        let (in_list, head) = member_within(types, list, "head")?;
        let (in_head, to) = pointer_within(types, head)?;
        heads.push(at.checked_add(in_list)?.checked_add(in_head)?);
        node = Some(to);
    }
    let node = node?;
    let (pointers, links) = member_within(types, node, "pointers")?;
    let (in_links, next) = member_within(types, links, "next")?;
    let (in_next, _) = pointer_within(types, next)?;
    let value = types.member(node, "value")?;
    let size = types.size(node)?;
    let shape = shapes.inner(value.type_id, depth + 1);
    (shape != NOTHING).then_some(())?;
    Some(Shape::List(Arc::new(List {
        through: vec![lists.offset.checked_add(in_lists)?],
        heads,
        size,
        next: pointers.checked_add(in_links)?.checked_add(in_next)?,
        part: Part {
            offset: value.offset,
            shape,
        },
    })))
}

fn argument(types: &mut Types<DwarfReader>, id: TypeId, name: &str) -> Option<TypeId> {
    let arguments = types.arguments(id).into_iter();
    let mut found = arguments.filter(|(own, _)| own == name);
    found.next().map(|(_, id)| id)
}

/// The member `name` of `outer`, or of what `outer` holds by value: where, and its type.
pub(super) fn member_within(
    types: &mut Types<DwarfReader>,
    outer: TypeId,
    name: &str,
) -> Option<(u64, TypeId)> {
    types.member_within(outer, DEEPEST, name)
}

/// The first thin pointer in `outer`: where, and what it points to.
pub(super) fn pointer_within(
    types: &mut Types<DwarfReader>,
    outer: TypeId,
) -> Option<(u64, TypeId)> {
    types.search(outer, DEEPEST, &mut |types, id| types.pointee(id))
}

/// The first value of the type with this path in `outer`.
pub(super) fn type_within(
    types: &mut Types<DwarfReader>,
    outer: TypeId,
    path: &str,
) -> Option<(u64, TypeId)> {
    types.search(outer, DEEPEST, &mut |types, id| {
        let found = types.path(id)?;
        (without_arguments(&found) == path).then_some(id)
    })
}
