//! Finds the functions whose cost changed, and those that only look as if it did.
//!
//! Shares of the CPU time add up to one: when a function grows, all others seem to
//! shrink. And whatever grows makes all that call it grow. So changes are looked
//! for one at a time: the clearest is taken, its time is left out on both sides, and
//! what remains is compared anew. Then a caller is compared by what it does
//! besides, and all others by what did not change.
//!
//! Of the clear ones that is taken which changed most for its size: of a function
//! and its callers the function, and of a function that doubled and the other half
//! of the service the one whose time changed also by the clock.

use super::discoveries::threshold;
use super::options::{Minimum, false_discoveries};
use super::subjects::{Measured, Subjects};
use super::tree::{SIDES, Times};
use super::welch::{BetweenRuns, Compared, Seen, compare};

/// Changes that are looked for one by one.
const MOST: usize = 40;
/// Steps times boxes times windows: so long a search may take.
const EFFORT: usize = 1 << 30;
/// What did not change must be this share of each side, to be measured by.
const REFERENCE: f64 = 0.2;
/// How near to the clearest a change must be, in standard errors and in size, to be
/// taken in its place.
const NEARLY: f64 = 0.75;
/// What appears or vanishes changed by as much as from one to this.
const FROM_NOTHING: f64 = 5.0;

/// Everything about a side that does not change in the search.
#[derive(Debug)]
pub(super) struct Clock<'a> {
    pub(super) times: [&'a Times; 2],
    /// The length of each window.
    pub(super) lengths: [Vec<f64>; 2],
    /// CPU time that a sample stands for.
    pub(super) grain: [f64; 2],
    /// What times are divided by, if not by CPU time.
    pub(super) divisors: Option<[Vec<f64>; 2]>,
    pub(super) between_runs: Option<BetweenRuns>,
    pub(super) margin: f64,
}

impl Clock<'_> {
    /// What times are divided by; CPU times by `cpu`.
    pub(super) fn whole<'w>(&'w self, side: usize, cpu: &'w [f64]) -> &'w [f64] {
        self.divisors
            .as_ref()
            .map_or(cpu, |divisors| &divisors[side])
    }

    pub(super) fn compare(&self, parts: [&[f64]; 2], wholes: [&[f64]; 2]) -> Compared {
        let seen = SIDES.map(|side| Seen {
            part: parts[side],
            whole: wholes[side],
            runs: &self.times[side].runs,
            grain: self.grain[side],
        });
        compare(seen, self.between_runs, self.margin)
    }
}

/// What was found.
pub(super) struct Found {
    /// The subjects that changed, in the order they were found.
    pub(super) changed: Vec<usize>,
    /// What of the time did not.
    pub(super) reference: [Vec<f64>; 2],
    /// There may be more.
    pub(super) gave_up: bool,
}

/// Looks for what changed.
pub(super) fn search(subjects: &Subjects<'_>, clock: &Clock<'_>, minimum: Minimum) -> Found {
    let mut left_out = subjects.belonging(&[]);
    let mut measured = SIDES.map(|side| subjects.measure(side, &left_out));
    let all = [0, 1].map(|side: usize| measured[side].total.iter().sum::<f64>());
    let windows: usize = clock.times.iter().map(|times| times.windows.len()).sum();
    let steps = (EFFORT / (left_out.len() * windows).max(1)).clamp(3, MOST);
    let mut found = Found {
        changed: Vec::new(),
        reference: SIDES.map(|side| measured[side].total.clone()),
        gave_up: false,
    };
    loop {
        let Some(next) = clearest(subjects, clock, &measured, &found, all, minimum) else {
            return found;
        };
        if found.changed.len() == steps {
            found.gave_up = true;
            return found;
        }
        found.changed.push(next);
        left_out = subjects.belonging(&found.changed);
        measured = SIDES.map(|side| subjects.measure(side, &left_out));
        let is_left =
            |side: usize| measured[side].total.iter().sum::<f64>() >= REFERENCE * all[side];
        if is_left(0) && is_left(1) {
            found.reference = SIDES.map(|side| measured[side].total.clone());
        } else {
            found.gave_up = true;
            return found;
        }
    }
}

/// A change that could be taken next.
struct Change {
    subject: usize,
    t: f64,
    size: f64,
    score: f64,
}

/// The clearest change of what is measured.
fn clearest(
    subjects: &Subjects<'_>,
    clock: &Clock<'_>,
    measured: &[Measured; 2],
    found: &Found,
    all: [f64; 2],
    minimum: Minimum,
) -> Option<usize> {
    let wholes = SIDES.map(|side| clock.whole(side, &measured[side].total));
    let left = SIDES.map(|side| measured[side].total.iter().sum::<f64>() / all[side].max(1.0));
    let left = (left[0] + left[1]) / 2.0;
    let total = clock.compare(SIDES.map(|side| &*measured[side].total), wholes);
    let scale = ((total.base + total.new) / 2.0).max(f64::MIN_POSITIVE);
    let is_asked = |subject: &usize| !found.changed.contains(subject);
    let asked: Vec<(usize, Compared)> = (0..subjects.all.len())
        .filter(is_asked)
        .map(|subject| {
            let parts = SIDES.map(|side| &*measured[side].parts[subject]);
            (subject, clock.compare(parts, wholes))
        })
        .collect();
    let sure = threshold(
        asked.iter().map(|(_, compared)| compared.p),
        false_discoveries::CPU,
    );
    let mut changes: Vec<Change> = Vec::new();
    for (subject, compared) in &asked {
        let size = compared.delta.abs() / scale * left;
        let relative = match clock.divisors {
            None => change(odds(compared.base), odds(compared.new)),
            Some(_) => change(compared.base, compared.new),
        };
        let is_large = size >= minimum.absolute && relative >= minimum.relative.ln_1p();
        if compared.p > sure || !is_large {
            continue;
        }
        let by_clock = SIDES.map(|side| {
            let time: f64 = measured[side].parts[*subject].iter().sum();
            time / clock.lengths[side].iter().sum::<f64>()
        });
        changes.push(Change {
            subject: *subject,
            t: compared.t,
            size,
            score: change(compared.base, compared.new) + change(by_clock[0], by_clock[1]),
        });
    }
    // Subjects are in an order of their own, so that of equals the first is taken on
    // whichever side.
    let clearest = changes
        .iter()
        .fold(None, |best: Option<&Change>, one| match best {
            Some(best) if best.t >= one.t => Some(best),
            _ => Some(one),
        })?;
    let nearly = changes
        .iter()
        .filter(|one| one.t >= NEARLY * clearest.t && one.size >= NEARLY * clearest.size);
    let best = nearly.fold(
        clearest,
        |best, one| if one.score > best.score { one } else { best },
    );
    Some(best.subject)
}

/// By how much one value is more than the other, or the other than the one.
pub(super) fn change(base: f64, new: f64) -> f64 {
    match (base > 0.0, new > 0.0) {
        (true, true) => (new.ln() - base.ln()).abs().min(FROM_NOTHING),
        (false, false) => 0.0,
        _ => FROM_NOTHING,
    }
}

/// A share by what the rest has.
fn odds(share: f64) -> f64 {
    share / (1.0 - share).max(1e-9)
}
