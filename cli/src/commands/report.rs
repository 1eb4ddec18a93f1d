//! `awaitscope report`.

use super::profile;
use crate::args::{FormatArg, ReportArgs};
use crate::output;
use anyhow::Result;
use awaitscope_flamegraph::Report;

/// Says what a profile shows.
pub fn run(args: &ReportArgs) -> Result<()> {
    output::check(&args.output)?;
    let profile = profile(&args.source)?;
    let report = Report::of(&profile);
    let mut text = match args.format {
        FormatArg::Text => report.to_text(args.top, output::color(&args.output)),
        FormatArg::Json => match args.top {
            Some(rows) => report.top(rows).to_json(),
            None => report.to_json(),
        },
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    output::write(&args.output, text.as_bytes())
}
