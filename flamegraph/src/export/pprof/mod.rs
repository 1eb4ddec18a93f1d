//! pprof: the gzipped `profile.proto` of Google's pprof.
//!
//! All that was measured is in one file, as several sample types (CPU time, waiting, stalls);
//! what tells one time from another are labels: kind and task, thread, state, what is waited for.
//! So `-tagroot kind` gives a call graph by kind, and `-tagfocus state=waiting` only what waits.
//!
//! Samples are written as they are made: protobuf joins the parts of a repeated field, so a
//! profile of any size takes no more memory than its tables.

mod entries;
mod proto;
mod tables;

use super::{ExportOptions, Exporter, Format};
use crate::error::Error;
use crate::fold::kind_name;
use crate::profile::{Profile, StackId};
use crate::tasks::waits_on_word;
use crate::view::{RuntimeFrames, View};
use awaitscope_symbolizer::snapshot::WaitsOn;
use entries::{Column, Entry, entries};
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use std::collections::HashMap;
use std::io::{self, Write};
use tables::Tables;

/// Samples that are written together.
const CHUNK: usize = 1024;

/// A profile as pprof has it.
pub(super) struct Pprof<'a> {
    profile: &'a Profile,
    runtime_frames: RuntimeFrames,
    columns: Vec<Column>,
    entries: Vec<Entry<'a>>,
    waited_on: HashMap<StackId, WaitsOn>,
}

impl<'a> Pprof<'a> {
    pub(super) fn of(profile: &'a Profile, options: &ExportOptions) -> Result<Self, Error> {
        if options.grouping.is_some() {
            return Err(Error::NotInFormat {
                format: Format::Pprof,
                why: "groups by labels when it is looked at: leave --group away, and give \
                      `-tagroot kind` (or task, thread, state) to `go tool pprof`",
            });
        }
        let (columns, entries) = entries(profile, options.view)?;
        if entries.is_empty() {
            match options.view {
                Some(View::Stall) if profile.runtimes.is_empty() => return Err(Error::NoRuntime),
                None | Some(View::Cpu) => return Err(Error::NoSamples),
                Some(View::Stall | View::Wait | View::Wall) => {}
            }
        }
        Ok(Self {
            profile,
            runtime_frames: options.runtime_frames,
            columns,
            entries,
            waited_on: profile.waited_on(),
        })
    }

    fn sample(&self, entry: &Entry<'_>, tables: &mut Tables<'_>) -> proto::Sample {
        let value = |column: &Column| {
            let value = entry.values.iter().find(|(of, _)| of == column);
            value.map_or(0, |&(_, value)| number(value))
        };
        proto::Sample {
            location_id: tables.stack(entry.stack, entry.part),
            value: self.columns.iter().map(value).collect(),
            label: self.labels(entry, tables),
        }
    }

    fn labels(&self, entry: &Entry<'_>, tables: &mut Tables<'_>) -> Vec<proto::Label> {
        let profile = self.profile;
        let mut labels = Vec::new();
        let mut label = |key: &str, value: &str| {
            labels.push(proto::Label {
                key: tables.string(key),
                str: tables.string(value),
            });
        };
        match entry.kind {
            Some(kind) => label("kind", &kind_name(profile, kind)),
            None if entry.state == "on-cpu" => label("kind", "[outside tasks]"),
            None => label("kind", "[kind not known]"),
        }
        if let Some(task) = entry.task {
            label("task", &profile.tasks[task.index()].id);
        }
        if let Some(thread) = entry.thread {
            let thread = &profile.threads[thread.index()];
            label("thread", &format!("{} {}", thread.name, thread.tid));
        }
        label("state", entry.state);
        if let Some(syscall) = entry.syscall {
            label("syscall", syscall);
        }
        if entry.state == "waiting"
            && let Some(what) = entry.stack.and_then(|stack| self.waited_on.get(&stack))
        {
            label("waits_on", waits_on_word(*what));
        }
        labels
    }

    /// Everything but the samples.
    fn rest(&self, mut tables: Tables<'_>) -> proto::Profile {
        let profile = self.profile;
        let target = &profile.target;
        let mut value_type = |(what, unit): (&str, &str)| proto::ValueType {
            r#type: tables.string(what),
            unit: tables.string(unit),
        };
        let sample_type = self.columns.iter().map(|column| value_type(column.names()));
        let sample_type: Vec<_> = sample_type.collect();
        let period_type = value_type(Column::Cpu.names());
        let default = match self.columns.contains(&Column::Cpu) {
            true => Some(period_type),
            false => sample_type.last().copied(),
        };
        // The main binary. Which other binary a function is from is not known, so none is said
        // to be from any.
        let mapping = proto::Mapping {
            id: 1,
            filename: tables.string(&target.exe),
            build_id: tables.string(target.build_id.as_deref().unwrap_or("")),
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
            has_inline_frames: true,
        };
        let mut comment = vec![tables.string(&summary(profile))];
        comment.extend(profile.quality.notes.iter().map(|note| tables.string(note)));
        let (string_table, function, location) = tables.finish();
        proto::Profile {
            sample_type,
            sample: Vec::new(),
            mapping: vec![mapping],
            location,
            function,
            string_table,
            time_nanos: number(profile.start_unix_ns),
            duration_nanos: number(profile.duration_ns),
            period_type: Some(period_type),
            period: 1_000_000_000_i64
                .checked_div(i64::from(profile.options.rate_hz))
                .unwrap_or(0),
            comment,
            default_sample_type: default.map_or(0, |default| default.r#type),
        }
    }
}

impl Exporter for Pprof<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut packed = GzEncoder::new(out, Compression::default());
        let mut tables = Tables::new(self.profile, self.runtime_frames);
        for entries in self.entries.chunks(CHUNK) {
            let samples = entries.iter().map(|entry| self.sample(entry, &mut tables));
            let part = proto::Profile {
                sample: samples.collect(),
                ..proto::Profile::default()
            };
            packed.write_all(&part.encode_to_vec())?;
        }
        packed.write_all(&self.rest(tables).encode_to_vec())?;
        packed.finish()?.flush()
    }
}

/// What was recorded, and what it could not see.
fn summary(profile: &Profile) -> String {
    let (target, quality) = (&profile.target, &profile.quality);
    format!(
        "awaitscope: {} ({}), {} samples ({} lost, {} cut off), {} snapshots",
        target.name,
        target.process(),
        quality.samples,
        quality.lost,
        quality.truncated,
        quality.snapshots
    )
}

/// Times are held far below the end of either type.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
