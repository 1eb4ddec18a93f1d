//! Whether two things differ by more than chance.
//!
//! On each side a value is a ratio of sums over windows: the time of a function by
//! all CPU time, by wall time, by requests. How far it may be off is told by how
//! the windows vary around it (W. G. Cochran, *Sampling Techniques*, 3rd ed.,
//! section 6.4); two such values are compared as B. L. Welch does (1947), because
//! neither their variances nor their windows need be the same. Three things make
//! that variance larger:
//!
//! - Windows that are like the one before tell less than as many independent ones.
//!   Their first autocorrelation, that of both sides together and never below
//!   zero, widens the variance as for an autoregressive process of order one.
//! - No value is known better than to one sample.
//! - Two runs of the same build differ, which the windows of one run cannot show.
//!   Where a side has several runs, the variance is at least that between them. It
//!   is told from few, so what all functions show together counts like four more.

use super::student::{t95, two_sided};
use std::ops::Range;

/// How many runs' worth what all functions show together counts.
const PRIOR: f64 = 4.0;
/// No more of a window is taken for an echo of the one before.
const MOST_ECHO: f64 = 0.8;

/// One thing in the windows of a side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// What is asked for, window by window.
    pub(super) part: &'a [f64],
    /// What it is a part of, or counted by.
    pub(super) whole: &'a [f64],
    /// Which windows are of one run.
    pub(super) runs: &'a [Range<usize>],
    /// How much of `part` one sample stands for.
    pub(super) grain: f64,
}

/// How much more runs differ than their windows tell, over many things: a factor
/// for variances. `None` where no side has several runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BetweenRuns {
    pub(super) factor: f64,
}

/// Two values, and how sure their difference is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Compared {
    pub(super) base: f64,
    pub(super) new: f64,
    pub(super) delta: f64,
    pub(super) ci95: [f64; 2],
    /// `new / base`, where both are there.
    pub(super) ratio: Option<f64>,
    pub(super) ratio_ci95: Option<[f64; 2]>,
    /// The likelihood of such a difference by chance.
    pub(super) p: f64,
    /// The difference in standard errors.
    pub(super) t: f64,
}

/// What the windows of one side say.
struct Side {
    value: f64,
    /// Σ of the whole.
    whole: f64,
    windows: f64,
    /// Σ d² and Σ d·d' with d' the window after, where d = part − value·whole.
    squares: f64,
    echoes: f64,
    /// Of the sums of d of each run: their mean square, by what the windows within
    /// the runs make it; and the degrees of that.
    between: Option<(f64, f64)>,
    grain: f64,
}

impl Side {
    fn of(seen: &Seen<'_>) -> Self {
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let whole = sum(seen.whole);
        let value = if whole > 0.0 {
            sum(seen.part) / whole
        } else {
            0.0
        };
        let pairs = seen.part.iter().zip(seen.whole);
        let rest: Vec<f64> = pairs.map(|(part, whole)| part - value * whole).collect();
        let echo = |run: &Range<usize>| {
            let of_run = &rest[run.clone()];
            of_run.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>()
        };
        Self {
            value,
            whole,
            windows: rest.len() as f64,
            squares: rest.iter().map(|d| d * d).sum(),
            echoes: seen.runs.iter().map(echo).sum(),
            between: between(&rest, seen.runs),
            grain: seen.grain,
        }
    }

    /// The first autocorrelation; what n windows around their own mean make it too
    /// small by is given back.
    fn echo(&self) -> f64 {
        if self.squares <= 0.0 {
            return 0.0;
        }
        self.echoes / self.squares + 1.0 / self.windows
    }

    /// The variance of the value, and its degrees of freedom.
    fn variance(&self, echo: f64, runs: Option<(f64, f64)>) -> (f64, f64) {
        if self.whole <= 0.0 {
            return (0.0, 1.0);
        }
        let longer = (1.0 + echo) / (1.0 - echo);
        let n = self.windows.max(2.0);
        let (factor, most) = runs.unwrap_or((1.0, f64::INFINITY));
        let of_sum = n / (n - 1.0) * self.squares * longer * factor;
        let least = self.grain * self.grain;
        let degrees = ((n - 1.0) / longer).clamp(1.0, most.max(1.0));
        (of_sum.max(least) / (self.whole * self.whole), degrees)
    }
}

