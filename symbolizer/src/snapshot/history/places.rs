//! Where tasks of a kind wait, by number.

use crate::snapshot::{KindId, PointId};
use std::collections::HashMap;

/// The most places that are told apart. A large service has some thousands.
const MOST: usize = 100_000;

/// Room for what is then told apart by kind only.
const MOST_KINDS: usize = 20_000;

/// Where tasks of a kind wait, by its number in [`Places`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PlaceId(pub u32);

/// A kind, and where its tasks wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    /// `None` for what there is no room to tell apart.
    pub kind: Option<KindId>,
    /// `None` where it could not be read.
    pub point: Option<PointId>,
}

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    spots: Vec<Spot>,
    numbers: HashMap<Spot, u32>,
    most: usize,
    pub crowded: bool,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            spots: Vec::new(),
            numbers: HashMap::new(),
            most: MOST,
            crowded: false,
        }
    }
}

impl Places {
    pub fn of(&mut self, kind: KindId, point: Option<PointId>) -> PlaceId {
        let spot = |point| Spot {
            kind: Some(kind),
            point,
        };
        let found = self.number(spot(point), self.most);
        let found = found.or_else(|| self.number(spot(None), self.most + MOST_KINDS));
        let found = found.unwrap_or_else(|| {
            // One place is always left for this.
            let nowhere = Spot {
                kind: None,
                point: None,
            };
            self.number(nowhere, usize::MAX).unwrap_or_default()
        });
        PlaceId(found)
    }

    /// The same, if it has a number already.
    pub fn known(&self, kind: KindId, point: Option<PointId>) -> Option<PlaceId> {
        let spot = Spot {
            kind: Some(kind),
            point,
        };
        self.numbers.get(&spot).copied().map(PlaceId)
    }

    pub fn spots(&self) -> &[Spot] {
        &self.spots
    }

    fn number(&mut self, spot: Spot, most: usize) -> Option<u32> {
        if let Some(number) = self.numbers.get(&spot) {
            return Some(*number);
        }
        if self.spots.len() >= most {
            self.crowded = true;
            return None;
        }
        let number = u32::try_from(self.spots.len()).ok()?;
        self.spots.push(spot);
        self.numbers.insert(spot, number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_told_apart_by_kind() {
        let mut places = Places {
            most: 2,
            ..Places::default()
        };
        let mut at = |kind, point| places.of(KindId(kind), Some(PointId(point)));
        let (one, two) = (at(0, 0), at(0, 1));
        assert_ne!(one, two);
        let three = at(0, 2);
        assert_eq!(three, at(0, 3));
        assert_eq!((one, two), (at(0, 0), at(0, 1)));
        assert_eq!(places.spots()[three.0 as usize].kind, Some(KindId(0)));
        assert!(places.crowded);
    }
}
