//! Captures: all that a recording used, in a file, and the same profile out of it
//! again.
//!
//! No command is for that alone: wherever the file of a profile can be given, that
//! of a capture can.

use crate::about::About;
use crate::output;
use crate::snapshots::Seen;
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
    /// What came of the snapshots of tasks. These are not taken again: what they read would
    /// be most of the capture.
    seen: Seen,
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
    pub fn finish(self, about: About, seen: Seen) -> Result<u64> {
        let label = Label {
            about,
            start: self.start,
            files: self.files,
            debug_files: self.debug_files,
            seen,
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
    let outcome = session.finish().with_waiting(label.seen.waiting);
    if process.unknown() > 0 {
        notes.push(format!(
            "the capture does not answer {} of the questions of this replay: another version of \
             awaitscope made it, or files of the process are missing here",
            process.unknown()
        ));
    }
    let mut profile = label.about.profile(&outcome, &debug_files);
    profile.quality.notes.extend(notes);
    if let Some(tasks) = &label.seen.tasks {
        tasks.validate()?;
    }
    profile.last_tasks = label.seen.tasks;
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

#[cfg(test)]
mod tests {
    use super::*;
    use awaitscope_flamegraph::{
        Color, FlamegraphOptions, RecordingOptions, Report, Target, View, flamegraph,
    };
    use awaitscope_sampler::{
        Avma, Error, Event, Mapping, ReadMemory, ReadRequest, Registers, Sample, StackCopy,
        SwitchReason, Tid,
    };
    use awaitscope_symbolizer::runtime::{Progress, TaskId};
    use awaitscope_symbolizer::session::{OffStack, Pulse, Sleep};
    use proptest::prelude::*;

    const START: u64 = 1 << 50;

    /// A process that answers nothing.
    struct Silent;

    impl ReadMemory for Silent {
        fn read_many(&self, _: &mut [ReadRequest<'_>]) {}
    }

    impl Process for Silent {
        fn pid(&self) -> Pid {
            Pid(1)
        }
        fn mappings(&self) -> Result<Vec<Mapping>, Error> {
            Ok(Vec::new())
        }
        fn threads(&self) -> Result<Vec<Tid>, Error> {
            Ok(vec![Tid(1)])
        }
        fn thread_name(&self, tid: Tid) -> Option<String> {
            Some(format!("\u{1b}[31m{tid}"))
        }
        fn blocked_in(&self, _: Tid) -> Option<awaitscope_sampler::BlockedThread> {
            None
        }
        fn kernel_function(&self, address: u64) -> Option<String> {
            Some(format!("function_{address}"))
        }
    }

    /// A moment of a recording, near its begin or far away from it.
    fn moment() -> impl Strategy<Value = Nanos> {
        let second = 1_000_000_000;
        let near = START..START + 40 * second;
        let around = START - 4000 * second..START + 4000 * second;
        prop_oneof![20 => near, 4 => around, 1 => 0..START].prop_map(Nanos)
    }

    fn stack() -> impl Strategy<Value = StackCopy> {
        (any::<u64>(), prop::collection::vec(any::<u8>(), 0..64)).prop_map(|(start, bytes)| {
            StackCopy {
                start: Avma(start),
                bytes,
            }
        })
    }

    fn event() -> impl Strategy<Value = Event> {
        let what = (0..9, 0..4_u32, moment(), stack(), any::<u64>());
        what.prop_map(|(what, tid, time, stack, number)| {
            let (pid, tid) = (Pid(1), Tid(tid));
            match what {
                0 => Event::SwitchIn { tid, time },
                1 | 2 => Event::SwitchOut {
                    tid,
                    time,
                    reason: match what {
                        1 => SwitchReason::Waiting,
                        _ => SwitchReason::Preempted,
                    },
                    registers: None,
                },
                3 => Event::ThreadStart { pid, tid, time },
                4 => Event::ThreadExit { pid, tid, time },
                5 => Event::Exec { pid, time },
                6 => Event::Lost {
                    count: number >> 32,
                    time,
                },
                _ => Event::Sample(Box::new(Sample {
                    pid,
                    tid,
                    time,
                    period: Nanos(number >> 13),
                    registers: Registers::from_ip_sp(Avma(number), stack.start),
                    stack,
                    kernel_chain: vec![number; (number % 3) as usize],
                })),
            }
        })
    }

    fn pulse() -> impl Strategy<Value = Pulse> {
        (0..4_u32, moment(), 0..3_u64).prop_map(|(tid, time, number)| Pulse {
            tid: Tid(tid),
            time,
            progress: Progress {
                task: Some(TaskId(number)),
                epoch: number,
            },
        })
    }

    fn off_stack() -> impl Strategy<Value = OffStack> {
        (0..4_u32, moment(), moment(), stack()).prop_map(|(tid, since, time, stack)| OffStack {
            tid: Tid(tid),
            since,
            time,
            sleep: Sleep::Syscall(1),
            registers: Registers::from_ip_sp(Avma(1), stack.start),
            stack,
            copy: None,
        })
    }

    fn batch() -> impl Strategy<Value = Batch> {
        let events = prop::collection::vec(event(), 0..20);
        let pulses = prop::collection::vec(pulse(), 0..10);
        let off_stacks = prop::collection::vec(off_stack(), 0..4);
        let all = (events, pulses, off_stacks, moment());
        all.prop_map(|(events, pulses, off_stacks, horizon)| Batch {
            events,
            pulses,
            off_stacks,
            moments: Vec::new(),
            horizon,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn whatever_a_capture_claims_it_replays_twice_alike_and_without_a_panic(
            batches in prop::collection::vec(batch(), 0..8),
            duration_ns: u64,
            rate_hz: u32,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("x");
            let mut keeper = Keeper::create(&path, Pid(1), Nanos(START), &[]).expect("begun");
            let options = SessionOptions {
                start: Nanos(START),
                stall_threshold: Nanos(1),
                debug_files: DebugFiles::none(),
                binaries: SeenFiles::default().beneath("/".into()),
            };
            let process = Arc::new(keeper.process(Silent));
            let mut session = Session::new(process, options, Arc::default());
            for batch in batches {
                keeper.pass(&mut session, batch);
            }
            let about = About {
                target: Target::default(),
                options: RecordingOptions { rate_hz, stall_threshold_ns: 1, ..Default::default() },
                start_unix_ns: duration_ns,
                duration_ns,
            };
            let profile = about.profile(&session.finish(), &DebugFiles::none());
            keeper.finish(about, Seen::default()).expect("kept");
            for _ in 0..2 {
                prop_assert_eq!(&replay(&path, &[]).expect("replayed"), &profile);
            }
            let report = Report::of(&profile);
            prop_assert!(report.to_text(None, Color::Never).len() > 10);
            prop_assert!(report.to_json().len() > 10);
            for view in [View::Cpu, View::Stall] {
                let options = FlamegraphOptions { view, ..FlamegraphOptions::default() };
                let _ = flamegraph(&profile, options);
            }
        }
    }
}
