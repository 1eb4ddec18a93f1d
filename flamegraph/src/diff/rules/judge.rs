//! Holds two releases to rules.

use super::{Bound, Judged, Outcome, Pattern, Rule};
use crate::diff::lag::polls;
use crate::diff::model::{Change, Of, PartOf, Resolution};
use crate::diff::names::lasting;
use crate::diff::stalls::threshold_ns;
use crate::diff::text::words;
use crate::printable::{duration, number, printable};
use crate::profile::{Cause, Profile, StackId};
use crate::report::Blame;

/// What is known of both sides.
struct Known<'a> {
    sides: [&'a [Profile]; 2],
    changes: &'a [Change],
    resolution: Resolution,
}

/// What is found of each rule.
pub(in crate::diff) fn judge(
    rules: &[Rule],
    sides: [&[Profile]; 2],
    changes: &[Change],
    resolution: Resolution,
) -> Vec<Judged> {
    let known = Known {
        sides,
        changes,
        resolution,
    };
    let judged = rules.iter().map(|rule| {
        let (outcome, why) = known.judge(&rule.bound);
        Judged {
            rule: rule.text.clone(),
            outcome,
            why: format!("{}: {why}", printable(&rule.text)),
        }
    });
    judged.collect()
}

type Told = (Outcome, String);

impl Known<'_> {
    fn judge(&self, bound: &Bound) -> Told {
        match bound {
            Bound::Cpu(pattern, times) => self.cpu(pattern, *times),
            Bound::Stall(pattern, ns) => self.stall(pattern, *ns),
            Bound::LagMean(ms) => self.lag(*ms),
            Bound::LagPercentile => unjudged(
                "of lag only the mean is known, by Little's law, and no percentile: \
                 `lag-mean>20ms` can be judged",
            ),
            Bound::Tasks(pattern, times) => self.tasks(pattern, *times),
        }
    }

    fn cpu(&self, pattern: &Pattern, times: f64) -> Told {
        let is_asked = |change: &&Change| {
            change.view == "cpu"
                && matches!(change.of, Of::Function | Of::Kind)
                && change.part == Some(PartOf::Inclusive)
        };
        self.grown(
            pattern,
            times,
            self.changes.iter().filter(is_asked),
            "costs more than it may",
        )
    }

    fn tasks(&self, pattern: &Pattern, times: f64) -> Told {
        let has_snapshots = |profile: &Profile| profile.waiting.is_some();
        if !self.sides.into_iter().flatten().all(has_snapshots) {
            return unjudged("a recording has no snapshots of tasks (`--snapshot-rate 0`)");
        }
        let kinds = self
            .changes
            .iter()
            .filter(|change| change.of == Of::LiveTasks);
        self.grown(pattern, times, kinds, "more are alive than may be")
    }

    /// Whether one of these surely grew past a bound.
    fn grown<'c>(
        &self,
        pattern: &Pattern,
        times: f64,
        asked: impl Iterator<Item = &'c Change>,
        what: &str,
    ) -> Told {
        let resolution = self.resolution;
        if resolution.base_windows.min(resolution.new_windows) < resolution.needed_windows {
            return unjudged("the recordings are too short to compare");
        }
        if let Some(nothing) = self.nothing_named(pattern, &self.sides) {
            return nothing;
        }
        let fitting: Vec<&Change> = asked
            .filter(|change| pattern.fits(&change.function))
            .collect();
        let is_past = |change: &&&Change| change.value.ratio.is_none_or(|ratio| ratio > times);
        let is_more = |change: &&&Change| change.fate.is_more() && !change.moved;
        let mut broken = fitting.iter().filter(is_more).filter(is_past);
        if let Some(change) = broken.next() {
            let others = broken.count();
            let more = if others > 0 {
                format!(", and {others} more")
            } else {
                String::new()
            };
            return (Outcome::Broken, format!("{what}: {}{more}", words(change)));
        }
        let open = fitting.iter().find(|change| {
            change
                .value
                .ratio_ci95
                .is_some_and(|[_, high]| high > times)
                && !change.fate.is_more()
        });
        let open = open.map_or_else(String::new, |change| {
            format!(
                "; whether {} does is too uncertain to say",
                printable(&change.function)
            )
        });
        (Outcome::Holds, format!("nothing surely does{open}"))
    }

    fn stall(&self, pattern: &Pattern, ns: f64) -> Told {
        let new = self.sides[1];
        if new.iter().any(|profile| profile.runtimes.is_empty()) {
            return unjudged(
                "no async runtime was found in the new release, so stalls are not known",
            );
        }
        let threshold = threshold_ns([&[], new]);
        if ns < threshold as f64 {
            return unjudged(&format!(
                "only polls of {} and longer were recorded as stalls: record with a lower \
                 --stall-threshold",
                duration(threshold)
            ));
        }
        if let Some(nothing) = self.nothing_named(pattern, &[&[], new]) {
            return nothing;
        }
        let longest = new.iter().filter_map(|profile| longest(profile, pattern));
        match longest.max_by_key(|(length, _)| *length) {
            Some((length, what)) if length as f64 > ns => (
                Outcome::Broken,
                format!(
                    "a poll held its worker for {}: {}",
                    duration(length),
                    printable(&what)
                ),
            ),
            Some((length, _)) => (
                Outcome::Holds,
                format!("the longest is {}", duration(length)),
            ),
            None => (Outcome::Holds, "there was none".to_owned()),
        }
    }

    fn lag(&self, ms: f64) -> Told {
        let Some([lags, polls]) = polls(self.sides[1]) else {
            return unjudged(
                "the lag of the new release is not known: that takes snapshots, and workers whose \
                 polls can be counted",
            );
        };
        let mean = lags.iter().sum::<f64>() / polls.iter().sum::<f64>();
        let outcome = if mean > ms {
            Outcome::Broken
        } else {
            Outcome::Holds
        };
        (
            outcome,
            format!(
                "ready tasks waited {} ms for a worker on average",
                number(mean)
            ),
        )
    }

    /// A rule about nothing would hold whatever is released.
    fn nothing_named(&self, pattern: &Pattern, sides: &[&[Profile]; 2]) -> Option<Told> {
        let fits = |name: &str| pattern.fits(&lasting(name));
        let is_there = sides.iter().copied().flatten().any(|profile| {
            profile.kinds.iter().any(|kind| fits(&kind.name))
                || profile.strings.iter().any(|name| fits(name))
        });
        (!is_there).then(|| unjudged(&format!("nothing is called `{}`", printable(&pattern.text))))
    }
}

