//! Measures what a profiler costs a loaded HTTP service: throughput with and
//! without it, interleaved, and the profiler's own CPU time.
//!
//! `cargo run --release -p awaitscope-tests --bin overhead -- [--pairs 5]
//! [--seconds 5] [--rate 99] [--only awaitscope|perf|samply]`
//!
//! Needs `wrk`. Compares awaitscope with `perf record --call-graph dwarf` and
//! `samply`, where they are installed.

use anyhow::{Context, Result, bail, ensure};
use awaitscope_tests::{BuiltService, Profiler, RunningService, ServiceBuild};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Time to attach, before the load is measured.
const ATTACH: Duration = Duration::from_secs(1);

struct Options {
    pairs: usize,
    seconds: u64,
    rate: u32,
    only: Option<String>,
}

/// One measurement under load.
struct Load {
    requests_per_s: f64,
    p99: String,
}

/// What one measurement says that stands between two without the profiler, so
/// that what changes slowly on the machine falls out.
struct Pair {
    without: f64,
    p99_without: String,
    with: Load,
    /// Of one core, while it recorded.
    profiler_share: f64,
    /// CPU time after that: to make and save the profile.
    profiler_after_ms: f64,
}

fn main() -> Result<()> {
    let options = options()?;
    let http = ServiceBuild::new("http").build()?;
    println!(
        "{:12} {:>10} {:>10} {:>8} {:>15} {:>9} {:>9} {:>9} {:>9}",
        "profiler", "req/s", "with it", "kept", "least..most", "p99", "with it", "own CPU", "after"
    );
    for name in ["awaitscope", "perf", "samply"] {
        if options.only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        if name != "awaitscope" && !is_installed(name) {
            println!("{name:12} is not installed");
            continue;
        }
        let pairs: Result<Vec<Pair>> = (0..options.pairs)
            .map(|_| measure_pair(name, &http, &options))
            .collect();
        match pairs {
            Ok(pairs) => print_row(name, &pairs),
            Err(error) => println!("{name:12} failed: {error:#}"),
        }
    }
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options {
        pairs: 5,
        seconds: 5,
        rate: 99,
        only: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--pairs" => options.pairs = value.parse()?,
            "--seconds" => options.seconds = value.parse()?,
            "--rate" => options.rate = value.parse()?,
            "--only" => options.only = Some(value),
            _ => bail!("cannot understand {word}; known: --pairs, --seconds, --rate, --only"),
        }
    }
    ensure!(
        options.pairs > 0 && (1..=60).contains(&options.seconds),
        "1 to 60 seconds, and at least one pair"
    );
    Ok(options)
}

fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// The same process is loaded without, with, and without the profiler.
fn measure_pair(name: &str, http: &BuiltService, options: &Options) -> Result<Pair> {
    let service = RunningService::start(http, &["--only", "bare"])?;
    load(&service, 1)?;
    let earlier = load(&service, options.seconds)?;
    let folder = tempfile::tempdir()?;
    let mut profiler = start_profiler(name, service.pid(), folder.path(), options.rate)?;
    sleep(ATTACH);
    let pid = profiler.id();
    let before = cpu_ms_of(pid);
    let with = load(&service, options.seconds);
    let after = cpu_ms_of(pid);
    let in_all = stop(&mut profiler)?;
    let (before, after) = (before?, after?);
    let later = load(&service, options.seconds)?;
    Ok(Pair {
        without: f64::midpoint(earlier.requests_per_s, later.requests_per_s),
        p99_without: earlier.p99,
        with: with?,
        profiler_share: (after - before) / (1000.0 * options.seconds as f64),
        profiler_after_ms: in_all - after,
    })
}

fn start_profiler(name: &str, pid: u32, folder: &Path, rate: u32) -> Result<Child> {
    let pid = pid.to_string();
    let rate = rate.to_string();
    let file = folder.join("profile").to_string_lossy().into_owned();
    let mut command = match name {
        "awaitscope" => {
            Profiler::get()?.command(&["record", "-p", &pid, "-F", &rate, "-o", &file, "-d", "90s"])
        }
        "perf" => {
            let mut perf = Command::new("perf");
            perf.args([
                "record",
                "--call-graph",
                "dwarf",
                "-F",
                &rate,
                "-p",
                &pid,
                "-o",
                &file,
            ]);
            perf
        }
        _ => {
            let mut samply = Command::new("samply");
            samply.args([
                "record",
                "--save-only",
                "-r",
                &rate,
                "-p",
                &pid,
                "-o",
                &file,
            ]);
            samply
        }
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("said"))?)
        .spawn()
        .with_context(|| format!("cannot start {name}"))
}

/// Ends the profiler as Ctrl-C does, and returns the CPU time it used in all.
fn stop(profiler: &mut Child) -> Result<f64> {
    let before = children_ms()?;
    let pid = Pid::from_raw(i32::try_from(profiler.id())?);
    if profiler.try_wait()?.is_some() {
        bail!("the profiler ended before it was told to");
    }
    kill(pid, Signal::SIGINT)?;
    profiler.wait()?;
    Ok(children_ms()? - before)
}

/// CPU time of all children that were waited for.
fn children_ms() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = usage.user_time() + usage.system_time();
    Ok(time.num_microseconds() as f64 / 1000.0)
}

/// CPU time of a living process, from its threads' `schedstat` (`/proc/PID/stat`
/// counts in steps of 10 ms).
fn cpu_ms_of(pid: u32) -> Result<f64> {
    let mut sum = 0.0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("the profiler has ended")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let on_cpu = text.split(' ').next().unwrap_or_default();
        sum += on_cpu.parse::<f64>()? / 1e6;
    }
    Ok(sum)
}

fn load(service: &RunningService, seconds: u64) -> Result<Load> {
    let port = service
        .ready_value("port")
        .context("the service has a port")?;
    let output = Command::new("wrk")
        .args(["-t1", "-c16", "--latency", &format!("-d{seconds}s")])
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()
        .context("cannot run wrk (Debian package wrk)")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let after = |mark: &str| said.split_once(mark)?.1.split_whitespace().next();
    Ok(Load {
        requests_per_s: after("Requests/sec:")
            .with_context(|| format!("wrk said: {said}"))?
            .parse()?,
        p99: after("99%").unwrap_or("?").to_owned(),
    })
}

fn print_row(name: &str, pairs: &[Pair]) {
    let kept: Vec<f64> = pairs
        .iter()
        .map(|pair| 100.0 * pair.with.requests_per_s / pair.without)
        .collect();
    let least = kept.iter().copied().fold(f64::INFINITY, f64::min);
    let most = kept.iter().copied().fold(0.0, f64::max);
    let middle = |value: fn(&Pair) -> f64| median(pairs.iter().map(value).collect());
    // The pair in the middle stands for the latencies.
    let mut by_kept: Vec<(&f64, &Pair)> = kept.iter().zip(pairs).collect();
    by_kept.sort_by(|a, b| a.0.total_cmp(b.0));
    let typical = by_kept[pairs.len() / 2].1;
    println!(
        "{name:12} {:10.0} {:10.0} {:7.1}% {:>15} {:>9} {:>9} {:8.2}% {:6.0} ms",
        middle(|pair| pair.without),
        middle(|pair| pair.with.requests_per_s),
        median(kept.clone()),
        format!("{least:.1}..{most:.1}"),
        typical.p99_without,
        typical.with.p99,
        100.0 * middle(|pair| pair.profiler_share),
        middle(|pair| pair.profiler_after_ms)
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values[values.len() / 2];
    let lower = values[(values.len() - 1) / 2];
    f64::midpoint(lower, upper)
}
