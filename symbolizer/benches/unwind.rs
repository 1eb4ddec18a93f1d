//! What a frame costs: with the rules of all addresses known, with none known, and
//! in framehop, which recovers three registers where we recover eight.
//!
//! The stacks are real: threads of `tests/programs/busy.rs`, stopped at random.
#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

#[path = "../tests/target/mod.rs"]
mod target;

use awaitscope_symbolizer::{AddressSpace, StackReader, Unwinder};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};
use target::oracle::Oracle;
use target::{Moment, Target, build};

struct Samples {
    space: AddressSpace,
    oracle: Oracle,
    moments: Vec<Moment>,
    frames: u64,
}

fn samples() -> Samples {
    let folder = tempfile::tempdir().expect("there is room");
    let flags = ["--edition=2024", "-O", "-g"];
    let program = build("rustc", "busy.rs", &flags, folder.path());
    let target = Target::start(&mut Command::new(program));
    target.wait_for_threads(3);
    let mut moments = Vec::new();
    while moments.len() < 300 {
        let threads = target.threads();
        moments.extend(
            threads
                .iter()
                .filter_map(|tid| target.moment(*tid, 32 << 10)),
        );
        std::thread::sleep(Duration::from_micros(500));
    }
    let space = target.space();
    let oracle = Oracle::new(&space, &target.mappings());
    let mut unwinder = Unwinder::new();
    let mut stack = Vec::new();
    let frames = moments.iter().map(|moment| {
        let mut reader = StackReader::new(&moment.stack);
        unwinder.unwind(&space, &moment.registers, &mut reader, &mut stack);
        stack.len() as u64
    });
    Samples {
        frames: frames.sum(),
        space,
        oracle,
        moments,
    }
}

fn walk_all(unwinder: &mut Unwinder, samples: &Samples) {
    let mut frames = Vec::with_capacity(256);
    for moment in &samples.moments {
        let mut stack = StackReader::new(&moment.stack);
        let end = unwinder.unwind(&samples.space, &moment.registers, &mut stack, &mut frames);
        black_box((end, &frames));
    }
}

fn unwinding(criterion: &mut Criterion) {
    let mut samples = samples();
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Elements(samples.frames));
    let mut unwinder = Unwinder::new();
    group.bench_function(BenchmarkId::from_parameter("warm"), |bencher| {
        bencher.iter(|| walk_all(&mut unwinder, &samples));
    });
    group.bench_function(BenchmarkId::from_parameter("cold"), |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            let mut frames = Vec::with_capacity(256);
            for _ in 0..rounds {
                for moment in &samples.moments {
                    unwinder.forget();
                    let mut stack = StackReader::new(&moment.stack);
                    let start = Instant::now();
                    unwinder.unwind(&samples.space, &moment.registers, &mut stack, &mut frames);
                    spent += start.elapsed();
                }
            }
            spent
        });
    });
    let mut chain = Vec::with_capacity(256);
    group.bench_function(BenchmarkId::from_parameter("framehop-warm"), |bencher| {
        bencher.iter(|| {
            for moment in &samples.moments {
                black_box(samples.oracle.unwind(moment, &mut chain));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, unwinding);
criterion_main!(benches);
