//! The report as one HTML page: everything a profile says, to look at and to ask.
//!
//! The page is a single file without a network: its numbers stand in it as JSON, its
//! script and style are allowed by their hashes and nothing else is. Whatever a target calls
//! its functions is data there, never markup (see [`escape`]).
//!
//! Numbers are kept by stretches of time (seconds, as a rule), so that the page can show
//! any part of the recording: its script sums up what the reader selects.

mod cells;
mod data;
mod escape;
mod names;
pub(crate) mod page;
mod stretches;
mod tables;
mod trees;

use crate::error::Error;
use crate::profile::Profile;
use crate::report::{Extent, Report};
use data::Data;
use page::Page;
use trees::{Budget, Views};

/// How large a page may get. Browsers take more, mail and trackers do not.
const LARGEST: usize = 9 << 20;

const STYLE: [&str; 2] = [
    include_str!("page/theme.css"),
    include_str!("page/report.css"),
];
const BODY: &str = include_str!("page/report.html");
const SCRIPT: [&str; 14] = [
    include_str!("page/words.js"),
    include_str!("page/dom.js"),
    include_str!("page/data.js"),
    include_str!("page/interval.js"),
    include_str!("page/tree.js"),
    include_str!("page/paint.js"),
    include_str!("page/flame.js"),
    include_str!("page/timeline.js"),
    include_str!("page/table.js"),
    include_str!("page/kinds.js"),
    include_str!("page/stalls.js"),
    include_str!("page/waits.js"),
    include_str!("page/others.js"),
    include_str!("page/main.js"),
];

/// The report of a profile as an HTML page of its own: findings, flamegraphs, tables and a
/// timeline of which any part can be selected.
///
/// It stays below ten megabytes: what is too small to be seen is shown in its caller, and
/// the page says so.
///
/// # Errors
/// The page cannot be written.
pub fn html(profile: &Profile) -> Result<String, Error> {
    let (report, origins) = Report::with_origins(profile);
    let views = Views::of(profile);
    let mut budget = Budget::default();
    loop {
        let extent = Extent {
            rows: budget.rows,
            frames: budget.frames,
        };
        let report = report.clone().within(extent);
        let data = Data::of(profile, &report, &origins, &views, budget);
        let page = Page {
            title: format!("{}: awaitscope report", profile.target.name),
            style: &STYLE,
            body: BODY,
            data: &data,
            script: &SCRIPT,
        };
        let page = page.write()?;
        match budget.halved() {
            Some(less) if page.len() > LARGEST => budget = less,
            _ => return Ok(page),
        }
    }
}

#[cfg(test)]
mod tests;
