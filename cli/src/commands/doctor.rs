//! `awaitscope doctor`: what a process will show, and how to see more.

use crate::args::{DoctorArgs, FormatArg};
use crate::{output, snapshot, target};
use anyhow::Result;
use awaitscope_sampler::{
    Abilities, Attachment, Facts, LiveProcess, Options, Process as _, SampleSource as _,
};
use awaitscope_symbolizer::runtime::{self, RuntimeInfo};
use awaitscope_symbolizer::snapshot::Snapshotter;
use awaitscope_symbolizer::{AddressSpace, Binaries, DebugFiles, DebugTier, Module};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// The version of the JSON.
const SCHEMA: u32 = 1;

/// What was found.
#[derive(Debug, Serialize)]
struct Diagnosis {
    schema: u32,
    target: DiagnosedTarget,
    perf: Perf,
    memory: Finding,
    binary: Binary,
    runtimes: Vec<RuntimeInfo>,
    tasks: Tasks,
    you_get: Vec<String>,
    to_get_more: Vec<String>,
}

#[derive(Debug, Serialize)]
struct DiagnosedTarget {
    pid: u32,
    name: String,
    exe: Option<String>,
    owner: u32,
    threads: usize,
}

/// Whether something works, and why not.
#[derive(Debug, Serialize)]
struct Finding {
    works: bool,
    why_not: Option<String>,
}

#[derive(Debug, Serialize)]
struct Perf {
    works: bool,
    why_not: Option<String>,
    paranoid: Option<i32>,
    kernel: bool,
    switch_registers: bool,
}

/// What one look at all tasks found.
#[derive(Debug, Default, Serialize)]
struct Tasks {
    /// Schedulers that were found in memory.
    schedulers: bool,
    live: u64,
    /// Of these, tasks whose await point is not known.
    unresolved: u32,
    took_ms: f64,
}

#[derive(Debug, Serialize)]
struct Binary {
    path: Option<String>,
    build_id: Option<String>,
    debug_file: Option<String>,
    /// `none`, `symbols`, `lines`, `types`.
    debug_information: &'static str,
}

/// Looks at a process and says what it will show.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let diagnosis = diagnose(args)?;
    let text = match args.format {
        FormatArg::Text => diagnosis.text(),
        FormatArg::Json => format!("{}\n", serde_json::to_string_pretty(&diagnosis)?),
    };
    output::write(Path::new("-"), text.as_bytes())
}

fn diagnose(args: &DoctorArgs) -> Result<Diagnosis> {
    let process = Arc::new(LiveProcess::open(target::resolve(&args.target)?)?);
    let facts = process.facts()?;
    let perf = perf(&facts);
    let memory = process.can_read_memory();
    let memory = Finding {
        works: memory.is_ok(),
        why_not: memory.err().map(|error| error.to_string()),
    };
    let debug_files = DebugFiles::open(&args.debug_file)?;
    let mut space = AddressSpace::new(Binaries::OfProcess(facts.pid), debug_files);
    if let Ok(mappings) = process.mappings() {
        space.update(&mappings, &*process);
    }
    let tasks = match memory.works {
        true => tasks(&process, space.clone()),
        false => Tasks::default(),
    };
    let runtimes: Vec<RuntimeInfo> = runtime::detect(&space, &*process)
        .iter()
        .map(|r| r.info())
        .collect();
    let exe = facts.exe.as_deref();
    let mut modules = space.modules().map(|(_, module)| module);
    let program = modules.find(|module| Some(module.path()) == exe);
    let mut diagnosis = Diagnosis {
        schema: SCHEMA,
        target: DiagnosedTarget {
            pid: facts.pid.0,
            name: facts.name.clone(),
            exe: exe.map(|exe| exe.display().to_string()),
            owner: facts.owner,
            threads: process.threads().map_or(0, |threads| threads.len()),
        },
        perf,
        memory,
        binary: binary(program.map(AsRef::as_ref), &runtimes),
        runtimes,
        tasks,
        you_get: Vec::new(),
        to_get_more: runtime::refused(&space, &*process).into_iter().collect(),
    };
    diagnosis.conclude();
    Ok(diagnosis)
}

/// Opens the events for a moment: nothing else tells for certain.
fn perf(facts: &Facts) -> Perf {
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
    let paranoid = paranoid.ok().and_then(|text| text.trim().parse().ok());
    let attached = Attachment::attach(facts.pid, &Options::default());
    let abilities = attached.as_ref().map_or(
        Abilities {
            kernel: false,
            switch_registers: false,
        },
        |attachment| attachment.abilities(),
    );
    Perf {
        works: attached.is_ok(),
        why_not: attached.err().map(|error| error.to_string()),
        paranoid,
        kernel: abilities.kernel,
        switch_registers: abilities.switch_registers,
    }
}

/// Looks at all tasks once.
fn tasks(process: &Arc<LiveProcess>, space: AddressSpace) -> Tasks {
    let mut snapshotter = Snapshotter::new(Arc::clone(process) as Arc<_>, space);
    let list = snapshot::running(&mut snapshotter, &**process);
    Tasks {
        schedulers: !list.has_no_scheduler(),
        live: list.live(),
        unresolved: list.unresolved,
        took_ms: list.took_ns as f64 / 1e6,
    }
}

