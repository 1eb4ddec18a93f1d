//! How long tasks stay where they are: each is followed from snapshot to snapshot.
//!
//! A task stays as long as it waits at the same points for the same things, and is not
//! seen running or woken in between. A change of either, of a timer's end for example,
//! means that it went on. One that goes on and comes back to just the same between two
//! snapshots cannot be told from one that stayed.

use super::places::PlaceId;
use super::waiting::StayCount;
use crate::runtime::TaskId;
use crate::snapshot::{KindId, TaskSeen, TaskState};
use awaitscope_sampler::Nanos;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

/// The most tasks that are followed, at some hundred bytes each.
const MOST: usize = 400_000;

/// The most different sets of places that one task waits at all at once.
const MOST_SETS: usize = 1 << 16;

/// So many of the tasks that did not move are named.
const NAMED: usize = 5;

/// What is known of the stays at one place.
#[derive(Debug, Clone, Default)]
pub(super) struct StaysAt {
    /// By class of length: whole and cut.
    counts: BTreeMap<u8, [u32; 2]>,
    pub longest: Nanos,
    pub unmoved: u32,
    pub unmoved_tasks: Vec<TaskId>,
}

impl StaysAt {
    pub fn counts(&self) -> Vec<StayCount> {
        let counts = self.counts.iter();
        counts
            .map(|(class, [whole, cut])| StayCount {
                class: *class,
                whole: *whole,
                cut: *cut,
            })
            .collect()
    }
}

/// Follows tasks.
#[derive(Debug)]
pub(super) struct Stays {
    followed: HashMap<u64, Followed>,
    fingerprints: RandomState,
    sets: HashMap<Box<[PlaceId]>, u32>,
    of_set: Vec<Box<[PlaceId]>>,
    at: Vec<StaysAt>,
    /// Different tasks that were seen, by kind.
    pub seen: HashMap<KindId, u64>,
    /// How many snapshots there were.
    number: u32,
    /// The times of the last ones, the newest first.
    times: [Nanos; 3],
    limit: usize,
    /// Tasks that there was no room to follow, in all snapshots together.
    pub unfollowed: u64,
}

/// A task, by its address.
#[derive(Debug)]
struct Followed {
    id: Option<TaskId>,
    /// The snapshot that saw it last.
    number: u32,
    stay: Option<Stay>,
}

/// Where it stays.
#[derive(Debug, Clone, Copy)]
struct Stay {
    fingerprint: u64,
    at: At,
    since: Nanos,
    /// It was there in the first snapshot.
    from_first: bool,
}

/// One place or several.
#[derive(Debug, Clone, Copy)]
enum At {
    One(PlaceId),
    /// By number in [`Stays::of_set`].
    Set(u32),
}

impl Default for Stays {
    fn default() -> Self {
        Self {
            followed: HashMap::new(),
            fingerprints: RandomState::new(),
            sets: HashMap::new(),
            of_set: Vec::new(),
            at: Vec::new(),
            seen: HashMap::new(),
            number: 0,
            times: [Nanos::ZERO; 3],
            limit: MOST,
            unfollowed: 0,
        }
    }
}

impl Stays {
    /// A snapshot begins.
    pub fn begin(&mut self, time: Nanos) {
        self.number = self.number.saturating_add(1);
        self.times = [time, self.times[0], self.times[1]];
    }

    /// A task that waits at these places.
    pub fn task(&mut self, task: &TaskSeen, places: &[PlaceId]) {
        let is_first = self.number <= 1;
        let fingerprint = self.fingerprint(task);
        // It came to where it is between the last snapshot and this one.
        let begun = match is_first {
            true => self.times[0],
            false => middle(self.times[1], self.times[0]),
        };
        let number = self.number;
        let is_full = self.followed.len() >= self.limit;
        let known = self.followed.get_mut(&task.address);
        let (ended, is_new) = match known {
            Some(known) if known.id == task.id => {
                let last = std::mem::replace(&mut known.number, number);
                let same = known.stay.map(|stay| stay.fingerprint) == fingerprint;
                match same {
                    true => return,
                    false => (known.stay.take().map(|stay| (stay, last)), false),
                }
            }
            Some(other) => (other.stay.take().map(|stay| (stay, other.number)), true),
            None if is_full => {
                self.unfollowed += 1;
                return;
            }
            None => (None, true),
        };
        if let Some((stay, last)) = ended {
            self.ends(stay, last, true);
        }
        if is_new {
            *self.seen.entry(task.kind).or_default() += 1;
        }
        let stay = fingerprint.map(|fingerprint| Stay {
            fingerprint,
            at: self.set(places),
            since: begun,
            from_first: is_first,
        });
        self.followed.insert(
            task.address,
            Followed {
                id: task.id,
                number,
                stay,
            },
        );
    }

