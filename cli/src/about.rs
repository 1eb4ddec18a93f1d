//! What a recording is of, and what becomes of what it saw.

use awaitscope_flamegraph::{Profile, RecordingOptions, Target, profile_of};
use awaitscope_sampler::Facts;
use awaitscope_symbolizer::DebugFiles;
use awaitscope_symbolizer::runtime::RuntimeInfo;
use awaitscope_symbolizer::session::Outcome;
use serde::{Deserialize, Serialize};

/// What a recording is of, and how it was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// The process.
    pub target: Target,
    /// How it was watched.
    pub options: RecordingOptions,
    /// When that began.
    pub start_unix_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
}

impl About {
    /// The profile of what was seen.
    pub fn profile(&self, outcome: &Outcome, debug_files: &DebugFiles) -> Profile {
        profile_of(
            outcome,
            self.target.clone(),
            self.options.clone(),
            self.start_unix_ns,
            self.duration_ns,
            notes(outcome, &self.options, debug_files),
        )
    }
}

/// The process of a recording, on this machine.
pub fn target(facts: &Facts, outcome: &Outcome) -> Target {
    target_of(facts, outcome.build_id.clone())
}

/// A process on this machine.
pub fn target_of(facts: &Facts, build_id: Option<String>) -> Target {
    Target {
        pid: facts.pid.0,
        name: facts.name.clone(),
        exe: facts
            .exe
            .as_ref()
            .map_or_else(String::new, |exe| exe.display().to_string()),
        build_id,
        host: nix::unistd::gethostname()
            .map(|host| host.to_string_lossy().into_owned())
            .unwrap_or_default(),
        command_line: facts.command_line.clone(),
    }
}

/// What people should know of this recording.
fn notes(outcome: &Outcome, options: &RecordingOptions, debug_files: &DebugFiles) -> Vec<String> {
    let mut notes = Vec::new();
    if !options.kernel {
        notes.push(
            "time in the kernel is not sampled and has no frames: kernel.perf_event_paranoid forbids \
             it (root, CAP_PERFMON or a value of 1 lift that)"
                .to_owned(),
        );
    }
    if let Some(stripped) = &outcome.stripped_runtime {
        notes.push(format!(
            "this program has {stripped}, but its symbols were stripped: give its separate debug \
             information with --debug-file, or keep the symbols (`strip = \"none\"`), to see tasks"
        ));
    } else if outcome.runtimes.is_empty() {
        notes.push(
            "no async runtime that we know was found in this process: this is a plain native profile"
                .to_owned(),
        );
    }
    notes.extend(outcome.runtimes.iter().filter_map(polls_not_told));
    for file in debug_files.unmatched() {
        notes.push(format!(
            "the debug file {} belongs to no binary of this process",
            file.display()
        ));
    }
    notes
}
/// Why stalls that compute are not found.
fn polls_not_told(runtime: &RuntimeInfo) -> Option<String> {
    let name = &runtime.name;
    if runtime.progress {
        return None;
    }
    Some(match runtime.types {
        false => format!(
            "{name}'s types are not in the debug information, and what ran was too little to learn \
             from it how far workers are, so stalls are found only where a poll sleeps, not where \
             it computes; record for longer, or build with `debug = 2` (\"full\"), to see those too"
        ),
        true => format!(
            "{name} keeps nothing that tells one poll from the next, so stalls are found only where \
             a poll sleeps, not where it computes"
        ),
    })
}
