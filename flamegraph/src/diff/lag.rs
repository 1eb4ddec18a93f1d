//! How long ready tasks wait for a worker.

use super::counted::{Counted, Counting};
use super::model::{Change, Of, Unit, Value};
use super::options::{DiffOptions, false_discoveries};
use super::windows::Windows;
use crate::profile::Profile;
use std::ops::Range;

/// Lag varies more than CPU times do: a change is this many times as much.
const RELATIVE: f64 = 8.0;
/// Less than this, in milliseconds, nobody waits for.
const LEAST_MS: f64 = 0.25;

/// Whether the machine was as busy with other things on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    Alike,
    Busier,
}

/// Lag times polls, and polls, window by window.
pub(super) fn polls(profiles: &[Profile]) -> Option<[Vec<f64>; 2]> {
    let (mut lags, mut polls) = (Vec::new(), Vec::new());
    for profile in profiles {
        let windows = Windows::of(profile);
        let first = lags.len();
        lags.resize(first + windows.count(), 0.0);
        polls.resize(first + windows.count(), 0.0);
        let points = |name: &str| {
            let found = profile.series.iter().find(|series| series.name == name);
            found.map_or(&[][..], |series| &series.points)
        };
        let rates = points("polls_per_s");
        for lag in points("lag_ms") {
            let Ok(at) = rates.binary_search_by_key(&lag.bucket, |rate| rate.bucket) else {
                continue;
            };
            let rate = rates[at].sum / rates[at].count.max(1) as f64;
            let mean = lag.sum / lag.count.max(1) as f64;
            let window = first + windows.at(lag.bucket);
            if rate.is_finite() && mean.is_finite() && rate > 0.0 && mean >= 0.0 {
                lags[window] += mean * rate;
                polls[window] += rate;
            }
        }
    }
    (polls.iter().sum::<f64>() > 0.0).then_some([lags, polls])
}

/// Compares the lag, where both sides know it. On a machine that was busier with other
/// things on one side, lag is no matter of the service: it is told, and not called a
/// change.
pub(super) fn lag_change(
    sides: [&[Profile]; 2],
    runs: [&[Range<usize>]; 2],
    machine: Machine,
    options: &DiffOptions,
) -> Option<Change> {
    let [base, base_polls] = polls(sides[0])?;
    let [new, new_polls] = polls(sides[1])?;
    let counting = Counting {
        wholes: [&base_polls, &new_polls],
        runs,
        // A mean over polls: more work makes more polls.
        work: None,
        least_relative: options.minimum.relative * RELATIVE,
        least: LEAST_MS,
        false_discoveries: false_discoveries::LAG,
    };
    let counted = Counted {
        parts: [base, new],
        grain: 0.0,
    };
    let (compared, significant) = counting.compare(&[&counted]).pop()?;
    let significant = significant && machine == Machine::Alike;
    Some(Change::of(
        ("lag", Of::Lag, Unit::Ms),
        "how long ready tasks wait for a worker".to_owned(),
        Value::from(compared),
        significant,
    ))
}
