//! What types cost: indexing all units of a program, taking the index from disk, finding
//! a type by its name, and reading how it is laid out.
//!
//! The program is `tests/programs/awaits.rs`, optimized, with full debug information.
#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

#[path = "../tests/target/mod.rs"]
mod target;

use awaitscope_sampler::{Avma, Mapped, Mapping, Permissions, ReadMemory, ReadRequest};
use awaitscope_symbolizer::types::{TypeCache, Types};
use awaitscope_symbolizer::{AddressSpace, Binaries, DebugFiles, Module, Origin};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::collections::HashMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use target::build;

struct Nothing;

impl ReadMemory for Nothing {
    fn read_many(&self, _: &mut [ReadRequest<'_>]) {}
}

/// The program as if it ran.
fn module(path: &Path) -> Arc<Module> {
    let binaries = Binaries::OnDisk {
        root: PathBuf::from("/"),
        builds: HashMap::new(),
    };
    let mut space = AddressSpace::new(binaries, DebugFiles::none());
    let mapping = Mapping {
        start: Avma(1 << 40),
        end: Avma(1 << 41),
        file_offset: 0,
        permissions: Permissions {
            read: true,
            write: false,
            execute: true,
        },
        what: Mapped::File {
            path: path.to_owned(),
            device: 1,
            inode: 1,
            deleted: false,
        },
    };
    space.update(&[mapping], &Nothing);
    let (_, module) = space.modules().next().expect("the program");
    Arc::clone(module)
}

fn typing(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is room");
    let flags = ["--edition=2024", "-O", "-g"];
    let path = build("rustc", "awaits.rs", &flags, folder.path());
    let module = module(&path);
    let cache = TypeCache::beneath(folder.path()).expect("the folder is ours");
    let open = |cache| Types::of_module(&module, Origin::User, cache).expect("it has types");
    let mut group = criterion.benchmark_group("types");
    group.sample_size(20);
    group.bench_function("index", |bencher| bencher.iter(|| open(None)));
    open(Some(&cache));
    group.bench_function("from-disk", |bencher| bencher.iter(|| open(Some(&cache))));
    let name = "awaits::generic::{async_fn_env#0}<u32>";
    let find_cold = |mut types: Types<_>| {
        black_box(types.find(name));
        types
    };
    group.bench_function("find-cold", |bencher| {
        bencher.iter_batched(|| open(Some(&cache)), find_cold, BatchSize::SmallInput);
    });
    let mut types = open(Some(&cache));
    group.bench_function("find-warm", |bencher| bencher.iter(|| types.find(name)));
    let id = types.find(name).expect("it is in the program");
    group.bench_function("variants", |bencher| bencher.iter(|| types.variants(id)));
    group.finish();
}

criterion_group!(benches, typing);
criterion_main!(benches);