fn unjudged(why: &str) -> Told {
    (Outcome::Unjudged, format!("cannot be judged: {why}"))
}

/// The longest stall that a pattern is about, as long as it was for sure.
fn longest(profile: &Profile, pattern: &Pattern) -> Option<(u64, String)> {
    let mut blame = Blame::of(profile);
    let mut told = |stack: Option<StackId>, kind, cause, syscall: Option<&str>| {
        let (culprit, _) = blame.of_stack(stack, kind, cause, syscall);
        let kind = kind.map(|kind| lasting(&profile.kind(kind).name).into_owned());
        let culprit = culprit.map(|culprit| lasting(&culprit.function).into_owned());
        let names = [culprit, kind].into_iter().flatten();
        let names: Vec<String> = names.collect();
        // A stall of which nothing is known is of any kind.
        let fits = names.iter().any(|name| pattern.fits(name)) || pattern.fits("");
        fits.then(|| names.join(", polling "))
    };
    let mut found: Option<(u64, String)> = None;
    let mut take = |length: u64, name: Option<String>| {
        if let Some(name) = name.filter(|_| found.as_ref().is_none_or(|(most, _)| length > *most)) {
            found = Some((length, name));
        }
    };
    for stall in profile
        .stalls
        .iter()
        .filter(|stall| stall.cause != Cause::Preempted)
    {
        let heaviest = stall.stacks.iter().max_by_key(|&&(_, ns)| ns);
        let stack = heaviest.map(|&(stack, _)| stack);
        let name = told(stack, stall.kind, stall.cause, stall.syscall.as_deref());
        take(stall.duration_ns.saturating_sub(stall.uncertainty_ns), name);
    }
    for sum in profile
        .stall_sums
        .iter()
        .filter(|sum| sum.cause != Cause::Preempted)
    {
        take(
            sum.max_ns,
            told(sum.stack, sum.kind, sum.cause, sum.syscall.as_deref()),
        );
    }
    found
}
