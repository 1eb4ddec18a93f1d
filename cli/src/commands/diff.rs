//! `awaitscope diff`: what changed between two releases.

use super::profile_in;
use crate::args::{DiffArgs, DiffFormatArg, WidthsArg};
use crate::output;
use anyhow::{Context, Result, bail};
use awaitscope_flamegraph::{Comparison, Diff, DiffOptions, Minimum, Profile, Widths};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A rule of `--fail-on` is broken.
const BROKEN: u8 = 3;

/// Compares two releases, and holds them to rules.
pub fn run(args: &DiffArgs) -> Result<ExitCode> {
    output::check(&args.output)?;
    let (base, new) = match &*args.files {
        [base, new] => (std::slice::from_ref(base), std::slice::from_ref(new)),
        _ => (&*args.base, &*args.new),
    };
    // The machine that compares has more than one CPU, as a rule.
    let (base, new) = std::thread::scope(|scope| {
        let base = scope.spawn(|| load(base, &args.debug_file));
        let new = load(new, &args.debug_file);
        let base = base
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        base.and_then(|base| Ok((base, new?)))
    })?;
    let options = DiffOptions {
        normalization: args.normalize,
        minimum: Minimum {
            relative: args.min_change / 100.0,
            absolute: args.min_share / 100.0,
        },
    };
    let comparison = Comparison::of(&base, &new, &options)?;
    let diff = comparison.diff(&args.fail_on);
    let mut text = match args.format {
        DiffFormatArg::Text => diff.to_text(args.top, output::color(&args.output)),
        DiffFormatArg::Json => diff.to_json(),
        DiffFormatArg::Svg => comparison.svg(match args.widths {
            WidthsArg::New => Widths::New,
            WidthsArg::Base => Widths::Base,
        })?,
        DiffFormatArg::Html => comparison.html(&diff)?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    output::write(&args.output, text.as_bytes())?;
    judged(&diff)
}

/// The exit code, and the reason where it is not 0.
fn judged(diff: &Diff) -> Result<ExitCode> {
    let unjudged: Vec<&str> = diff.unjudged_rules().collect();
    let mut broken = false;
    for why in diff.broken_rules() {
        output::note(&format!("broken: {why}"));
        broken = true;
    }
    match &*unjudged {
        _ if broken => {
            unjudged.iter().for_each(|why| output::note(why));
            Ok(ExitCode::from(BROKEN))
        }
        [] => Ok(ExitCode::SUCCESS),
        all => bail!("{}", all.join("\n  and ")),
    }
}

fn load(files: &[PathBuf], debug_files: &[PathBuf]) -> Result<Vec<Profile>> {
    files
        .iter()
        .map(|file| load_one(file, debug_files))
        .collect()
}

fn load_one(file: &Path, debug_files: &[PathBuf]) -> Result<Profile> {
    let profile = profile_in(file, debug_files);
    match is_picture(file) {
        true => profile.with_context(|| {
            format!(
                "{} is a picture or a page: give the profile that it was made from, which `record` \
                 wrote",
                file.display()
            )
        }),
        false => profile,
    }
}

/// Whether somebody gave what we drew.
fn is_picture(file: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(file).and_then(|file| file.take(512).read_to_end(&mut start));
    let start = String::from_utf8_lossy(&start).to_lowercase();
    read.is_ok()
        && ["<svg", "<?xml", "<!doctype html", "<html"]
            .iter()
            .any(|tag| start.contains(tag))
}