fn binary(program: Option<&Module>, runtimes: &[RuntimeInfo]) -> Binary {
    let tier = program.map_or(DebugTier::Nothing, Module::debug_tier);
    Binary {
        path: program.map(|module| module.path().display().to_string()),
        build_id: program.and_then(|module| module.build_id().map(ToString::to_string)),
        debug_file: program.and_then(|module| {
            module
                .debug_file()
                .map(|(path, _)| path.display().to_string())
        }),
        debug_information: match tier {
            // An interpreter is read by tables and needs none.
            _ if runtimes.iter().any(|runtime| runtime.types) => "types",
            DebugTier::Nothing => "none",
            DebugTier::Symbols => "symbols",
            DebugTier::Dwarf => "lines",
        },
    }
}

/// Which stalls are found.
fn stalls(runtimes: &[RuntimeInfo]) -> &'static str {
    if runtimes.iter().any(|runtime| runtime.progress) {
        "stalls on the CPU and off it"
    } else if runtimes.iter().any(|runtime| runtime.learns) {
        // How far workers are is learned while they work.
        "stalls where a poll sleeps, and after the first tasks also where it computes"
    } else {
        "stalls where a poll sleeps"
    }
}

impl Tasks {
    /// What `tasks` and the views of waiting show.
    fn sees(&self) -> Option<&'static str> {
        if !self.schedulers {
            return None;
        }
        Some(match u64::from(self.unresolved) {
            0 => "every task with where it waits and for what: tasks, and the wait and wall views",
            all if all >= self.live => "every task with its kind and state, but not where it waits",
            _ => {
                "every task with its kind and state, and where it waits, as far as the debug \
                 information tells"
            }
        })
    }

    /// What was found, in a line.
    fn found(&self, runtimes: &[RuntimeInfo]) -> String {
        match (self.schedulers, self.unresolved) {
            (false, _) if runtimes.is_empty() => "no async runtime that we know".to_owned(),
            (false, _) => "the runtime's own records were not found in memory".to_owned(),
            (true, 0) => format!("{} live, read in {:.1} ms", self.live, self.took_ms),
            (true, unresolved) => format!(
                "{} live, of which {unresolved} do not tell where they wait",
                self.live
            ),
        }
    }
}

impl Diagnosis {
    fn conclude(&mut self) {
        let (get, more) = (&mut self.you_get, &mut self.to_get_more);
        if self.perf.works {
            get.push("CPU profiles and flamegraphs, and every sleep with its exact length".into());
            if !self.perf.kernel {
                more.push(
                    "kernel frames and time in the kernel: run as root, with CAP_PERFMON, or set \
                     kernel.perf_event_paranoid to 1"
                        .into(),
                );
            }
        }
        if !self.memory.works {
            more.push(
                "tasks and what they wait for, task ids, and stacks of sleeping threads: run as the same user, as root, or with \
                 CAP_SYS_PTRACE"
                    .into(),
            );
        }
        if let Some(sees) = self.tasks.sees() {
            get.push(sees.into());
        }
        let types = self.binary.debug_information == "types";
        if !self.runtimes.is_empty() {
            let stalls = stalls(&self.runtimes);
            get.push(match self.binary.debug_information {
                "types" => {
                    format!("async stacks by function and line, CPU by task, {stalls}")
                }
                "lines" => format!("async stacks by line, CPU by task, {stalls}"),
                "symbols" => {
                    format!("stacks by symbol, where async functions look like closures, {stalls}")
                }
                _ => "addresses without names".into(),
            });
        }
        if !types && !self.runtimes.is_empty() {
            more.push(
                "what tasks wait for, and all stalls from the start: build with full debug information, \
                 [profile.release] debug = 2 (it changes no code; strip it into a separate file with \
                 split-debuginfo or objcopy --only-keep-debug, and give that with --debug-file)"
                    .into(),
            );
        }
        if self.runtimes.is_empty() {
            get.push("no async runtime that we know was found: native stacks".into());
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let target = &self.target;
        let _ = writeln!(
            text,
            "process {} ({}), {} threads, user {}",
            target.pid,
            printable(&target.name),
            target.threads,
            target.owner
        );
        let mut line = |mark: bool, what: &str, how: &str| {
            let mark = if mark { "ok" } else { "--" };
            let _ = writeln!(text, "  {mark}  {what:<18} {how}");
        };
        let perf = match (&self.perf.why_not, self.perf.kernel) {
            (Some(why), _) => why.clone(),
            (None, true) => "works, with kernel frames".to_owned(),
            (None, false) => "works, without kernel frames".to_owned(),
        };
        line(self.perf.works, "perf events", &perf);
        let memory = self.memory.why_not.as_deref().unwrap_or("can be read");
        line(self.memory.works, "memory", memory);
        let debug = match (self.binary.debug_information, &self.binary.debug_file) {
            (tier, Some(file)) => format!("{tier}, from {}", printable(file)),
            (tier, None) => tier.to_owned(),
        };
        line(
            self.binary.debug_information != "none",
            "debug information",
            &debug,
        );
        for runtime in &self.runtimes {
            let version = runtime.version.as_deref().unwrap_or("of unknown version");
            let how = format!("{} {}", runtime.name, printable(version));
            line(true, "runtime", &how);
        }
        line(
            self.tasks.schedulers,
            "tasks",
            &self.tasks.found(&self.runtimes),
        );
        for (title, items) in [
            ("you get", &self.you_get),
            ("to get more", &self.to_get_more),
        ] {
            if !items.is_empty() {
                let _ = writeln!(text, "{title}:");
            }
            for item in items {
                let _ = writeln!(text, "  - {item}");
            }
        }
        text
    }
}

/// Names come from the target; a terminal must not obey them.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