    /// A snapshot ends: whoever was in neither this one nor the last is gone. One that
    /// is missing once may have been torn.
    pub fn end(&mut self) {
        let number = self.number;
        let mut gone = Vec::new();
        self.followed.retain(|_, followed| {
            let here = followed.number.saturating_add(1) >= number;
            if !here {
                gone.extend(followed.stay.map(|stay| (stay, followed.number)));
            }
            here
        });
        for (stay, last) in gone {
            self.ends(stay, last, true);
        }
    }

    /// The recording ends: who is still there stays on.
    pub fn finish(&mut self) {
        for (_, followed) in std::mem::take(&mut self.followed) {
            let Some(stay) = followed.stay else {
                continue;
            };
            self.ends(stay, followed.number, false);
            if !stay.from_first {
                continue;
            }
            for place in self.places(stay.at) {
                let at = self.at_mut(place);
                at.unmoved = at.unmoved.saturating_add(1);
                at.unmoved_tasks.extend(followed.id);
                if at.unmoved_tasks.len() > 4 * NAMED {
                    at.name_few();
                }
            }
        }
        self.at.iter_mut().for_each(StaysAt::name_few);
    }

    /// The stays at a place.
    pub fn at(&self, place: usize) -> Option<&StaysAt> {
        self.at.get(place)
    }

    /// What a task waits for, and where, in a word; `None` when it does not wait, or
    /// when that could not be read.
    fn fingerprint(&self, task: &TaskSeen) -> Option<u64> {
        if task.state != TaskState::Suspended || task.waits.is_empty() {
            return None;
        }
        let waits = task.waits.iter().map(|wait| (wait.point, wait.detail));
        let sum = waits.fold(0_u64, |sum, wait| {
            let one = self.fingerprints.hash_one(wait);
            sum.rotate_left(7).wrapping_add(one)
        });
        Some(sum)
    }

    /// Notes a stay that the snapshot `last` was the last to see.
    fn ends(&mut self, stay: Stay, last: u32, whole: bool) {
        let ago = self.number.saturating_sub(last) as usize;
        let time = |ago: usize| self.times.get(ago).copied();
        // It was seen `ago` snapshots ago, and not in the one after that.
        let until = match (time(ago), ago.checked_sub(1).and_then(time)) {
            (Some(seen), Some(missed)) if whole => middle(seen, missed),
            (Some(seen), _) => seen,
            (None, _) => self.times[2],
        };
        let length = until.since(stay.since);
        let cut = usize::from(!whole || stay.from_first);
        for place in self.places(stay.at) {
            let at = self.at_mut(place);
            let count = at.counts.entry(StayCount::class_of(length)).or_default();
            count[cut] = count[cut].saturating_add(1);
            at.longest = at.longest.max(length);
        }
    }

    fn set(&mut self, places: &[PlaceId]) -> At {
        let first = places.first().copied().unwrap_or(PlaceId(0));
        if places.iter().all(|place| *place == first) {
            return At::One(first);
        }
        let mut set = places.to_vec();
        set.sort_unstable();
        set.dedup();
        let set = set.into_boxed_slice();
        if let Some(known) = self.sets.get(&set) {
            return At::Set(*known);
        }
        let Ok(number) = u32::try_from(self.of_set.len()) else {
            return At::One(first);
        };
        if self.of_set.len() >= MOST_SETS {
            return At::One(first);
        }
        self.of_set.push(set.clone());
        self.sets.insert(set, number);
        At::Set(number)
    }

