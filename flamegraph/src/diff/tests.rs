//! Stories of two releases.

use super::chance::Chance;
use super::*;
use crate::diff::model::{Of, PartOf};
use crate::sample::release::Release;

fn compared(base: &Profile, new: &Profile) -> Diff {
    let sides = [std::slice::from_ref(base), std::slice::from_ref(new)];
    Comparison::of(sides[0], sides[1], &DiffOptions::default())
        .unwrap()
        .diff(&[])
}

fn leading(diff: &Diff) -> Vec<&Change> {
    diff.changes
        .iter()
        .filter(|change| change.leading)
        .collect()
}

/// Of so many pairs, those that `fits` says yes to; prints some of the others.
fn pairs(count: u64, base: &Release, new: &Release, fits: impl Fn(&Diff) -> bool) -> usize {
    let mut chance = Chance(count);
    let fitting = (0..count).filter(|pair| {
        let diff = compared(&base.record(&mut chance), &new.record(&mut chance));
        let fits = fits(&diff);
        if !fits {
            println!("pair {pair}: {:?} {:#?}", diff.verdict, diff.reasons);
        }
        fits
    });
    fitting.count()
}

#[test]
fn of_the_same_release_nothing_changed_in_95_of_100_pairs() {
    let usual = Release::usual();
    let nothing = |diff: &Diff| {
        leading(diff).is_empty() && diff.changes.iter().all(|change| !change.significant)
    };
    let unchanged = pairs(100, &usual, &usual, nothing);
    assert!(unchanged >= 95, "{unchanged}");
}

#[test]
fn a_function_that_costs_a_fifth_more_is_first_in_95_of_100_pairs() {
    let mut usual = Release::usual();
    usual.seconds = 90;
    let found = pairs(
        100,
        &usual,
        &usual.clone().times("app::parse", 1.2),
        |diff| {
            diff.verdict == Verdict::Regressed
                && diff.changes[0].function == "app::parse"
                && diff.changes[0].fate == Fate::Grown
        },
    );
    assert!(found >= 95, "{found}");
}

#[test]
fn a_new_stall_and_a_new_await_point_are_first_in_95_of_100_pairs() {
    let usual = Release::usual();
    let stall = "async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:20 | sync user app::log @ src/log.rs:3";
    let found = pairs(
        100,
        &usual,
        &usual.clone().and_stalls(stall, 2.0, 20.0),
        |diff| {
            let first = &diff.changes[0];
            (first.view, &*first.function, first.fate) == ("stall", "app::log", Fate::Appeared)
        },
    );
    assert!(found >= 95, "stalls: {found}");
    let wait = "async user app::serve @ src/main.rs:10 | async user app::audit @ src/audit.rs:10 | leaf library tokio::time::Sleep @ tokio/src/sleep.rs:1";
    let found = pairs(100, &usual, &usual.clone().and_waits(wait, 0.8), |diff| {
        let first = &diff.changes[0];
        (first.view, first.fate) == ("wait", Fate::Appeared)
            && first.function.contains("app::audit")
    });
    assert!(found >= 95, "await points: {found}");
}

fn record(release: &Release, seed: u64) -> Profile {
    release.record(&mut Chance(seed))
}

#[test]
fn a_release_compared_with_itself_has_no_changes() {
    let profile = record(&Release::usual(), 1);
    let diff = compared(&profile, &profile);
    assert_eq!(diff.verdict, Verdict::Unchanged);
    assert!(
        diff.changes
            .iter()
            .all(|change| !change.significant && change.value.delta == 0.0)
    );
    assert!(diff.moved.is_empty());
}

