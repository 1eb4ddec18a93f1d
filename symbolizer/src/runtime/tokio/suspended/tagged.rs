//! Values of one of several shapes.

use crate::types::{TypeId, Types};
use gimli::Reader;

/// A value of one of several shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tagged<T> {
    /// Offset and size of what tells them apart.
    pub tag: Option<(u64, u64)>,
    /// By the tag's value; `None` is the shape that all other values mean. A shape
    /// without anything in it is there as well, with its value.
    pub arms: Vec<(Option<u64>, Option<T>)>,
}

impl<T> Tagged<T> {
    /// What stands in a value whose words `read` gives by offset and size.
    pub fn pick(&self, read: impl Fn(u64, u64) -> Option<u64>) -> Option<&T> {
        let Some((offset, size)) = self.tag else {
            return self.arms.first()?.1.as_ref();
        };
        let value = read(offset, size)?;
        let exact = self.arms.iter().find(|(tag, _)| *tag == Some(value));
        let found = exact.or_else(|| self.arms.iter().find(|(tag, _)| tag.is_none()));
        found?.1.as_ref()
    }
}

/// The shapes of an enum, each with what `arm` finds in it; offsets that count from
/// the shape's beginning are made to count from that of the value.
pub(super) fn tagged<R: Reader<Offset = usize>, T: Shift>(
    types: &mut Types<R>,
    enumeration: TypeId,
    mut arm: impl FnMut(&mut Types<R>, TypeId) -> Option<T>,
) -> Option<Tagged<T>> {
    let variants = types.variants(enumeration)?;
    let arms = variants.variants.iter().map(|variant| {
        let found = arm(types, variant.type_id);
        (variant.value, found.and_then(|f| f.shift(variant.offset)))
    });
    Some(Tagged {
        arms: arms.collect(),
        tag: variants.discriminant,
    })
}

/// Something that knows places by their offsets.
pub(super) trait Shift: Sized {
    /// The same, with offsets that count from `by` bytes earlier.
    fn shift(self, by: u64) -> Option<Self>;
}

impl Shift for u64 {
    fn shift(self, by: u64) -> Option<Self> {
        self.checked_add(by)
    }
}
