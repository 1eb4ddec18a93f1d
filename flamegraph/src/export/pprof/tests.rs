use super::super::written;
use super::*;
use crate::sample::{self, waits};
use crate::view::Grouping;
use crate::{Export, State};
use flate2::read::GzDecoder;
use std::io::Read;

fn exported(profile: &Profile, options: &ExportOptions) -> proto::Profile {
    let bytes = written(profile, Format::Pprof, options);
    let mut unpacked = Vec::new();
    GzDecoder::new(&bytes[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    proto::Profile::decode(&unpacked[..]).unwrap()
}

fn everything(profile: &Profile) -> proto::Profile {
    exported(profile, &ExportOptions::default())
}

fn string(found: &proto::Profile, index: i64) -> &str {
    &found.string_table[usize::try_from(index).unwrap()]
}

fn columns(found: &proto::Profile) -> Vec<&str> {
    let types = found.sample_type.iter();
    types.map(|column| string(found, column.r#type)).collect()
}

/// The sum of a column over the samples with this label.
fn sum(found: &proto::Profile, column: &str, label: Option<(&str, &str)>) -> u64 {
    let at = columns(found)
        .iter()
        .position(|name| *name == column)
        .unwrap();
    let has_label = |sample: &&proto::Sample| {
        label.is_none_or(|wanted| {
            let mut labels = sample.label.iter();
            labels.any(|label| (string(found, label.key), string(found, label.str)) == wanted)
        })
    };
    let samples = found.sample.iter().filter(has_label);
    samples.map(|sample| sample.value[at] as u64).sum()
}

/// The functions of a sample, root first.
fn functions<'a>(found: &'a proto::Profile, sample: &proto::Sample) -> Vec<&'a str> {
    let name = |id: &u64| {
        let location = &found.location[*id as usize - 1];
        let function = &found.function[location.line[0].function_id as usize - 1];
        string(found, function.name)
    };
    sample.location_id.iter().rev().map(name).collect()
}

fn total(profile: &Profile, state: State) -> u64 {
    let weights = profile.weights().filter(|weight| weight.key.state == state);
    weights.map(|weight| weight.ns).sum()
}

#[test]
fn every_nanosecond_and_sample_is_there() {
    let profile = sample::service();
    let found = everything(&profile);
    assert_eq!(
        columns(&found),
        ["samples", "cpu", "blocked", "stalls", "stall"]
    );
    assert_eq!(sum(&found, "cpu", None), total(&profile, State::OnCpu));
    assert_eq!(sum(&found, "samples", None), profile.quality.samples);
    assert_eq!(sum(&found, "stalls", None), profile.stalls.len() as u64);
    let stalled: u64 = profile.stalls.iter().map(|stall| stall.duration_ns).sum();
    assert_eq!(sum(&found, "stall", None), stalled);
    assert_eq!(string(&found, found.default_sample_type), "cpu");
}

#[test]
fn what_was_not_measured_has_no_column() {
    let found = everything(&sample::one_stack(&["sync user f"], 5));
    assert!(
        !columns(&found).contains(&"waiting"),
        "there are no snapshots"
    );
    let found = everything(&waits::service());
    assert!(columns(&found).contains(&"waiting"));
}

#[test]
fn labels_tell_kinds_tasks_threads_and_states_apart() {
    let profile = sample::service();
    let found = everything(&profile);
    let serve: u64 = profile
        .weights()
        .filter(|weight| weight.key.state == State::OnCpu)
        .filter(|weight| weight.key.kind.is_some_and(|kind| kind.index() == 0))
        .map(|weight| weight.ns)
        .sum();
    assert_eq!(sum(&found, "cpu", Some(("kind", "app::serve"))), serve);
    let blocking = "app::report::{closure#0} (blocking)";
    assert!(sum(&found, "cpu", Some(("kind", blocking))) > 0);
    assert!(sum(&found, "cpu", Some(("task", "17"))) > 0);
    let threads = ["tokio-rt-worker 12", "tokio-rt-worker 13"];
    let of_threads = threads.map(|thread| sum(&found, "cpu", Some(("thread", thread))));
    assert_eq!(
        of_threads.iter().sum::<u64>(),
        total(&profile, State::OnCpu)
    );
    let slept = sum(&found, "stalls", Some(("state", "stalled-in-syscall")));
    assert_eq!(slept, 48);
    let call = sum(&found, "stalls", Some(("syscall", "clock_nanosleep")));
    assert_eq!(call, 48);
}

#[test]
fn waiting_is_told_by_what_is_waited_for() {
    let profile = waits::service();
    let found = everything(&profile);
    assert_eq!(
        sum(&found, "waiting", None),
        total(&profile, State::Waiting)
    );
    assert!(sum(&found, "waiting", Some(("waits_on", "timer"))) > 0);
    assert_eq!(sum(&found, "ready", None), total(&profile, State::Ready));
}

#[test]
fn a_view_is_a_file_of_that_alone() {
    let profile = waits::service();
    let view = |view| ExportOptions {
        view: Some(view),
        ..ExportOptions::default()
    };
    for (asked, expected) in [
        (View::Cpu, &["samples", "cpu"][..]),
        (View::Wait, &["waiting"]),
        (View::Wall, &["wall"]),
        (View::Stall, &["stalls", "stall"]),
    ] {
        assert_eq!(columns(&exported(&profile, &view(asked))), expected);
    }
}

#[test]
fn stacks_have_their_lines_and_no_machinery() {
    let found = everything(&sample::service());
    let below = ["app::serve", "app::handler", "app::decrypt"];
    let is_below = |sample: &&proto::Sample| {
        let functions = functions(&found, sample);
        functions.starts_with(&below[..2]) && functions.contains(&below[2])
    };
    let sample = found.sample.iter().find(is_below).unwrap();
    let leaf = &found.location[sample.location_id[0] as usize - 1];
    assert!(leaf.line[0].line > 0);
    let all: Vec<&str> = found
        .function
        .iter()
        .map(|f| string(&found, f.name))
        .collect();
    assert!(all.contains(&"[runtime]") && !all.iter().any(|name| name.contains("poll_future")));
}

#[test]
fn the_binary_and_the_time_are_told() {
    let profile = sample::service();
    let found = everything(&profile);
    let binary = &found.mapping[0];
    assert_eq!(string(&found, binary.filename), "/srv/app/bin/app");
    assert_eq!(string(&found, binary.build_id), "c0ffee");
    assert_eq!(found.time_nanos as u64, profile.start_unix_ns);
    assert_eq!(found.duration_nanos as u64, profile.duration_ns);
    assert_eq!(found.period, 10_101_010);
}

#[test]
fn a_grouping_is_refused_with_what_to_do() {
    let options = ExportOptions {
        grouping: Some(Grouping::Thread),
        ..ExportOptions::default()
    };
    let refused = Export::of(&sample::service(), Format::Pprof, &options).unwrap_err();
    assert!(refused.to_string().contains("-tagroot"), "{refused}");
}

#[test]
fn hostile_names_stay_names() {
    let profile = sample::one_stack(&["sync user \u{1b}[31m\n\u{202e}x"], 5);
    let found = everything(&profile);
    assert!(
        found
            .string_table
            .iter()
            .all(|name| !name.contains('\u{1b}'))
    );
}
