//! What changed between two releases, honestly.
//!
//! # How it is done
//!
//! - **By name.** Kinds, stacks and functions of both builds are one if they are
//!   called the same; numbers of closures and hashes do not count ([`names`]).
//!   Machinery is folded as in a flamegraph.
//! - **By windows.** Each recording is cut into twenty windows or more; how they
//!   vary tells how sure a mean is ([`windows`], [`welch`]). Rates and durations of
//!   recordings make no difference.
//! - **By what did not change.** Of a function that grows, all others have a smaller
//!   share; whatever calls it grows with it. Both are told apart from changes
//!   ([`search`]).
//! - **All at once.** Where hundreds of functions are compared, some differ by
//!   chance; of what is called a change, one in twenty may be none
//!   ([`discoveries`]), and what is too small to matter is not called one
//!   ([`Minimum`]).
//! - **Either way round.** Base and new may change places: then what grew shrank, by
//!   as much.

mod counted;
mod cpu;
mod discoveries;
mod lag;
mod model;
mod moved;
mod names;
mod options;
mod page;
mod picture;
mod rules;
mod search;
mod stalls;
mod student;
mod subjects;
mod text;
mod tree;
mod verdict;
mod waits;
mod welch;
mod windows;

#[cfg(test)]
pub(crate) mod chance;
#[cfg(test)]
mod tests;

pub use model::{Diff, Verdict};
pub use options::{DiffOptions, Minimum, Normalization};
pub use picture::Widths;
pub use rules::{Rule, RuleError};

use crate::error::Error;
use crate::profile::Profile;
use crate::report::rfc3339;
use crate::view::View;
use cpu::{CpuChanges, cpu_changes};
use model::{Change, Fate, Resolution, RunRow, SideRow};
use names::Names;
use stalls::{Spans, stall_changes};
use tree::Tree;
use waits::{Snapshots, task_changes, wait_changes};
use windows::{ENOUGH, Windows};

/// The version of the JSON. Fields may be added under the same number, never
/// renamed or re-typed.
const SCHEMA: u32 = 1;

impl Diff {
    /// What became of the service.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The rules that do not hold, each with what was found.
    pub fn broken_rules(&self) -> impl Iterator<Item = &str> {
        self.rules
            .iter()
            .filter(|rule| rule.is_broken())
            .map(rules::Judged::why)
    }

    /// The rules that cannot be judged, each with why.
    pub fn unjudged_rules(&self) -> impl Iterator<Item = &str> {
        self.rules
            .iter()
            .filter(|rule| rule.is_unjudged())
            .map(rules::Judged::why)
    }

