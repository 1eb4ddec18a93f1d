use super::super::written;
use super::*;
use crate::sample::{self, waits};
use crate::{Export, State};
use flate2::read::GzDecoder;
use serde_json::Value as Json;

fn exported(profile: &Profile) -> Json {
    let bytes = written(profile, Format::Firefox, &ExportOptions::default());
    serde_json::from_reader(GzDecoder::new(&bytes[..])).unwrap()
}

/// The tracks of the process whose name ends so.
fn tracks<'a>(file: &'a Json, process: &str) -> Vec<&'a Json> {
    let threads = file["threads"].as_array().unwrap().iter();
    threads
        .filter(|thread| thread["processName"].as_str().unwrap().ends_with(process))
        .collect()
}

const ON_CPU: &str = ": kinds of tasks, on CPU";
const WAITING: &str = ": kinds of tasks, where they wait (task × time)";

fn named<'a>(tracks: &[&'a Json], name: &str) -> &'a Json {
    tracks.iter().find(|track| track["name"] == name).unwrap()
}

fn column(track: &Json, table: &str, column: &str) -> Vec<f64> {
    let values = track[table][column].as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// Milliseconds of all samples.
fn weight(track: &Json) -> f64 {
    column(track, "samples", "weight").iter().sum()
}

fn total_ms(profile: &Profile, is_in: impl Fn(&crate::profile::Weight) -> bool) -> f64 {
    let weights = profile.weights().filter(|weight| is_in(weight));
    weights.map(|weight| weight.ns).sum::<u64>() as f64 / 1e6
}

/// Each stack is rounded to a millisecond, once.
fn assert_about(found: f64, expected: f64, stacks: f64) {
    assert!(
        (found - expected).abs() <= stacks * 0.5,
        "{found}, not {expected}"
    );
}

#[test]
fn threads_have_their_time_on_the_cpu() {
    let profile = sample::service();
    let file = exported(&profile);
    let threads = tracks(&file, "app");
    assert_eq!(threads.len(), 2);
    let all: f64 = threads.iter().map(|track| weight(track)).sum();
    let expected = total_ms(&profile, |weight| weight.key.state == State::OnCpu);
    assert_about(all, expected, 28.0);
    let cpu = column(threads[0], "samples", "threadCPUDelta");
    assert_about(cpu.iter().sum::<f64>() / 1e3, weight(threads[0]), 14.0);
    assert_eq!(threads[0]["samples"]["weightType"], "tracing-ms");
}

#[test]
fn kinds_are_tracks_too_on_the_cpu_and_where_they_wait() {
    let profile = sample::service();
    let file = exported(&profile);
    let kinds = tracks(&file, ON_CPU);
    let serve = total_ms(&profile, |weight| {
        weight.key.state == State::OnCpu && weight.key.kind.is_some_and(|kind| kind.index() == 0)
    });
    assert_about(weight(named(&kinds, "app::serve")), serve, 8.0);
    named(&kinds, "app::report::{closure#0} (blocking)");
    assert!(tracks(&file, WAITING).is_empty(), "there were no snapshots");
    let profile = waits::service();
    let file = exported(&profile);
    let all: f64 = tracks(&file, WAITING)
        .iter()
        .map(|track| weight(track))
        .sum();
    let states = [State::Waiting, State::Ready];
    let expected = total_ms(&profile, |weight| states.contains(&weight.key.state));
    assert_about(all, expected, profile.stacks.len() as f64);
}

#[test]
fn samples_lie_in_their_second_one_after_the_other() {
    let profile = sample::service();
    let file = exported(&profile);
    for track in file["threads"].as_array().unwrap() {
        let mut time = 0.0;
        for delta in column(track, "samples", "timeDeltas") {
            assert!(delta >= 0.0);
            time += delta;
        }
        assert!(time <= 10_000.0 + 1e-6, "{time}");
    }
    let product = file["meta"]["product"].as_str().unwrap();
    assert!(product.contains("within its second"), "{product}");
}

/// The markers of a track with this type: start and length in milliseconds, and data.
fn markers<'a>(track: &'a Json, kind: &str) -> Vec<(f64, f64, &'a Json)> {
    let data = track["markers"]["data"].as_array().unwrap().iter();
    let times = column_or_none(track, "startTime")
        .into_iter()
        .zip(column_or_none(track, "endTime"));
    data.zip(times)
        .filter(|(data, _)| data["type"] == kind)
        .map(|(data, (start, end))| (start, end - start, data))
        .collect()
}