#[test]
fn the_other_way_round_everything_is_the_other_way_round() {
    let usual = Release::usual();
    let changed = usual
        .clone()
        .times("app::parse", 1.4)
        .renamed("app::check", "app::verify")
        .and_stalls(
            "async user app::serve @ src/main.rs:10 | sync user app::log @ src/log.rs:3",
            2.0,
            20.0,
        );
    let (base, new) = (record(&usual, 1), record(&changed, 2));
    let (there, back) = (compared(&base, &new), compared(&new, &base));
    let mut seen = 0;
    for change in &there.changes {
        let other = back
            .changes
            .iter()
            .find(|other| key(other) == key(change))
            .unwrap();
        assert_eq!(
            change.value.delta, -other.value.delta,
            "{change:#?} {other:#?}"
        );
        assert!(
            (change.value.p - other.value.p).abs() <= 1e-9 * change.value.p,
            "{change:#?} {other:#?}"
        );
        assert_eq!(
            (change.significant, change.leading, change.moved),
            (other.significant, other.leading, other.moved)
        );
        seen += usize::from(change.leading);
    }
    assert!(seen >= 3, "{seen}");
    assert_eq!(there.changes.len(), back.changes.len());
    assert_eq!(back.verdict, Verdict::Improved);
}

#[test]
fn what_others_grew_by_is_no_improvement() {
    let usual = Release::usual();
    let diff = compared(
        &record(&usual, 3),
        &record(&usual.clone().times("app::parse", 2.0), 4),
    );
    let shrunk: Vec<_> = diff
        .changes
        .iter()
        .filter(|change| change.fate == Fate::Shrunk)
        .collect();
    assert!(shrunk.is_empty(), "{shrunk:#?}");
    let render = diff
        .changes
        .iter()
        .find(|change| change.function == "app::render")
        .unwrap();
    assert!(
        render.value.delta < -0.01 && !render.significant,
        "{render:#?}"
    );
    let [low, high] = render.value.ratio_ci95.unwrap();
    assert!(low < 1.0 && 1.0 < high, "{render:#?}");
    let parse = &diff.changes[0];
    assert!((parse.value.ratio.unwrap() - 2.0).abs() < 0.2, "{parse:#?}");
}

#[test]
fn callers_grow_too_but_are_no_changes_of_their_own() {
    let usual = Release::usual();
    let diff = compared(
        &record(&usual, 5),
        &record(&usual.clone().times("app::parse", 1.5), 6),
    );
    let leading: Vec<&str> = leading(&diff)
        .iter()
        .map(|change| &*change.function)
        .collect();
    assert_eq!(leading, ["app::parse"]);
    let handler = diff.changes.iter().find(|change| {
        (&*change.function, change.part) == ("app::handler", Some(PartOf::Inclusive))
    });
    assert!(handler.unwrap().significant);
    assert!(diff.to_json().contains("\"function\": \"json::read\""));
}

#[test]
fn rates_and_durations_make_no_difference() {
    let usual = Release::usual();
    let (mut slow, mut long) = (usual.clone(), usual.clone());
    slow.rate_hz = 199;
    long.seconds = 75;
    let base = record(&usual, 7);
    for other in [record(&slow, 8), record(&long, 9)] {
        let diff = compared(&base, &other);
        assert!(leading(&diff).is_empty(), "{:#?}", diff.reasons);
    }
}

#[test]
fn twice_the_load_is_no_change() {
    let usual = Release::usual();
    let mut busy = usual.clone();
    busy.load = 1.8;
    let mut twice = compared(&record(&usual, 7), &record(&busy, 8));
    twice.changes.retain(|change| change.view == "cpu");
    assert!(leading(&twice).is_empty(), "{:#?}", twice.reasons);
    assert!(
        twice
            .warnings
            .iter()
            .any(|warning| warning.contains("--normalize wall")),
        "{:?}",
        twice.warnings
    );
}

#[test]
fn a_rename_is_gone_and_new_and_only_moved() {
    let usual = Release::usual();
    let diff = compared(
        &record(&usual, 9),
        &record(&usual.clone().renamed("app::parse", "app::decode"), 10),
    );
    let fates: Vec<(&str, Fate)> = leading(&diff)
        .iter()
        .map(|change| (&*change.function, change.fate))
        .collect();
    assert!(fates.contains(&("app::parse", Fate::Vanished)), "{fates:?}");
    assert!(
        fates.contains(&("app::decode", Fate::Appeared)),
        "{fates:?}"
    );
    assert_eq!(diff.verdict, Verdict::Unchanged, "{:?}", diff.reasons);
    let moved: Vec<_> = diff
        .moved
        .iter()
        .map(|moved| (&*moved.from, &*moved.to, &*moved.within))
        .collect();
    assert_eq!(moved, [("app::parse", "app::decode", "app::handler")]);
}

