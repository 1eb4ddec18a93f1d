//! Rules that a release is held to, for pipelines.

mod judge;

pub(super) use judge::judge;

use crate::tasks::KindPattern;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// A rule of `--fail-on`: what may not be.
///
/// - `cpu:PATTERN>5%`: a function or kind with PATTERN in its name costs more CPU than
///   in the base, surely, and by more than 5 % (or `>1.5x`: times as much).
/// - `stall:PATTERN>50ms`: in the new release a poll held its worker for longer than
///   50 ms, of a kind or by a function with PATTERN in its name.
/// - `lag-mean>20ms`: in the new release ready tasks waited longer than 20 ms for a
///   worker on average.
/// - `tasks:PATTERN>2x`: of a kind with PATTERN in its name more than twice as many
///   tasks are alive as in the base, surely (or `>50%`: more).
///
/// A `*` in PATTERN stands for anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    text: String,
    bound: Bound,
}

#[derive(Debug, Clone, PartialEq)]
enum Bound {
    /// Times as much CPU as in the base.
    Cpu(Pattern, f64),
    /// The longest, in nanoseconds.
    Stall(Pattern, f64),
    /// In milliseconds.
    LagMean(f64),
    /// A percentile, which is not known.
    LagPercentile,
    /// Times as many tasks as in the base.
    Tasks(Pattern, f64),
}

#[derive(Debug, Clone, PartialEq)]
struct Pattern {
    text: String,
    fits: KindPattern,
}

/// Why a rule cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There is no bound.
    #[error(
        "a rule says what may not be more than what, as in `cpu:app::parse>5%`: `{0}` has no `>`"
    )]
    NoBound(String),
    /// Nothing is called so.
    #[error(
        "rules are about `cpu:PATTERN`, `stall:PATTERN`, `tasks:PATTERN` and `lag-mean`, not `{0}`"
    )]
    Unknown(String),
    /// The pattern is missing.
    #[error("`{0}` needs a part of a name, or `*` for all: `{0}:*`")]
    NoPattern(String),
    /// The bound is none.
    #[error("`{bound}` is no bound for `{of}`: it takes {takes}")]
    Bound {
        /// What it is to bound.
        of: String,
        /// What was written.
        bound: String,
        /// What can be.
        takes: &'static str,
    },
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        // Names may have a `>` too: the last is the rule's.
        let (of, bound) = text
            .rsplit_once('>')
            .ok_or_else(|| RuleError::NoBound(text.to_owned()))?;
        let (of, bound) = (of.trim(), bound.trim());
        let wrong = |takes| RuleError::Bound {
            of: of.to_owned(),
            bound: bound.to_owned(),
            takes,
        };
        let times = || times(bound).ok_or(wrong("a part, as in `5%`, or times, as in `1.5x`"));
        let time = || time_ns(bound).ok_or(wrong("a time, as in `50ms` or `1.5s`"));
        let bound = match of.split_once(':') {
            Some(("cpu", pattern)) => Bound::Cpu(Pattern::of("cpu", pattern)?, times()?),
            Some(("tasks", pattern)) => Bound::Tasks(Pattern::of("tasks", pattern)?, times()?),
            Some(("stall", pattern)) => Bound::Stall(Pattern::of("stall", pattern)?, time()?),
            None if of == "lag-mean" => Bound::LagMean(time()? / 1e6),
            None if is_percentile(of) => time().map(|_| Bound::LagPercentile)?,
            None if matches!(of, "cpu" | "stall" | "tasks") => {
                return Err(RuleError::NoPattern(of.to_owned()));
            }
            _ => return Err(RuleError::Unknown(of.to_owned())),
        };
        Ok(Self {
            text: text.to_owned(),
            bound,
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    fn of(rule: &str, text: &str) -> Result<Self, RuleError> {
        match text.trim() {
            "" => Err(RuleError::NoPattern(rule.to_owned())),
            text => Ok(Self {
                text: text.to_owned(),
                fits: KindPattern::new(text),
            }),
        }
    }

    fn fits(&self, name: &str) -> bool {
        self.fits.fits(name)
    }
}

fn is_percentile(of: &str) -> bool {
    let rest = of.strip_prefix("lag-p");
    of == "lag-max" || rest.is_some_and(|digits| digits.parse::<f64>().is_ok())
}

/// `5%` more, or `1.5x` as much, as a factor.
fn times(bound: &str) -> Option<f64> {
    let number = |text: &str| {
        text.trim()
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite() && *n >= 0.0)
    };
    match bound.strip_suffix('%') {
        Some(more) => Some(1.0 + number(more)? / 100.0),
        None => number(bound.strip_suffix('x')?),
    }
}

/// A time in nanoseconds.
fn time_ns(bound: &str) -> Option<f64> {
    let at = bound.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = bound.split_at(at);
    let ns = match unit.trim() {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * ns)
}

/// What became of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Judged {
    pub(super) rule: String,
    pub(super) outcome: Outcome,
    /// What was found.
    pub(super) why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Holds,
    Broken,
    /// It cannot be told: no reason to let a release pass.
    Unjudged,
}

impl Judged {
    pub(super) fn is_broken(&self) -> bool {
        self.outcome == Outcome::Broken
    }

    pub(super) fn is_unjudged(&self) -> bool {
        self.outcome == Outcome::Unjudged
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(rule: &str) -> String {
        rule.parse::<Rule>().unwrap_err().to_string()
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        let bound = |text: &str| text.parse::<Rule>().unwrap().bound;
        let pattern = |rule, text| Pattern::of(rule, text).unwrap();
        assert_eq!(
            bound("cpu:app::parse>5%"),
            Bound::Cpu(pattern("cpu", "app::parse"), 1.05)
        );
        assert_eq!(
            bound("cpu:Vec<T>::push > 1.5x"),
            Bound::Cpu(pattern("cpu", "Vec<T>::push"), 1.5)
        );
        assert_eq!(
            bound("stall:*>50ms"),
            Bound::Stall(pattern("stall", "*"), 5e7)
        );
        assert_eq!(bound("lag-mean>1.5s"), Bound::LagMean(1500.0));
        assert_eq!(bound("lag-p99>20ms"), Bound::LagPercentile);
        assert_eq!(
            bound("tasks:serve>2x"),
            Bound::Tasks(pattern("tasks", "serve"), 2.0)
        );
    }

    #[test]
    fn what_is_no_rule_is_told_what_one_looks_like() {
        for (rule, part) in [
            ("cpu:app::parse", "has no `>`"),
            ("cpu>5%", "`cpu:*`"),
            ("cpu:>5%", "`cpu:*`"),
            ("memory:*>5%", "`stall:PATTERN`"),
            ("lag>5ms", "`lag-mean`"),
            ("cpu:a>5ms", "as in `5%`"),
            ("cpu:a>5", "as in `5%`"),
            ("stall:a>5%", "as in `50ms`"),
            ("stall:a>-5ms", "as in `50ms`"),
            ("lag-p99>5", "as in `50ms`"),
            ("cpu:a>nan%", "as in `5%`"),
        ] {
            assert!(said(rule).contains(part), "{rule}: {}", said(rule));
        }
    }

    proptest! {
        #[test]
        fn no_rule_makes_it_panic(rule in "(cpu|stall|lag-p|tasks)?:?[a-z*>µ]{0,5}>[0-9.e%xmsµ-]{0,8}") {
            let _ = rule.parse::<Rule>();
        }
    }
}
