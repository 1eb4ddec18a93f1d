//! `awaitscope export`.

use super::profile;
use crate::args::ExportArgs;
use crate::{naming, output};
use anyhow::{Context, Result, bail};
use awaitscope_flamegraph::{Export, ExportOptions, Format, Target};
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// Writes a profile in a format of other tools.
pub fn run(args: &ExportArgs) -> Result<()> {
    check(args)?;
    let profile = profile(&args.source)?;
    let options = ExportOptions {
        view: args.view,
        grouping: args.group,
        runtime_frames: args.frames.shown(),
    };
    let export = Export::of(&profile, args.format, &options)?;
    let path = match &args.output {
        Some(path) => path.clone(),
        None => default_path(args, &profile.target),
    };
    if output::is_stdout(&path) {
        let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        return export
            .write(&mut out)
            .and_then(|()| out.flush())
            .context("cannot write to standard output");
    }
    export.save(&path)?;
    let path = path.display();
    output::note(&format!("{path}: {}", args.format.opened_by()));
    Ok(())
}

/// Whether the result can go where it is to go, asked before the work is done.
fn check(args: &ExportArgs) -> Result<()> {
    let Some(path) = &args.output else {
        // Only the folder matters.
        return output::check(&default_path(args, &Target::default()));
    };
    if output::is_stdout(path) && args.format.is_binary() && std::io::stdout().is_terminal() {
        bail!(
            "{} is no text for a terminal: give a file with -o, as in -o profile.{}",
            args.format,
            args.format.extension()
        );
    }
    output::check(path)
}

/// Where it goes when nobody says: lines of text to standard output, files for other programs
/// beside each other, called as what they are made of.
fn default_path(args: &ExportArgs, target: &Target) -> PathBuf {
    let ending = args.format.extension();
    match (
        args.format,
        args.source.file.as_deref().and_then(Path::file_stem),
    ) {
        (Format::Collapsed, _) => PathBuf::from("-"),
        (_, Some(stem)) => {
            let mut name = stem.to_owned();
            name.push(".");
            name.push(ending);
            PathBuf::from(name)
        }
        (_, None) => naming::export_file(&target.name, target.pid, ending),
    }
}