/// How much more the sums of runs differ than windows within runs make them.
fn between(rest: &[f64], runs: &[Range<usize>]) -> Option<(f64, f64)> {
    if runs.len() < 2 {
        return None;
    }
    let (mut sums, mut within) = (0.0, 0.0);
    for run in runs {
        let of_run = &rest[run.clone()];
        let n = of_run.len() as f64;
        let sum: f64 = of_run.iter().sum();
        let mean = sum / n;
        let squares: f64 = of_run.iter().map(|d| (d - mean) * (d - mean)).sum();
        sums += sum * sum;
        within += n / (n - 1.0).max(1.0) * squares;
    }
    let degrees = (runs.len() - 1) as f64;
    // The sums add up to zero: that takes one of them.
    let expected = within * degrees / runs.len() as f64;
    (expected > 0.0).then(|| (sums / expected, degrees))
}

/// What runs show of one thing on both sides together.
fn between_both(base: &Side, new: &Side) -> Option<(f64, f64)> {
    match (base.between, new.between) {
        (Some((b, of_b)), Some((n, of_n))) => {
            Some(((b * of_b + n * of_n) / (of_b + of_n), of_b + of_n))
        }
        (one, other) => one.or(other),
    }
}

impl BetweenRuns {
    /// What many things show together: the middle of them.
    pub(super) fn of<'a>(all: impl Iterator<Item = [Seen<'a>; 2]>) -> Option<Self> {
        let told = all.filter_map(|[base, new]| between_both(&Side::of(&base), &Side::of(&new)));
        let told: Vec<(f64, f64)> = told.collect();
        let degrees = told.first()?.1;
        let mut factors: Vec<f64> = told.into_iter().map(|(factor, _)| factor).collect();
        factors.sort_by(f64::total_cmp);
        // The middle of a χ² distribution by its degrees (Wilson and Hilferty 1931).
        let middle = (1.0 - 2.0 / (9.0 * degrees)).powi(3);
        let factor = factors[factors.len() / 2] / middle;
        Some(Self {
            factor: factor.max(1.0),
        })
    }

    fn with(self, own: Option<(f64, f64)>) -> (f64, f64) {
        let (own, degrees) = own.unwrap_or((self.factor, 0.0));
        let factor = (PRIOR * self.factor + degrees * own) / (PRIOR + degrees);
        (factor.max(1.0), PRIOR + degrees)
    }
}

/// Compares, and takes a difference of up to `margin` of the value for none.
pub(super) fn compare(
    [base, new]: [Seen<'_>; 2],
    between_runs: Option<BetweenRuns>,
    margin: f64,
) -> Compared {
    let (base, new) = (Side::of(&base), Side::of(&new));
    let echo = ((base.echo() + new.echo()) / 2.0).clamp(0.0, MOST_ECHO);
    let runs = between_runs.map(|all| all.with(between_both(&base, &new)));
    let (base_var, base_degrees) = base.variance(echo, runs);
    let (new_var, new_degrees) = new.variance(echo, runs);
    let variance = base_var + new_var;
    let delta = new.value - base.value;
    let error = variance.sqrt();
    let degrees = match variance > 0.0 {
        true => {
            variance * variance
                / (base_var * base_var / base_degrees + new_var * new_var / new_degrees)
        }
        false => 1.0,
    };
    let beyond = (delta.abs() - margin * (base.value + new.value) / 2.0).max(0.0);
    let t = match (beyond > 0.0, error > 0.0) {
        (false, _) => 0.0,
        (true, true) => beyond / error,
        // Without any variance there is nothing to judge by.
        (true, false) => 0.0,
    };
    let wide = t95(degrees);
    let both = base.value > 0.0 && new.value > 0.0;
    let logarithm = new.value.ln() - base.value.ln();
    let relative = |var: f64, value: f64| var / (value * value);
    let log_error = (relative(base_var, base.value) + relative(new_var, new.value)).sqrt();
    let reach = wide * log_error;
    Compared {
        base: base.value,
        new: new.value,
        delta,
        ci95: [delta - wide * error, delta + wide * error],
        ratio: both.then(|| logarithm.exp()),
        ratio_ci95: both.then(|| [(logarithm - reach).exp(), (logarithm + reach).exp()]),
        p: two_sided(t, degrees),
        t,
    }
}

#[cfg(test)]
mod tests;
