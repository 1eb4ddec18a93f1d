//! Our look-ups against addr2line's, on the same programs.

use super::die::Units;
use super::places::Places;
use crate::module::{DwarfReader, FileBytes, Image, load_dwarf};
use gimli::Dwarf;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Addresses that are compared in each function, and functions.
const IN_EACH: u64 = 40;
const FUNCTIONS: usize = 4000;

/// A function at an address: its entry in the unit, file and line.
type Seen = (Option<usize>, Option<String>, Option<u32>);

#[test]
fn what_we_find_is_what_addr2line_finds() {
    let folder = tempfile::tempdir().expect("there is room");
    for flags in [
        &["-O", "-g"][..],
        &["-g"],
        &["-O", "-Cdebuginfo=line-tables-only"],
        &["-O", "-g", "-Cdwarf-version=5"],
        &["-O", "-g", "-Clto=thin"],
    ] {
        let program = folder.path().join("program");
        let built = Command::new("rustc")
            .args(["--edition=2024", "tests/programs/busy.rs", "-o"])
            .arg(&program)
            .args(flags)
            .status();
        assert!(built.is_ok_and(|status| status.success()), "{flags:?}");
        compare(&program, flags);
    }
}

fn compare(program: &Path, flags: &[&str]) {
    let file = File::open(program).expect("it was built");
    let bytes = FileBytes::of(&file).expect("it can be read");
    let image = Image::parse(bytes).expect("it is a program");
    let dwarf = load_dwarf(&image).expect("it has debug information");
    let context = addr2line::Context::from_arc_dwarf(Arc::clone(&dwarf)).expect("it is whole");
    let mut units = Units::new(Arc::new(Places::of(Arc::clone(&dwarf))));
    let (mut compared, mut inlined) = (0, 0);
    for (begin, end) in functions(&dwarf) {
        let step = ((end - begin) / IN_EACH).max(1);
        for svma in (begin..end).step_by(step as usize) {
            let ours = ours(&mut units, svma);
            let theirs = theirs(&context, svma);
            assert_eq!(ours, theirs, "at {svma:#x}, built with {flags:?}");
            compared += 1;
            inlined += usize::from(ours.len() > 1);
        }
    }
    assert!(compared > 5000, "only {compared} addresses");
    let optimized = flags.contains(&"-O");
    assert!(!optimized || inlined > 1000, "only {inlined} inlined");
}

/// Stretches of code, spread over the program.
fn functions(dwarf: &Dwarf<DwarfReader>) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        let unit = dwarf.unit(header).expect("it is whole");
        let mut ranges = dwarf.unit_ranges(&unit).expect("it has code");
        while let Ok(Some(range)) = ranges.next() {
            if range.begin != 0 {
                all.push((range.begin, range.end));
            }
        }
    }
    let step = (all.len() / FUNCTIONS).max(1);
    all.into_iter().step_by(step).collect()
}

fn ours(units: &mut Units<DwarfReader>, svma: u64) -> Vec<Seen> {
    let Some((unit, found)) = units.at(svma) else {
        return Vec::new();
    };
    found
        .into_iter()
        .map(|standing| {
            let line = standing.line;
            let file = line.and_then(|line| units.file(unit, line.file));
            let entry = standing.entry.map(|entry| entry.0);
            (entry, file, line.and_then(|line| line.line))
        })
        .collect()
}

fn theirs(context: &addr2line::Context<DwarfReader>, svma: u64) -> Vec<Seen> {
    let mut frames = context
        .find_frames(svma)
        .skip_all_loads()
        .expect("it is whole");
    let mut out = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let location = frame.location;
        let file = location.as_ref().and_then(|location| location.file);
        out.push((
            frame.dw_die_offset.map(|entry| entry.0),
            file.map(str::to_owned),
            location
                .and_then(|location| location.line)
                .filter(|l| *l != 0),
        ));
    }
    out
}
