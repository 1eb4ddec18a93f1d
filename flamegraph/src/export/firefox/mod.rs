//! The Firefox Profiler's processed profile, gzipped.
//!
//! Tracks are the threads, the kinds of tasks on a CPU, and the kinds where they wait; stalls are
//! markers on their threads, with start and length as measured; what is known over time
//! (live and ready tasks, lag) are graphs.
//!
//! A timeline wants a moment for each sample, and a profile knows the second. So a track has one
//! sample for each stack and stretch of time, as heavy as its time, and within the stretch they
//! stand in no order but that of the tables. The name of the profile and a marker say so.

mod markers;
mod stacks;
mod tracks;

use super::{ExportOptions, Exporter, Format};
use crate::error::Error;
use crate::fold::{Part, kind_name};
use crate::printable::printable;
use crate::profile::{COVERED, KindId, Profile, Series, StackId, Stall, ThreadId};
use crate::report::Blame;
use crate::view::RuntimeFrames;
use flate2::Compression;
use flate2::write::GzEncoder;
use fx::{CpuDelta, MarkerTiming, ProcessHandle, ThreadHandle, Timestamp, WeightType};
use fxprof_processed_profile as fx;
use markers::{About, StallMarker, Value};
use stacks::Stacks;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use tracks::{Family, Of, Track, Tracks};

/// Tracks of a family that are shown from the beginning.
const SHOWN: usize = 12;

/// A profile as the Firefox Profiler has it.
pub(super) struct Firefox {
    made: fx::Profile,
}

impl Firefox {
    pub(super) fn of(profile: &Profile, options: &ExportOptions) -> Result<Self, Error> {
        if options.view.is_some() || options.grouping.is_some() {
            return Err(Error::NotInFormat {
                format: Format::Firefox,
                why: "shows everything at once, as tracks: leave --view and --group away",
            });
        }
        let mut making = Making::new(profile, options.runtime_frames);
        for family in [Family::Threads, Family::OnCpu, Family::Waiting] {
            making.family(family)?;
        }
        if making.is_empty {
            return Err(Error::NoSamples);
        }
        making.stalls()?;
        making.over_time();
        Ok(Self { made: making.made })
    }
}

impl Exporter for Firefox {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let packed = GzEncoder::new(out, Compression::default());
        let mut packed = io::BufWriter::with_capacity(1 << 16, packed);
        serde_json::to_writer(&mut packed, &self.made)?;
        let packed = packed
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        packed.finish()?.flush()
    }
}

/// Whether a track stands for its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Main,
    Other,
}

struct Making<'a> {
    profile: &'a Profile,
    made: fx::Profile,
    stacks: Stacks<'a>,
    threads: HashMap<ThreadId, ThreadHandle>,
    other_threads: Option<ThreadHandle>,
    is_empty: bool,
}

impl<'a> Making<'a> {
    fn new(profile: &'a Profile, runtime_frames: RuntimeFrames) -> Self {
        let name = format!(
            "{} (awaitscope; where within its second a sample lies is not known)",
            profile.target.name
        );
        let start = std::time::Duration::from_nanos(profile.start_unix_ns);
        let start = fx::ReferenceTimestamp::from_duration_since_unix_epoch(start);
        let rate = u64::from(profile.options.rate_hz.max(1));
        let interval = fx::SamplingInterval::from_nanos(1_000_000_000 / rate);
        let mut made = fx::Profile::new(&printable(&name), start, interval);
        made.set_symbolicated(true);
        made.set_os_name("Linux");
        Self {
            profile,
            stacks: Stacks::new(profile, runtime_frames, &mut made),
            made,
            threads: HashMap::new(),
            other_threads: None,
            is_empty: true,
        }
    }

    fn process(&mut self, what: &str) -> ProcessHandle {
        let target = &self.profile.target;
        let name = format!("{}{what}", target.name);
        let start = Timestamp::from_nanos_since_reference(0);
        let process = self.made.add_process(&printable(&name), target.pid, start);
        let end = Timestamp::from_nanos_since_reference(self.profile.duration_ns);
        self.made.set_process_end_time(process, end);
        process
    }

