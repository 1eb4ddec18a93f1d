//! Tuples, lists, sets, deques, and references that do not keep alive.

use super::{Heap, at};
use awaitscope_sampler::Avma;

/// The most items of a container. A service can have a million tasks in one set.
pub(in crate::runtime::asyncio) const MOST_ITEMS: usize = 1 << 20;

/// `PyVarObject.ob_size`.
const SIZE: u64 = 16;

/// A set keeps at least two fifths of its places free (`setobject.c`).
const MOST_PLACES: usize = MOST_ITEMS * 8;

impl Heap<'_> {
    /// The items of a `tuple`, if there are at most `most`.
    pub fn tuple(&self, object: Avma, most: usize) -> Option<Vec<Avma>> {
        let count = self.word(object, SIZE)?;
        self.items(at(object, self.layout.objects.tuple_items), count, most)
    }

    /// The item of a `tuple` with a number.
    pub fn tuple_item(&self, object: Avma, index: u64) -> Option<Avma> {
        (index < self.word(object, SIZE)?)
            .then(|| self.pointer(object, self.layout.objects.tuple_items + 8 * index))
            .flatten()
    }

    /// The items of a `list`, if there are at most `most`.
    pub fn list(&self, object: Avma, most: usize) -> Option<Vec<Avma>> {
        /// `PyListObject.ob_item`.
        const ITEMS: u64 = 24;
        let count = self.word(object, SIZE)?;
        match count {
            0 => Some(Vec::new()),
            _ => self.items(self.pointer(object, ITEMS)?, count, most),
        }
    }

    fn items(&self, start: Avma, count: u64, most: usize) -> Option<Vec<Avma>> {
        let words = self.words(start, count, most.min(MOST_ITEMS))?;
        Some(
            words
                .into_iter()
                .filter(|word| *word != 0)
                .map(Avma)
                .collect(),
        )
    }

    /// The items of a `set` or `frozenset` (`PySetObject`).
    pub fn set(&self, object: Avma, most: usize) -> Option<Vec<Avma>> {
        const FILL: u64 = 16;
        const MASK: u64 = 32;
        const TABLE: u64 = 40;
        if self.word(object, FILL)? == 0 {
            return Some(Vec::new());
        }
        let places = self.word(object, MASK)?.checked_add(1)?;
        if !places.is_power_of_two() {
            return None;
        }
        let most_places = most.saturating_mul(8).clamp(64, MOST_PLACES);
        let table = self.pointer(object, TABLE)?;
        let words = self.words(table, places.checked_mul(2)?, most_places * 2)?;
        // Each place has a key and its hash, which is -1 where a key was taken out.
        let entries = words.chunks_exact(2);
        let living = entries.filter(|entry| entry[0] != 0 && entry[1] != u64::MAX);
        Some(living.map(|entry| Avma(entry[0])).take(most).collect())
    }

    /// How many items a `deque` has.
    pub fn deque_length(&self, object: Avma) -> Option<u64> {
        self.word(object, SIZE)
    }

    #[cfg_attr(not(test), allow(dead_code, reason = "for what is queued in a loop"))]
    /// The items of a `collections.deque`, at most the first `most`
    /// (`Modules/_collectionsmodule.c`).
    pub fn deque(&self, object: Avma, most: usize) -> Option<Vec<Avma>> {
        const LEFT_BLOCK: u64 = 24;
        const LEFT_INDEX: u64 = 40;
        /// Items of one block, between the pointers to those before and after it.
        const BLOCK: u64 = 64;
        let count = usize::try_from(self.word(object, SIZE)?).ok()?.min(most);
        let mut block = self.pointer(object, LEFT_BLOCK)?;
        let mut index = self.word(object, LEFT_INDEX)?;
        let mut items = Vec::new();
        while items.len() < count {
            if index >= BLOCK {
                block = self.pointer(block, 8 * (BLOCK + 1))?;
                index = 0;
            }
            let here = (BLOCK - index).min((count - items.len()) as u64);
            let words = self.words(at(block, 8 * (1 + index)), here, BLOCK as usize)?;
            items.extend(words.into_iter().map(Avma));
            index = BLOCK;
        }
        Some(items)
    }

    /// What a `weakref.ref` refers to, if that still lives.
    pub fn weakref(&self, object: Avma) -> Option<Avma> {
        const WR_OBJECT: u64 = 16;
        // `None` stands there when it is gone; its type tells that to the caller.
        self.pointer(object, WR_OBJECT)
    }

    /// What a cell holds.
    pub fn cell(&self, object: Avma) -> Option<Avma> {
        const OB_REF: u64 = 16;
        self.pointer(object, OB_REF)
    }
}
