//! Tests of the page as a file; how it behaves in a browser is tested in `tests/tests/html.rs`.

use super::*;
use crate::fold::fold;
use crate::profile::{KindClass, State, ThreadRole, WeightKey};
use crate::sample::{self, waits};
use crate::view::{Grouping, RuntimeFrames, View};
use awaitscope_symbolizer::{Frame, FrameKind, Origin};
use serde_json::Value;

/// What the page's script reads.
fn data(page: &str) -> Value {
    let begin = "<script id=\"data\" type=\"application/json\">";
    let data = page.split(begin).nth(1).unwrap();
    serde_json::from_str(data.split("</script>").next().unwrap()).unwrap()
}

fn numbers(column: &Value) -> Vec<u64> {
    let column = column.as_array().unwrap().iter();
    column.map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let page = html(&waits::service()).unwrap();
    for remote in ["http://", "https://", "@import", "url(", "src="] {
        let found = page
            .replace("http://www.w3.org/2000/svg", "")
            .contains(remote);
        assert!(!found, "{remote}");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains("unsafe-"));
}

#[test]
fn every_view_has_the_time_that_the_pictures_have() {
    let profile = waits::service();
    let data = data(&html(&profile).unwrap());
    for view in data["views"].as_array().unwrap() {
        let name: View = view["name"].as_str().unwrap().parse().unwrap();
        let picture = fold(&profile, name, Grouping::Kind, RuntimeFrames::Folded).unwrap();
        for tree in view["trees"].as_array().unwrap() {
            let us: u64 = numbers(&tree["cells"]["us"]).iter().sum();
            assert_eq!(us, picture[0].total_ns / 1000, "{name}");
        }
    }
}

#[test]
fn a_view_that_the_profile_does_not_hold_says_why() {
    let data = data(&html(&sample::service()).unwrap());
    let views = data["views"].as_array().unwrap();
    let wait = views.iter().find(|view| view["name"] == "wait").unwrap();
    assert!(wait["trees"].is_null());
    assert!(wait["nothing"].as_str().unwrap().contains("no snapshots"));
}

#[test]
fn the_same_profile_gives_the_same_page() {
    let profile = waits::service();
    assert_eq!(html(&profile).unwrap(), html(&profile).unwrap());
}

#[test]
fn an_empty_profile_gives_a_page() {
    let page = html(&sample::builder().finish(0)).unwrap();
    assert_eq!(data(&page)["stretches"]["count"], 1);
}

/// A profile of `stacks` stacks of long names, each in every one of `seconds` seconds.
fn crowded(stacks: u64, seconds: u64) -> Profile {
    let mut builder = sample::builder();
    let thread = builder.thread(1, "worker", ThreadRole::Worker { runtime: 0 });
    for stack in 0..stacks {
        let name = |depth: u64| {
            format!(
                "app::{}::{depth}::{}",
                "x".repeat(500),
                stack >> (9 - depth)
            )
        };
        let kind = builder.kind(&name(3), KindClass::Async, Some(0));
        let mut parent = None;
        for depth in 0..10 {
            let frame = builder.frame(&Frame {
                function: name(depth).into(),
                file: Some(format!("src/{stack}/{depth}.rs").into()),
                line: Some(1),
                kind: FrameKind::Async,
                origin: Origin::User,
            });
            parent = Some(builder.stack(parent, frame));
        }
        let task = builder.task(&stack.to_string(), kind);
        for second in 0..seconds {
            let key = WeightKey {
                thread: Some(thread),
                state: State::OnCpu,
                kind: Some(kind),
                task,
                stack: parent.unwrap(),
            };
            builder.add_weight(key, second * 1_000_000_000, 1_000_000 + stack * 1000, 1);
        }
    }
    builder.finish(seconds * 1_000_000_000)
}

#[test]
fn a_page_stays_below_ten_megabytes_and_says_what_is_cut() {
    // 1,200,000 samples, each of a stack and second of its own.
    let page = html(&crowded(4000, 300)).unwrap();
    assert!(page.len() < 10 << 20, "{} bytes", page.len());
    let data = data(&page);
    let tree = &data["views"][0]["trees"][0];
    assert!(tree["cut"].as_u64().unwrap() > 0, "something had to go");
    let share = tree["cut_share"].as_f64().unwrap();
    assert!(share > 0.0 && share < 0.01, "{share}");
    let us: u64 = numbers(&tree["cells"]["us"]).iter().sum();
    let all = (0..4000).map(|stack| 1000 + stack).sum::<u64>() * 300;
    assert_eq!(us, all, "what is cut is in its caller");
}

#[test]
fn a_long_recording_is_told_in_three_hundred_stretches() {
    let data = data(&html(&crowded(3, 4000)).unwrap());
    let count = data["stretches"]["count"].as_u64().unwrap();
    assert!((200..=300).contains(&count), "{count}");
    assert_eq!(numbers(&data["stretches"]["cpu_us"]).len() as u64, count);
}

#[test]
fn what_nobody_looks_at_does_not_swell_the_page() {
    let mut profile = waits::service();
    profile.target.command_line = vec!["x".repeat(100); 200_000];
    profile.quality.notes = vec!["y".repeat(10_000); 1000];
    profile.series[0].points[0].bucket = (1 << 20) - 1;
    let page = html(&profile).unwrap();
    assert!(page.len() < 10 << 20, "{} bytes", page.len());
}
