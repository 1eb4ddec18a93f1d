//! `awaitscope flamegraph`.

use super::profile;
use crate::args::FlamegraphArgs;
use crate::output;
use anyhow::Result;
use awaitscope_flamegraph::{FlamegraphOptions, flamegraph};

/// Draws a profile.
pub fn run(args: &FlamegraphArgs) -> Result<()> {
    output::check(&args.output)?;
    let profile = profile(&args.source)?;
    let options = FlamegraphOptions {
        view: args.view,
        grouping: args.group,
        runtime_frames: args.frames.shown(),
    };
    let picture = flamegraph(&profile, options)?;
    output::write(&args.output, picture.as_bytes())?;
    if !output::is_stdout(&args.output) {
        output::note(&format!("{}: open it in a browser", args.output.display()));
    }
    Ok(())
}
