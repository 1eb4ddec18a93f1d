use super::*;
use crate::profile::COVERED;
use crate::sample::{self, waits};
use crate::{Cause, KindClass, Report, State, ThreadRole};
use proptest::prelude::*;
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;

/// The same service in another process, `after` seconds later.
fn again(profile: &Profile, pid: u32, after: u64) -> Profile {
    let mut other = profile.clone();
    other.target.pid = pid;
    other.start_unix_ns += after * SECOND;
    other
}

fn report(profile: &Profile) -> Value {
    serde_json::from_str(&Report::of(profile).to_json()).unwrap()
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

fn assert_close(found: &Value, expected: f64) {
    let found = number(found);
    let allowed = expected.abs() * 1e-9;
    assert!(
        (found - expected).abs() <= allowed,
        "{found}, not {expected}"
    );
}

/// What a profile is written as is read again, so it holds all that profiles promise.
fn merged(profiles: &[&Profile]) -> Profile {
    let merged = merge(profiles.iter().map(|profile| (*profile).clone()).collect()).unwrap();
    let mut bytes = Vec::new();
    merged.write(&mut bytes).unwrap();
    assert_eq!(Profile::read(&bytes[..]).unwrap(), merged);
    merged
}

fn kind<'a>(report: &'a Value, name: &str) -> &'a Value {
    let kinds = report["kinds"].as_array().unwrap();
    kinds.iter().find(|kind| kind["kind"] == name).unwrap()
}

fn note(profile: &Profile, words: &str) -> bool {
    profile
        .quality
        .notes
        .iter()
        .any(|note| note.contains(words))
}

#[test]
fn one_profile_stays_what_it_is() {
    let profile = sample::service();
    assert_eq!(merge(vec![profile.clone()]).unwrap(), profile);
    assert!(matches!(merge(Vec::new()), Err(Error::NothingToMerge)));
}

#[test]
fn replicas_at_the_same_time_add_up() {
    let one = waits::service();
    let both = merged(&[&one, &again(&one, 4712, 0)]);
    let (of_one, of_both) = (report(&one), report(&both));
    assert_eq!(both.duration_ns, one.duration_ns);
    let total = number(&of_one["cpu"]["total_ms"]);
    assert_close(&of_both["cpu"]["total_ms"], 2.0 * total);
    for field in ["cpu_ms", "live_mean", "tasks_seen"] {
        let of_one = number(&kind(&of_one, "app::serve")[field]);
        assert_close(&kind(&of_both, "app::serve")[field], 2.0 * of_one);
    }
    assert_eq!(
        kind(&of_both, "app::serve")["cpu_share"],
        kind(&of_one, "app::serve")["cpu_share"]
    );
    let wait = |report: &Value, field: &str| number(&report["waits"][0][field]);
    assert_close(
        &of_both["waits"][0]["mean_tasks"],
        2.0 * wait(&of_one, "mean_tasks"),
    );
    assert_close(&of_both["waits"][0]["share"], wait(&of_one, "share"));
    let live = |report: &Value| number(&report["series"]["live_tasks"][3]);
    assert_close(&of_both["series"]["live_tasks"][3], 2.0 * live(&of_one));
    assert!(note(&both, "at the same time"), "{:?}", both.quality.notes);
}

#[test]
fn runs_one_after_the_other_are_one_longer_recording() {
    let one = waits::service();
    let both = merged(&[&one, &again(&one, 4712, 3600)]);
    let (of_one, of_both) = (report(&one), report(&both));
    assert_eq!(both.duration_ns, 2 * one.duration_ns);
    let total = number(&of_one["cpu"]["total_ms"]);
    assert_close(&of_both["cpu"]["total_ms"], 2.0 * total);
    let live = number(&kind(&of_one, "app::serve")["live_mean"]);
    assert_close(&kind(&of_both, "app::serve")["live_mean"], live);
    let mean = number(&of_one["waits"][0]["mean_tasks"]);
    assert_close(&of_both["waits"][0]["mean_tasks"], mean);
    let values = of_both["series"]["live_tasks"].as_array().unwrap().len();
    assert!(
        (20..25).contains(&values),
        "the hour between is cut out: {values}"
    );
    assert!(
        note(&both, "one after the other"),
        "{:?}",
        both.quality.notes
    );
}