#[test]
fn closures_that_are_numbered_anew_are_the_same() {
    let usual = Release::usual();
    let other = usual
        .clone()
        .renamed("{closure#2}", "{closure#7}")
        .renamed("{async block#0}", "{async block#4}");
    let diff = compared(&record(&usual, 11), &record(&other, 12));
    assert!(leading(&diff).is_empty(), "{:#?}", diff.reasons);
}

#[test]
fn a_function_that_is_new_is_found_by_its_own_name() {
    let usual = Release::usual();
    let path = "async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:20 | sync user app::audit @ src/audit.rs:5";
    let diff = compared(
        &record(&usual, 13),
        &record(&usual.clone().and_costs(path, 35.0), 14),
    );
    let first = &diff.changes[0];
    assert_eq!(
        (&*first.function, first.fate, first.of),
        ("app::audit", Fate::Appeared, Of::Function)
    );
    assert_eq!(first.value.base, 0.0);
    assert_eq!(first.stack, ["app::serve", "app::handler", "app::audit"]);
}

#[test]
fn too_few_windows_are_inconclusive_and_say_how_many_are_needed() {
    let mut short = Release::usual();
    short.seconds = 3;
    let diff = compared(
        &record(&short, 15),
        &record(&short.clone().times("app::parse", 5.0), 16),
    );
    assert_eq!(diff.verdict, Verdict::Inconclusive);
    assert!(leading(&diff).is_empty());
    assert!(
        diff.reasons[0].contains("20 are needed"),
        "{:?}",
        diff.reasons
    );
}

#[test]
fn too_few_samples_are_inconclusive_and_say_what_would_have_been_seen() {
    let mut idle = Release::usual();
    idle.load = 0.01;
    let diff = compared(&record(&idle, 17), &record(&idle, 18));
    assert_eq!(diff.verdict, Verdict::Inconclusive, "{:?}", diff.reasons);
}

fn drawn(base: &Profile, new: &Profile) -> [String; 3] {
    let sides = [std::slice::from_ref(base), std::slice::from_ref(new)];
    let comparison = Comparison::of(sides[0], sides[1], &DiffOptions::default()).unwrap();
    [
        comparison.svg(Widths::New).unwrap(),
        comparison.svg(Widths::Base).unwrap(),
        comparison.html(&comparison.diff(&[])).unwrap(),
    ]
}

/// The box whose tooltip begins with `name`.
fn drawn_box<'a>(svg: &'a str, name: &str) -> &'a str {
    let at = svg
        .find(&format!("<title>{name}\n"))
        .unwrap_or_else(|| panic!("no box {name}"));
    &svg[at..at + svg[at..].find("</g>").unwrap()]
}

#[test]
fn what_changed_is_coloured_and_the_rest_is_grey() {
    let usual = Release::usual();
    let path = "async user app::serve @ src/main.rs:10 | async user app::handler @ src/main.rs:20 | sync user app::audit @ src/audit.rs:5";
    let changed = usual.clone().times("app::parse", 1.6).and_costs(path, 35.0);
    let [new, base, page] = drawn(&record(&usual, 1), &record(&changed, 2));
    let parse = drawn_box(&new, "app::parse");
    assert!(
        parse.contains("costs more") && parse.contains("base 2") && !parse.contains("#d9dbe0"),
        "{parse}"
    );
    assert!(drawn_box(&new, "app::audit").contains("#b57bd8"));
    assert!(drawn_box(&new, "app::render").contains("#d9dbe0"));
    assert!(drawn_box(&base, "app::parse").contains("costs more"));
    assert!(
        !base.contains("<title>app::audit\n"),
        "what is new has no width in the base"
    );
    assert_eq!(page.matches("<iframe").count(), 2);
    assert!(page.contains("regressed") && page.contains("app::parse"));
}

