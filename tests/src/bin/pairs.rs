//! How often `diff` is right about pairs of recordings of a service of which we know
//! what is different.
//!
//! `cargo run --release -p awaitscope-tests --bin pairs -- [--pairs 30] [--seconds 45]
//! [--rate 777]`
//!
//! For each pair the base is recorded anew, then the same release again, one whose
//! function costs a fifth more, one with a new stall of 20 ms and one with a new await
//! point; prints a row for each, and at the end how often each was found.

use anyhow::{Result, bail};
use awaitscope_tests::ServiceBuild;
use awaitscope_tests::release::{Diff, diff, record_release};

/// What is different, how the release is told, and how `diff` should see it.
type Case = (&'static str, &'static [&'static str], fn(&Diff) -> bool);

const CASES: [Case; 4] = [
    ("same", &[], |diff| diff.changed().next().is_none()),
    ("parse +20 %", &["--parse", "120"], |diff| {
        diff.begins_with("cpu", "release::parses", "grown")
    }),
    ("stall 20 ms", &["--stall", "20"], |diff| {
        diff.begins_with("stall", "release::logs", "appeared")
    }),
    ("await point", &["--audit", "5"], |diff| {
        diff.begins_with("wait", "release::audits", "appeared")
    }),
];

fn main() -> Result<()> {
    let (mut pairs, mut seconds, mut rate) = (30_usize, 45_u64, 777_u32);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match word.as_str() {
            "--pairs" => pairs = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            "--rate" => rate = value.parse()?,
            _ => bail!("cannot understand {word:?}; known: --pairs, --seconds, --rate"),
        }
    }
    let release = ServiceBuild::new("release").build()?;
    let (seconds, rate) = (format!("{seconds}s"), rate.to_string());
    let how = ["-d", &*seconds, "-F", &*rate];
    let mut right = [0; CASES.len()];
    for pair in 1..=pairs {
        let base = record_release(&release, &[], &how)?;
        for ((name, args, is_right), right) in CASES.iter().zip(&mut right) {
            let said = diff(&base, &record_release(&release, args, &how)?)?;
            let is_right = is_right(&said);
            *right += usize::from(is_right);
            let mark = if is_right { "right" } else { "WRONG" };
            let why = said.reasons.first().map_or("", String::as_str);
            println!("{pair:3}  {name:12} {mark}  {:12} {why}", said.verdict);
        }
    }
    for ((name, ..), right) in CASES.iter().zip(right) {
        println!("{name:12} {right} of {pairs}");
    }
    Ok(())
}