    fn thread(&mut self, process: ProcessHandle, rank: Rank, tid: u32, name: &str) -> ThreadHandle {
        let start = Timestamp::from_nanos_since_reference(0);
        let is_main = rank == Rank::Main;
        let thread = self.made.add_thread(process, tid, start, is_main);
        self.made.set_thread_name(thread, &printable(name));
        self.made
            .set_thread_samples_weight_type(thread, WeightType::TracingMs);
        thread
    }

    /// The tracks of a family, the heaviest first.
    fn family(&mut self, family: Family) -> Result<(), Error> {
        let tracks = Tracks::of(self.profile, family);
        if tracks.list.is_empty() {
            return Ok(());
        }
        let process = self.process(match family {
            Family::Threads => "",
            Family::OnCpu => ": kinds of tasks, on CPU",
            Family::Waiting => ": kinds of tasks, where they wait (task × time)",
        });
        for (number, track) in tracks.list.iter().enumerate() {
            self.is_empty = false;
            let thread = self.track_thread(process, family, number, track);
            if number < SHOWN {
                self.made.add_initial_visible_thread(thread);
            }
            self.samples(thread, family, track)?;
            if family == Family::Waiting {
                self.population(thread, track);
            }
        }
        Ok(())
    }

    fn track_thread(
        &mut self,
        process: ProcessHandle,
        family: Family,
        number: usize,
        track: &Track,
    ) -> ThreadHandle {
        let profile = self.profile;
        match (family, track.of) {
            (Family::Threads, Of::One(index)) => {
                let known = &profile.threads[index];
                let rank = match known.tid == profile.target.pid {
                    true => Rank::Main,
                    false => Rank::Other,
                };
                let thread = self.thread(process, rank, known.tid, &known.name);
                self.threads.insert(ThreadId::at(index), thread);
                thread
            }
            (Family::Threads, Of::Unknown | Of::Others) => {
                let thread = self.thread(process, Rank::Other, 0, "[other threads]");
                self.other_threads = Some(thread);
                thread
            }
            // Kinds are on no thread; a number that a thread has is made another.
            (_, of) => {
                let name = match of {
                    Of::One(index) => kind_name(profile, KindId::at(index)),
                    Of::Unknown => "[kind not known]".to_owned(),
                    Of::Others => "[other kinds]".to_owned(),
                };
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                self.thread(process, Rank::Other, number, &name)
            }
        }
    }

    /// One sample for each stack and bucket, in the bucket's time one after the other, each as
    /// long as its part of the time.
    fn samples(
        &mut self,
        thread: ThreadHandle,
        family: Family,
        track: &Track,
    ) -> Result<(), Error> {
        let mut told: HashMap<_, u64> = HashMap::new();
        let mut after_last = None;
        for bucket in &track.buckets {
            let (begin, length) = self.time_of(bucket.number);
            if after_last != Some(bucket.number) {
                let begin = Timestamp::from_nanos_since_reference(begin);
                self.made.add_sample(thread, begin, None, CpuDelta::ZERO, 0);
            }
            after_last = bucket.number.checked_add(1);
            let all: u64 = bucket.times.iter().map(|time| time.ns).sum();
            let mut past = 0;
            for time in &bucket.times {
                past += time.ns;
                let share = past as f64 / all.max(1) as f64;
                let at = begin.saturating_add((length as f64 * share) as u64);
                let stack = self
                    .stacks
                    .get(&mut self.made, thread, time.stack, time.part)?;
                // Rounded so that a stack's milliseconds are right in all, not each by itself.
                let sum = told.entry((time.stack, time.part)).or_default();
                let before = *sum;
                *sum += time.ns;
                let weight = rounded_ms(*sum) - rounded_ms(before);
                let cpu = match family {
                    Family::Threads | Family::OnCpu => CpuDelta::from_nanos(time.ns),
                    Family::Waiting => CpuDelta::ZERO,
                };
                self.made.add_sample(
                    thread,
                    Timestamp::from_nanos_since_reference(at),
                    stack,
                    cpu,
                    i32::try_from(weight).unwrap_or(i32::MAX),
                );
            }
        }
        Ok(())
    }