    /// The comparison as JSON, in the shape that `diff --format json` promises.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serializing to a string fails only for maps with odd keys and for types
        // that refuse; there are none in a comparison.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

/// Two releases compared, to be told, drawn and judged.
pub struct Comparison<'a> {
    sides: [&'a [Profile]; 2],
    options: DiffOptions,
    names: Names,
    tree: Tree,
    cpu: CpuChanges,
    changes: Vec<Change>,
    moved: Vec<model::Moved>,
    warnings: Vec<String>,
}

impl std::fmt::Debug for Comparison<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparison")
            .field("options", &self.options)
            .field("changes", &self.changes.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Comparison<'a> {
    /// Compares the recordings of a base with those of a new release.
    ///
    /// # Errors
    /// A side has no recording, or one that cannot be folded.
    pub fn of(
        base: &'a [Profile],
        new: &'a [Profile],
        options: &DiffOptions,
    ) -> Result<Self, Error> {
        let sides = [base, new];
        for (profiles, side) in sides.iter().zip(["base", "new"]) {
            if profiles.is_empty() {
                return Err(Error::NothingToCompare { side });
            }
        }
        let mut names = Names::default();
        let tree = Tree::of(sides, View::Cpu, &mut names)?;
        let lengths = sides.map(lengths);
        let clock = cpu::clock(&tree, lengths.clone(), sides, options);
        let mut cpu = cpu_changes(&tree, &names, clock, options);
        let mut changes = std::mem::take(&mut cpu.changes);
        let fates = &cpu.fates;
        let mut moved = moved::mark_moved(&mut changes, &tree, &names, |place| {
            let (fate, value) = &fates[place];
            Some((moved::size_of(value.as_ref()?), *fate != Fate::Unchanged))
        });
        let work = match options.normalization {
            Normalization::Cpu => Some(cpu.work),
            Normalization::Wall => None,
            Normalization::Requests { base, new } => Some(new / base),
        };
        let mut comparison = Self {
            sides,
            options: *options,
            names,
            tree,
            cpu,
            changes,
            moved: Vec::new(),
            warnings: Vec::new(),
        };
        comparison.add_waits(work, &mut moved)?;
        comparison.moved = moved;
        let machine = comparison.add_stalls(&lengths, work);
        let runs = comparison.runs();
        comparison
            .changes
            .extend(lag::lag_change(sides, runs, machine, options));
        comparison.order();
        comparison.warn();
        Ok(comparison)
    }

    fn runs(&self) -> [&[std::ops::Range<usize>]; 2] {
        [&self.tree.sides[0].runs, &self.tree.sides[1].runs]
    }

    fn add_waits(&mut self, work: Option<f64>, moved: &mut Vec<model::Moved>) -> Result<(), Error> {
        let Some(snapshots) = Snapshots::of(self.sides) else {
            return Ok(());
        };
        let tree = Tree::of(self.sides, View::Wait, &mut self.names)?;
        let mut waits = wait_changes(&tree, &self.names, &snapshots, work, &self.options);
        let tasks = task_changes(self.sides, &tree, &snapshots, work, &self.options);
        moved.extend(waits::mark_moved(&mut waits, &tasks, &tree, &self.names));
        self.changes.extend(waits);
        self.changes.extend(tasks);
        Ok(())
    }

    fn add_stalls(&mut self, lengths: &[Vec<f64>; 2], work: Option<f64>) -> lag::Machine {
        let spans = Spans {
            lengths,
            runs: self.runs(),
        };
        let found = stall_changes(self.sides, &spans, work, &self.options);
        self.warnings.extend(verdict::of_stalls(self.sides, &found));
        let machine = verdict::machine(&found);
        self.changes.extend(found.changes);
        machine
    }

    /// What changed first, the most first. Without enough windows nothing did, as far
    /// as can be told.
    fn order(&mut self) {
        if self
            .resolution()
            .base_windows
            .min(self.resolution().new_windows)
            < ENOUGH
        {
            for change in &mut self.changes {
                (change.significant, change.leading, change.moved) = (false, false, false);
                change.fate = Fate::Unchanged;
            }
            self.moved.clear();
            self.cpu
                .fates
                .iter_mut()
                .for_each(|(fate, _)| *fate = Fate::Unchanged);
        }
        let [mut cpus, mut tasks] = [0.0_f64, 0.0];
        for change in &self.changes {
            let most = change.value.base.max(change.value.new);
            match change.view {
                "cpu" => cpus = cpus.max(most),
                "wait" => tasks += most,
                _ => {}
            }
        }
        let weight = |change: &Change| {
            let size = moved::size(change).abs();
            match change.view {
                "cpu" => size / cpus.max(f64::MIN_POSITIVE),
                "wait" | "tasks" => size / tasks.max(1.0),
                // A second of a worker each second, and a second of lag.
                _ => size / 1e3,
            }
        };
        self.changes.sort_by(|left, right| {
            let rank = |change: &Change| (!change.leading, change.moved, !change.significant);
            rank(left)
                .cmp(&rank(right))
                .then_with(|| weight(right).total_cmp(&weight(left)))
                .then_with(|| key(left).cmp(&key(right)))
        });
    }

    fn resolution(&self) -> Resolution {
        Resolution {
            detectable: self.cpu.detectable,
            base_windows: self.tree.sides[0].windows.len(),
            new_windows: self.tree.sides[1].windows.len(),
            needed_windows: ENOUGH,
        }
    }

    fn warn(&mut self) {
        let warnings = verdict::warnings(self.sides, &self.options, &self.cpu, self.resolution());
        self.warnings.splice(0..0, warnings);
    }

    /// The differential flamegraph of the CPU times, as an SVG.
    ///
    /// # Errors
    /// The side that it is drawn by has no samples.
    pub fn svg(&self, widths: Widths) -> Result<String, Error> {
        self.picture(widths)
    }

    /// Everything as one page that opens from disk: `diff` is what
    /// [`diff`](Self::diff) gave.
    ///
    /// # Errors
    /// A picture cannot be drawn.
    pub fn html(&self, diff: &Diff) -> Result<String, Error> {
        let mut pictures = Vec::new();
        for (title, widths) in [
            ("CPU time, drawn as in the new release", Widths::New),
            ("CPU time, drawn as in the base", Widths::Base),
        ] {
            match self.picture(widths) {
                Ok(svg) => pictures.push((title, svg)),
                // A side that was idle is told of in words.
                Err(Error::NoSamples) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(page::page(diff, &pictures))
    }

    /// What changed, and which rules do not hold.
    #[must_use]
    pub fn diff(&self, rules: &[Rule]) -> Diff {
        let resolution = self.resolution();
        let (verdict, reasons) = verdict::verdict(&self.changes, resolution);
        let rules = rules::judge(rules, self.sides, &self.changes, resolution);
        let broken = rules.iter().filter(|rule| rule.is_broken());
        Diff {
            schema: SCHEMA,
            base: side(self.sides[0], resolution.base_windows),
            new: side(self.sides[1], resolution.new_windows),
            normalized_by: match self.options.normalization {
                Normalization::Cpu => "cpu",
                Normalization::Wall => "wall",
                Normalization::Requests { .. } => "requests",
            },
            verdict,
            reasons,
            broken_rules: broken.map(|rule| rule.rule.clone()).collect(),
            changes: self.changes.clone(),
            moved: self.moved.clone(),
            total: Some(self.cpu.total),
            resolution,
            warnings: self.warnings.clone(),
            rules,
        }
    }
}

/// An order for what is of the same weight, whichever side is which.
fn key(
    change: &Change,
) -> (
    &str,
    model::Of,
    Option<model::PartOf>,
    &str,
    &Option<String>,
    &[String],
) {
    (
        change.view,
        change.of,
        change.part,
        &change.function,
        &change.kind,
        &change.stack,
    )
}

/// The lengths of the windows of all runs of a side.
fn lengths(profiles: &[Profile]) -> Vec<f64> {
    let windows = profiles
        .iter()
        .flat_map(|profile| Windows::of(profile).lengths_ns);
    windows.map(|ns| ns as f64).collect()
}

fn side(profiles: &[Profile], windows: usize) -> SideRow {
    SideRow {
        // There is at least one.
        target: profiles
            .first()
            .map(|profile| profile.target.clone())
            .unwrap_or_default(),
        runs: profiles.iter().map(run).collect(),
        windows,
    }
}

fn run(profile: &Profile) -> RunRow {
    let quality = &profile.quality;
    let on_cpu = profile
        .weights()
        .filter(|weight| weight.key.state == crate::profile::State::OnCpu);
    RunRow {
        start: rfc3339(profile.start_unix_ns),
        build_id: profile.target.build_id.clone(),
        host: profile.target.host.clone(),
        duration_s: profile.duration_ns as f64 / 1e9,
        cpu_ms: on_cpu.map(|weight| weight.ns).sum::<u64>() as f64 / 1e6,
        rate_hz: profile.options.rate_hz,
        samples: quality.samples,
        lost: quality.lost,
        truncated: quality.truncated,
        unsymbolized_share: quality.unsymbolized_samples as f64 / quality.samples.max(1) as f64,
        snapshots: quality.snapshots,
        stall_threshold_ms: profile.options.stall_threshold_ns as f64 / 1e6,
    }
}