fn column_or_none(track: &Json, column: &str) -> Vec<f64> {
    let values = track["markers"][column].as_array().unwrap().iter();
    values
        .map(|value| value.as_f64().unwrap_or(f64::NAN))
        .collect()
}

/// The text of a field, which is an index into the strings of its track.
fn text<'a>(track: &'a Json, data: &Json, field: &str) -> &'a str {
    let index = data[field].as_u64().unwrap() as usize;
    track["stringArray"][index].as_str().unwrap()
}

#[test]
fn stalls_are_markers_with_their_own_start_and_length() {
    let profile = sample::service();
    let file = exported(&profile);
    let threads = tracks(&file, "app");
    let all: Vec<_> = threads
        .iter()
        .flat_map(|track| {
            markers(track, "Stall")
                .into_iter()
                .map(move |found| (*track, found))
        })
        .collect();
    assert_eq!(all.len(), 60);
    for stall in &profile.stalls {
        let (start, length) = (stall.start_ns as f64 / 1e6, stall.duration_ns as f64 / 1e6);
        let same = |(_, (at, long, _)): &&(&Json, (f64, f64, &Json))| {
            (at - start).abs() < 1e-6 && (long - length).abs() < 1e-6
        };
        assert!(all.iter().any(|found| same(&found)), "{start}");
    }
    let asleep = all
        .iter()
        .find(|(track, (_, _, data))| text(track, data, "syscall") == "clock_nanosleep");
    let (track, (_, _, data)) = asleep.unwrap();
    assert_eq!(text(track, data, "kind"), "app::mailer::run");
    assert_eq!(text(track, data, "culprit"), "std::thread::sleep");
    assert_eq!(text(track, data, "place"), "src/mailer.rs:44");
    assert_eq!(text(track, data, "advice"), "use tokio::time::sleep");
    assert!(
        data["cause"]["stack"].is_number(),
        "it has its stack: {data}"
    );
}

#[test]
fn values_over_time_are_graphs() {
    let file = exported(&waits::service());
    let all = tracks(&file, ": all tasks, over time");
    let means = markers(all[0], "Mean");
    assert!(means.len() >= 10, "{}", means.len());
    let schemas = file["meta"]["markerSchema"].as_array().unwrap();
    let schema = schemas
        .iter()
        .find(|schema| schema["name"] == "Mean")
        .unwrap();
    assert_eq!(schema["graphs"][0]["key"], "mean");
    let about = markers(all[0], "About");
    assert!(text(all[0], about[0].2, "order").contains("not known"));
}

#[test]
fn a_grouping_or_view_is_refused() {
    let options = ExportOptions {
        grouping: Some(crate::Grouping::Kind),
        ..ExportOptions::default()
    };
    let refused = Export::of(&sample::service(), Format::Firefox, &options).unwrap_err();
    assert!(refused.to_string().contains("leave --view"), "{refused}");
}

#[test]
fn hostile_names_stay_names() {
    let profile = sample::one_stack(&["sync user \u{1b}[31m\n\u{202e}x"], 5_000_000);
    let text = exported(&profile).to_string();
    assert!(!text.contains('\u{1b}') && !text.contains("\\u001b") && !text.contains('\u{202e}'));
}

#[test]
fn a_profile_of_nothing_is_refused() {
    let quiet = sample::builder().finish(1_000_000_000);
    let refused = Export::of(&quiet, Format::Firefox, &ExportOptions::default());
    assert!(matches!(refused, Err(Error::NoSamples)));
}
