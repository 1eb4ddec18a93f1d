//! Unwinding real threads, with framehop as the oracle.

mod target;

use awaitscope_symbolizer::module::AddressSpace;
use awaitscope_symbolizer::unwind::{PhysicalFrame, StackReader, UnwindEnd, Unwinder};
use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;
use target::oracle::Oracle;
use target::{Moment, Target, build};

const STACK: usize = 64 << 10;

/// What came of many samples.
#[derive(Debug, Default)]
struct Tally {
    samples: usize,
    complete: usize,
    frames: usize,
    compared: usize,
    differ: usize,
    ends: HashMap<String, usize>,
}

fn watch(target: &Target, samples: usize) -> Tally {
    let space = target.space();
    let mut oracle = Oracle::new(&space, &target.mappings());
    let mut unwinder = Unwinder::new();
    let mut tally = Tally::default();
    let (mut frames, mut theirs) = (Vec::new(), Vec::new());
    while tally.samples < samples {
        for tid in target.threads() {
            let Some(moment) = target.moment(tid, STACK) else {
                continue;
            };
            let end = unwind(&mut unwinder, &space, &moment, &mut frames);
            oracle.unwind(&moment, &mut theirs);
            tally.add(end, &frames, &theirs);
        }
        std::thread::sleep(Duration::from_micros(700));
    }
    println!("{tally:#?}");
    tally
}

fn unwind(
    unwinder: &mut Unwinder,
    space: &AddressSpace,
    moment: &Moment,
    frames: &mut Vec<PhysicalFrame>,
) -> UnwindEnd {
    let mut stack = StackReader::new(&moment.stack);
    unwinder.unwind(space, &moment.registers, &mut stack, frames)
}

impl Tally {
    fn add(&mut self, end: UnwindEnd, frames: &[PhysicalFrame], theirs: &[u64]) {
        self.samples += 1;
        self.frames += frames.len();
        self.complete += usize::from(end.is_complete());
        let name = format!("{end:?}");
        let name = name.split_once(' ').map_or(&*name, |(name, _)| name);
        *self.ends.entry(name.to_owned()).or_default() += 1;
        // framehop goes on by frame pointers where nothing says how; we stop.
        let ours: Vec<u64> = frames.iter().map(|frame| frame.ip.0).collect();
        let common = ours.len().min(theirs.len());
        self.compared += common;
        if ours != theirs {
            self.differ += 1;
            if self.differ < 4 {
                println!("{end:?}\nours   {ours:x?}\ntheirs {theirs:x?}");
            }
        }
    }
}

#[test]
fn an_optimized_rust_program_unwinds_to_the_start_of_its_threads() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(
        "rustc",
        "busy.rs",
        &["--edition=2024", "-O", "-g"],
        folder.path(),
    );
    let target = Target::start(&mut Command::new(program));
    target.wait_for_threads(3);
    let tally = watch(&target, 2000);
    assert!(tally.complete * 1000 >= tally.samples * 999, "{tally:?}");
    assert!(tally.differ * 100 <= tally.samples, "{tally:?}");
    assert!(tally.compared > 10_000, "{tally:?}");
}
