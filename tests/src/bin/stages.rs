//! Where a recording's time and memory go: what attaching takes, what each thread
//! uses meanwhile, and what is left to do at the end.
//!
//! `cargo run --release -p awaitscope-tests --bin stages -- PID [--seconds 10]
//! [--rate 99]`
//!
//! It does what `awaitscope flamegraph -p PID` does, step by step, and writes
//! nothing but numbers.

use anyhow::{Context, Result, bail};
use awaitscope_flamegraph::{FlamegraphOptions, RecordingOptions, Target, flamegraph, profile_of};
use awaitscope_sampler::{Attachment, Event, LiveProcess, Nanos, Options, Pid, Process};
use awaitscope_symbolizer::session::{
    Batch, Outcome, Session, SessionOptions, Targets, WatchOptions, Watcher,
};
use awaitscope_symbolizer::{Binaries, DebugFiles};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// As the profiler looks, for stalls of 10 ms.
const PERIOD: Duration = Duration::from_nanos(3_333_333);

/// How long what can wait waits, as in the profiler.
const PATIENCE: Duration = Duration::from_millis(50);

/// When the kernel's names are read, as in the profiler.
const KERNEL_NAMES_AFTER: Duration = Duration::from_millis(700);

/// How often memory is looked at.
const MEMORY: Duration = Duration::from_secs(10);

struct Arguments {
    pid: Pid,
    seconds: u64,
    rate: u32,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let begin = Instant::now();
    let options = Options {
        rate_hz: arguments.rate,
        ..Options::default()
    };
    let attachment = Attachment::attach(arguments.pid, &options)?;
    say("attached", begin);
    let process = Arc::new(LiveProcess::open(arguments.pid)?);
    let targets = Arc::new(Mutex::new(Targets::default()));
    let watcher = Watcher::new(
        attachment,
        Arc::clone(&process) as Arc<_>,
        Arc::clone(&targets),
        WatchOptions {
            off_after: Nanos(PERIOD.as_nanos() as u64),
            stack_bytes: 256 << 10,
        },
        Nanos::now,
    );
    let names = Arc::clone(&process);
    std::thread::Builder::new()
        .name("kernel".to_owned())
        .spawn(move || {
            std::thread::sleep(KERNEL_NAMES_AFTER);
            let _ = names.kernel_function(0);
        })?;
    let (sender, batches) = channel();
    let thinking = std::thread::Builder::new()
        .name("session".to_owned())
        .spawn(move || think(arguments.pid, process, targets, &batches, begin))?;
    let last = watch(watcher, &sender, &arguments, begin)?;
    let end = Instant::now();
    threads_cpu(arguments.seconds)?;
    sender.send(last).context("the session is gone")?;
    drop(sender);
    let outcome = match thinking.join() {
        Ok(outcome) => outcome?,
        Err(_) => bail!("the session panicked"),
    };
    say("session finished, since the end", end);
    memory("session finished")?;
    draw(&outcome, &arguments, end)
}

fn arguments() -> Result<Arguments> {
    let mut words = std::env::args().skip(1);
    let pid = words.next().context("which process?")?.parse()?;
    let mut arguments = Arguments {
        pid: Pid(pid),
        seconds: 10,
        rate: 99,
    };
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} what?"))?;
        match word.as_str() {
            "--seconds" => arguments.seconds = value.parse()?,
            "--rate" => arguments.rate = value.parse()?,
            _ => bail!("cannot understand {word}; known: --seconds, --rate"),
        }
    }
    Ok(arguments)
}

fn watch(
    mut watcher: Watcher<Attachment>,
    batches: &std::sync::mpsc::Sender<Batch>,
    arguments: &Arguments,
    begin: Instant,
) -> Result<Batch> {
    let end = begin + Duration::from_secs(arguments.seconds);
    let (mut held, mut sent) = (Batch::default(), begin);
    let mut sampled = false;
    let mut remembered = Instant::now();
    while Instant::now() < end {
        let batch = watcher.look()?;
        if !sampled && batch.events.iter().any(|e| matches!(e, Event::Sample(_))) {
            sampled = true;
            say("first sample read", begin);
        }
        held.append(batch);
        if held.is_urgent() || sent.elapsed() >= PATIENCE {
            sent = Instant::now();
            let batch = std::mem::take(&mut held);
            batches.send(batch).context("the session is gone")?;
        }
        if remembered.elapsed() > MEMORY {
            remembered = Instant::now();
            memory(&format!("{:3.0} s", begin.elapsed().as_secs_f64()))?;
        }
        std::thread::sleep(PERIOD);
    }
    held.append(watcher.finish()?);
    Ok(held)
}

