//! Finding things inside types whose wrappers differ from release to release.

use crate::module::Symbol;
use crate::names::function_path;
use crate::types::{TypeId, Types};
use gimli::Reader;

/// Wrappers around wrappers: an `UnsafeCell<Option<NonNull<RcInner<T>>>>` has five.
const DEEPEST: usize = 8;

/// From the start of the module's thread-local block to the value of type `wanted`
/// in the variable whose full name begins with `prefix`. The standard library wraps
/// it in a `Storage`, whose shape depends on the release.
///
/// A variable that the linker threw away keeps its entry, at offset 0: so there must
/// be a symbol of that name at the very place.
pub(in crate::runtime::tokio) fn thread_local<R: Reader<Offset = usize>>(
    types: &mut Types<R>,
    symbols: &[Symbol<'_>],
    prefix: &str,
    wanted: TypeId,
) -> Option<u64> {
    let mut places = symbols.iter().filter(|symbol| {
        let path = function_path(Some(symbol.name), &[]).readable;
        path.starts_with(prefix)
    });
    let places: Vec<u64> = places.by_ref().map(|symbol| symbol.svma.0).collect();
    let variables = types.thread_locals(prefix).into_iter();
    let mut kept = variables.filter(|variable| places.contains(&variable.tls_offset));
    kept.find_map(|variable| {
        let (inside, ()) = types.search(variable.type_id, DEEPEST, &mut |types, id| {
            types.same(id, wanted).then_some(())
        })?;
        variable.tls_offset.checked_add(inside)
    })
}

/// The pointer inside `outer` to something that has a member `member`: its offset in
/// `outer`, and what it points to.
pub(in crate::runtime::tokio) fn pointer_to<R: Reader<Offset = usize>>(
    types: &mut Types<R>,
    outer: TypeId,
    member: &str,
) -> Option<(u64, TypeId)> {
    types.search(outer, DEEPEST, &mut |types, id| {
        let target = types.pointee(id)?;
        types.member(target, member)?;
        Some(target)
    })
}

/// The member `member` of `outer`, or of what `outer` holds by value, with its type.
pub(in crate::runtime::tokio) fn within<R: Reader<Offset = usize>>(
    types: &mut Types<R>,
    outer: TypeId,
    member: &str,
) -> Option<(u64, TypeId)> {
    types.member_within(outer, DEEPEST, member)
}

/// Where that member stands.
pub(in crate::runtime::tokio) fn member_within<R: Reader<Offset = usize>>(
    types: &mut Types<R>,
    outer: TypeId,
    member: &str,
) -> Option<u64> {
    within(types, outer, member).map(|(offset, _)| offset)
}
