//! Recordings of the service `release`, and what `diff` makes of two of them.

use crate::build::BuiltService;
use crate::profiler::{Profiler, Recording};
use crate::service::RunningService;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::process::Output;

/// What `diff --format json` says, as far as tests ask.
#[derive(Debug, Deserialize)]
pub struct Diff {
    /// Its version.
    pub schema: u32,
    /// `regressed`, `improved`, `unchanged` or `inconclusive`.
    pub verdict: String,
    /// Why.
    pub reasons: Vec<String>,
    /// What was compared, what changed first.
    pub changes: Vec<Change>,
    /// Rules that do not hold.
    pub broken_rules: Vec<String>,
}

/// One thing that was compared.
#[derive(Debug, Deserialize)]
pub struct Change {
    /// `cpu`, `wait`, `stall`, `lag`, `tasks`.
    pub view: String,
    /// What it is.
    pub function: String,
    /// Before.
    pub base: f64,
    /// Now.
    pub new: f64,
    /// Now by before.
    pub ratio: Option<f64>,
    /// Whether it is more than chance.
    pub significant: bool,
    /// `grown`, `shrunk`, `appeared`, `vanished`, `unchanged`.
    pub fate: String,
}

impl Diff {
    /// What changed.
    pub fn changed(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.significant)
    }

    /// Whether the first of all changes is this.
    #[must_use]
    pub fn begins_with(&self, view: &str, name: &str, fate: &str) -> bool {
        self.changes.first().is_some_and(|first| {
            first.significant
                && first.view == view
                && first.function.contains(name)
                && first.fate == fate
        })
    }
}

/// A recording of a release, which `args` tell what is different.
///
/// # Errors
/// It does not run, or cannot be recorded.
pub fn record_release(service: &BuiltService, args: &[&str], how: &[&str]) -> Result<Recording> {
    let running = RunningService::start(service, args)?;
    Profiler::get()?.record(running.pid(), how)
}

/// Runs `diff` on these files, with further arguments.
///
/// # Errors
/// It cannot be started.
pub fn run_diff(base: &Recording, new: &Recording, args: &[&str]) -> Result<Output> {
    let (base, new) = (base.file.to_string_lossy(), new.file.to_string_lossy());
    Profiler::get()?.run(&[&["diff", &base, &new], args].concat())
}

/// What `diff` says.
///
/// # Errors
/// It fails, or says something that the contract does not know.
pub fn diff(base: &Recording, new: &Recording) -> Result<Diff> {
    let output = run_diff(base, new, &["--format", "json"])?;
    ensure!(
        output.status.success(),
        "awaitscope diff failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("not what diff should say")
}
