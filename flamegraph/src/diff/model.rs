//! The comparison as it is written to JSON: names and shapes are the contract's,
//! and what stands beside them.

use crate::profile::Target;
use serde::{Deserialize, Serialize};

/// What changed between two releases, and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    pub(super) schema: u32,
    pub(super) base: SideRow,
    pub(super) new: SideRow,
    /// `cpu`, `wall` or `requests`.
    pub(super) normalized_by: &'static str,
    pub(super) verdict: Verdict,
    /// Why, in sentences, the weightiest first.
    pub(super) reasons: Vec<String>,
    /// What was compared: what changed first, the most first.
    pub(super) changes: Vec<Change>,
    pub(super) moved: Vec<Moved>,
    /// The CPU time of both sides by the clock, in CPUs.
    pub(super) total: Option<Value>,
    pub(super) resolution: Resolution,
    /// What may mislead.
    pub(super) warnings: Vec<String>,
    /// The rules of `--fail-on` that do not hold.
    pub(super) broken_rules: Vec<String>,
    /// The same with what was found.
    pub(super) rules: Vec<super::rules::Judged>,
}

/// What became of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something costs more, whatever else costs less.
    Regressed,
    /// Something costs less, and nothing more.
    Improved,
    /// Nothing costs more or less by what could be seen.
    Unchanged,
    /// Too little was seen to say so.
    Inconclusive,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SideRow {
    pub(super) target: Target,
    pub(super) runs: Vec<RunRow>,
    pub(super) windows: usize,
}

/// One recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RunRow {
    pub(super) start: String,
    pub(super) build_id: Option<String>,
    pub(super) host: String,
    pub(super) duration_s: f64,
    pub(super) cpu_ms: f64,
    pub(super) rate_hz: u32,
    pub(super) samples: u64,
    pub(super) lost: u64,
    pub(super) truncated: u64,
    pub(super) unsymbolized_share: f64,
    pub(super) snapshots: u64,
    pub(super) stall_threshold_ms: f64,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Of {
    /// A function, wherever it is called.
    Function,
    /// A kind of tasks.
    Kind,
    /// One stack.
    Stack,
    /// Where tasks wait.
    AwaitPoint,
    /// Stalls of the same make.
    Stalls,
    /// How long ready tasks wait for a worker.
    Lag,
    /// How many tasks of a kind are alive.
    LiveTasks,
}

/// What of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartOf {
    /// With all it calls.
    Inclusive,
    /// By itself.
    #[serde(rename = "self")]
    Own,
}

/// What numbers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// A part of the CPU time.
    Share,
    /// CPUs: seconds a second.
    Cpus,
    /// CPU time.
    MsPerRequest,
    /// Tasks on average.
    Tasks,
    /// Of workers, by wall time.
    MsPerS,
    /// Milliseconds.
    Ms,
}

/// What became of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// As far as can be told.
    Unchanged,
    Grown,
    Shrunk,
    Appeared,
    Vanished,
}

/// Two values, and how sure their difference is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Value {
    pub(super) base: f64,
    pub(super) new: f64,
    pub(super) delta: f64,
    pub(super) ci95: [f64; 2],
    /// New by base. For shares of the CPU time: by what the rest, which did not
    /// change, has.
    pub(super) ratio: Option<f64>,
    pub(super) ratio_ci95: Option<[f64; 2]>,
    /// How likely such a difference is by chance.
    pub(super) p: f64,
}

/// One thing on both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Change {
    /// `cpu`, `wait`, `stall`, `lag`, `tasks`.
    pub(super) view: &'static str,
    pub(super) of: Of,
    pub(super) part: Option<PartOf>,
    pub(super) function: String,
    pub(super) kind: Option<String>,
    /// From the root; where a function is called most.
    pub(super) stack: Vec<String>,
    pub(super) unit: Unit,
    #[serde(flatten)]
    pub(super) value: Value,
    pub(super) significant: bool,
    pub(super) fate: Fate,
    /// Whether it is a change of its own, and not that of what it calls, or of what
    /// calls it.
    pub(super) leading: bool,
    /// Whether its cost only moved to or from another.
    pub(super) moved: bool,
    /// The box of the tree it stands for.
    #[serde(skip)]
    pub(super) place: usize,
    /// Of stalls: the longest, and how many a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stalls: Option<StallCounts>,
}

impl Change {
    /// One thing that is compared by itself, of which no more is known yet.
    pub(super) fn of(
        (view, of, unit): (&'static str, Of, Unit),
        function: String,
        value: Value,
        significant: bool,
    ) -> Self {
        Self {
            view,
            of,
            part: None,
            function,
            kind: None,
            stack: Vec::new(),
            unit,
            fate: Fate::of(&value, significant),
            value,
            significant,
            leading: significant,
            moved: false,
            place: 0,
            stalls: None,
        }
    }
}

/// Stalls on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct StallCounts {
    pub(super) base_per_s: f64,
    pub(super) new_per_s: f64,
    pub(super) base_max_ms: f64,
    pub(super) new_max_ms: f64,
}

/// Cost that moved from one function to another, while what calls both costs what it
/// did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Moved {
    pub(super) view: &'static str,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) within: String,
    pub(super) unit: Unit,
    pub(super) amount: f64,
}

/// What could have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Resolution {
    /// A change by this much of what uses a tenth of the CPU time would have been
    /// called; `None` where nothing uses so much.
    pub(super) detectable: Option<f64>,
    pub(super) base_windows: usize,
    pub(super) new_windows: usize,
    pub(super) needed_windows: usize,
}

impl Value {
    pub(super) fn scaled(self, by: f64) -> Self {
        Self {
            base: self.base * by,
            new: self.new * by,
            delta: self.delta * by,
            ci95: self.ci95.map(|end| end * by),
            ..self
        }
    }
}

impl From<super::welch::Compared> for Value {
    fn from(compared: super::welch::Compared) -> Self {
        Self {
            base: compared.base,
            new: compared.new,
            delta: compared.delta,
            ci95: compared.ci95,
            ratio: compared.ratio,
            ratio_ci95: compared.ratio_ci95,
            p: compared.p,
        }
    }
}

impl Fate {
    pub(super) fn of(value: &Value, significant: bool) -> Self {
        match (significant, value.base > 0.0, value.new > 0.0) {
            (false, ..) => Self::Unchanged,
            (true, false, _) => Self::Appeared,
            (true, _, false) => Self::Vanished,
            // The ratio is what counts: a share may shrink beside what grows more.
            (true, ..) if value.ratio.is_some_and(|ratio| ratio < 1.0) => Self::Shrunk,
            (true, ..) => Self::Grown,
        }
    }

    pub(super) fn is_more(self) -> bool {
        matches!(self, Self::Grown | Self::Appeared)
    }
}
