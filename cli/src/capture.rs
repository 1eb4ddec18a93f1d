//! Captures: all that a recording used, in a file, and the same profile out of it
//! again.
//!
//! No command is for that alone: wherever the file of a profile can be given, that
//! of a capture can.

use crate::about::About;
use crate::output;
use anyhow::Result;
use awaitscope_flamegraph::Profile;
use awaitscope_sampler::{Capture, Nanos, Pid, Process, RecordedProcess, Replay};
use awaitscope_symbolizer::DebugFiles;
use awaitscope_symbolizer::session::{Batch, CapturedBatches, SeenFiles, Session, SessionOptions};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a capture says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Label {
    about: About,
    /// When it began, on the clock of the events.
    start: Nanos,
    files: SeenFiles,
    /// Those that the user gave.
    debug_files: Vec<String>,
}

/// Keeps a recording in a capture.
#[derive(Debug)]
pub struct Keeper {
    capture: Capture,
    start: Nanos,
    files: SeenFiles,
    debug_files: Vec<String>,
}

impl Keeper {
    /// Begins a capture of a process.
    pub fn create(path: &Path, pid: Pid, start: Nanos, debug_files: &[PathBuf]) -> Result<Self> {
        let capture = Capture::create(path, pid)?;
        output::note(&format!(
            "{} will hold memory of the process: stacks and what they point to, with all \
             secrets in them; give it only to whom you would give a core dump",
            path.display()
        ));
        let absolute = |file: &PathBuf| {
            let path = std::path::absolute(file);
            let path = path.unwrap_or_else(|_| file.clone());
            path.to_string_lossy().into_owned()
        };
        Ok(Self {
            capture,
            start,
            files: SeenFiles::default(),
            debug_files: debug_files.iter().map(absolute).collect(),
        })
    }

    /// The process, with its answers kept.
    pub fn process<P: Process>(&self, process: P) -> RecordedProcess<P> {
        self.capture.process(process)
    }

    /// Passes a batch on to the session, and keeps it.
    pub fn pass(&mut self, session: &mut Session, batch: Batch) {
        batch.keep(&self.capture);
        session.take(batch);
        self.files.see(session.space());
    }

    /// Ends the capture. Says how many bytes it has.
    pub fn finish(self, about: About) -> Result<u64> {
        let label = Label {
            about,
            start: self.start,
            files: self.files,
            debug_files: self.debug_files,
        };
        Ok(self.capture.finish(&label)?)
    }
}

/// The profile of the recording that a capture was made of. `debug_files` stand in
/// for those that were given then.
pub fn replay(path: &Path, debug_files: &[PathBuf]) -> Result<Profile> {
    let (label, replay) = Replay::open::<Label>(path)?;
    let mut notes = Vec::new();
    let debug_files = match debug_files {
        [] => recorded_debug_files(&label, &mut notes),
        given => given.to_vec(),
    };
    let debug_files = DebugFiles::open(&debug_files)?;
    let options = SessionOptions {
        start: label.start,
        stall_threshold: Nanos(label.about.options.stall_threshold_ns),
        debug_files: Arc::clone(&debug_files),
        binaries: label.files.beneath("/".into()),
    };
    let process = replay.process();
    let mut session = Session::new(Arc::clone(&process) as Arc<_>, options, Arc::default());
    let mut batches = CapturedBatches::of(replay, label.start);
    while let Some(batch) = batches.take_next()? {
        session.take(batch);
    }
    notes.extend(label.files.missing(session.space()));
    let outcome = session.finish();
    if process.unknown() > 0 {
        notes.push(format!(
            "the capture does not answer {} of the questions of this replay: another version of \
             awaitscope made it, or files of the process are missing here",
            process.unknown()
        ));
    }
    let mut profile = label.about.profile(&outcome, &debug_files);
    profile.quality.notes.extend(notes);
    Ok(profile)
}

/// The debug files that were given when the capture was made, as far as they are
/// still there.
fn recorded_debug_files(label: &Label, notes: &mut Vec<String>) -> Vec<PathBuf> {
    let files = label.debug_files.iter().map(PathBuf::from);
    let (here, gone): (Vec<_>, Vec<_>) = files.partition(|file| file.is_file());
    notes.extend(gone.iter().map(|file| {
        format!(
            "the debug file {} is not here any more; give it with --debug-file",
            file.display()
        )
    }));
    here
}
