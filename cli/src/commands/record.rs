//! `awaitscope record`.

use crate::args::RecordArgs;
use crate::recording::{Looking, Recording};
use crate::{naming, output, target};
use anyhow::Result;
use awaitscope_flamegraph::Profile;
use std::path::Path;

/// Records a process and keeps the profile.
pub fn run(args: RecordArgs) -> Result<()> {
    for path in args.output.iter().chain(&args.capture) {
        output::check(path)?;
    }
    let recording = if args.command.is_empty() {
        Recording::attach(
            target::resolve(&args.target)?,
            &args.watch,
            Looking::Closely,
        )?
    } else {
        Recording::launch(&args.command, &args.watch)?
    };
    let facts = recording.facts();
    let path = args
        .output
        .unwrap_or_else(|| naming::profile_file(&facts.name, facts.pid.0));
    let (profile, kept) = match &args.capture {
        Some(capture) => {
            let (profile, kept) = recording.run_keeping(capture)?;
            (profile, Some((capture, kept)))
        }
        None => (recording.run()?, None),
    };
    save(&profile, &path)?;
    if let Some((capture, kept)) = kept {
        output::note(&format!(
            "{}: a capture of {:.1} MB; `awaitscope report` and all others replay it",
            capture.display(),
            kept? as f64 / 1e6
        ));
    }
    Ok(())
}

fn save(profile: &Profile, path: &Path) -> Result<()> {
    if output::is_stdout(path) {
        let mut bytes = Vec::new();
        profile.write(&mut bytes)?;
        return output::write(path, &bytes);
    }
    profile.save(path)?;
    for note in &profile.quality.notes {
        output::note(note);
    }
    output::note(&format!(
        "{} samples in {:.1} s; see `awaitscope report {path}` and `awaitscope flamegraph {path}`",
        profile.quality.samples,
        profile.duration_ns as f64 / 1e9,
        path = path.display(),
    ));
    Ok(())
}
