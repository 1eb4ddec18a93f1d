//! How two releases are compared.

/// What times are divided by before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Normalization {
    /// The CPU time of all that did not change: it stands for the work that was
    /// done, so that load makes no difference.
    #[default]
    Cpu,
    /// The time that passed. For two recordings under the same load.
    Wall,
    /// Requests, at so many a second on each side.
    Requests {
        /// In the base.
        base: f64,
        /// In the new release.
        new: f64,
    },
}

/// What is too small to be called a change, however sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minimum {
    /// As a part of what it was: 0.05 for 5 %.
    pub relative: f64,
    /// As a part of all CPU time, of all waiting tasks, of a worker: 0.005 for half a
    /// percent.
    pub absolute: f64,
}

impl Default for Minimum {
    fn default() -> Self {
        Self {
            relative: 0.05,
            absolute: 0.005,
        }
    }
}

/// How two releases are compared.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DiffOptions {
    /// What times are divided by.
    pub normalization: Normalization,
    /// What is too small to be called a change.
    pub minimum: Minimum,
}

/// The share of changes that are called and are none: that of all views together is
/// 4 %.
pub(super) mod false_discoveries {
    pub(in crate::diff) const CPU: f64 = 0.02;
    pub(in crate::diff) const WAIT: f64 = 0.01;
    pub(in crate::diff) const STALL: f64 = 0.005;
    pub(in crate::diff) const LAG: f64 = 0.002;
    pub(in crate::diff) const TASKS: f64 = 0.003;
}