    fn places(&self, at: At) -> Vec<PlaceId> {
        match at {
            At::One(place) => vec![place],
            At::Set(set) => self
                .of_set
                .get(set as usize)
                .map_or_else(Vec::new, |set| set.to_vec()),
        }
    }

    fn at_mut(&mut self, place: PlaceId) -> &mut StaysAt {
        let index = place.0 as usize;
        if index >= self.at.len() {
            self.at.resize_with(index + 1, StaysAt::default);
        }
        &mut self.at[index]
    }
}

impl StaysAt {
    /// Names the oldest tasks.
    fn name_few(&mut self) {
        self.unmoved_tasks.sort_unstable();
        self.unmoved_tasks.truncate(NAMED);
    }
}

fn middle(earlier: Nanos, later: Nanos) -> Nanos {
    earlier + Nanos(later.since(earlier).0 / 2)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{task, waiting};
    use super::*;
    use crate::snapshot::Detail;

    const PERIOD: u64 = 100_000_000;

    /// Follows one task, as it was in one snapshot after the other.
    fn follow(seen: &[Option<TaskSeen>]) -> Stays {
        let mut stays = Stays::default();
        for (number, task) in seen.iter().enumerate() {
            stays.begin(Nanos(number as u64 * PERIOD));
            if let Some(task) = task {
                stays.task(task, &[PlaceId(0)]);
            }
            stays.end();
        }
        stays.finish();
        stays
    }

    fn at(deadline: u64) -> Option<TaskSeen> {
        Some(waiting(1, 7, 0, Detail::Deadline(Nanos(deadline))))
    }

    fn counts(stays: &Stays) -> Vec<(u64, u32, u32)> {
        let counts = stays.at(0).map_or_else(Vec::new, StaysAt::counts);
        let periods = |length: Nanos| (length.0 as f64 / PERIOD as f64).round() as u64;
        counts
            .iter()
            .map(|count| (periods(count.length()), count.whole, count.cut))
            .collect()
    }

    #[test]
    fn a_stay_lasts_from_between_two_snapshots_to_between_two() {
        let stays = follow(&[None, at(1), at(1), at(1), None, None, None]);
        assert_eq!(counts(&stays), [(3, 1, 0)]);
    }

    #[test]
    fn a_deadline_that_changed_means_that_the_task_went_on() {
        let stays = follow(&[None, at(1), at(2), at(3), None, None]);
        assert_eq!(counts(&stays), [(1, 3, 0)]);
    }

    #[test]
    fn a_task_that_is_torn_once_still_stays() {
        let stays = follow(&[None, at(1), None, at(1), at(1), None, None]);
        assert_eq!(counts(&stays), [(4, 1, 0)]);
    }

    #[test]
    fn a_task_seen_running_went_on() {
        let mut running = task(1, 7);
        running.state = TaskState::Running;
        let stays = follow(&[at(1), at(1), Some(running), at(1), at(1)]);
        assert_eq!(stays.at(0).map(|at| at.unmoved), Some(0));
        assert_eq!(counts(&stays).iter().map(|count| count.2).sum::<u32>(), 2);
    }

    #[test]
    fn what_was_there_from_first_to_last_did_not_move() {
        let stays = follow(&[at(1), at(1), None, at(1)]);
        let seen = stays.at(0).expect("it was there");
        assert_eq!((seen.unmoved, &*seen.unmoved_tasks), (1, &[TaskId(7)][..]));
        assert_eq!(counts(&stays), [(3, 0, 1)]);
    }

    #[test]
    fn another_task_at_the_same_address_is_another() {
        let mut other = at(1);
        if let Some(other) = &mut other {
            other.id = Some(TaskId(8));
        }
        let stays = follow(&[at(1), at(1), other.clone(), other]);
        assert_eq!(stays.at(0).map(|at| at.unmoved), Some(0));
        assert_eq!(stays.seen.values().sum::<u64>(), 2);
    }

    #[test]
    fn tasks_past_the_limit_are_counted() {
        let mut stays = Stays {
            limit: 10,
            ..Stays::default()
        };
        stays.begin(Nanos(0));
        for address in 0..15 {
            stays.task(
                &waiting(address, address, 0, Detail::Unknown),
                &[PlaceId(0)],
            );
        }
        assert_eq!(stays.unfollowed, 5);
    }
}