#[test]
fn a_worker_is_as_busy_as_before_however_recordings_lie() {
    let one = sample::service();
    let busy = |profile: &Profile| -> Vec<f64> {
        let report = report(profile);
        let workers = report["workers"].as_array().unwrap().iter();
        workers
            .map(|worker| number(&worker["busy_share"]))
            .collect()
    };
    let replicas = merged(&[&one, &again(&one, 4712, 0)]);
    assert_eq!(replicas.runtimes[0].workers, 4);
    let expected: Vec<f64> = busy(&one)
        .into_iter()
        .flat_map(|share| [share; 2])
        .collect();
    assert_eq!(
        busy(&replicas),
        expected,
        "each replica has workers of its own"
    );
    let runs = merged(&[&one, &again(&one, 4712, 60)]);
    assert_eq!(runs.runtimes[0].workers, 2);
    assert_eq!(busy(&runs), busy(&one), "a worker goes on where it was");
}

#[test]
fn findings_of_held_workers_keep_their_share() {
    let one = sample::service();
    let share = |profile: &Profile| -> String {
        let text = report(profile)["findings"][0]["text"].to_string();
        text.split('(')
            .nth(1)
            .unwrap()
            .split(')')
            .next()
            .unwrap()
            .to_owned()
    };
    let expected = share(&one);
    for after in [0, 60] {
        assert_eq!(share(&merged(&[&one, &again(&one, 4712, after)])), expected);
    }
}

#[test]
fn what_overlaps_in_part_says_so() {
    let one = waits::service();
    let both = merged(&[&one, &again(&one, 4712, 4)]);
    assert_eq!(both.duration_ns, one.duration_ns + 4 * SECOND);
    assert!(note(&both, "only in part"), "{:?}", both.quality.notes);
    let covered = both.waiting.as_ref().unwrap().covered_ns;
    let series = both
        .series
        .iter()
        .find(|series| series.name == COVERED)
        .unwrap();
    let sum: f64 = series.points.iter().map(|point| point.sum).sum();
    assert!((sum - covered as f64).abs() < 1e3, "{sum}, not {covered}");
    assert!(covered.abs_diff(both.duration_ns) < SECOND / 2, "{covered}");
}

#[test]
fn stalls_keep_their_length_and_move_with_their_recording() {
    let one = sample::service();
    let both = merged(&[&one, &again(&one, 4712, 60)]);
    assert_eq!(both.stalls.len(), 2 * one.stalls.len());
    let moved = &both.stalls[one.stalls.len()];
    assert_eq!(moved.start_ns, one.stalls[0].start_ns + one.duration_ns);
    assert_eq!(moved.duration_ns, one.stalls[0].duration_ns);
    assert_eq!(moved.cause, Cause::Cpu);
    let of_both = report(&both);
    assert_eq!(of_both["stalls"][0]["count"], 96);
}

#[test]
fn one_process_at_one_time_does_not_count_twice() {
    let one = sample::service();
    let refused = merge(vec![one.clone(), one.clone()]).unwrap_err();
    assert!(matches!(refused, Error::SameProcess { pid: 4711, .. }));
    let text = refused.to_string();
    assert!(text.contains("4711") && text.contains("twice"), "{text}");
}

#[test]
fn one_process_at_two_times_keeps_its_tasks_and_threads() {
    let one = sample::service();
    let both = merged(&[&one, &again(&one, 4711, 60)]);
    assert_eq!(both.tasks, one.tasks);
    assert_eq!(both.threads, one.threads);
    assert_eq!(both.target, one.target);
    assert_eq!(both.stacks, one.stacks);
}

#[test]
fn tasks_and_threads_of_different_processes_are_not_one() {
    let one = sample::service();
    let both = merged(&[&one, &again(&one, 4712, 0)]);
    assert_eq!(both.tasks.len(), 2 * one.tasks.len());
    assert_eq!(both.threads.len(), 2 * one.threads.len());
    let mut ids = both.tasks.iter().map(|task| &*task.id);
    assert!(ids.clone().any(|id| id == "4711/17") && ids.any(|id| id == "4712/17"));
    assert_eq!(both.target.pid, 0);
    assert!(
        Report::of(&both)
            .to_text(None, crate::Color::Never)
            .contains("several processes")
    );
}

#[test]
fn replicas_with_one_number_are_told_apart_by_their_host() {
    let one = sample::service();
    let mut other = one.clone();
    other.target.host = "node-8".to_owned();
    let both = merged(&[&one, &other]);
    assert_eq!(both.target.pid, 4711);
    assert_eq!(both.target.host, "node-7, node-8");
    assert!(both.tasks.iter().any(|task| task.id == "node-8/4711/17"));
}

