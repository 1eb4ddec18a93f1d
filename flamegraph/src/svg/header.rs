//! What stands above the boxes: title, facts, errors and the legend.

use super::palette;
use crate::fold::Sort;
use crate::printable::{count, duration, percent, printable};
use crate::profile::Profile;
use crate::view::{Grouping, RuntimeFrames, View};

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
        View::Wait => "Waiting tasks by await point",
        View::Wall => "Life of tasks",
        View::Stall => "Stalls by the stack that held the worker",
    };
    let title = match &*profile.target.name {
        "" => what.to_owned(),
        name => format!("{}: {what}", printable(name)),
    };
    let (errors, bad) = errors(profile);
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
    let mut facts = vec![
        printable(&target.exe).into_owned(),
        format!("pid {}", target.pid),
    ];
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
        _ => facts.push(format!("{} on CPU", duration(total_ns))),
    }
    facts.push(format!(
        "{} samples at {} Hz",
        count(profile.quality.samples),
        profile.options.rate_hz
    ));
    facts.join("  ·  ")
}

/// What the recording could not see, and whether it is worth a warning.
fn errors(profile: &Profile) -> (String, bool) {
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
    let errors = [
        error("lost", quality.lost, samples + quality.lost as f64),
        error("truncated stacks", quality.truncated, samples),
        error("unsymbolized", quality.unsymbolized_samples, samples),
    ]
    .join("  ·  ");
    (errors, bad)
}

/// The legend: the sorts that are in the picture.
pub(super) fn legend(
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
    let mut chips = Vec::new();
    let mut x = 10.0;
    let group = group.map(|name| (Sort::Group, name));
    let kinds = palette::LEGEND.into_iter().filter(|&(sort, _)| {
        // What a picture of running code always tells apart.
        !matches!(sort, Sort::Frame(awaitscope_symbolizer::FrameKind::Leaf)) || shown(sort)
    });
    for (sort, name) in group.into_iter().chain(kinds) {
        let text = if name == "runtime" { folded } else { name };
        chips.push(Chip {
            x,
            color: palette::pure(sort),
            text: text.to_owned(),
        });
        // The chip, and about seven pixels a letter.
        x += 18.0 + 6.6 * text.chars().count() as f64 + 18.0;
    }
    chips
}
