//! Which tasks the lists of their owners lead to.
//!
//! `OwnedTasks` has several lists, and `LocalOwnedTasks` one. In which of them a task is
//! its id says, by some of its low bits (`ShardedList` in tokio
//! `util/sharded_list.rs`; `ShardedListItem::get_shard_id` in `runtime/task/mod.rs`).

use super::Candidate;
use std::collections::{HashMap, HashSet};

const COMPLETE: u64 = 0b10;

/// What tasks say of their neighbours, by their addresses.
pub(super) struct Links(HashMap<u64, Link>);

struct Link {
    owner: u64,
    prev: u64,
    next: u64,
}

impl Links {
    pub fn of(candidates: &[Candidate]) -> Self {
        let links = candidates.iter().map(|candidate| {
            let link = Link {
                owner: candidate.found.owner,
                prev: candidate.prev,
                next: candidate.next,
            };
            (candidate.found.address.0, link)
        });
        Self(links.collect())
    }

    /// Whether all neighbours of a task are tasks of the same owner and know it.
    pub fn all_point_back(&self, candidate: &Candidate) -> bool {
        self.neighbours(candidate).all(|points_back| points_back)
    }

    /// Whether one does, or there are none: the other may have come or gone just now.
    pub fn any_points_back(&self, candidate: &Candidate) -> bool {
        let mut neighbours = self.neighbours(candidate).peekable();
        neighbours.peek().is_none() || neighbours.any(|points_back| points_back)
    }

    fn neighbours(&self, candidate: &Candidate) -> impl Iterator<Item = bool> {
        let here = candidate.found.address.0;
        let points_back = move |neighbour: u64, to: fn(&Link) -> u64| {
            let link = self.0.get(&neighbour);
            link.is_some_and(|link| link.owner == candidate.found.owner && to(link) == here)
        };
        let prev = (candidate.prev != 0).then(|| points_back(candidate.prev, |link| link.next));
        let next = (candidate.next != 0).then(|| points_back(candidate.next, |link| link.prev));
        prev.into_iter().chain(next)
    }
}

/// The lists of every owner, as far as they show.
pub(super) struct Lists(HashMap<u64, OwnerLists>);

#[derive(Default)]
struct OwnerLists {
    /// In so many low bits all ids of one list agree, at the least. That they may agree
    /// in more by chance only makes two lists of one.
    bits: u32,
    /// These bits, of all lists with more than one task.
    taken: HashSet<u64>,
}

impl Lists {
    pub fn of(candidates: &[Candidate]) -> Self {
        let ids = candidates.iter().map(|c| (c.found.address.0, c.found.id.0));
        let ids: HashMap<u64, u64> = ids.collect();
        let mut owners: HashMap<u64, OwnerLists> = HashMap::new();
        let linked = candidates
            .iter()
            .filter_map(|c| Some((c.found.owner, c.found.id.0, *ids.get(&c.next)?)));
        for (owner, id, next) in linked.clone() {
            let agree = (id ^ next).trailing_zeros();
            let lists = owners.entry(owner).or_insert_with(|| OwnerLists {
                bits: agree,
                taken: HashSet::new(),
            });
            lists.bits = lists.bits.min(agree);
        }
        for (owner, id, _) in linked {
            if let Some(lists) = owners.get_mut(&owner) {
                let list = lists.list_of(id);
                lists.taken.insert(list);
            }
        }
        Self(owners)
    }

    /// Whether a task can be in a list of its owner. It can if it has neighbours, or is
    /// done and in none any more; one that is alone can if its list has no others.
    pub fn may_have(&self, candidate: &Candidate) -> bool {
        let found = &candidate.found;
        let alone = candidate.prev == 0 && candidate.next == 0;
        if !alone || found.state & COMPLETE != 0 || found.owner == 0 {
            return true;
        }
        let lists = self.0.get(&found.owner);
        lists.is_none_or(|lists| !lists.taken.contains(&lists.list_of(found.id.0)))
    }
}

impl OwnerLists {
    fn list_of(&self, id: u64) -> u64 {
        id & !(u64::MAX.checked_shl(self.bits).unwrap_or(0))
    }
}
