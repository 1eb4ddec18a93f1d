//! CPU shares.

use crate::report::Kind;
use crate::truth::Truth;

/// The name under which the CPU time outside every task is compared.
pub const OUTSIDE: &str = "(outside every task)";

/// A share as it was and as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareError {
    /// The kind of task, or [`OUTSIDE`].
    pub kind: String,
    /// As it was.
    pub truth: f64,
    /// As it was found; 0 when it was not.
    pub found: f64,
}

impl ShareError {
    /// By how many percentage points the found share is too high.
    #[must_use]
    pub fn points(&self) -> f64 {
        100.0 * (self.found - self.truth)
    }
}

/// Compares every kind that used CPU time or was said to, and the rest outside
/// them; the worst first.
#[must_use]
pub fn share_errors(truth: &Truth, found: &[Kind]) -> Vec<ShareError> {
    let found_share = |name: &str| -> f64 {
        let same = found.iter().filter(|kind| kind.kind == name);
        same.map(|kind| kind.cpu_share).sum()
    };
    let mut names: Vec<&str> = truth.kinds.iter().map(|kind| kind.kind.as_str()).collect();
    names.extend(found.iter().map(|kind| kind.kind.as_str()));
    names.sort_unstable();
    names.dedup();
    let mut errors: Vec<ShareError> = names
        .into_iter()
        .map(|name| ShareError {
            kind: name.to_owned(),
            truth: truth.share(name),
            found: found_share(name),
        })
        .collect();
    let in_tasks: f64 = found.iter().map(|kind| kind.cpu_share).sum();
    errors.push(ShareError {
        kind: OUTSIDE.to_owned(),
        truth: truth.share_outside(),
        found: 1.0 - in_tasks,
    });
    errors.sort_by(|a, b| b.points().abs().total_cmp(&a.points().abs()));
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::KindTruth;

    fn truth(kinds: &[(&str, u64)], process_cpu_ns: u64) -> Truth {
        let tasks_cpu_ns = kinds.iter().map(|&(_, cpu)| cpu).sum();
        Truth {
            service: "test".into(),
            pid: 1,
            mark_ns: 0,
            now_ns: 0,
            process_cpu_ns,
            tasks_cpu_ns,
            outside_cpu_ns: process_cpu_ns - tasks_cpu_ns,
            kinds: kinds
                .iter()
                .map(|&(kind, cpu_ns)| KindTruth {
                    kind: kind.into(),
                    tasks: 1,
                    polls: 1,
                    cpu_ns,
                })
                .collect(),
            tasks: Vec::new(),
            long_polls: Vec::new(),
            planted: Vec::new(),
            frames: Vec::new(),
            waits: Vec::new(),
            crowds: Vec::new(),
            ops: 0,
        }
    }

    fn found(kind: &str, cpu_share: f64) -> Kind {
        Kind {
            kind: kind.into(),
            tasks_seen: 1,
            cpu_ms: 0.0,
            cpu_share,
            cpu_share_ci95: [0.0, 1.0],
            stalls: 0,
        }
    }

    #[test]
    fn the_worst_share_comes_first() {
        let errors = share_errors(
            &truth(&[("hot", 60), ("cool", 20)], 100),
            &[found("hot", 0.61), found("cool", 0.15)],
        );
        let points: Vec<(&str, f64)> = errors
            .iter()
            .map(|error| (error.kind.as_str(), error.points().round()))
            .collect();
        assert_eq!(points, [("cool", -5.0), (OUTSIDE, 4.0), ("hot", 1.0)]);
    }

    #[test]
    fn a_kind_that_does_not_exist_is_an_error_of_its_whole_share() {
        let errors = share_errors(&truth(&[("hot", 100)], 100), &[found("launch", 0.3)]);
        assert_eq!(errors[0].kind, "hot");
        assert_eq!(errors[0].points().round(), -100.0);
        let launch = errors.iter().find(|error| error.kind == "launch");
        assert_eq!(launch.map(|error| error.points().round()), Some(30.0));
    }
}
