//! One file for each command.

pub mod demo;
pub mod diff;
pub mod doctor;
pub mod export;
pub mod flamegraph;
pub mod merge;
pub mod record;
pub mod report;
pub mod tasks;

use crate::args::SourceArgs;
use crate::capture;
use crate::output;
use crate::recording::{Looking, Recording};
use crate::target;
use anyhow::{Context, Result};
use awaitscope_flamegraph::Profile;
use awaitscope_sampler::Replay;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a process is recorded when nobody says: long enough for a picture,
/// short enough to wait for.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// The profile of a file, or of a capture that is replayed or a process that is
/// recorded first.
fn profile(args: &SourceArgs) -> Result<Profile> {
    if let Some(file) = &args.file {
        return profile_in(file, &args.watch.debug_file);
    }
    let pid = target::resolve(&args.target)?;
    let mut watch = args.watch.clone();
    watch.duration = watch.duration.or(Some(DEFAULT_DURATION));
    let profile = Recording::attach(pid, &watch, Looking::Closely)?.run()?;
    show_notes(&profile);
    Ok(profile)
}

/// The profile in a file, or that of a capture.
fn profile_in(file: &Path, debug_files: &[PathBuf]) -> Result<Profile> {
    let failed = || format!("cannot read {}", file.display());
    if Replay::is_capture(file).with_context(failed)? {
        let profile = capture::replay(file, debug_files)?;
        show_notes(&profile);
        return Ok(profile);
    }
    Profile::load(file).with_context(failed)
}

fn show_notes(profile: &Profile) {
    for note in &profile.quality.notes {
        output::note(note);
    }
}
