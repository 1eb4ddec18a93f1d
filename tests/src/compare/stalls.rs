//! Stalls, one by one.

use crate::report::{Culprit, Report, Stall};
use crate::truth::{LongPoll, Planted, Truth};
use anyhow::{Result, ensure};
use std::ops::Range;

/// A stall as the profiler tells it, with times on `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundStall {
    /// The kind of task.
    pub kind: String,
    /// The worker's thread.
    pub tid: u32,
    /// When it began.
    pub start_ns: u64,
    /// How long it was.
    pub duration_ns: u64,
}

/// How well stalls were found.
#[derive(Debug, Clone)]
pub struct StallScore {
    /// True ones with what was found for them.
    pub matched: Vec<(LongPoll, FoundStall)>,
    /// True ones that were not found.
    pub missed: Vec<LongPoll>,
    /// Found ones that never were.
    pub invented: Vec<FoundStall>,
}

impl StallScore {
    /// The share of the true ones that were found.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.matched.len(), self.missed.len())
    }

    /// The share of the found ones that never were.
    #[must_use]
    pub fn false_share(&self) -> f64 {
        1.0 - share(self.matched.len(), self.invented.len())
    }

    /// Of those of the given kinds that were found, the share whose duration is
    /// right to within `limit_ns`.
    #[must_use]
    pub fn right_durations(&self, kinds: &[&str], limit_ns: u64) -> f64 {
        let (right, wrong): (Vec<_>, Vec<_>) = self
            .matched
            .iter()
            .filter(|(truth, _)| kinds.contains(&truth.kind.as_str()))
            .partition(|(truth, found)| truth.duration_ns.abs_diff(found.duration_ns) <= limit_ns);
        share(right.len(), wrong.len())
    }
}

/// `part` of `part + rest`; all of nothing is one.
fn share(part: usize, rest: usize) -> f64 {
    if part + rest == 0 {
        1.0
    } else {
        part as f64 / (part + rest) as f64
    }
}

/// Finds for every true poll of `at_least_ns` and more that lies within `window`
/// the stall that was found for it: of the same kind on the same thread, and
/// together for at least half of the time of either.
///
/// A found one that fits a shorter true poll is not held against the profiler:
/// its threshold is lower. Neither is one at the edge of the window, nor that all
/// are early or late by the same few milliseconds: a profile says when it began on
/// the wall clock.
#[must_use]
pub fn score_stalls(
    truth: &[LongPoll],
    found: &[FoundStall],
    at_least_ns: u64,
    window: Range<u64>,
) -> StallScore {
    let first = score_aligned(truth, found, at_least_ns, &window);
    let shift = median_shift_ns(&first.matched);
    let aligned: Vec<FoundStall> = found
        .iter()
        .map(|stall| FoundStall {
            start_ns: stall.start_ns.saturating_add_signed(shift),
            ..stall.clone()
        })
        .collect();
    score_aligned(truth, &aligned, at_least_ns, &window)
}

/// By how much most of the found ones must be moved.
fn median_shift_ns(matched: &[(LongPoll, FoundStall)]) -> i64 {
    let middle = |start: u64, duration: u64| i128::from(start) + i128::from(duration / 2);
    let mut shifts: Vec<i128> = matched
        .iter()
        .map(|(truth, found)| {
            middle(truth.start_ns, truth.duration_ns) - middle(found.start_ns, found.duration_ns)
        })
        .collect();
    shifts.sort_unstable();
    let shift = shifts.get(shifts.len() / 2).copied().unwrap_or_default();
    i64::try_from(shift).unwrap_or_default()
}

fn score_aligned(
    truth: &[LongPoll],
    found: &[FoundStall],
    at_least_ns: u64,
    window: &Range<u64>,
) -> StallScore {
    let mut score = StallScore {
        matched: Vec::new(),
        missed: Vec::new(),
        invented: Vec::new(),
    };
    let mut used = vec![false; found.len()];
    for poll in truth {
        let counts = poll.duration_ns >= at_least_ns
            && window.start <= poll.start_ns
            && poll.start_ns + poll.duration_ns <= window.end;
        let best = (0..found.len())
            .filter(|&index| !used[index] && is_same(poll, &found[index]))
            .max_by_key(|&index| overlap_ns(poll, &found[index]));
        match best {
            Some(index) => {
                used[index] = true;
                if counts {
                    score.matched.push((poll.clone(), found[index].clone()));
                }
            }
            None if counts => score.missed.push(poll.clone()),
            None => {}
        }
    }
    for (stall, used) in found.iter().zip(used) {
        let inside =
            window.start <= stall.start_ns && stall.start_ns + stall.duration_ns <= window.end;
        if !used && inside {
            score.invented.push(stall.clone());
        }
    }
    score
}

fn is_same(poll: &LongPoll, stall: &FoundStall) -> bool {
    let longer = poll.duration_ns.max(stall.duration_ns);
    poll.tid == stall.tid && poll.kind == stall.kind && 2 * overlap_ns(poll, stall) >= longer
}