#[test]
fn what_differs_is_told() {
    let one = sample::service();
    let mut other = again(&one, 4712, 0);
    other.options.rate_hz = 999;
    other.target.build_id = Some("beef".to_owned());
    other.target.exe = "/srv/app/bin/canary".to_owned();
    other.runtimes[0].version = Some("1.53.0".to_owned());
    let both = merged(&[&one, &other]);
    assert_eq!(both.options.rate_hz, 0);
    assert_eq!(both.target.build_id, None);
    assert_eq!(both.runtimes[0].version, None);
    assert_eq!(both.runtimes.len(), 1, "kinds of both are the same");
    for words in [
        "different programs: app, canary",
        "different builds: beef, c0ffee",
        "at 99 Hz, at 999 Hz",
        "versions of the runtime",
    ] {
        assert!(note(&both, words), "{words}: {:?}", both.quality.notes);
    }
    assert_eq!(both.kinds.len(), one.kinds.len());
}

#[test]
fn recordings_without_snapshots_do_not_thin_those_that_have_some() {
    let one = waits::service();
    let mut blind = again(&one, 4712, 60);
    blind.waiting = None;
    blind.series.clear();
    for bucket in &mut blind.buckets {
        bucket
            .weights
            .retain(|weight| weight.key.state == State::OnCpu);
    }
    let both = merged(&[&one, &blind]);
    assert!(note(&both, "have no snapshots"), "{:?}", both.quality.notes);
    let mean = |profile: &Profile| report(profile)["waits"][0]["mean_tasks"].clone();
    assert_eq!(mean(&both), mean(&one));
}

#[test]
fn a_lock_of_each_replica_is_one_lock() {
    let one = waits::service();
    let both = merged(&[&one, &again(&one, 4712, 0)]);
    let (of_one, of_both) = (report(&one), report(&both));
    let locks = |report: &Value| report["locks"].as_array().unwrap().len();
    assert_eq!(locks(&of_both), locks(&of_one));
    assert_eq!(
        of_both["locks"][0]["waiters_mean"],
        of_one["locks"][0]["waiters_mean"]
    );
    assert_eq!(
        of_both["locks"][0]["waited_share"],
        of_one["locks"][0]["waited_share"]
    );
}

#[test]
fn lag_counts_by_polls() {
    let with_lag = |pid, lag, polls| {
        let mut builder = sample::builder();
        builder.target_mut().pid = pid;
        builder.add_point("lag_ms", 0, lag);
        builder.add_point("polls_per_s", 0, polls);
        builder.finish(SECOND)
    };
    let both = merged(&[&with_lag(1, 10.0, 100.0), &with_lag(2, 1.0, 800.0)]);
    let lag = &report(&both)["lag"];
    assert_close(&lag["mean_ms"], 2.0);
    assert_close(&lag["polls_per_s"], 900.0);
}

#[test]
fn a_merged_profile_is_not_merged_again() {
    let one = sample::service();
    let both = merged(&[&one, &again(&one, 4712, 0)]);
    assert_eq!(both.recordings.len(), 2);
    let refused = merge(vec![both, again(&one, 4713, 0)]);
    assert!(matches!(refused, Err(Error::Merged)));
}

#[test]
fn wider_buckets_take_narrow_ones_in() {
    let mut builder = sample::builder();
    builder.widen_stretches(4 * SECOND);
    builder.target_mut().pid = 2;
    let thread = builder.thread(7, "main", ThreadRole::Other);
    let key = WeightKey {
        thread: Some(thread),
        state: State::OnCpu,
        kind: None,
        task: None,
        stack: sample::stack(&mut builder, &["sync user f"]),
    };
    builder.add_weight(key, 5 * SECOND, 70, 1);
    let wide = builder.finish(8 * SECOND);
    let narrow = sample::service();
    let both = merged(&[&narrow, &wide]);
    assert_eq!(both.bucket_ns, 4 * SECOND);
    assert_eq!(
        total(&both, State::OnCpu),
        total(&narrow, State::OnCpu) + 70
    );
}

fn total(profile: &Profile, state: State) -> u64 {
    let weights = profile.weights().filter(|weight| weight.key.state == state);
    weights.map(|weight| weight.ns).sum()
}

