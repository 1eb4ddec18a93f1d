//! What can be typed.

mod diff;

pub use diff::{DiffArgs, DiffFormatArg, WidthsArg};

use awaitscope_flamegraph::{Format, Grouping, RuntimeFrames, View};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A profiler for async services: attaches to a running, unmodified process and
/// shows what its tasks do.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a process for a while and keep a profile of it
    Record(RecordArgs),
    /// List the tasks of a process, and what each waits for
    Tasks(TasksArgs),
    /// Draw a profile, or a process, as an SVG
    Flamegraph(FlamegraphArgs),
    /// Say in words or JSON what a profile, or a process, shows
    Report(ReportArgs),
    /// Write a profile, or a process, in a format of other tools
    Export(ExportArgs),
    /// Watch what a process does, live on the terminal
    Top(TopArgs),
    /// Make one profile of several: of replicas of a service, or of runs
    Merge(MergeArgs),
    /// Say what changed between two releases, and how sure that is
    Diff(DiffArgs),
    /// Say what a process will show, why not more, and how to get it
    Doctor(DoctorArgs),
    /// Watch a small service of our own, and leave all there is to look at
    Demo(DemoArgs),
    /// The service that the demo watches
    #[command(hide = true)]
    DemoService,
}

/// Which process.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct TargetArgs {
    /// The process to attach to
    #[arg(short, long, value_name = "PID")]
    pub pid: Option<u32>,
    /// The process to attach to, by name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// How to watch it.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// How long
    #[arg(short, long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Samples a second for each busy thread
    #[arg(short = 'F', long, value_name = "HZ", default_value_t = 99, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub frequency: u32,
    /// Polls that hold a worker this long are reported as stalls
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = humantime::parse_duration)]
    pub stall_threshold: Duration,
    /// How often a second all tasks are looked at, to see what they wait for; 0 for never. It is
    /// less where it would take more than 1 % of a core
    #[arg(long, value_name = "HZ", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub snapshot_rate: u32,
    /// How much of each stack is copied, in KiB; deeper ones are read on from
    /// memory
    #[arg(long, value_name = "KIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(4..=63))]
    pub stack_size: u32,
    /// A separate debug file of one of its binaries
    #[arg(long, value_name = "FILE")]
    pub debug_file: Vec<PathBuf>,
}

impl WatchArgs {
    /// As if nothing but the duration had been typed.
    pub fn lasting(duration: Duration) -> Self {
        Self {
            duration: Some(duration),
            frequency: 99,
            stall_threshold: Duration::from_millis(10),
            snapshot_rate: 10,
            stack_size: 32,
            debug_file: Vec::new(),
        }
    }
}

/// `awaitscope record`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["pid", "name", "command"])))]
pub struct RecordArgs {
    /// Which process.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How.
    #[command(flatten)]
    pub watch: WatchArgs,
    /// Where the profile goes [default: <name>-<pid>-<time>.awaitscope]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep all that the recording used in a file, too: any command that reads a
    /// profile replays it. It holds memory of the process, with all secrets
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    /// Start this command and watch it from its first instruction
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["pid", "name"])]
    pub command: Vec<OsString>,
}

/// A profile, or a process to record first.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["pid", "name", "file"])))]
pub struct SourceArgs {
    /// A profile or a capture that `record` wrote
    #[arg(value_name = "FILE", conflicts_with_all = ["pid", "name"])]
    pub file: Option<PathBuf>,
    /// Which process.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// `awaitscope tasks`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["pid", "name", "file"])))]
pub struct TasksArgs {
    /// A profile or a capture that `record` wrote: the tasks as they were at its end
    #[arg(value_name = "FILE", conflicts_with_all = ["pid", "name", "consistent"])]
    pub file: Option<PathBuf>,
    /// Which process.
    #[command(flatten)]
    pub target: TargetArgs,
    /// As what
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    pub format: FormatArg,
    /// Only kinds whose name has this in it; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    pub kind: Option<String>,
    /// Each task by itself, not those together that wait at the same place
    #[arg(long)]
    pub all: bool,
    /// Stop the process while its tasks are read, for some milliseconds
    ///
    /// Without this, tasks are read one after the other while the process goes on: each is
    /// shown as it was, but not all at the same moment. A stop (by ptrace) can be noticed:
    /// threads that sleep in epoll_wait, sigtimedwait and a few other system calls see them
    /// interrupted (EINTR). Async runtimes expect that; a program that does not handle it
    /// may take it for an error. The process goes on in any case, even if awaitscope is killed.
    #[arg(long)]
    pub consistent: bool,
    /// Where the list goes [default: standard output]
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// A separate debug file of one of its binaries
    #[arg(long, value_name = "FILE")]
    pub debug_file: Vec<PathBuf>,
}

/// `awaitscope flamegraph`.
#[derive(Debug, Args)]
pub struct FlamegraphArgs {
    /// Of what.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Where the picture goes, `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "flamegraph.svg")]
    pub output: PathBuf,
    /// What a width means
    #[arg(long, value_name = "cpu|wait|wall|stall", default_value_t)]
    pub view: View,
    /// What stands at the root
    #[arg(long, value_name = "kind|task|thread|none", default_value_t)]
    pub group: Grouping,
    /// What becomes of the runtime's frames.
    #[command(flatten)]
    pub frames: FramesArgs,
}

/// What becomes of the runtime's frames.
#[derive(Debug, Clone, Copy, Args)]
pub struct FramesArgs {
    /// Show the machinery of executors and the standard library
    #[arg(long)]
    runtime_frames: bool,
}

impl FramesArgs {
    /// As it was typed.
    pub fn shown(self) -> RuntimeFrames {
        match self.runtime_frames {
            true => RuntimeFrames::Shown,
            false => RuntimeFrames::Folded,
        }
    }
}

/// `awaitscope report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Of what.
    #[command(flatten)]
    pub source: SourceArgs,
    /// As what
    #[arg(long, value_enum, default_value_t = ReportFormatArg::Text)]
    pub format: ReportFormatArg,
    /// Where the report goes [default: standard output]
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// How many rows each table has at the most
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
}

