//! What is said of a merged profile: of what it is, how it was recorded, what it cannot show.

use super::axis::Axis;
use crate::printable::{duration, rate};
use crate::profile::{Profile, Quality, Recorded, RecordingOptions, Target, limits};
use std::collections::BTreeSet;
use std::path::Path;

/// Names that are told; of more, the number.
const TOLD: usize = 3;

/// What all recordings have in common; what differs is told by the notes.
pub(super) fn target(profiles: &[Profile]) -> Target {
    let targets = || profiles.iter().map(|profile| &profile.target);
    let first = profiles.first().map(|profile| profile.target.clone());
    let first = first.unwrap_or_default();
    let same = |is_same: &dyn Fn(&Target) -> bool| targets().all(is_same);
    let listed = |of: fn(&Target) -> &str| listed(targets().map(of));
    Target {
        pid: match same(&|target| target.pid == first.pid) {
            true => first.pid,
            false => 0,
        },
        name: listed(|target| &target.name),
        exe: listed(|target| &target.exe),
        build_id: match same(&|target| target.build_id == first.build_id) {
            true => first.build_id.clone(),
            false => None,
        },
        host: listed(|target| &target.host),
        command_line: match same(&|target| target.command_line == first.command_line) {
            true => first.command_line.clone(),
            false => Vec::new(),
        },
    }
}

/// Different values beside each other.
fn listed<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let values: BTreeSet<&str> = values.filter(|value| !value.is_empty()).collect();
    let told: Vec<&str> = values.iter().copied().take(TOLD).collect();
    let more = values.len() - told.len();
    match more {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

/// How all were recorded. Where they differ it is the worst, and for the rate, none.
pub(super) fn options(profiles: &[Profile]) -> RecordingOptions {
    let all = || profiles.iter().map(|profile| &profile.options);
    let rates: BTreeSet<u32> = all().map(|options| options.rate_hz).collect();
    RecordingOptions {
        rate_hz: match rates.len() {
            1 => rates.first().copied().unwrap_or(0),
            _ => 0,
        },
        stall_threshold_ns: all().map(|o| o.stall_threshold_ns).max().unwrap_or(0),
        stack_bytes: all().map(|o| o.stack_bytes).min().unwrap_or(0),
        kernel: all().all(|options| options.kernel),
    }
}

/// What no recording could see, all together; with the notes of each.
pub(super) fn quality(profiles: &[Profile]) -> Quality {
    let sum = |of: fn(&Quality) -> u64| {
        let counts = profiles.iter().map(|profile| of(&profile.quality));
        counts.fold(0_u64, u64::saturating_add)
    };
    let notes = profiles.iter().flat_map(|profile| &profile.quality.notes);
    Quality {
        samples: sum(|quality| quality.samples),
        lost: sum(|quality| quality.lost),
        throttled: sum(|quality| quality.throttled),
        truncated: sum(|quality| quality.truncated),
        torn: sum(|quality| quality.torn),
        snapshots: sum(|quality| quality.snapshots),
        snapshot_tasks: sum(|quality| quality.snapshot_tasks),
        torn_tasks: sum(|quality| quality.torn_tasks),
        unresolved_tasks: sum(|quality| quality.unresolved_tasks),
        unsymbolized_frames: sum(|quality| quality.unsymbolized_frames),
        unsymbolized_samples: sum(|quality| quality.unsymbolized_samples),
        unidentified_samples: sum(|quality| quality.unidentified_samples),
        notes: notes.cloned().collect(),
    }
}

/// Each once, in their order.
pub(super) fn without_repeats(notes: &mut Vec<String>) {
    let mut told = BTreeSet::new();
    notes.retain(|note| told.insert(note.clone()));
    notes.truncate(limits::NOTES);
}

pub(super) fn recordings(profiles: &[Profile]) -> Vec<Recorded> {
    let recorded = |profile: &Profile| Recorded {
        target: profile.target.clone(),
        start_unix_ns: profile.start_unix_ns,
        duration_ns: profile.duration_ns,
    };
    profiles.iter().map(recorded).collect()
}

/// What a reader must know of how they fit together.
pub(super) fn notes(profiles: &[Profile], axis: &Axis) -> Vec<String> {
    let mut notes = vec![format!(
        "merged from {} recordings{}",
        profiles.len(),
        in_time(profiles, axis)
    )];
    let mut differ = |what: &str, of: &dyn Fn(&Profile) -> String| {
        let values: BTreeSet<String> = profiles.iter().map(of).collect();
        if values.len() > 1 {
            notes.push(format!("{what}: {}", listed(values.iter().map(|v| &**v))));
        }
    };
    differ("they are of different programs", &|profile| {
        let name = Path::new(&profile.target.exe).file_name();
        name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    });
    differ("they are of different builds", &|profile| {
        let build_id = profile.target.build_id.as_deref();
        build_id.unwrap_or("one without a build-id").to_owned()
    });
    differ("they were sampled at different rates", &|profile| {
        rate(profile.options.rate_hz)
    });
    differ(
        "stalls shorter than the longest of their thresholds are not told of all",
        &|profile| duration(profile.options.stall_threshold_ns),
    );
    let blind = profiles.iter().filter(|profile| profile.waiting.is_none());
    let blind = blind.count();
    if blind > 0 && blind < profiles.len() {
        notes.push(format!(
            "{blind} of them have no snapshots: what waits is that of the others"
        ));
    }
    notes
}

/// Whether they are beside each other, one after the other, or partly so.
fn in_time(profiles: &[Profile], axis: &Axis) -> String {
    if axis.sessions.len() == profiles.len() {
        return ", one after the other: means are over all of them, and the time between is left \
                out"
        .to_owned();
    }
    let together = match axis.sessions.len() {
        1 => String::new(),
        sessions => format!(", {sessions} times some at once: the time between is left out"),
    };
    let all = profiles.iter();
    let recorded = all.fold(0_u64, |sum, p| sum.saturating_add(p.duration_ns));
    let lanes = axis.places.iter().map(|place| place.lane + 1).max();
    let whole = axis.duration_ns.saturating_mul(lanes.unwrap_or(1) as u64);
    // A second or a tenth is nothing to speak of.
    match recorded as f64 >= whole as f64 * 0.9 {
        true if together.is_empty() => {
            " at the same time: what they had at a moment adds up".to_owned()
        }
        true => together,
        false => format!(
            "{together}, that overlap only in part: of {} in which any was recorded, means are \
             over all, also where not all were",
            duration(axis.duration_ns)
        ),
    }
}