    /// When a bucket begins, and how long it is: the last one ends with the recording.
    fn time_of(&self, bucket: u32) -> (u64, u64) {
        let length = self.profile.bucket_ns;
        let begin = u64::from(bucket).saturating_mul(length);
        let left = self.profile.duration_ns.saturating_sub(begin);
        match left {
            0 => (begin, length),
            left => (begin, length.min(left)),
        }
    }

    /// How many tasks of a kind waited, on average over each bucket.
    fn population(&mut self, thread: ThreadHandle, track: &Track) {
        let series = &self.profile.series;
        let covered = series.iter().find(|series| series.name == COVERED);
        let covered: BTreeMap<u32, f64> = covered.map_or_else(BTreeMap::new, |series| {
            let points = series.points.iter();
            points.map(|point| (point.bucket, point.sum)).collect()
        });
        for bucket in &track.buckets {
            let Some(covered) = covered.get(&bucket.number).filter(|ns| **ns > 0.0) else {
                continue;
            };
            let all: u64 = bucket.times.iter().map(|time| time.ns).sum();
            self.value(
                thread,
                "tasks that wait",
                bucket.number,
                all as f64 / covered,
            );
        }
    }

    fn value(&mut self, thread: ThreadHandle, name: &str, bucket: u32, value: f64) {
        let (begin, length) = self.time_of(bucket);
        let marker = Value {
            name: self.made.intern_string(&printable(name)),
            value,
        };
        self.made
            .add_marker(thread, interval(begin, length), marker);
    }

    /// The stalls as markers on their threads.
    fn stalls(&mut self) -> Result<(), Error> {
        let mut blame = Blame::of(self.profile);
        for stall in &self.profile.stalls {
            let known = self.threads.get(&stall.thread).copied();
            if let Some(thread) = known.or(self.other_threads) {
                self.stall(thread, stall, &mut blame)?;
            }
        }
        Ok(())
    }

    fn stall(
        &mut self,
        thread: ThreadHandle,
        stall: &Stall,
        blame: &mut Blame<'_>,
    ) -> Result<(), Error> {
        let heaviest = stall.stacks.iter().max_by_key(|&&(_, ns)| ns);
        let stack = heaviest.map(|&(stack, _): &(StackId, u64)| stack);
        let marker = StallMarker::of(self.profile, stall, stack, blame, &mut self.made);
        let timing = interval(stall.start_ns, stall.duration_ns);
        let marker = self.made.add_marker(thread, timing, marker);
        if let Some(stack) = stack {
            let stack = self
                .stacks
                .get(&mut self.made, thread, stack, Part::OnCpu)?;
            self.made.set_marker_stack(thread, marker, stack);
        }
        Ok(())
    }

    /// A track with what is known of all tasks over time, and of the profile itself.
    fn over_time(&mut self) {
        let process = self.process(": all tasks, over time");
        let thread = self.thread(process, Rank::Main, self.profile.target.pid, "all tasks");
        self.made.add_initial_visible_thread(thread);
        let about = About::of(self.profile, &mut self.made);
        let timing = interval(0, self.profile.duration_ns);
        self.made.add_marker(thread, timing, about);
        let profile = self.profile;
        for series in &profile.series {
            if let Some(name) = shown(series) {
                for point in &series.points {
                    // Checked: no point is without a value.
                    let mean = point.sum / point.count.max(1) as f64;
                    self.value(thread, name, point.bucket, mean);
                }
            }
        }
    }
}

/// What a series is called in the picture; `None` for those that explain others.
fn shown(series: &Series) -> Option<&str> {
    match series.name.as_str() {
        COVERED => None,
        "live_tasks" => Some("live tasks"),
        "running_tasks" => Some("running tasks"),
        "ready_tasks" => Some("ready tasks"),
        "lag_ms" => Some("lag (ms)"),
        "polls_per_s" => Some("polls a second"),
        other => Some(other),
    }
}

fn interval(begin_ns: u64, length_ns: u64) -> MarkerTiming {
    MarkerTiming::Interval(
        Timestamp::from_nanos_since_reference(begin_ns),
        Timestamp::from_nanos_since_reference(begin_ns.saturating_add(length_ns)),
    )
}

fn rounded_ms(ns: u64) -> u64 {
    ns.saturating_add(500_000) / 1_000_000
}

#[cfg(test)]
mod tests;
