//! What an object has under a name.

use super::types::flag;
use super::{Heap, TypeInfo, at};
use crate::runtime::asyncio::layout::AttributesLayout;
use awaitscope_sampler::Avma;

/// No object has more attributes of its own.
const MOST_ATTRIBUTES: usize = 4096;

impl Heap<'_> {
    /// The names and values of an object's own attributes, those in slots left out.
    pub fn attributes(&self, object: Avma, class: &TypeInfo) -> Option<Vec<(Avma, Avma)>> {
        if class.flags & flag::MANAGED_DICT == 0 {
            return match class.dict_offset {
                0 => Some(Vec::new()),
                // Behind the items of an object whose size varies: no class we ask has that.
                offset if offset < 0 => None,
                offset => self.dict_of(object, offset.unsigned_abs()),
            };
        }
        match self.layout.objects.attributes {
            AttributesLayout::DictOffset => None,
            AttributesLayout::Before => match self.before(object, 32)? {
                0 => self.dict_before(object),
                values => self.split(class.cached_keys?, Avma(values)),
            },
            AttributesLayout::Tagged => match self.before(object, 24)? {
                0 => Some(Vec::new()),
                word if word & 1 != 0 => self.split(class.cached_keys?, Avma(word.wrapping_add(1))),
                dict => self.dict(Avma(dict), MOST_ATTRIBUTES),
            },
            AttributesLayout::Inline => {
                if self.before(object, 24)? != 0 {
                    return self.dict_before(object);
                }
                if class.flags & flag::INLINE_VALUES == 0 {
                    return Some(Vec::new());
                }
                // `struct _dictvalues`: capacity, size, embedded and valid, a byte each.
                let values = at(object, class.basic_size);
                match self.byte(values, 3)? {
                    0 => None,
                    _ => self.split(class.cached_keys?, at(values, 8)),
                }
            }
        }
    }

    /// The own attribute of this name.
    pub fn attribute(&self, object: Avma, class: &TypeInfo, name: &str) -> Option<Avma> {
        let attributes = self.attributes(object, class)?;
        let mut attributes = attributes.into_iter();
        let found = attributes.find(|(key, _)| self.is_text(*key, name));
        found.map(|(_, value)| value)
    }

    /// The word so many bytes before an object.
    fn before(&self, object: Avma, bytes: u64) -> Option<u64> {
        self.word(Avma(object.0.checked_sub(bytes)?), 0)
    }

    fn dict_before(&self, object: Avma) -> Option<Vec<(Avma, Avma)>> {
        match self.before(object, 24)? {
            0 => Some(Vec::new()),
            dict => self.dict(Avma(dict), MOST_ATTRIBUTES),
        }
    }

    fn dict_of(&self, object: Avma, offset: u64) -> Option<Vec<(Avma, Avma)>> {
        match self.word(object, offset)? {
            0 => Some(Vec::new()),
            dict => self.dict(Avma(dict), MOST_ATTRIBUTES),
        }
    }
}
