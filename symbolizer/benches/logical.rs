//! What it costs to make a logical stack of the frames of a real one.
//!
//! The stacks are those of this program itself, run once more as a small Tokio
//! service, whose threads are stopped at random.
#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

#[path = "../tests/target/mod.rs"]
mod target;

use awaitscope_sampler::LiveProcess;
use awaitscope_symbolizer::names::{Names, Places, SourceFrame};
use awaitscope_symbolizer::runtime::{self, Runtime};
use awaitscope_symbolizer::{
    AddressSpace, DwarfReader, Origin, StackReader, Unwinder, logical_stack,
};
use criterion::{Criterion, Throughput};
use std::collections::HashMap;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use target::{Moment, Target};

/// Says that this process is the one to look at.
const SERVICE: &str = "AWAITSCOPE_BENCH_SERVICE";

fn main() {
    if std::env::var_os(SERVICE).is_some() {
        return serve();
    }
    let mut criterion = Criterion::default().configure_from_args();
    logical(&mut criterion);
    criterion.final_summary();
}

fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    for seed in 0..4 {
        runtime.spawn(outer(seed));
    }
    // Ends with whoever started it.
    let _ = std::io::stdin().read_line(&mut String::new());
    std::process::exit(0);
}

async fn outer(seed: u64) {
    loop {
        middle(seed).await;
        tokio::task::yield_now().await;
    }
}

async fn middle(seed: u64) {
    let boxed: std::pin::Pin<Box<dyn Future<Output = u64> + Send>> = Box::pin(inner(seed));
    black_box(boxed.await);
}

async fn inner(seed: u64) -> u64 {
    (0..50_000).fold(seed, |sum, step| black_box(sum.rotate_left(7) ^ step))
}

struct Stacks {
    /// From the outermost frame to the innermost.
    frames: Vec<Vec<SourceFrame>>,
    runtimes: Vec<Box<dyn Runtime>>,
}

fn stacks() -> Stacks {
    let program = std::env::current_exe().expect("we are a program");
    let target = Target::start(Command::new(program).env(SERVICE, "1"));
    target.wait_for_threads(3);
    let space = target.space();
    let process = LiveProcess::open(target.pid()).expect("it runs");
    let runtimes = runtime::detect(&space, &process);
    assert!(!runtimes.is_empty(), "Tokio is not seen");
    let mut names: HashMap<_, Option<Names<DwarfReader>>> = HashMap::new();
    let mut unwinder = Unwinder::new();
    let mut frames = Vec::new();
    while frames.len() < 200 {
        for tid in target.threads() {
            let moment = target.moment(tid, 32 << 10);
            frames.extend(moment.map(|moment| named(&space, &mut unwinder, &mut names, &moment)));
        }
    }
    let in_tasks = frames
        .iter()
        .filter(|frames| logical_stack(frames, &[], &runtimes).task.is_some())
        .count();
    assert!(in_tasks > 50, "only {in_tasks} stacks are in a task");
    Stacks { frames, runtimes }
}

fn named(
    space: &AddressSpace,
    unwinder: &mut Unwinder,
    names: &mut HashMap<awaitscope_symbolizer::ModuleId, Option<Names<DwarfReader>>>,
    moment: &Moment,
) -> Vec<SourceFrame> {
    let mut physical = Vec::new();
    let mut reader = StackReader::new(&moment.stack);
    unwinder.unwind(space, &moment.registers, &mut reader, &mut physical);
    let mut frames = Vec::new();
    for frame in &physical {
        let Some((id, svma)) = space.lookup(frame.lookup) else {
            continue;
        };
        let Some(module) = space.module(id) else {
            continue;
        };
        let names = names.entry(id).or_insert_with(|| {
            let dwarf = module.dwarf().ok()??;
            let places = Arc::new(Places::of(Arc::clone(dwarf)));
            Some(Names::new(places, Origin::User))
        });
        let symbol = module.symbols().function_at(svma);
        if let Some(names) = names {
            frames.extend(names.lookup(svma.0, symbol.map(|symbol| symbol.name)));
        }
    }
    frames.reverse();
    frames
}

fn logical(criterion: &mut Criterion) {
    let stacks = stacks();
    let frames: usize = stacks.frames.iter().map(Vec::len).sum();
    let mut group = criterion.benchmark_group("logical");
    group.throughput(Throughput::Elements(frames as u64));
    group.bench_function("frame", |bencher| {
        bencher.iter(|| {
            for frames in &stacks.frames {
                black_box(logical_stack(frames, &[], &stacks.runtimes));
            }
        });
    });
    group.finish();
}
