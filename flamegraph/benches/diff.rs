//! What it takes to compare two recordings of a million samples each: to read both,
//! to compare them, and to write what came of it.
#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

mod service;

use awaitscope_flamegraph::{
    Color, Comparison, DiffOptions, KindClass, Profile, ProfileBuilder, RecordingOptions, StackId,
    State, Target, ThreadRole, WeightKey, Widths,
};
use criterion::{Criterion, criterion_group, criterion_main};
use service::stack;
use std::hint::black_box;

const SAMPLES: u64 = 1_000_000;
const SECONDS: u64 = 60;
const THREADS: u32 = 16;
const STACKS: u64 = 8000;

/// The most memory this process ever had, in megabytes (`proc_pid_status(5)`).
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

/// A minute of sixteen busy threads, in which the stacks from `hot` on cost more.
fn recorded(mut chance: u64, hot: u64) -> Vec<u8> {
    let mut builder = ProfileBuilder::new(Target::default(), RecordingOptions::default(), 0);
    let stacks: Vec<StackId> = (0..STACKS)
        .map(|seed| stack(&mut builder, seed * 7919))
        .collect();
    let kinds: Vec<_> = (0..12)
        .map(|kind| builder.kind(&format!("app::kind{kind}"), KindClass::Async, None))
        .collect();
    let threads: Vec<_> = (0..THREADS)
        .map(|tid| builder.thread(tid, "worker", ThreadRole::Worker { runtime: 0 }))
        .collect();
    for sample in 0..SAMPLES {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let drawn = chance >> 33;
        let number = drawn % STACKS;
        let kind = kinds[(number % 12) as usize];
        let key = WeightKey {
            thread: Some(threads[(drawn % u64::from(THREADS)) as usize]),
            state: State::OnCpu,
            kind: Some(kind),
            task: builder.task(&(drawn % 3000).to_string(), kind),
            stack: stacks[number as usize],
        };
        let ns = if number >= hot { 1_250_000 } else { 1_000_000 };
        builder.add_weight(key, sample * SECONDS * 1_000_000_000 / SAMPLES, ns, 1);
    }
    builder.quality_mut().samples = SAMPLES;
    let mut bytes = Vec::new();
    let profile = builder.finish(SECONDS * 1_000_000_000);
    profile.write(&mut bytes).expect("memory takes it");
    bytes
}

fn diff(criterion: &mut Criterion) {
    let (base, new) = (recorded(1, STACKS), recorded(2, STACKS - STACKS / 20));
    let before = most_memory();
    println!(
        "{} and {} bytes; {before} MB to make them",
        base.len(),
        new.len()
    );
    let read = |bytes: &[u8]| Profile::read(bytes).expect("it was written by us");
    let mut group = criterion.benchmark_group("diff");
    group.sample_size(10);
    group.bench_function("read both", |bench| {
        bench.iter(|| (read(&base), read(&new)))
    });
    group.bench_function("from files to text", |bench| {
        bench.iter(|| {
            let (base, new) = ([read(&base)], [read(&new)]);
            let comparison =
                Comparison::of(&base, &new, &DiffOptions::default()).expect("two of them");
            black_box(comparison.diff(&[]).to_text(None, Color::Never))
        });
    });
    let (base, new) = ([read(&base)], [read(&new)]);
    let compare = || Comparison::of(&base, &new, &DiffOptions::default()).expect("two of them");
    group.bench_function("compare", |bench| bench.iter(compare));
    let comparison = compare();
    group.bench_function("draw", |bench| {
        bench.iter(|| comparison.svg(Widths::New).expect("there is time"));
    });
    group.finish();
    println!("{} MB at the most", most_memory());
}

criterion_group!(benches, diff);
criterion_main!(benches);
