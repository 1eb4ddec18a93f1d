//! What became of the service, and what may mislead.

use super::cpu::CpuChanges;
use super::lag::Machine;
use super::model::{Change, Fate, Resolution, Verdict};
use super::options::{DiffOptions, Normalization};
use super::stalls::{StallChanges, threshold_ns};
use super::text::words;
use crate::printable::{count, duration, number, percent, printable};
use crate::profile::Profile;

/// To say that nothing changed, a change by half would have to be seen.
const SEEN: f64 = 0.5;
/// More work than this on one side, and what is not CPU time may differ for that.
const LOADED: f64 = 1.15;
/// More of this lost or not known, and results may be off.
const BAD: f64 = 0.01;
/// Code without a name cannot be matched.
const NAMELESS: f64 = 0.05;

/// The verdict, and why.
pub(super) fn verdict(changes: &[Change], resolution: Resolution) -> (Verdict, Vec<String>) {
    let fewest = resolution.base_windows.min(resolution.new_windows);
    if fewest < resolution.needed_windows {
        return (Verdict::Inconclusive, vec![too_short(resolution)]);
    }
    let leading = || {
        changes
            .iter()
            .filter(|change| change.leading && !change.moved)
    };
    let worse = leading().filter(|change| is_worse(change));
    let worse: Vec<String> = worse.map(words).collect();
    let better = leading().filter(|change| is_better(change));
    let better: Vec<String> = better.map(words).collect();
    if !worse.is_empty() {
        return (Verdict::Regressed, [worse, better].concat());
    }
    if !better.is_empty() {
        return (Verdict::Improved, better);
    }
    match resolution.detectable {
        Some(detectable) if detectable <= SEEN => (
            Verdict::Unchanged,
            vec![format!(
                "a change of {} in what uses a tenth of the CPU time would have been seen",
                percent(detectable)
            )],
        ),
        Some(detectable) => (
            Verdict::Inconclusive,
            vec![format!(
                "only a change of {} in what uses a tenth of the CPU time would have been seen: \
                 record for {} times as long, or at a higher rate (-F)",
                percent(detectable),
                count((detectable / SEEN).powi(2).ceil().min(1e6) as u64)
            )],
        ),
        None => (
            Verdict::Inconclusive,
            vec![
                "there is hardly any CPU time to compare: record while the service is busy"
                    .to_owned(),
            ],
        ),
    }
}

fn too_short(resolution: Resolution) -> String {
    format!(
        "there are {} windows of time in the base and {} in the new release, and {} are needed to \
         tell a change from chance: record for longer, 20 s at least and better a minute",
        resolution.base_windows, resolution.new_windows, resolution.needed_windows
    )
}

fn is_worse(change: &Change) -> bool {
    change.fate.is_more()
}

fn is_better(change: &Change) -> bool {
    matches!(change.fate, Fate::Shrunk | Fate::Vanished)
}

/// Whether the machine was as busy with other things on both sides.
pub(super) fn machine(found: &StallChanges) -> Machine {
    let [base, new] = found.preempted;
    match (base - new).abs() > BAD {
        true => Machine::Busier,
        false => Machine::Alike,
    }
}

/// What is to be said of stalls that were not compared.
pub(super) fn of_stalls(sides: [&[Profile]; 2], found: &StallChanges) -> Vec<String> {
    let mut warnings = Vec::new();
    let threshold = threshold_ns(sides);
    let differs = |profile: &Profile| profile.options.stall_threshold_ns != threshold;
    if sides.into_iter().flatten().any(differs) {
        warnings.push(format!(
            "the recordings took polls of different lengths for stalls: only those of {} and more \
             are compared",
            duration(threshold)
        ));
    }
    if found.summed > 0 {
        warnings.push(format!(
            "{} stalls were too many to be kept one by one, and are not compared",
            count(found.summed)
        ));
    }
    let [base, new] = found.preempted;
    if machine(found) == Machine::Busier {
        warnings.push(format!(
            "on all workers together, polls could not run for {} ms of each second in the base and \
             {} in the new release, because the machine was busy with something else: \
             lag is not judged",
            number(base * 1e3),
            number(new * 1e3)
        ));
    }
    warnings
}

/// What may mislead.
pub(super) fn warnings(
    sides: [&[Profile]; 2],
    options: &DiffOptions,
    cpu: &CpuChanges,
    resolution: Resolution,
) -> Vec<String> {
    let mut warnings = Vec::new();
    of_sides(sides, &mut warnings);
    let ratio = cpu
        .total
        .ratio
        .filter(|ratio| !(1.0 / LOADED..LOADED).contains(ratio));
    if let (Normalization::Cpu, Some(ratio)) = (options.normalization, ratio) {
        warnings.push(format!(
            "by the clock the service used {} of the CPU time it used before: shares cannot tell \
             more load from code that is slower all over (--normalize wall does, where the load is \
             the same)",
            percent(ratio)
        ));
    }
    if cpu.gave_up {
        warnings.push(
            "so much changed that there is little left to compare it with: changes may have been \
             missed, and sizes are less sure"
                .to_owned(),
        );
    }
    if sides.iter().any(|profiles| profiles.len() < 2)
        && resolution.base_windows.min(resolution.new_windows) >= resolution.needed_windows
    {
        warnings.push(
            "a side has only one recording: how much one run differs from the next cannot be told \
             (record several, and give them with --base and --new)"
                .to_owned(),
        );
    }
    warnings
}

fn of_sides(sides: [&[Profile]; 2], warnings: &mut Vec<String>) {
    for (profiles, side) in sides.into_iter().zip(["base", "new release"]) {
        let sum = |of: fn(&Profile) -> u64| profiles.iter().map(of).fold(0, u64::saturating_add);
        let samples = sum(|profile| profile.quality.samples).max(1) as f64;
        let lost = sum(|profile| profile.quality.lost) as f64;
        let nameless = sum(|profile| profile.quality.unsymbolized_samples) as f64;
        if lost / (samples + lost) > BAD {
            warnings.push(format!(
                "{} of the samples of the {side} were lost",
                percent(lost / (samples + lost))
            ));
        }
        if nameless / samples > NAMELESS {
            warnings.push(format!(
                "{} of the samples of the {side} are in code without a name, which is not matched \
                 from build to build",
                percent((nameless / samples).min(1.0))
            ));
        }
    }
    let all = || sides.into_iter().flatten();
    let differ =
        |of: fn(&Profile) -> &str| all().any(|one| all().any(|other| of(one) != of(other)));
    let name = |profile: &Profile| printable(&profile.target.name).into_owned();
    if differ(|profile| &profile.target.name) {
        let mut names: Vec<String> = all().map(name).collect();
        names.dedup();
        warnings.push(format!(
            "the recordings are of different programs: {}",
            names.join(", ")
        ));
    }
    if differ(|profile| &profile.target.host) {
        warnings.push("the recordings are of different machines".to_owned());
    }
    let snapshots =
        |profiles: &[Profile]| profiles.iter().all(|profile| profile.quality.snapshots > 0);
    if sides.iter().any(|profiles| !snapshots(profiles)) {
        warnings.push(
            "a recording has no snapshots of tasks: where they wait is not compared".to_owned(),
        );
    }
}