#[test]
fn hostile_names_stay_names() {
    let nasty = "</style><script>alert(1)</script>\u{1b}[31m\u{202e}";
    let usual = Release::usual();
    let changed = usual
        .clone()
        .times("app::parse", 1.6)
        .renamed("app::parse", nasty);
    let (base, new) = (record(&usual, 1), record(&changed, 2));
    let [_, _, page] = drawn(&base, &new);
    let text = compared(&base, &new).to_text(None, crate::Color::Never);
    assert!(text.contains("alert(1)") && page.contains("alert(1)"));
    assert!(!page.contains("<script"), "the pictures' own are encoded");
    for shown in [&page, &text] {
        assert!(
            !shown
                .chars()
                .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}')
        );
    }
}

fn judged(rule: &str, base: &Profile, new: &Profile) -> (usize, usize, String) {
    let sides = [std::slice::from_ref(base), std::slice::from_ref(new)];
    let comparison = Comparison::of(sides[0], sides[1], &DiffOptions::default()).unwrap();
    let diff = comparison.diff(&[rule.parse().unwrap()]);
    let why: Vec<&str> = diff.rules.iter().map(rules::Judged::why).collect();
    (
        diff.broken_rules().count(),
        diff.unjudged_rules().count(),
        why.join("; "),
    )
}

#[test]
fn rules_are_broken_by_what_they_are_about_and_by_nothing_else() {
    let usual = Release::usual();
    let stall = "async user app::serve @ src/main.rs:10 | sync user app::log @ src/log.rs:3";
    let changed = usual
        .clone()
        .times("app::parse", 1.5)
        .and_stalls(stall, 2.0, 80.0);
    let (base, new) = (record(&usual, 1), record(&changed, 2));
    for (rule, broken, unjudged) in [
        ("cpu:app::parse>5%", 1, 0),
        ("cpu:*>20%", 1, 0),
        ("cpu:app::parse>2x", 0, 0),
        ("cpu:app::render>5%", 0, 0),
        ("cpu:app::nonesuch>5%", 0, 1),
        ("stall:*>50ms", 1, 0),
        ("stall:app::log>50ms", 1, 0),
        ("stall:app::flush>50ms", 0, 0),
        ("stall:*>100ms", 0, 0),
        ("stall:*>5ms", 0, 1),
        ("lag-mean>20ms", 0, 0),
        ("lag-mean>0.1ms", 1, 0),
        ("lag-p99>20ms", 0, 1),
        ("tasks:app::serve>2x", 0, 0),
    ] {
        let found = judged(rule, &base, &new);
        assert_eq!(
            (found.0, found.1),
            (broken, unjudged),
            "{rule}: {}",
            found.2
        );
    }
}

#[test]
fn a_release_that_is_too_short_a_recording_does_not_pass_for_good() {
    let mut short = Release::usual();
    short.seconds = 3;
    let (base, new) = (record(&short, 1), record(&short, 2));
    assert_eq!(judged("cpu:*>5%", &base, &new).1, 1);
}

#[test]
fn a_new_await_point_is_new_although_its_tasks_wait_less_elsewhere() {
    let waits_at = |mut release: Release, name: &str, tasks: f64| {
        let is_there = |frames: &[String]| frames.iter().any(|frame| frame.contains(name));
        release.waits.retain(|(frames, _)| !is_there(frames));
        let path =
            format!("async user app::paced @ src/p.rs:1 | leaf library {name} @ t/src/s.rs:1");
        release.and_waits(&path, tasks)
    };
    let base = waits_at(Release::usual(), "tokio::time::tick", 3.0);
    let new = waits_at(
        waits_at(Release::usual(), "tokio::time::tick", 1.0),
        "db::query",
        2.0,
    );
    let diff = compared(&record(&base, 1), &record(&new, 2));
    assert_eq!(diff.verdict, Verdict::Regressed, "{:?}", diff.reasons);
    let first = &diff.changes[0];
    assert_eq!(
        (first.view, first.fate, first.moved),
        ("wait", Fate::Appeared, false)
    );
    assert!(first.function.contains("db::query"), "{first:#?}");
    let renamed = base
        .clone()
        .renamed("tokio::time::tick", "tokio::time::turn");
    let diff = compared(&record(&base, 1), &record(&renamed, 2));
    assert_ne!(diff.verdict, Verdict::Regressed, "{:?}", diff.reasons);
    assert_eq!(diff.moved.len(), 1, "{:?}", diff.moved);
}
