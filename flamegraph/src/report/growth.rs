//! Whether the tasks at an await point become more and more.

use crate::profile::{COVERED, KindId, Profile, StackId, State};
use std::collections::HashMap;

/// Stretches of the recording that are compared.
const WINDOWS: usize = 16;
/// With fewer, anything can look like growth.
const FEWEST: usize = 6;
/// Of all pairs of stretches, so many must have more tasks in the later one (Kendall's
/// τ): with sixteen stretches that do not grow, once in a hundred million.
const TAU: f64 = 0.85;
/// What they grow by must be this many times what they stray from a straight line.
const ABOVE_NOISE: f64 = 4.0;
/// It must be this many tasks,
const TASKS: f64 = 5.0;
/// and this much of what was there before.
const SHARE: f64 = 0.3;
/// In the second half they must still grow this much as fast as in the first: services
/// that start, and then are full, do not.
const GOES_ON: f64 = 0.4;

/// How a population grew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// How many there were at the beginning and at the end, each on average over a
    /// stretch.
    pub(super) from: f64,
    pub(super) to: f64,
    /// How many more each second.
    pub(super) per_second: f64,
}

/// How many tasks waited at each place, stretch by stretch.
#[derive(Debug)]
pub(super) struct Populations {
    of: HashMap<(Option<KindId>, StackId), Vec<f64>>,
    /// How many seconds a stretch has.
    seconds: f64,
}

impl Populations {
    pub(super) fn of(profile: &Profile) -> Self {
        let mut populations = Self {
            of: HashMap::new(),
            seconds: 0.0,
        };
        let covered = covered(profile);
        let Some((first, last)) = covered_range(&covered, profile.bucket_ns) else {
            return populations;
        };
        let buckets = last - first + 1;
        let windows = buckets.min(WINDOWS);
        let window = |bucket: usize| (bucket - first) * windows / buckets;
        let mut length = vec![0.0; windows];
        for (bucket, ns) in covered.iter().enumerate().take(last + 1).skip(first) {
            length[window(bucket)] += ns;
        }
        for bucket in &profile.buckets {
            let number = bucket.number as usize;
            if !(first..=last).contains(&number) {
                continue;
            }
            for weight in &bucket.weights {
                if weight.key.state != State::Waiting {
                    continue;
                }
                let place = (weight.key.kind, weight.key.stack);
                let means = populations.of.entry(place);
                let means = means.or_insert_with(|| vec![0.0; windows]);
                let at = window(number);
                means[at] += weight.ns as f64 / length[at].max(1.0);
            }
        }
        populations.seconds = length.iter().sum::<f64>() / 1e9 / windows as f64;
        populations
    }

    /// How the tasks at a place grew, if they did nothing else.
    pub(super) fn growth(&self, kind: Option<KindId>, stack: StackId) -> Option<Growth> {
        growth(self.of.get(&(kind, stack))?, self.seconds)
    }
}

/// How much of each bucket the snapshots stand for.
fn covered(profile: &Profile) -> Vec<f64> {
    let series = profile.series.iter().find(|series| series.name == COVERED);
    let points = series.map_or(&[][..], |series| &series.points);
    let length = points.iter().map(|point| point.bucket as usize + 1).max();
    let mut covered = vec![0.0; length.unwrap_or(0)];
    for point in points {
        covered[point.bucket as usize] += point.sum.max(0.0);
    }
    covered
}

/// The buckets of which more than half is known, without those at the ends that are not.
fn covered_range(covered: &[f64], bucket_ns: u64) -> Option<(usize, usize)> {
    let known = |ns: &f64| *ns > bucket_ns as f64 / 2.0;
    Some((
        covered.iter().position(known)?,
        covered.iter().rposition(known)?,
    ))
}

