//! What names cost: reading where the units of a program are, the first address in a
//! unit, and further ones; and the same in addr2line.
//!
//! The program is `tests/programs/busy.rs`, optimized, with full debug information;
//! with the standard library's units, it has some hundred.
#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

#[path = "../tests/target/mod.rs"]
mod target;

use awaitscope_symbolizer::names::{Names, Places};
use awaitscope_symbolizer::{DwarfReader, Module, Origin};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use target::{Target, build};

struct Program {
    module: Arc<Module>,
    places: Arc<Places<DwarfReader>>,
    /// In the middle of its functions.
    addresses: Vec<u64>,
}

fn program() -> Program {
    let folder = tempfile::tempdir().expect("there is room");
    let flags = ["--edition=2024", "-O", "-g"];
    let path = build("rustc", "busy.rs", &flags, folder.path());
    let target = Target::start(&mut Command::new(path));
    target.wait_for_threads(3);
    let space = target.space();
    let (_, module) = space.modules().next().expect("the program");
    let module = Arc::clone(module);
    let dwarf = module.dwarf().expect("it is whole").expect("it has some");
    let places = Arc::new(Places::of(Arc::clone(dwarf)));
    let symbols = module.symbols().functions();
    let addresses: Vec<u64> = symbols
        .filter(|symbol| symbol.size > 16)
        .map(|symbol| symbol.svma.0 + symbol.size / 2)
        .collect();
    assert!(addresses.len() > 200);
    Program {
        places,
        addresses,
        module,
    }
}

fn naming(criterion: &mut Criterion) {
    let program = program();
    let dwarf = program.module.dwarf().expect("it is whole");
    let dwarf = dwarf.expect("it has some");
    let names = || Names::new(Arc::clone(&program.places), Origin::User);
    let mut group = criterion.benchmark_group("names");
    group.bench_function("places", |bencher| {
        bencher.iter(|| Places::of(Arc::clone(dwarf)));
    });
    group.bench_function("cold-unit", |bencher| {
        let address = program.addresses[program.addresses.len() / 2];
        bencher.iter_batched(
            names,
            |mut names| {
                black_box(names.lookup(address, None));
                names
            },
            BatchSize::SmallInput,
        );
    });
    group.throughput(Throughput::Elements(program.addresses.len() as u64));
    let mut opened = names();
    group.bench_function("warm", |bencher| {
        bencher.iter(|| {
            for address in &program.addresses {
                black_box(opened.lookup(*address, None));
            }
        });
    });
    let context = addr2line::Context::from_arc_dwarf(Arc::clone(dwarf)).expect("it is whole");
    group.bench_function("addr2line-warm", |bencher| {
        bencher.iter(|| {
            for address in &program.addresses {
                let frames = context.find_frames(*address).skip_all_loads();
                let mut frames = frames.expect("it is whole");
                while let Ok(Some(frame)) = frames.next() {
                    black_box(
                        frame
                            .function
                            .and_then(|f| f.demangle().map(String::from).ok()),
                    );
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, naming);
criterion_main!(benches);
