//! Things that are counted by time and not by CPU time: tasks that wait, stalls, lag.
//!
//! Twice the load makes twice as many tasks wait, though nothing about the service
//! changed. How much more work was done can be told from the CPU time of what did
//! not change; but not all that waits waits for work. So where the work differs, a
//! thing changed if it changed both by the clock and by the work.

use super::discoveries::threshold;
use super::search::change;
use super::tree::SIDES;
use super::welch::{BetweenRuns, Compared, Seen, compare};
use std::ops::Range;

/// One thing, window by window.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) parts: [Vec<f64>; 2],
    /// What one sample is.
    pub(super) grain: f64,
}

/// How things are counted.
#[derive(Debug)]
pub(super) struct Counting<'a> {
    pub(super) wholes: [&'a [f64]; 2],
    pub(super) runs: [&'a [Range<usize>]; 2],
    /// So many times as much work was done in the new release; `None` where that is
    /// not to count.
    pub(super) work: Option<f64>,
    pub(super) least_relative: f64,
    pub(super) least: f64,
    pub(super) false_discoveries: f64,
}

impl Counting<'_> {
    /// Compares all, and tells which changed.
    pub(super) fn compare(&self, all: &[&Counted]) -> Vec<(Compared, bool)> {
        let several = self.runs.iter().any(|runs| runs.len() > 1);
        let between = match several {
            true => BetweenRuns::of(all.iter().map(|counted| self.seen(counted, &counted.parts))),
            false => None,
        };
        let compared: Vec<Compared> = all
            .iter()
            .map(|counted| self.one(counted, between))
            .collect();
        let sure = threshold(compared.iter().map(|one| one.p), self.false_discoveries);
        let is_change = |one: &Compared| {
            one.p <= sure
                && one.delta.abs() >= self.least
                && change(one.base, one.new) >= self.least_relative.ln_1p()
        };
        compared
            .into_iter()
            .map(|one| (one, is_change(&one)))
            .collect()
    }

    fn one(&self, counted: &Counted, between: Option<BetweenRuns>) -> Compared {
        let by_clock = compare(self.seen(counted, &counted.parts), between, 0.0);
        let Some(work) = self.work.filter(|work| work.is_finite() && *work > 0.0) else {
            return by_clock;
        };
        // Half of it on each side, so that base and new may change places.
        let by = [work.sqrt(), 1.0 / work.sqrt()];
        let scaled = SIDES.map(|side| -> Vec<f64> {
            counted.parts[side]
                .iter()
                .map(|part| part * by[side])
                .collect()
        });
        let by_work = compare(self.seen(counted, &scaled), between, 0.0);
        let agree = by_work.delta.signum() == by_clock.delta.signum();
        Compared {
            p: match agree {
                true => by_work.p.max(by_clock.p),
                false => 1.0,
            },
            ..by_clock
        }
    }

    fn seen<'s>(&'s self, counted: &Counted, parts: &'s [Vec<f64>; 2]) -> [Seen<'s>; 2] {
        SIDES.map(|side| Seen {
            part: &parts[side],
            whole: self.wholes[side],
            runs: self.runs[side],
            grain: counted.grain,
        })
    }
}