fn think(
    pid: Pid,
    process: Arc<dyn Process + Send + Sync>,
    targets: Arc<Mutex<Targets>>,
    batches: &Receiver<Batch>,
    begin: Instant,
) -> Result<Outcome> {
    let options = SessionOptions {
        start: Nanos::now(),
        stall_threshold: Nanos::from_millis(10),
        debug_files: DebugFiles::open(&[] as &[PathBuf])?,
        binaries: Binaries::OfProcess(pid),
    };
    let mut session = Session::new(process, options, targets);
    say("session begun", begin);
    memory("session begun")?;
    let mut behind = true;
    while let Ok(batch) = batches.recv() {
        let late = Nanos::now().since(batch.horizon);
        session.take(batch);
        if behind && session.glance().samples > 0 && late.0 < 50_000_000 {
            behind = false;
            say("session has caught up", begin);
            memory("session has caught up")?;
        }
    }
    let start = Instant::now();
    let outcome = session.finish();
    say("session.finish alone", start);
    Ok(outcome)
}

fn draw(outcome: &Outcome, arguments: &Arguments, end: Instant) -> Result<()> {
    let options = RecordingOptions {
        rate_hz: arguments.rate,
        stall_threshold_ns: 10_000_000,
        stack_bytes: Options::default().stack_bytes,
        kernel: true,
    };
    let target = Target {
        pid: arguments.pid.0,
        name: "target".to_owned(),
        exe: String::new(),
        build_id: None,
        host: String::new(),
        command_line: Vec::new(),
    };
    let duration = arguments.seconds * 1_000_000_000;
    let profile = profile_of(outcome, target, options, 0, duration, Vec::new());
    say("profile made, since the end", end);
    let picture = flamegraph(&profile, FlamegraphOptions::default())?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &picture)?;
    say("picture on disk, since the end", end);
    memory("picture on disk")?;
    let mut saved = Vec::new();
    let start = Instant::now();
    profile.write(&mut saved)?;
    say("profile written", start);
    let frames = outcome.frames.len();
    println!(
        "{} samples, {} lost, {} groups, {} stacks, {frames} frames, {} stalls, {} kinds of tasks, picture {} KB, profile {} KB",
        outcome.quality.samples,
        outcome.quality.lost,
        outcome.samples.len(),
        outcome.stacks.len(),
        outcome.stalls.len(),
        outcome.kinds.len(),
        picture.len() / 1024,
        saved.len() / 1024
    );
    memory("end")
}

fn say(what: &str, since: Instant) {
    println!("{:9.1} ms  {what}", since.elapsed().as_secs_f64() * 1000.0);
}

fn memory(when: &str) -> Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    println!(
        "{:9} MB  {when}: anonymous {} MB, most ever {} MB",
        value("VmRSS:").unwrap_or(0) / 1024,
        value("RssAnon:").unwrap_or(0) / 1024,
        value("VmHWM:").unwrap_or(0) / 1024
    );
    Ok(())
}

/// CPU time of our threads, by name.
fn threads_cpu(seconds: u64) -> Result<()> {
    let mut by_name: BTreeMap<String, f64> = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task")? {
        let folder = task?.path();
        let name = std::fs::read_to_string(folder.join("comm"))?;
        let spent = std::fs::read_to_string(folder.join("schedstat"))?;
        let nanos = spent.split(' ').next().unwrap_or_default().parse::<f64>()?;
        *by_name.entry(name.trim().to_owned()).or_default() += nanos / 1e6;
    }
    for (name, ms) in by_name {
        let share = ms / (seconds as f64 * 10.0);
        println!("{ms:9.1} ms  CPU of {name} ({share:.2} % of a core)");
    }
    Ok(())
}
