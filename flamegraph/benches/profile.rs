//! What a profile costs: to collect, to write, to read, to draw and to report,
//! for a minute of eight busy threads at 999 Hz; and as a page, for a million samples.
#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

mod service;

use awaitscope_flamegraph::{
    FlamegraphOptions, KindClass, Profile, ProfileBuilder, RecordingOptions, Report, StackId,
    State, Target, ThreadRole, WeightKey, flamegraph, html,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use service::stack;
use std::hint::black_box;

const SECONDS: u64 = 60;
const RATE: u64 = 999;
const THREADS: u32 = 8;
const SAMPLES: u64 = SECONDS * RATE * THREADS as u64;
/// So long it takes to a million samples.
const MILLION_SECONDS: u64 = 126;

fn record(seconds: u64) -> ProfileBuilder {
    let options = RecordingOptions {
        rate_hz: RATE as u32,
        ..RecordingOptions::default()
    };
    let mut builder = ProfileBuilder::new(Target::default(), options, 0);
    let stacks: Vec<StackId> = (0..4000)
        .map(|seed| stack(&mut builder, seed * 7919))
        .collect();
    let kinds: Vec<_> = (0..12)
        .map(|kind| builder.kind(&format!("app::kind{kind}"), KindClass::Async, None))
        .collect();
    let threads: Vec<_> = (0..THREADS)
        .map(|tid| builder.thread(tid, "worker", ThreadRole::Worker { runtime: 0 }))
        .collect();
    let mut chance = 1_u64;
    for tick in 0..seconds * RATE {
        for &thread in &threads {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let drawn = chance >> 33;
            let kind = kinds[(drawn % 12) as usize];
            let task = builder.task(&(drawn % 3000).to_string(), kind);
            let key = WeightKey {
                thread: Some(thread),
                state: State::OnCpu,
                kind: Some(kind),
                task,
                stack: stacks[(drawn % 4000) as usize],
            };
            builder.add_weight(key, tick * 1_001_001, 1_001_001, 1);
        }
    }
    builder.quality_mut().samples = seconds * RATE * u64::from(THREADS);
    builder
}

fn finished(seconds: u64) -> Profile {
    record(seconds).finish(seconds * 1_000_000_000)
}

fn profile(criterion: &mut Criterion) {
    let profile = finished(SECONDS);
    let mut bytes = Vec::new();
    profile.write(&mut bytes).expect("memory takes it");
    println!("{} samples, {} bytes", SAMPLES, bytes.len());
    let mut group = criterion.benchmark_group("profile");
    group.sample_size(10);
    group.throughput(Throughput::Elements(SAMPLES));
    group.bench_function("collect", |bench| {
        bench.iter_batched(
            || (),
            |()| black_box(finished(SECONDS)),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("write", |bench| {
        bench.iter(|| profile.write(std::io::sink()).expect("nowhere takes it"));
    });
    group.bench_function("read", |bench| {
        bench.iter(|| Profile::read(&bytes[..]).expect("it was written by us"));
    });
    group.bench_function("draw", |bench| {
        bench.iter(|| flamegraph(&profile, FlamegraphOptions::default()).expect("there is time"));
    });
    group.bench_function("report", |bench| {
        bench.iter(|| Report::of(black_box(&profile)));
    });
    group.finish();
}

fn page(criterion: &mut Criterion) {
    let profile = finished(MILLION_SECONDS);
    let samples = MILLION_SECONDS * RATE * u64::from(THREADS);
    let page = html(&profile).expect("it is written to memory");
    println!("{samples} samples, a page of {} bytes", page.len());
    let mut group = criterion.benchmark_group("page");
    group.sample_size(10);
    group.throughput(Throughput::Elements(samples));
    group.bench_function("write", |bench| bench.iter(|| html(black_box(&profile))));
    group.finish();
}

criterion_group!(benches, profile, page);
criterion_main!(benches);