/// `awaitscope export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Of what.
    #[command(flatten)]
    pub source: SourceArgs,
    /// For which tools
    ///
    /// collapsed: a line for each stack, with its nanoseconds, for inferno, flamelens,
    /// flamegraph.pl and most others. pprof: for `go tool pprof` and servers that keep profiles;
    /// CPU, waiting and stalls at once, with labels for kind, task, thread and state. speedscope:
    /// a profile for each kind. firefox: a timeline of threads and kinds, with the stalls.
    #[arg(long, value_name = "collapsed|pprof|speedscope|firefox")]
    pub format: Format,
    /// Where it goes, `-` for standard output [default: standard output for collapsed, else
    /// a file in this folder, called as what it is made of]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What is counted [default: cpu; all at once for pprof and firefox]
    #[arg(long, value_name = "cpu|wait|wall|stall")]
    pub view: Option<View>,
    /// What stands at the root, for collapsed and speedscope [default: kind]
    #[arg(long, value_name = "kind|task|thread|none")]
    pub group: Option<Grouping>,
    /// What becomes of the runtime's frames.
    #[command(flatten)]
    pub frames: FramesArgs,
}

/// `awaitscope top`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["pid", "name"])))]
pub struct TopArgs {
    /// Which process.
    #[command(flatten)]
    pub target: TargetArgs,
    /// How.
    #[command(flatten)]
    pub watch: WatchArgs,
    /// How often the screen changes
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = between::<200, 60_000>)]
    pub refresh: Duration,
    /// Of how long a while it tells
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = between::<1000, 600_000>)]
    pub window: Duration,
}

/// A time of so many milliseconds at least, and at most.
fn between<const LEAST: u64, const MOST: u64>(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let (least, most) = (Duration::from_millis(LEAST), Duration::from_millis(MOST));
    if (least..=most).contains(&time) {
        return Ok(time);
    }
    let (least, most) = (
        humantime::format_duration(least),
        humantime::format_duration(most),
    );
    Err(format!("it is to be from {least} to {most}"))
}

/// `awaitscope merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Profiles or captures that `record` wrote
    ///
    /// Those recorded at the same time are taken for replicas, whose tasks add up at each moment;
    /// those recorded one after the other for runs, whose tasks are told as their mean.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Where the merged profile goes, `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// A separate debug file of one of their binaries, for captures
    #[arg(long, value_name = "FILE")]
    pub debug_file: Vec<PathBuf>,
}

/// `awaitscope doctor`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["pid", "name"])))]
pub struct DoctorArgs {
    /// Which process.
    #[command(flatten)]
    pub target: TargetArgs,
    /// As what
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    pub format: FormatArg,
    /// A separate debug file of one of its binaries
    #[arg(long, value_name = "FILE")]
    pub debug_file: Vec<PathBuf>,
}

/// `awaitscope demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The folder for the pictures, the report and the profile
    #[arg(short, long, value_name = "DIR", default_value = "awaitscope-demo")]
    pub output: PathBuf,
}

/// As what a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormatArg {
    /// For people
    Text,
    /// For programs
    Json,
    /// A page to look at: one file that opens from disk and loads nothing
    Html,
}

/// As what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// For people
    Text,
    /// For programs
    Json,
}
