//! Which of the numbers in a worker's `Core` is its tick.
//!
//! The tick counts the turns of the worker's loop, so it never falls, and moves
//! with nearly every change of the current task. (With most, and not with all: up to three tasks in a
//! row come out of the LIFO slot in one turn, `MAX_LIFO_POLLS_PER_TICK` of tokio
//! `runtime/scheduler/multi_thread/worker.rs`.) Other counters that never fall count
//! how often the worker parked, and for how many nanoseconds it was busy: they move
//! when it parks, which is less often, or for an idle worker as often.

/// How much of a `Core` is looked at. The tick stood at 64 to 136 in tokio 1.35 to
/// 1.54, both runtimes; metrics of unstable builds come before it.
pub(super) const WINDOW: usize = 256;

/// So many changes of the task must have been seen.
const ENOUGH: u32 = 50;

/// After so many without a result, all begins anew: a counter may have come round.
const TOO_MANY: u32 = 2000;

/// Of the changes of the task a tick moves with at least this share; with far fewer
/// where a `LocalSet` polls many tasks in one turn.
const SHARE_PERCENT: u32 = 80;
const LOCAL_SHARE_PERCENT: u32 = 10;

/// Of two that move as often, one that grows by more than this times the other's
/// growth measures time.
const NANOSECONDS: u64 = 1000;

/// `global_queue_interval` is the only other number of 32 bits in a core and so stands
/// beside the tick: it is 31, 61, or what the worker finds best, up to 127
/// (`MAX_TASKS_POLLED_PER_GLOBAL_QUEUE_INTERVAL` of tokio `multi_thread/stats.rs`), or
/// what somebody set. Beside a counter of 64 bits stands its upper half.
const INTERVALS: std::ops::RangeInclusive<u32> = 2..=1024;

/// The numbers of a core at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CoreSeen(pub [u8; WINDOW]);

impl CoreSeen {
    fn number(&self, index: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[index * 4..index * 4 + 4]);
        u32::from_le_bytes(bytes)
    }
}

/// What was seen of the numbers in cores of one sort.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    changes: u32,
    numbers: [Number; WINDOW / 4],
    banned: Vec<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Number {
    /// How often it moved, and how often of these with the task.
    moves: u32,
    with_task: u32,
    growth: u64,
    /// It fell, or what stood beside it was no interval.
    refuted: bool,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            changes: 0,
            numbers: [Number::default(); WINDOW / 4],
            banned: Vec::new(),
        }
    }
}

impl Counters {
    /// A core was seen twice in a row, and meanwhile its worker went to another task
    /// or did not.
    pub fn note(&mut self, before: &CoreSeen, now: &CoreSeen, task_changed: bool) {
        if self.changes >= TOO_MANY {
            self.changes = 0;
            self.numbers = [Number::default(); WINDOW / 4];
        }
        self.changes += u32::from(task_changed);
        for (index, number) in self.numbers.iter_mut().enumerate() {
            let (old, new) = (before.number(index), now.number(index));
            number.refuted |= new < old || !INTERVALS.contains(&now.number(index ^ 1));
            if new != old {
                number.moves += 1;
                number.with_task += u32::from(task_changed);
                number.growth = number.growth.saturating_add(new.saturating_sub(old).into());
            }
        }
    }

    /// Where the tick stands, once that is clear. `local`: there are `LocalSet`s.
    pub fn tick(&self, local: bool) -> Option<u64> {
        if self.changes < ENOUGH {
            return None;
        }
        let percent = match local {
            true => LOCAL_SHARE_PERCENT,
            false => SHARE_PERCENT,
        };
        let steady = self.numbers.iter().enumerate().filter(|(index, number)| {
            !number.refuted
                && number.with_task * 100 >= self.changes * percent
                && !self.banned.contains(index)
        });
        let most = steady.clone().map(|(_, number)| number.moves).max()?;
        // Between two looks, a thread may have gone on.
        let moves_as_often = |number: &Number| number.moves.abs_diff(most) * 50 <= most;
        let often = steady.filter(|(_, number)| moves_as_often(number));
        let least = often.clone().map(|(_, number)| number.growth).min()?;
        let counts = often.filter(|(_, number)| number.growth / NANOSECONDS <= least);
        let (index, _) = counts.max_by_key(|(_, number)| number.growth)?;
        Some(index as u64 * 4)
    }

    /// What was taken for the tick was seen to fall.
    pub fn ban(&mut self, tick: u64) {
        let banned = std::mem::take(&mut self.banned);
        *self = Self::default();
        self.banned = banned;
        self.banned.extend(usize::try_from(tick / 4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: usize = 26;
    const PARKS: usize = 14;
    const BUSY: usize = 12;
    const RANDOM: usize = 4;

    /// A core after so many turns of its loop, parks, and nanoseconds.
    fn core(turns: u32, parks: u32, busy: u32) -> CoreSeen {
        let mut bytes = [0; WINDOW];
        let random = turns.wrapping_mul(0x9e37_79b9);
        let numbers = [
            (TICK, turns),
            (TICK + 1, 61),
            (PARKS, parks),
            (BUSY, busy),
            (BUSY + 1, 3),
            (RANDOM, random),
        ];
        for (index, number) in numbers {
            bytes[index * 4..index * 4 + 4].copy_from_slice(&number.to_le_bytes());
        }
        CoreSeen(bytes)
    }

    fn learn(counters: &mut Counters, looks: u32, at: impl Fn(u32) -> CoreSeen) {
        for look in 0..looks {
            counters.note(&at(look), &at(look + 1), true);
        }
    }

    #[test]
    fn a_busy_worker_rarely_parks_so_its_tick_moves_most() {
        let mut counters = Counters::default();
        learn(&mut counters, 49, |look| {
            core(look * 7, look / 2, look / 2 * 90_000)
        });
        assert_eq!(counters.tick(false), None, "too early to tell");
        learn(&mut counters, 60, |look| {
            core(look * 7, look / 2, look / 2 * 90_000)
        });
        assert_eq!(counters.tick(false), Some(TICK as u64 * 4));
    }

    #[test]
    fn an_idle_worker_parks_after_every_poll_and_its_tick_is_told_by_its_growth() {
        let mut counters = Counters::default();
        learn(&mut counters, 60, |look| {
            core(look * 2, look * 2, look * 20_000)
        });
        assert_eq!(counters.tick(false), Some(TICK as u64 * 4));
    }

    #[test]
    fn what_moves_with_few_changes_of_the_task_is_no_tick() {
        let mut counters = Counters::default();
        learn(&mut counters, 100, |look| {
            core(look / 2, look / 2, look / 2)
        });
        assert_eq!(counters.tick(false), None);
    }

    #[test]
    fn one_that_fell_once_was_none_until_all_begins_anew() {
        let mut counters = Counters::default();
        let at = |look: u32| core(look.wrapping_sub(20), 0, 0);
        learn(&mut counters, 100, at);
        assert_eq!(counters.tick(false), None, "it came round");
        learn(&mut counters, TOO_MANY, |look| core(look + 500, 0, 0));
        assert_eq!(counters.tick(false), Some(TICK as u64 * 4));
        counters.ban(TICK as u64 * 4);
        learn(&mut counters, 100, |look| core(look, 0, 0));
        assert_eq!(counters.tick(false), None);
    }
}