fn overlap_ns(poll: &LongPoll, stall: &FoundStall) -> u64 {
    let end = (poll.start_ns + poll.duration_ns).min(stall.start_ns + stall.duration_ns);
    end.saturating_sub(poll.start_ns.max(stall.start_ns))
}

/// That for every planted kind the culprit leads its stalls, as `is_culprit` knows it.
///
/// # Errors
/// It does not.
pub fn every_culprit_leads(
    truth: &Truth,
    report: &Report,
    is_culprit: fn(&Planted, &Stall) -> bool,
) -> Result<()> {
    for planted in &truth.planted {
        let of_kind = report
            .stalls
            .iter()
            .filter(|stall| stall.kind == planted.kind);
        let all: u64 = of_kind.clone().map(|stall| stall.count).sum();
        let named: u64 = of_kind
            .filter(|stall| is_culprit(planted, stall))
            .map(|stall| stall.count)
            .sum();
        ensure!(
            all > 0 && named * 10 >= all * 9,
            "{planted:?}: {named} of {all} in {:#?}",
            report.stalls
        );
    }
    Ok(())
}

/// The culprit of a stall, if it is at the line of the planted one.
#[must_use]
pub fn culprit_at<'a>(planted: &Planted, stall: &'a Stall) -> Option<&'a Culprit> {
    let culprit = stall.culprit.as_ref()?;
    let same = culprit.file.as_deref() == Some(planted.file.as_str())
        && culprit.line == Some(planted.line);
    same.then_some(culprit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn poll(start_ms: u64, duration_ms: u64) -> LongPoll {
        LongPoll {
            kind: "a".into(),
            task: 1,
            tid: 7,
            start_ns: start_ms * MS,
            duration_ns: duration_ms * MS,
            cpu_ns: 0,
        }
    }

    fn stall(start_ms: u64, duration_ms: u64) -> FoundStall {
        FoundStall {
            kind: "a".into(),
            tid: 7,
            start_ns: start_ms * MS,
            duration_ns: duration_ms * MS,
        }
    }

    fn score(truth: &[LongPoll], found: &[FoundStall]) -> StallScore {
        score_stalls(truth, found, 15 * MS, 0..1000 * MS)
    }

    #[test]
    fn two_stalls_in_a_row_told_as_one_are_one_missed_or_two() {
        let score = score(&[poll(100, 20), poll(120, 20)], &[stall(100, 40)]);
        assert_eq!(score.matched.len(), 1);
        assert_eq!(score.missed.len(), 1);
        assert!(score.right_durations(&["a"], MS) < 0.5);
    }

    #[test]
    fn one_stall_told_as_two_is_half_invented() {
        let score = score(&[poll(100, 40)], &[stall(100, 20), stall(120, 20)]);
        assert_eq!(score.recall(), 1.0);
        assert_eq!(score.false_share(), 0.5);
    }

    #[test]
    fn a_short_poll_that_was_found_is_neither_counted_nor_invented() {
        let score = score(&[poll(100, 11)], &[stall(100, 11)]);
        assert!(score.matched.is_empty() && score.invented.is_empty());
    }

    #[test]
    fn another_thread_or_kind_is_another_stall() {
        let mut elsewhere = stall(100, 20);
        elsewhere.tid = 8;
        let mut other = stall(200, 20);
        other.kind = "b".into();
        let score = score(&[poll(100, 20), poll(200, 20)], &[elsewhere, other]);
        assert_eq!(score.recall(), 0.0);
        assert_eq!(score.false_share(), 1.0);
    }

    #[test]
    fn a_clock_that_is_a_few_milliseconds_off_changes_nothing() {
        let truth = [poll(100, 20), poll(200, 30), poll(300, 11), poll(400, 20)];
        let found = [
            stall(94, 20),
            stall(194, 30),
            stall(294, 11),
            stall(394, 20),
        ];
        let score = score(&truth, &found);
        assert_eq!((score.matched.len(), score.invented.len()), (3, 0));
    }

    #[test]
    fn what_lies_across_the_edge_of_the_window_is_left_out() {
        let score = score(&[poll(990, 20)], &[stall(995, 20)]);
        assert!(score.matched.is_empty() && score.missed.is_empty() && score.invented.is_empty());
    }

    #[test]
    fn durations_are_judged_by_kind() {
        let mut other = poll(300, 40);
        other.kind = "b".into();
        let mut found = stall(300, 38);
        found.kind = "b".into();
        let score = score(
            &[poll(100, 20), poll(200, 20), other],
            &[stall(100, 20), stall(200, 18), found],
        );
        assert_eq!(score.right_durations(&["a"], MS), 0.5);
        assert_eq!(score.right_durations(&["b"], 4 * MS), 1.0);
        assert_eq!(score.right_durations(&["b"], MS), 0.0);
    }
}
