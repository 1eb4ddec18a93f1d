//! Unwinding real threads, with framehop as the oracle.

mod target;

use awaitscope_sampler::Registers;
use awaitscope_symbolizer::{AddressSpace, PhysicalFrame, StackReader, UnwindEnd, Unwinder};
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
    signals: usize,
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
        // framehop does not follow signal frames. Their callers were interrupted, so
        // that what is looked up is not the byte before.
        if frames.iter().skip(1).any(|frame| frame.ip == frame.lookup) {
            self.signals += 1;
            return;
        }
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

/// The C program in each way a linker makes programs.
#[test]
fn a_c_program_unwinds_however_it_was_linked() {
    let folder = tempfile::tempdir().unwrap();
    let library = build(
        "gcc",
        "visitor.c",
        &["-O2", "-shared", "-fPIC"],
        folder.path(),
    );
    let library = library.to_str().unwrap();
    let ways: [(&[&str], &[&str]); 4] = [
        (&["-O2", "-pie", "-fPIE"], &[library]),
        (&["-O2", "-no-pie"], &[library, "own signal stack"]),
        (&["-O1", "-static"], &[]),
        (
            &["-O3", "-static-pie", "-fomit-frame-pointer"],
            &["", "own signal stack"],
        ),
    ];
    for (flags, arguments) in ways {
        let program = build("gcc", "maze.c", flags, folder.path());
        let target = Target::start(Command::new(program).args(arguments));
        std::thread::sleep(Duration::from_millis(50));
        let tally = watch(&target, 700);
        // An own signal stack leads back to the main stack, which is not copied.
        let whole = tally.complete + tally.ends.get("Unreadable").copied().unwrap_or(0);
        let unreadable_allowed = arguments.len() > 1;
        let good = if unreadable_allowed {
            whole
        } else {
            tally.complete
        };
        assert!(good * 100 >= tally.samples * 99, "{flags:?} {tally:?}");
        assert!(tally.differ * 100 <= tally.samples, "{flags:?} {tally:?}");
        assert!(tally.compared > 1000, "{flags:?} {tally:?}");
        assert!(tally.signals > 0, "{flags:?} {tally:?}");
    }
}

#[test]
fn a_sleeping_thread_unwinds_by_its_instruction_and_stack_pointer_alone() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(
        "rustc",
        "asleep.rs",
        &["--edition=2024", "-O"],
        folder.path(),
    );
    let target = Target::start(&mut Command::new(program));
    target.wait_for_threads(6);
    std::thread::sleep(Duration::from_millis(100));
    let space = target.space();
    let mut unwinder = Unwinder::new();
    let (mut whole, mut little) = (Vec::new(), Vec::new());
    let threads = target.threads();
    assert_eq!(threads.len(), 6);
    for tid in threads {
        let moment = target.moment(tid, STACK).unwrap();
        let end = unwind(&mut unwinder, &space, &moment, &mut whole);
        assert_eq!(end, UnwindEnd::Complete);
        let known = Registers::from_ip_sp(moment.registers.ip(), moment.registers.sp());
        let moment = Moment {
            registers: known,
            ..moment
        };
        let end = unwind(&mut unwinder, &space, &moment, &mut little);
        let ips = |frames: &[PhysicalFrame]| frames.iter().map(|f| f.ip).collect::<Vec<_>>();
        println!("{end:?} {:?} of {:?}", ips(&little), ips(&whole));
        assert_eq!(end, UnwindEnd::Complete);
        assert_eq!(ips(&little), ips(&whole));
    }
}

#[test]
fn a_stack_deeper_than_its_copy_is_continued_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(
        "rustc",
        "asleep.rs",
        &["--edition=2024", "-O"],
        folder.path(),
    );
    let target = Target::start(&mut Command::new(program));
    target.wait_for_threads(6);
    std::thread::sleep(Duration::from_millis(100));
    let space = target.space();
    let memory = target.memory();
    let mut unwinder = Unwinder::new();
    let mut frames = Vec::new();
    let mut moved = 0;
    for tid in target.threads() {
        let moment = target.moment(tid, 128).unwrap();
        let end = unwind(&mut unwinder, &space, &moment, &mut frames);
        assert!(matches!(end, UnwindEnd::Unreadable { .. }), "{end:?}");
        let mut stack = StackReader::continued(&moment.stack, &memory);
        let end = unwinder.unwind(&space, &moment.registers, &mut stack, &mut frames);
        assert_eq!(end, UnwindEnd::Complete);
        // Another stack now lies where the copy was taken. (Where the changed byte
        // is part of a return address, the walk ends there.)
        let mut other = moment.stack.clone();
        *other.bytes.last_mut().unwrap() ^= 1;
        let mut stack = StackReader::continued(&other, &memory);
        let end = unwinder.unwind(&space, &moment.registers, &mut stack, &mut frames);
        assert!(!end.is_complete());
        moved += usize::from(end == UnwindEnd::Moved);
    }
    assert!(moved > 0);
}

#[test]
fn a_program_of_the_distribution_unwinds_without_debug_information() {
    let script = "f() { local x=${1//a/b}; (( $2 > 0 )) && f \"$x\" $(($2 - 1)); }; \
                  while :; do f aabbaabb 8; done";
    let target = Target::start(Command::new("bash").args(["-c", script]));
    std::thread::sleep(Duration::from_millis(50));
    let tally = watch(&target, 500);
    assert!(tally.complete * 100 >= tally.samples * 99, "{tally:?}");
    assert!(tally.differ * 100 <= tally.samples, "{tally:?}");
    assert!(tally.compared > 5000, "{tally:?}");
}
