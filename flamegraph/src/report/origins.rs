//! What of a profile the rows of a report are about.

use super::model::{FrameRow, Report, SeriesRows};
use crate::profile::{KindId, StackId, TaskId, ThreadId};

/// For each row of a report, where it comes from, in the order of the rows.
#[derive(Debug)]
pub(crate) struct Origins {
    pub(crate) kinds: Vec<KindId>,
    pub(crate) tasks: Vec<TaskId>,
    pub(crate) waits: Vec<(Option<KindId>, StackId)>,
    /// Those of the workers.
    pub(crate) threads: Vec<ThreadId>,
    /// The row in [`Report::stalls`] of each stall of the profile.
    pub(crate) spot_of_stall: Vec<usize>,
}

/// How much of a report is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Rows of each list.
    pub(crate) rows: usize,
    /// Frames of each stack, from the leaf on.
    pub(crate) frames: usize,
}

impl Report {
    /// Keeps so much of the rows and stacks, and none of the series. What is cut has the
    /// least time; findings stay.
    pub(crate) fn within(mut self, extent: Extent) -> Self {
        let Extent { rows, frames } = extent;
        self.series = SeriesRows::default();
        self.target.command_line.truncate(rows);
        self.runtimes.truncate(rows);
        self.quality.notes.truncate(rows);
        self.kinds.truncate(rows);
        self.tasks.truncate(rows);
        self.stalls.truncate(rows);
        self.waits.truncate(rows);
        self.locks.truncate(rows);
        self.circles.truncate(rows);
        self.workers.truncate(rows);
        let stalls = self.stalls.iter_mut().map(|row| &mut row.stack);
        let waits = self.waits.iter_mut().map(|row| &mut row.stack);
        let locks = self.locks.iter_mut();
        let places = locks.flat_map(|lock| lock.waited_at.iter_mut().chain(&mut lock.held_at));
        let places = places.map(|place| &mut place.stack);
        for circle in &mut self.circles {
            circle.tasks.truncate(frames);
        }
        let links = self.circles.iter_mut().flat_map(|circle| &mut circle.tasks);
        let links = links.map(|link| &mut link.stack);
        for stack in stalls.chain(waits).chain(places).chain(links) {
            innermost(stack, frames);
        }
        self
    }
}

fn innermost(stack: &mut Vec<FrameRow>, frames: usize) {
    let cut = stack.len().saturating_sub(frames);
    stack.drain(..cut);
}
