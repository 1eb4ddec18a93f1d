//! What stands above the boxes: title, facts, errors and the legend.

use super::{WIDTH, palette};
use crate::fold::Sort;
use crate::printable::{count, duration, percent, printable, rate, task_seconds, tasks};
use crate::profile::Profile;
use crate::view::{Grouping, RuntimeFrames, View};
use awaitscope_symbolizer::FrameKind;

/// One line of text above the picture.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) class: &'static str,
    pub(super) y: u32,
    pub(super) text: String,
}

/// A sample of a colour, and what it means.
#[derive(Debug)]
pub(super) struct Chip {
    pub(super) x: f64,
    pub(super) color: String,
    pub(super) text: String,
}

/// Where the legend stands.
pub(super) const LEGEND_Y: u32 = 90;
/// Where the line about the box under the mouse stands.
pub(super) const DETAILS_Y: u32 = 116;
/// Where the boxes begin.
pub(super) const HEIGHT: usize = 126;

/// The lines above the picture.
pub(super) fn texts(profile: &Profile, view: View, total_ns: u64) -> Vec<Text> {
    let what = match view {
        View::Cpu => "CPU time by async stack",
        View::Wait => "Where tasks wait",
        View::Wall => "Where the life of tasks goes",
        View::Stall => "Stalls by the stack that held the worker",
    };
    let title = match &*profile.target.name {
        "" => what.to_owned(),
        name => format!("{}: {what}", printable(name)),
    };
    let (errors, bad) = errors(profile, view);
    vec![
        Text {
            class: "head headline",
            y: 28,
            text: title,
        },
        Text {
            class: "head facts",
            y: 49,
            text: facts(profile, view, total_ns),
        },
        Text {
            class: if bad {
                "head errors bad"
            } else {
                "head errors"
            },
            y: 67,
            text: errors,
        },
    ]
}

fn facts(profile: &Profile, view: View, total_ns: u64) -> String {
    let target = &profile.target;
    let mut facts = vec![printable(&target.exe).into_owned(), target.process()];
    facts.retain(|fact| !fact.is_empty());
    for runtime in profile.runtimes.iter().take(2) {
        let version = runtime.version.as_deref().unwrap_or("");
        facts.push(printable(format!("{} {version}", runtime.name).trim_end()).into_owned());
    }
    facts.push(format!("{} recorded", duration(profile.duration_ns)));
    match view {
        _ if total_ns == 0 => {}
        View::Stall => facts.push(format!(
            "workers held {} in polls of {} or more",
            duration(total_ns),
            duration(profile.options.stall_threshold_ns)
        )),
        View::Cpu => facts.push(format!("{} on CPU", duration(total_ns))),
        View::Wait | View::Wall => {
            let did = if view == View::Wait {
                "waiting"
            } else {
                "of life"
            };
            let mean = total_ns as f64 / covered(profile).max(1) as f64;
            let (time, mean) = (task_seconds(total_ns), tasks(mean));
            facts.push(format!("{time} {did}: {mean} on average"));
        }
    }
    if view != View::Wait {
        facts.push(format!(
            "{} samples {}",
            count(profile.quality.samples),
            rate(profile.options.rate_hz)
        ));
    }
    if matches!(view, View::Wait | View::Wall) {
        facts.push(format!("{} snapshots", count(profile.quality.snapshots)));
    }
    facts.join("  ·  ")
}

/// What the recording could not see, and whether it is worth a warning.
fn errors(profile: &Profile, view: View) -> (String, bool) {
    let quality = &profile.quality;
    let samples = quality.samples.max(1) as f64;
    let mut bad = false;
    let mut error = |what: &str, number: u64, of: f64| {
        let share = number as f64 / of;
        bad |= share > 0.01;
        match number {
            0 => format!("{what} 0"),
            _ => format!("{what} {} ({})", count(number), percent(share)),
        }
    };
    let mut errors = Vec::new();
    if view != View::Wait {
        errors.extend([
            error("lost", quality.lost, samples + quality.lost as f64),
            error("truncated stacks", quality.truncated, samples),
            error("unsymbolized", quality.unsymbolized_samples, samples),
        ]);
    }
    if matches!(view, View::Wait | View::Wall) {
        let tasks = quality.snapshot_tasks.max(1) as f64;
        errors.extend([
            error("torn tasks", quality.torn_tasks, tasks),
            error("await point not known", quality.unresolved_tasks, tasks),
        ]);
    }
    (errors.join("  ·  "), bad)
}

/// How much time the snapshots stand for.
pub(super) fn covered(profile: &Profile) -> u64 {
    profile
        .waiting
        .as_ref()
        .map_or(0, |waiting| waiting.covered_ns)
}

/// The legend: the sorts that are in the picture.
pub(super) fn legend(
    view: View,
    grouping: Grouping,
    runtime_frames: RuntimeFrames,
    shown: impl Fn(Sort) -> bool,
) -> Vec<Chip> {
    let group = match grouping {
        Grouping::None => None,
        Grouping::Thread => Some("thread"),
        Grouping::Kind => Some("kind of task"),
        Grouping::Task => Some("kind of task, task"),
    };
    let folded = match runtime_frames {
        RuntimeFrames::Folded => "runtime (folded into its caller)",
        RuntimeFrames::Shown => "runtime",
    };
    let mut entries: Vec<(Sort, &str)> = Vec::new();
    entries.extend(group.map(|name| (Sort::Group, name)));
    match view {
        View::Cpu | View::Stall => entries.extend(palette::LEGEND.into_iter().filter(|entry| {
            // What a picture of running code always tells apart.
            entry.0 != Sort::Frame(FrameKind::Leaf) || shown(entry.0)
        })),
        View::Wait | View::Wall => {
            let (is_async, sync) = (FrameKind::Async, Sort::Frame(FrameKind::Sync));
            entries.push((Sort::Frame(is_async), "async function"));
            let in_it = |sort| shown(sort) || sort == Sort::OnCpu && shown(sync);
            entries.extend(palette::WAITS.into_iter().filter(|entry| in_it(entry.0)));
            let runtime = Sort::Frame(FrameKind::Runtime);
            entries.extend(shown(runtime).then_some((runtime, "runtime")));
        }
    }
    for entry in &mut entries {
        if entry.1 == "runtime" {
            entry.1 = folded;
        }
    }
    let entries: Vec<(String, &str)> = entries
        .into_iter()
        .map(|(sort, text)| (palette::pure(sort), text))
        .collect();
    chips(&entries)
}

/// Lines of one's own above a picture.
pub(super) fn lines([title, facts, errors]: [String; 3]) -> Vec<Text> {
    let line = |class, y, text| Text { class, y, text };
    vec![
        line("head headline", 28, title),
        line("head facts", 49, facts),
        line("head errors", 67, errors),
    ]
}

/// The entries of a legend, side by side.
pub(super) fn chips(entries: &[(String, &str)]) -> Vec<Chip> {
    // About seven pixels a letter, and the chip.
    let width = |text: &str| 18.0 + 6.6 * text.chars().count() as f64;
    let all: f64 = entries.iter().map(|(_, text)| width(text)).sum();
    let gap = (WIDTH - all) / entries.len().max(1) as f64;
    let mut chips = Vec::new();
    let mut x = 10.0;
    for (color, text) in entries {
        chips.push(Chip {
            x,
            color: color.clone(),
            text: (*text).to_owned(),
        });
        x += width(text) + gap.clamp(6.0, 18.0);
    }
    chips
}
