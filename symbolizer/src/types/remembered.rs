//! Full names that were read once.

use super::TypeId;
use std::collections::HashMap;
use std::sync::Arc;

/// What names may take. Those that a walk asks for again and again are a few thousand;
/// but one name can have a hundred kilobytes.
const MOST_BYTES: usize = 64 << 20;

/// What an entry takes beside the letters.
const ENTRY: usize = 64;

/// Names by their entries; all are forgotten when they take too much room.
#[derive(Debug, Default)]
pub(super) struct Paths {
    known: HashMap<TypeId, Option<Arc<str>>>,
    bytes: usize,
}

impl Paths {
    pub fn get(&self, id: TypeId) -> Option<Option<Arc<str>>> {
        self.known.get(&id).cloned()
    }

    pub fn remember(&mut self, id: TypeId, path: Option<Arc<str>>) {
        let bytes = ENTRY + path.as_ref().map_or(0, |path| path.len());
        if self.bytes.saturating_add(bytes) > MOST_BYTES {
            *self = Self::default();
        }
        if self.known.insert(id, path).is_none() {
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_only_so_much_room() {
        let mut paths = Paths::default();
        let long: Arc<str> = "n".repeat(1 << 20).into();
        for offset in 0..200 {
            let id = TypeId { unit: 0, offset };
            paths.remember(id, Some(Arc::clone(&long)));
            assert_eq!(paths.get(id), Some(Some(Arc::clone(&long))));
            assert!(paths.bytes <= MOST_BYTES);
            assert!(paths.known.len() <= 64);
        }
        assert_eq!(paths.get(TypeId { unit: 1, offset: 0 }), None);
    }
}
