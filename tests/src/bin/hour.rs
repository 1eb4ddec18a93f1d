//! What an hour's recording keeps in memory: eight busy threads at 99 Hz, fed to a
//! session as fast as it takes them. `hour [--stacks 2000]` says how many different
//! stacks the program has; with millions, hardly two samples are alike.
//!
//! The stacks are of the kernel, of which a session keeps the addresses that it is
//! told; so this process needs no memory of another.

use anyhow::{Context, Result};
use awaitscope_flamegraph::{FlamegraphOptions, RecordingOptions, Target, flamegraph, profile_of};
use awaitscope_sampler::{
    Avma, BlockedThread, Error, Event, Mapping, Nanos, Pid, Process, ReadMemory, ReadRequest,
    Registers, Sample, StackCopy, Tid,
};
use awaitscope_symbolizer::session::{Batch, Session, SessionOptions, Targets};
use awaitscope_symbolizer::{Binaries, DebugFiles};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const THREADS: u32 = 8;
const RATE: u64 = 99;
const SECONDS: u64 = 3600;
const DEPTH: u32 = 40;

/// Nothing can be learnt of it.
#[derive(Debug)]
struct Nobody;

impl ReadMemory for Nobody {
    fn read_many(&self, _: &mut [ReadRequest<'_>]) {}
}

impl Process for Nobody {
    fn pid(&self) -> Pid {
        Pid(1)
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Error> {
        Ok(Vec::new())
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        Ok((1..=THREADS).map(Tid).collect())
    }

    fn thread_name(&self, _: Tid) -> Option<String> {
        Some("worker".to_owned())
    }

    fn blocked_in(&self, _: Tid) -> Option<BlockedThread> {
        None
    }

    fn kernel_function(&self, address: u64) -> Option<String> {
        // A sample hits one of many instructions of a function.
        Some(format!("module::function_{:x}", address / 8))
    }
}

fn main() -> Result<()> {
    let stacks = std::env::args().nth(2).map_or(Ok(2000), |n| n.parse())?;
    let options = SessionOptions {
        start: Nanos(0),
        stall_threshold: Nanos::from_millis(10),
        debug_files: DebugFiles::none(),
        binaries: Binaries::OfProcess(Pid(1)),
    };
    let targets = Arc::new(Mutex::new(Targets::default()));
    let mut session = Session::new(Arc::new(Nobody), options, targets);
    let begin = Instant::now();
    let mut random = 1u64;
    for second in 0..SECONDS {
        session.take(one_second(second, stacks, &mut random));
        if second % 600 == 599 {
            say(&format!("{:2} minutes", (second + 1) / 60), begin)?;
        }
    }
    let begin = Instant::now();
    let outcome = session.finish();
    say("session finished", begin)?;
    let target = Target {
        pid: 1,
        name: "hour".to_owned(),
        exe: String::new(),
        build_id: None,
        host: String::new(),
        command_line: Vec::new(),
    };
    let options = RecordingOptions {
        rate_hz: RATE as u32,
        stall_threshold_ns: 10_000_000,
        stack_bytes: 0,
        kernel: true,
    };
    let duration = SECONDS * 1_000_000_000;
    let profile = profile_of(&outcome, target, options, 0, duration, Vec::new());
    say("profile made", begin)?;
    let picture = flamegraph(&profile, FlamegraphOptions::default())?;
    say("picture drawn", begin)?;
    let mut file = Vec::new();
    profile.write(&mut file)?;
    say("profile written", begin)?;
    println!(
        "{} samples, {} groups of {} s, {} stacks, {} frames, picture {} KB, profile {} KB",
        outcome.quality.samples,
        outcome.samples.len(),
        outcome.stretch,
        outcome.stacks.len(),
        outcome.frames.len(),
        picture.len() / 1024,
        file.len() / 1024
    );
    for note in &profile.quality.notes {
        println!("note: {note}");
    }
    Ok(())
}

fn one_second(second: u64, stacks: u64, random: &mut u64) -> Batch {
    let mut batch = Batch::default();
    for tick in 0..RATE {
        let time = Nanos(second * 1_000_000_000 + tick * 1_000_000_000 / RATE);
        for thread in 1..=THREADS {
            // xorshift, and a few stacks that are far more frequent than the rest.
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            let uniform = (*random >> 11) as f64 / (1u64 << 53) as f64;
            let stack = (uniform * uniform * uniform * stacks as f64) as u64;
            batch.events.push(Event::Sample(Box::new(Sample {
                pid: Pid(1),
                tid: Tid(thread),
                time,
                period: Nanos(1_000_000_000 / RATE),
                registers: Registers::from_ip_sp(Avma(0), Avma(0)),
                stack: StackCopy {
                    start: Avma(0),
                    bytes: Vec::new(),
                },
                kernel_chain: kernel_chain(stack),
            })));
        }
    }
    batch.horizon = Nanos((second + 1) * 1_000_000_000);
    batch
}

/// The innermost address first: stacks differ in their inner half, as real ones do.
fn kernel_chain(stack: u64) -> Vec<u64> {
    let frames = (0..DEPTH).map(|level| {
        let differs = u32::min(DEPTH - level, 20);
        let which = stack >> (20 - differs).min(63);
        (u64::from(level) << 40) + (which % (stack / (1 << 20) * 3 + 5003)) + 1
    });
    frames.collect()
}

fn say(what: &str, since: Instant) -> Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let now = value("VmRSS:").context("no VmRSS")?;
    let most = value("VmHWM:").context("no VmHWM")?;
    println!(
        "{:8.1} s  {:4} MB, most ever {:4} MB  {what}",
        since.elapsed().as_secs_f64(),
        now / 1024,
        most / 1024
    );
    Ok(())
}
