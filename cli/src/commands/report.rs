//! `awaitscope report`.

use super::profile;
use crate::args::{ReportArgs, ReportFormatArg};
use crate::output;
use anyhow::{Result, bail};
use awaitscope_flamegraph::{Report, html};

/// Says what a profile shows.
pub fn run(args: &ReportArgs) -> Result<()> {
    let is_page = args.format == ReportFormatArg::Html;
    if is_page && output::is_terminal(&args.output) {
        bail!("an HTML page says nothing on a terminal; name a file, as in `-o report.html`");
    }
    if is_page && args.top.is_some() {
        bail!("--top is for text and JSON; the page shows more rows where one asks for them");
    }
    output::check(&args.output)?;
    let profile = profile(&args.source)?;
    let report = || Report::of(&profile);
    let mut text = match args.format {
        ReportFormatArg::Text => report().to_text(args.top, output::color(&args.output)),
        ReportFormatArg::Json => match args.top {
            Some(rows) => report().top(rows).to_json(),
            None => report().to_json(),
        },
        ReportFormatArg::Html => html(&profile)?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    output::write(&args.output, text.as_bytes())?;
    if is_page && !output::is_stdout(&args.output) {
        output::note(&format!("{}: open it in a browser", args.output.display()));
    }
    Ok(())
}