fn growth(means: &[f64], seconds: f64) -> Option<Growth> {
    let count = means.len();
    if count < FEWEST || tau(means) < TAU {
        return None;
    }
    let third = count / 3;
    let (before, after) = (median(&means[..third]), median(&means[count - third..]));
    let grown = after - before;
    if grown < TASKS || grown < before * SHARE {
        return None;
    }
    let slope = slope(means);
    let strays: Vec<f64> = strays(means, slope);
    if grown < ABOVE_NOISE * median(&strays) {
        return None;
    }
    let half = count / 2;
    let rise = |part: &[f64]| part[part.len() - 1] - part[0];
    if rise(&means[count - half..]) < GOES_ON * rise(&means[..half]) {
        return None;
    }
    Some(Growth {
        from: means[0],
        to: means[count - 1],
        per_second: slope / seconds.max(1e-9),
    })
}

/// Kendall's rank correlation with time.
fn tau(means: &[f64]) -> f64 {
    let mut sum = 0.0;
    let mut pairs = 0.0;
    for (index, early) in means.iter().enumerate() {
        for late in &means[index + 1..] {
            pairs += 1.0;
            sum += match late.total_cmp(early) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.0,
                std::cmp::Ordering::Less => -1.0,
            };
        }
    }
    sum / f64::max(pairs, 1.0)
}

/// The median of the slopes of all pairs (Theil and Sen): a few odd stretches do not
/// turn it.
fn slope(means: &[f64]) -> f64 {
    let mut slopes = Vec::new();
    for (index, early) in means.iter().enumerate() {
        for (distance, late) in means[index + 1..].iter().enumerate() {
            slopes.push((late - early) / (distance + 1) as f64);
        }
    }
    median(&slopes)
}

/// How far each stretch lies from the line.
fn strays(means: &[f64], slope: f64) -> Vec<f64> {
    let level: Vec<f64> = (0..)
        .zip(means)
        .map(|(at, mean)| mean - slope * f64::from(at))
        .collect();
    let middle = median(&level);
    level.iter().map(|level| (level - middle).abs()).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(upper) = sorted.get(sorted.len() / 2) else {
        return 0.0;
    };
    match sorted.len() % 2 {
        1 => *upper,
        _ => f64::midpoint(sorted[sorted.len() / 2 - 1], *upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grows(of: impl Fn(f64) -> f64) -> bool {
        let means: Vec<f64> = (0..16).map(|at| of(f64::from(at))).collect();
        growth(&means, 1.0).is_some()
    }

    #[test]
    fn a_leak_grows_and_its_rate_is_told() {
        let means: Vec<f64> = (0..16).map(|at| 3.0 + 4.0 * f64::from(at)).collect();
        let growth = growth(&means, 0.5).expect("it grows");
        assert_eq!((growth.from, growth.to), (3.0, 63.0));
        assert!((growth.per_second - 8.0).abs() < 1e-9);
        assert!(grows(|at| at * at), "ever faster");
        assert!(grows(|at| 10.0 * at + 3.0 * (at * 7.0).sin()), "with noise");
    }

    #[test]
    fn a_start_that_ends_in_a_full_house_is_no_leak() {
        assert!(!grows(|at| 100.0 * (1.0 - (-at / 3.0).exp())));
        assert!(!grows(|at| 20.0 * at.min(7.0)));
    }

    #[test]
    fn a_few_more_or_a_small_part_more_is_no_leak() {
        assert!(!grows(|at| at * 0.2));
        assert!(!grows(|at| 1000.0 + at));
    }

    #[test]
    fn what_comes_and_goes_is_no_leak() {
        assert!(!grows(|at| 50.0 + 40.0 * (at / 2.0).sin()));
        assert!(!grows(|at| if at < 8.0 { 10.0 } else { 60.0 }));
    }

    proptest! {
        #[test]
        fn noise_is_no_leak(means in prop::collection::vec(0.0..100.0_f64, 16)) {
            prop_assert!(growth(&means, 1.0).is_none());
        }

        #[test]
        fn any_straight_growth_is_found(from in 0.0..50.0_f64, step in 3.0..100.0_f64) {
            let means: Vec<f64> = (0..16).map(|at| from + step * f64::from(at)).collect();
            prop_assert!(growth(&means, 1.0).is_some());
        }
    }
}
