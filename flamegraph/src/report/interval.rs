//! How sure a share of the CPU time is.
//!
//! Samples are no independent draws: a task that is on a CPU now is likely to
//! be there in the next sample too. Treating them as independent makes
//! intervals too narrow by a factor of two and more. So how far the share may be
//! off is told by how it varies between stretches of time (seconds, as a rule):
//! the variance of a ratio estimated over clusters (W. G. Cochran, *Sampling
//! Techniques*, 3rd ed., section 6.4). Dependence of any sort within a second
//! does no harm then.
//!
//! That variance says how many independent samples would have been as good. For
//! so many, with Student's t for the few stretches, the interval is Wilson's
//! (1927), which also holds for small shares, where one that is the same to both
//! sides does not (N. Dean and M. Pagano, *Evaluating confidence interval
//! methods for binomial proportions in clustered surveys*, 2015). It is never
//! narrower than for as many independent samples as were taken, because a few
//! stretches can agree by chance.
//!
//! With fewer than five stretches the variation cannot be told. Then every six
//! samples count as one, which makes the interval about two and a half times as
//! wide as independent samples would.

/// 97.5 % of the normal distribution lie below this.
const Z: f64 = 1.959_963_985;
/// Stretches below which their variation says nothing.
const ENOUGH: u64 = 5;
/// How many samples count as one when there are fewer.
const BURST: f64 = 6.0;

/// Sums over the stretches of a recording.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stretches {
    /// Stretches with any time in them.
    pub(super) count: u64,
    /// Σy: all time.
    pub(super) total: f64,
    /// Σy².
    pub(super) total_squares: f64,
    /// Samples behind them.
    pub(super) samples: u64,
}

/// Sums of one part, over the same stretches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part {
    /// Σx: its time.
    pub(super) time: f64,
    /// Σx².
    pub(super) squares: f64,
    /// Σxy.
    pub(super) products: f64,
}

/// The 95 % confidence interval of the share that `part` has of the whole.
pub(super) fn interval(whole: &Stretches, part: &Part) -> [f64; 2] {
    if whole.total <= 0.0 || whole.samples == 0 {
        return [0.0, 1.0];
    }
    let share = (part.time / whole.total).clamp(0.0, 1.0);
    let samples = whole.samples as f64;
    let [low, high] = if whole.count < ENOUGH {
        wilson(share, (samples / BURST).max(1.0), Z)
    } else {
        let as_good = as_good_as(whole, part, share).clamp(1.0, samples);
        wilson(share, as_good, student(whole.count - 1))
    };
    [low.clamp(0.0, share), high.clamp(share, 1.0)]
}

/// How many independent samples would tell the share as well. With
/// d = x − share·y, the variance of Σx/Σy is n/(n−1) · Σd² / (Σy)².
fn as_good_as(whole: &Stretches, part: &Part, share: f64) -> f64 {
    let n = whole.count as f64;
    let squares = part.squares - 2.0 * share * part.products + share * share * whole.total_squares;
    let variance = n / (n - 1.0) * squares.max(0.0) / (whole.total * whole.total);
    let spread = share * (1.0 - share);
    if variance <= spread / whole.samples as f64 {
        return f64::INFINITY;
    }
    spread / variance
}

fn wilson(share: f64, samples: f64, z: f64) -> [f64; 2] {
    let z2 = z * z / samples;
    let middle = (share + z2 / 2.0) / (1.0 + z2);
    let half = z / (1.0 + z2) * (share * (1.0 - share) / samples + z2 / (4.0 * samples)).sqrt();
    [middle - half, middle + half]
}

/// 97.5 % of Student's distribution lie below this: the expansion of Abramowitz
/// and Stegun, 26.7.5, right to a thousandth from four degrees on.
fn student(degrees: u64) -> f64 {
    let v = degrees as f64;
    let powers = [1, 3, 5, 7, 9].map(|power| Z.powi(power));
    let [z, z3, z5, z7, z9] = powers;
    let terms = [
        (z3 + z) / 4.0,
        (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0,
        (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0,
        (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z) / 92_160.0,
    ];
    terms
        .iter()
        .zip(1..)
        .fold(z, |t, (term, power)| t + term / v.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        for (degrees, table) in [
            (4, 2.776),
            (5, 2.571),
            (10, 2.228),
            (30, 2.042),
            (1000, 1.962),
        ] {
            assert!(
                (student(degrees) - table).abs() < 0.0011,
                "{degrees}: {}",
                student(degrees)
            );
        }
    }

    /// A small generator, so that the simulation is the same every time
    /// (splitmix64, Steele et al. 2014).
    struct Chance(u64);

    impl Chance {
        fn below_one(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// Records `seconds` with `rate` samples each, of which the part has
    /// `share`, coming in bursts of `burst` samples on average.
    fn record(chance: &mut Chance, seconds: u64, rate: u64, share: f64, burst: f64) -> [f64; 2] {
        let mut whole = Stretches::default();
        let mut part = Part::default();
        let mut inside = chance.below_one() < share;
        for _ in 0..seconds {
            let mut x = 0.0;
            for _ in 0..rate {
                if chance.below_one() < 1.0 / burst {
                    inside = chance.below_one() < share;
                }
                x += f64::from(u8::from(inside));
            }
            let y = rate as f64;
            whole.count += 1;
            whole.samples += rate;
            whole.total += y;
            whole.total_squares += y * y;
            part.time += x;
            part.squares += x * x;
            part.products += x * y;
        }
        interval(&whole, &part)
    }

    /// In how many of a thousand recordings the truth is within the interval.
    fn coverage(seconds: u64, share: f64, burst: f64) -> usize {
        let mut chance = Chance(seconds ^ burst.to_bits());
        (0..1000)
            .filter(|_| {
                let [low, high] = record(&mut chance, seconds, 99, share, burst);
                low <= share && share <= high
            })
            .count()
    }

    #[test]
    fn the_truth_is_within_the_interval_nineteen_times_of_twenty() {
        for share in [0.1, 0.5] {
            for burst in [1.0, 3.0, 10.0] {
                for seconds in [5, 20, 60] {
                    let covered = coverage(seconds, share, burst);
                    assert!(covered >= 925, "{share} {burst} {seconds}: {covered}");
                }
            }
        }
    }

    #[test]
    fn few_seconds_give_a_wide_interval_that_still_holds() {
        for burst in [1.0, 3.0] {
            let covered = coverage(2, 0.3, burst);
            assert!(covered >= 925, "{burst}: {covered}");
        }
    }

    #[test]
    fn independent_samples_are_not_punished_much() {
        let mut chance = Chance(7);
        let [low, high] = record(&mut chance, 60, 99, 0.5, 1.0);
        let binomial = 2.0 * Z * (0.25_f64 / (60.0 * 99.0)).sqrt();
        assert!(high - low < binomial * 1.35, "{}", high - low);
    }

    #[test]
    fn an_interval_stays_within_nothing_and_everything() {
        let mut chance = Chance(1);
        for share in [0.0, 1.0] {
            let [low, high] = record(&mut chance, 10, 99, share, 3.0);
            assert!((0.0..=share).contains(&low) && (share..=1.0).contains(&high));
        }
        assert_eq!(
            interval(&Stretches::default(), &Part::default()),
            [0.0, 1.0]
        );
    }
}
