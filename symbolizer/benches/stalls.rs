//! What following workers costs: eight of them for a second, with a pulse every 3 ms,
//! a thousand samples and two thousand switches each.
#![allow(
    missing_docs,
    reason = "criterion's macros make an undocumented function"
)]

use awaitscope_sampler::{Nanos, SwitchReason, Tid};
use awaitscope_symbolizer::runtime::{Progress, TaskId};
use awaitscope_symbolizer::session::{Address, StackTable, Stalls};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const WORKERS: u32 = 8;
const STEPS: u64 = 1000;

fn follow() -> usize {
    let mut table = StackTable::default();
    let stack = table.push(None, Address::Unknown(1));
    let stack = stack.expect("there is room");
    let mut stalls = Stalls::new(Nanos::from_millis(10));
    for step in 0..STEPS {
        let time = Nanos(step * 1_000_000);
        for worker in 0..WORKERS {
            let tid = Tid(worker);
            // One poll of twenty is long.
            let poll = step / 20 + u64::from(step % 20 > 15) * step;
            let task = Some(TaskId(poll));
            stalls.switch_out(tid, time, SwitchReason::Waiting);
            stalls.switch_in(tid, Nanos(time.0 + 100));
            stalls.sample(tid, Nanos(time.0 + 200), stack, task);
            if step % 3 == 0 {
                let progress = Progress { task, epoch: poll };
                stalls.pulse(tid, Nanos(time.0 + 300), progress);
            }
        }
    }
    stalls.finish(Nanos(STEPS * 1_000_000)).len()
}

fn following(criterion: &mut Criterion) {
    assert!(follow() > 0, "there are stalls in it");
    let mut group = criterion.benchmark_group("stalls");
    group.throughput(Throughput::Elements(STEPS * u64::from(WORKERS)));
    group.bench_function("worker-step", |bencher| {
        bencher.iter(|| black_box(follow()))
    });
    group.finish();
}

criterion_group!(benches, following);
criterion_main!(benches);
