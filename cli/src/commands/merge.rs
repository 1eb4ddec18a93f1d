//! `awaitscope merge`.

use super::{profile_in, show_notes};
use crate::args::MergeArgs;
use crate::output;
use anyhow::{Result, bail};
use awaitscope_flamegraph::{Profile, merge};
use std::io::IsTerminal as _;

/// Makes one profile of several.
pub fn run(args: &MergeArgs) -> Result<()> {
    if output::is_stdout(&args.output) && std::io::stdout().is_terminal() {
        bail!("a profile is no text for a terminal: give a file with -o");
    }
    output::check(&args.output)?;
    let files = args.files.iter();
    let profiles = files.map(|file| profile_in(file, &args.debug_file));
    let merged = merge(profiles.collect::<Result<Vec<Profile>>>()?)?;
    let mut bytes = Vec::new();
    merged.write(&mut bytes)?;
    output::write(&args.output, &bytes)?;
    show_notes(&merged);
    if !output::is_stdout(&args.output) {
        output::note(&format!(
            "{path}: see `awaitscope report {path}` and `awaitscope flamegraph {path}`",
            path = args.output.display()
        ));
    }
    Ok(())
}
