//! The profile of a service's async tasks: its model and its file, flamegraphs
//! and reports.
//!
//! # What it does
//!
//! - [`ProfileBuilder`] takes what a recording finds (logical stacks, tasks,
//!   times, stalls) and keeps it small: everything is interned, and every table
//!   has a limit past which things are summed and counted, never dropped in
//!   silence. An hour of eight busy threads stays well below 200 MB.
//! - [`Profile`] is the result: one value that holds everything the views need,
//!   as a file ([`Profile::save`], [`Profile::load`]) that opens on any machine.
//! - [`flamegraph`] draws it as an SVG that can be searched and zoomed, coloured
//!   by what a frame is, with the machinery between async functions folded away.
//! - [`html`](html()) writes all of it as a page to click through, of which any stretch of time can
//!   be selected.
//! - [`Report`] says it in numbers and sentences: who used the CPU and how sure
//!   that is, which lines held the workers and what to do about it.
//! - [`merge`] makes one profile of several: replicas of a service, or runs.
//! - [`Export`] writes it in the formats of other tools.
//!
//! # What you bring
//!
//! Stacks of [`Frame`](awaitscope_symbolizer::Frame)s that are already logical
//! (inlined calls expanded, machinery marked), and times in nanoseconds since
//! the recording began.
//!
//! # What it does not do
//!
//! It never touches a live process, knows no async runtime by name except in
//! the advice it gives, and neither prints nor exits. A profile file is
//! untrusted input: it is read within bounds and checked as a whole before
//! anything uses it.

mod advice;
mod builder;
mod diff;
mod error;
mod export;
mod fold;
mod html;
mod merge;
mod output;
mod path;
pub mod printable;
mod profile;
mod record;
mod report;
#[cfg(test)]
mod sample;
mod svg;
mod tasks;
mod view;

pub use builder::ProfileBuilder;
pub use diff::{
    Comparison, Diff, DiffOptions, Minimum, Normalization, Rule, RuleError, Verdict, Widths,
};
pub use error::Error;
pub use export::{Export, ExportOptions, Format};
pub use fold::{Branch, branches};
pub use html::html;
pub use merge::merge;
pub use output::save;
pub use profile::{
    Cause, FrameId, Kind, KindClass, KindId, Profile, Quality, Recorded, RecordingOptions,
    RuntimeInfo, StackId, Stall, State, Target, Task, TaskId, Thread, ThreadId, ThreadRole,
    WeightKey,
};
pub use record::profile_of;
pub use report::{Color, KindNow, QualityNow, Report, StallNow, WaitNow, Window, WorkerNow};
pub use svg::{FlamegraphOptions, fitting, flamegraph};
pub use tasks::{KindPattern, Listing, TaskList, TaskText};
pub use view::{Grouping, RuntimeFrames, View};
