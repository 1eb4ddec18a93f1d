//! `awaitscope tasks`: what every task waits for.

use super::profile_in;
use crate::args::{FormatArg, TasksArgs};
use crate::{about, output, snapshot, target};
use anyhow::{Context, Result, bail};
use awaitscope_flamegraph::{KindPattern, Listing, Target, TaskList, TaskText};
use awaitscope_sampler::LiveProcess;
use awaitscope_symbolizer::snapshot::Snapshotter;
use awaitscope_symbolizer::{AddressSpace, Binaries, DebugFiles, runtime};
use std::path::Path;
use std::sync::Arc;

/// Lists the tasks of a process, or of a profile.
pub fn run(args: &TasksArgs) -> Result<()> {
    output::check(&args.output)?;
    let (target, list) = match &args.file {
        Some(file) => in_file(file, args)?,
        None => in_process(args)?,
    };
    let kind = args.kind.as_deref().map(KindPattern::new);
    let text = match args.format {
        FormatArg::Json => list.to_json(&target, kind.as_ref()),
        FormatArg::Text => {
            let how = TaskText {
                color: output::color(&args.output),
                listing: if args.all {
                    Listing::Each
                } else {
                    Listing::Grouped
                },
                kind,
            };
            list.to_text(&target, &how)
        }
    };
    output::write(&args.output, text.as_bytes())
}

/// The tasks as they were at the end of a recording.
fn in_file(file: &Path, args: &TasksArgs) -> Result<(Target, TaskList)> {
    let profile = profile_in(file, &args.debug_file)?;
    match profile.last_tasks {
        Some(list) => Ok((profile.target, list)),
        None => bail!(
            "{} holds no tasks: it was recorded without snapshots (--snapshot-rate 0), of a process whose \
             memory could not be read, by an older version, or is merged of several",
            file.display()
        ),
    }
}

/// The tasks of a process now.
fn in_process(args: &TasksArgs) -> Result<(Target, TaskList)> {
    let process = Arc::new(LiveProcess::open(target::resolve(&args.target)?)?);
    let facts = process.facts()?;
    if facts.kernel_thread {
        bail!(
            "{} ({}) is a thread of the kernel; it has no tasks",
            facts.pid,
            facts.name
        );
    }
    process.need_memory()?;
    let debug_files = DebugFiles::open(&args.debug_file)?;
    let space = AddressSpace::new(Binaries::OfProcess(facts.pid), Arc::clone(&debug_files));
    let mut snapshotter = Snapshotter::new(Arc::clone(&process) as Arc<_>, space);
    let list = if args.consistent {
        // On a thread of its own: when that ends, the kernel lets the process go, whatever
        // happened.
        std::thread::scope(|scope| {
            let list = scope.spawn(|| snapshot::standing(&mut snapshotter, &*process));
            list.join().unwrap_or_else(|_| {
                bail!("taking the snapshot failed; this is a bug of awaitscope")
            })
        })
        .context("cannot take a consistent snapshot")?
    } else {
        snapshot::running(&mut snapshotter, &*process)
    };
    if list.live() == 0 && process.exited() {
        bail!("process {} ended while its tasks were read", facts.pid);
    }
    for note in notes(&snapshotter, &list, &debug_files) {
        output::note(&note);
    }
    let target = about::target_of(&facts, build_id(&snapshotter, facts.exe.as_deref()));
    Ok((target, list))
}

/// The build-id of the program.
fn build_id(snapshotter: &Snapshotter, exe: Option<&Path>) -> Option<String> {
    let mut modules = snapshotter.space().modules().map(|(_, module)| module);
    let program = modules.find(|module| Some(module.path()) == exe)?;
    program.build_id().map(ToString::to_string)
}

/// What people should know of this list.
fn notes(snapshotter: &Snapshotter, list: &TaskList, debug_files: &DebugFiles) -> Vec<String> {
    let mut notes = Vec::new();
    let runtimes = snapshotter.runtimes();
    if let Some(refused) = snapshotter.refused() {
        notes.push(refused);
    } else if runtimes.is_empty() {
        notes.push(match runtime::stripped(snapshotter.space()) {
            Some(stripped) => format!(
                "this program has {stripped}, but its symbols were stripped: give its separate debug \
                 information with --debug-file, or keep the symbols (`strip = \"none\"`), to see tasks"
            ),
            None => "no async runtime that we know was found in this process".to_owned(),
        });
    } else if list.has_no_scheduler() {
        notes.push(
            "none of its runtimes was found in memory; `awaitscope doctor` says what is missing"
                .to_owned(),
        );
    }
    for file in debug_files.unmatched() {
        notes.push(format!(
            "the debug file {} belongs to no binary of this process",
            file.display()
        ));
    }
    notes
}
