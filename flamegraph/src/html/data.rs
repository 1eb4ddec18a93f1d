//! All that the page's script reads.

use super::names::Names;
use super::stretches::Stretches;
use super::tables::Tables;
use super::trees::{Budget, Sorts, ViewData, Views};
use crate::profile::Profile;
use crate::report::{Origins, Report, Said};
use serde::Serialize;

/// What a page shows.
#[derive(Debug, Serialize)]
pub(super) struct Data<'a> {
    /// As `report --format json` writes it, with the first rows of each list.
    report: &'a Report,
    /// The same in words.
    said: Said,
    /// How many rows the lists have in all.
    rows: Rows,
    stretches: &'a Stretches,
    tables: Tables,
    views: Vec<ViewData>,
    sorts: Sorts,
    names: Names,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Rows {
    kinds: usize,
    tasks: usize,
    workers: usize,
    stalls: usize,
}

impl<'a> Data<'a> {
    pub(super) fn of(
        profile: &Profile,
        report: &'a Report,
        origins: &Origins,
        views: &'a Views,
        budget: Budget,
    ) -> Self {
        let mut names = Names::default();
        let (trees, sorts) = views.within(profile, budget, &mut names);
        let spots = origins.spot_of_stall.iter().max();
        Self {
            report,
            said: report.said(),
            rows: Rows {
                kinds: origins.kinds.len(),
                tasks: origins.tasks.len(),
                workers: origins.threads.len(),
                stalls: spots.map_or(0, |last| last + 1),
            },
            stretches: &views.stretches,
            tables: Tables::of(profile, origins, &views.stretches, budget.rows),
            views: trees,
            sorts,
            names,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}
