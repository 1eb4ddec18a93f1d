//! Finding things inside types whose wrappers differ from release to release.

use super::{Member, TypeId, Types};
use gimli::Reader;

impl<R: Reader<Offset = usize>> Types<R> {
    /// Looks through `outer`, and all that it holds by value in up to `deepest` types around
    /// each other, for what `wanted` accepts: where in `outer` that stands, and what
    /// `wanted` made of it.
    pub(crate) fn search<T>(
        &mut self,
        outer: TypeId,
        deepest: usize,
        wanted: &mut dyn FnMut(&mut Self, TypeId) -> Option<T>,
    ) -> Option<(u64, T)> {
        if let Some(found) = wanted(self, outer) {
            return Some((0, found));
        }
        let deepest = deepest.checked_sub(1)?;
        self.held_by_value(outer).into_iter().find_map(|member| {
            let (further, found) = self.search(member.type_id, deepest, wanted)?;
            Some((member.offset.checked_add(further)?, found))
        })
    }

    /// The member `name` of `outer`, or of what `outer` holds by value: where, and its type.
    pub(crate) fn member_within(
        &mut self,
        outer: TypeId,
        deepest: usize,
        name: &str,
    ) -> Option<(u64, TypeId)> {
        let wanted = &mut |types: &mut Self, id| types.member(id, name);
        let (offset, found) = self.search(outer, deepest, wanted)?;
        Some((offset.checked_add(found.offset)?, found.type_id))
    }

    fn held_by_value(&mut self, outer: TypeId) -> Vec<Member> {
        let mut inside = self.members(outer);
        if let Some(variants) = self.variants(outer) {
            inside.extend(variants.variants.into_iter().map(|variant| Member {
                name: variant.name,
                offset: variant.offset,
                type_id: variant.type_id,
                artificial: false,
            }));
        }
        inside
    }
}