/// A recording: its process, its start, and times (second, kind, function, milliseconds).
type Made = (u32, u64, Vec<(u64, usize, usize, u64)>);

const KINDS: [&str; 3] = ["app::a", "app::b", "app::c"];
const FUNCTIONS: [&str; 3] = [
    "async user app::f @ f.rs:1",
    "sync user app::g",
    "sync user app::h",
];

fn made((pid, start, times): &Made) -> Profile {
    let mut builder = sample::builder();
    builder.target_mut().pid = *pid;
    let worker = ThreadRole::Worker { runtime: 0 };
    let thread = builder.thread(pid * 100, "worker", worker);
    for &(second, kind, function, ms) in times {
        let kind = builder.kind(KINDS[kind], KindClass::Async, Some(0));
        let task = builder.task(&format!("{}", ms % 5), kind);
        let key = WeightKey {
            thread: Some(thread),
            state: State::OnCpu,
            kind: Some(kind),
            task,
            stack: sample::stack(&mut builder, &FUNCTIONS[..=function]),
        };
        builder.add_weight(key, second * SECOND, ms * 1_000_000, 1);
        builder.quality_mut().samples += 1;
        if ms > 40 {
            builder.add_stall(Stall {
                start_ns: second * SECOND,
                duration_ns: ms * 1_000_000,
                uncertainty_ns: 0,
                kind: Some(kind),
                task,
                thread,
                cause: Cause::Cpu,
                syscall: None,
                stacks: vec![(key.stack, ms * 1_000_000)],
            });
        }
    }
    let mut profile = builder.finish(10 * SECOND);
    profile.start_unix_ns += start * SECOND;
    profile
}

fn cpu_of_kinds(profile: &Profile) -> [u64; 3] {
    KINDS.map(|name| {
        let weights = profile.weights();
        let of_kind = weights.filter(|weight| {
            weight
                .key
                .kind
                .is_some_and(|kind| profile.kind(kind).name == name)
        });
        of_kind.map(|weight| weight.ns).sum()
    })
}

/// A report without what tells the order in which things were met.
fn plain(profile: &Profile) -> Value {
    let mut report = report(profile);
    let object = report.as_object_mut().unwrap();
    for list in ["tasks", "kinds", "workers"] {
        let rows = object[list].as_array_mut().unwrap();
        rows.sort_by_key(ToString::to_string);
    }
    report
}

fn recordings() -> impl Strategy<Value = Vec<Made>> {
    let time = (0..10_u64, 0..3_usize, 0..3_usize, 1..100_u64);
    let times = prop::collection::vec(time, 0..20);
    let recording = (0..30_u64, times);
    prop::collection::vec(recording, 2..5).prop_map(|list| {
        let numbered = (1..).zip(list);
        numbered
            .map(|(pid, (start, times))| (pid, start, times))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn totals_are_the_sums(list in recordings()) {
        let profiles: Vec<Profile> = list.iter().map(made).collect();
        let all = merged(&profiles.iter().collect::<Vec<_>>());
        let sum = |of: &dyn Fn(&Profile) -> u64| profiles.iter().map(of).sum::<u64>();
        prop_assert_eq!(total(&all, State::OnCpu), sum(&|p| total(p, State::OnCpu)));
        for (index, ns) in cpu_of_kinds(&all).into_iter().enumerate() {
            prop_assert_eq!(ns, sum(&|profile| cpu_of_kinds(profile)[index]));
        }
        prop_assert_eq!(all.quality.samples, sum(&|profile| profile.quality.samples));
        prop_assert_eq!(all.stalls.len() as u64, sum(&|profile| profile.stalls.len() as u64));
        let stalled = |p: &Profile| p.stalls.iter().map(|stall| stall.duration_ns).sum::<u64>();
        prop_assert_eq!(stalled(&all), sum(&stalled));
        // No time is made up, and none in which something was recorded is lost.
        prop_assert!(all.duration_ns <= sum(&|profile| profile.duration_ns));
        prop_assert!(all.duration_ns >= 10 * SECOND);
    }

    #[test]
    fn the_order_makes_no_difference(list in recordings()) {
        let profiles: Vec<Profile> = list.iter().map(made).collect();
        let forth = merge(profiles.clone()).unwrap();
        let back = merge(profiles.into_iter().rev().collect()).unwrap();
        prop_assert_eq!(plain(&forth), plain(&back));
    }
}
