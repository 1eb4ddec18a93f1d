//! Stories of services that wait, and what the report says of them.

use super::*;
use crate::sample::waits::{
    ACCEPT, INBOX, JOIN, LOCKED, OUTBOX, QUERY, RATE, READ, REPLY, SLEEP, Stage, recorded, service,
};
use crate::{Color, Profile};
use awaitscope_sampler::Nanos;
use awaitscope_symbolizer::snapshot::{Detail, TaskState, WaitsOn};
use serde_json::Value;

/// What the report says of waiting: severity and text.
fn said(profile: &Profile) -> Vec<(model::Severity, String)> {
    let report = Report::of(profile);
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    for finding in &report.findings {
        let path = finding.evidence.replace(['[', '.'], "/").replace(']', "");
        assert!(json.pointer(&format!("/{path}")).is_some(), "{finding:?}");
    }
    assert!(report.findings.is_sorted_by_key(|finding| finding.severity));
    let findings = report.findings.into_iter();
    findings
        .map(|finding| (finding.severity, finding.text))
        .collect()
}

/// A service in which everybody waits as they should.
fn healthy(stage: &mut Stage, tick: u64) {
    stage.waits(
        "app::main::{async block#0}",
        1,
        ACCEPT,
        Detail::Descriptor(9),
    );
    stage.waits("app::main", 3, JOIN, Detail::Task(0x1100));
    stage.waits(
        "app::housekeeping",
        2,
        SLEEP,
        Detail::Deadline(Nanos(tick / 30)),
    );
    for actor in 0..6 {
        stage.waits(
            "app::actor",
            10 + actor,
            INBOX,
            Detail::Object(0x9000 + actor),
        );
    }
    let shutdown: (WaitsOn, &[&str]) = (
        WaitsOn::Lock,
        &[
            "async user app::shutdown @ src/main.rs:90",
            "leaf library tokio::sync::notify::Notified",
        ],
    );
    for id in 20..24 {
        stage.waits("app::shutdown", id, shutdown, Detail::Object(0x8000));
    }
    // Connections that are kept open, of which some are idle.
    for id in 100..200 {
        let busy = id % 2 == 0 && (id + tick).is_multiple_of(5);
        match busy {
            true => stage.waits("app::serve", id, REPLY, Detail::Object(tick)),
            false => stage.waits("app::serve", id, READ, Detail::Descriptor(id as i32)),
        };
    }
}

#[test]
fn a_steady_service_is_silent() {
    assert_eq!(said(&recorded(20, healthy)), []);
}

#[test]
fn a_service_that_fills_up_and_then_is_full_is_silent() {
    let profile = recorded(30, |stage, tick| {
        healthy(stage, tick);
        for id in 300..300 + (tick * 4).min(300) {
            stage.waits("app::serve", id, READ, Detail::Descriptor(id as i32));
        }
    });
    assert_eq!(said(&profile), []);
}

#[test]
fn tasks_that_come_and_never_leave_are_a_leak() {
    let profile = recorded(20, |stage, tick| {
        healthy(stage, tick);
        for id in 1000..1000 + tick {
            stage.waits("app::request", id, REPLY, Detail::Object(id));
        }
    });
    let said = said(&profile);
    let [(model::Severity::High, text)] = &*said else {
        panic!("{said:?}")
    };
    assert!(
        text.starts_with(
            "tasks of app::request become more and more in app::handler at src/main.rs:66"
        ),
        "{text}"
    );
    assert!(text.contains("10.0 more each second"), "{text}");
    assert!(
        text.contains("only 0.0 % of those that came have left"),
        "{text}"
    );
}

#[test]
fn tasks_that_come_faster_than_they_leave_are_a_backlog_and_no_leak() {
    let profile = recorded(20, |stage, tick| {
        for id in (tick * tick / 20)..(tick * tick / 20 + tick) {
            stage.waits("app::request", 1000 + id, QUERY, Detail::Descriptor(3));
        }
    });
    let said = said(&profile);
    let [(model::Severity::Medium, text)] = &*said else {
        panic!("{said:?}")
    };
    assert!(text.contains("not as fast as others come"), "{text}");
}

/// Requests that wait for an answer for three snapshots each.
fn requests(stage: &mut Stage, tick: u64) {
    for slot in 0..5 {
        let id = 1000 + (tick + slot) / 5 * 5 + slot;
        stage.waits("app::serve", id, REPLY, Detail::Object(id));
    }
}

#[test]
fn a_task_whose_like_moved_on_is_stuck() {
    let profile = recorded(20, |stage, tick| {
        requests(stage, tick);
        stage.waits("app::serve", 77, REPLY, Detail::Object(1));
    });
    let said = said(&profile);
    let [(model::Severity::Medium, text)] = &*said else {
        panic!("{said:?}")
    };
    assert_eq!(
        text,
        "1 task of app::serve was seen waiting in each of 201 snapshots for an answer that others \
         got soon, in app::handler at src/main.rs:66 (task 77)"
    );
}

#[test]
fn a_full_channel_that_nobody_reads_is_told() {
    let profile = recorded(10, |stage, tick| {
        healthy(stage, tick);
        for id in 50..53 {
            stage.waits("app::producer", id, OUTBOX, Detail::Object(0x7000));
        }
    });
    let said = said(&profile);
    let [(model::Severity::Medium, text)] = &*said else {
        panic!("{said:?}")
    };
    assert!(
        text.starts_with("3 tasks of app::producer were seen waiting in each of 101 snapshots to send into a full"),
        "{text}"
    );
}

#[test]
fn two_tasks_that_hold_what_the_other_wants_are_a_deadlock() {
    let profile = recorded(10, |stage, tick| {
        healthy(stage, tick);
        for (id, wants, has) in [(50, 0xa, 0xb), (51, 0xb, 0xa)] {
            let task = stage.waits("app::transfer", id, LOCKED, Detail::Object(wants));
            task.holds = Box::from([has]);
        }
        stage.waits("app::transfer", 52, LOCKED, Detail::Object(0xa));
    });
    let said = said(&profile);
    let (severity, text) = &said[0];
    assert_eq!(*severity, model::Severity::High);
    assert_eq!(
        text,
        "deadlock: 2 tasks waited for each other, for 10.0 s and to the end: task 50 \
         (app::transfer) in app::session::load at src/session.rs:21 for a lock that the next \
         holds, task 51 (app::transfer) in app::session::load at src/session.rs:21 for a lock \
         that the first holds; 1 more wait behind them"
    );
    // The lock that only they wait for is told with them.
    let [_, (_, queue)] = &*said else {
        panic!("{said:?}")
    };
    assert!(queue.starts_with("2.00 tasks queue for a mutex"), "{queue}");
}

#[test]
fn a_lock_that_is_held_while_a_query_runs_tells_who_holds_it_and_who_queues() {
    let profile = recorded(10, |stage, tick| {
        healthy(stage, tick);
        let holder = tick / 3 % 20;
        for id in 0..20 {
            if id == holder {
                let task = stage.waits("app::update", 300 + id, QUERY, Detail::Descriptor(4));
                task.holds = Box::from([0xa]);
            } else {
                stage.waits("app::update", 300 + id, LOCKED, Detail::Object(0xa));
            }
        }
    });
    let said = said(&profile);
    let (severity, text) = &said[0];
    assert_eq!(*severity, model::Severity::High);
    assert!(
        text.starts_with("19.0 tasks queue for a mutex on average (19 at most), in app::session::load at src/session.rs:21"),
        "{text}"
    );
    assert!(
        text.ends_with(
            "; app::update holds it while it waits for a socket in app::db::query at src/db.rs:33"
        ),
        "{text}"
    );
}

#[test]
fn workers_that_share_a_receiver_are_no_alarm() {
    let profile = recorded(10, |stage, tick| {
        healthy(stage, tick);
        stage
            .waits("app::actor", 60, INBOX, Detail::Object(5))
            .holds = Box::from([0xa]);
        for id in 61..64 {
            stage.waits("app::actor", id, LOCKED, Detail::Object(0xa));
        }
    });
    let said = said(&profile);
    assert!(
        matches!(&*said, [(model::Severity::Low, text)] if text.contains("waits for a channel")),
        "{said:?}"
    );
}

#[test]
fn a_short_look_accuses_nobody() {
    let profile = recorded(2, |stage, tick| {
        healthy(stage, tick);
        stage.waits("app::producer", 50, OUTBOX, Detail::Object(0x7000));
    });
    assert_eq!(said(&profile), []);
}

#[test]
fn waits_have_the_shape_of_the_contract() {
    let profile = service();
    let json: Value = serde_json::from_str(&Report::of(&profile).to_json()).unwrap();
    let waits = json["waits"].as_array().unwrap();
    let shares: f64 = waits.iter().filter_map(|wait| wait["share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    let sleep = waits
        .iter()
        .find(|wait| wait["kind"] == "app::housekeeping")
        .unwrap();
    assert_eq!(sleep["waits_on"]["what"], "timer");
    assert_eq!(sleep["waits_on"]["type"], "tokio::time::sleep::Sleep");
    assert_eq!(sleep["stack"][0]["function"], "app::housekeeping");
    assert!((sleep["mean_tasks"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    let stayed = sleep["stayed_ms"]["p50"].as_f64().unwrap();
    assert!(
        (450.0..=550.0).contains(&stayed),
        "it moves every half second: {stayed}"
    );
    assert_eq!(json["quality"]["snapshots"], 10 * RATE + 1);
    let serve = json["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .find(|kind| kind["kind"] == "app::serve");
    let live = serve.unwrap()["live_mean"].as_f64().unwrap();
    assert!((live - 100.0).abs() < 1e-6, "{live}");
    assert_eq!(json["series"]["live_tasks"].as_array().unwrap().len(), 10);
    let queue = json["series"]["local_queue"][3].as_f64().unwrap();
    assert!((9.0..11.0).contains(&queue), "{queue}");
}

#[test]
fn closures_that_queue_for_the_blocking_pool_are_told() {
    let mut profile = recorded(10, healthy);
    let mut point = profile.series[0].points[0];
    point.sum = 40.0;
    profile.series.push(Series {
        name: "blocking_queue".to_owned(),
        points: vec![point],
    });
    let said = said(&profile);
    assert!(
        said[0]
            .1
            .starts_with("40.0 closures on average wait for a thread"),
        "{said:?}"
    );
}

#[test]
fn a_page_says_where_tasks_wait() {
    let page = Report::of(&service()).to_text(None, Color::Never);
    let at = page
        .find("WHERE TASKS WAIT")
        .unwrap_or_else(|| panic!("{page}"));
    let part = &page[at..];
    for said in [
        "socket: app::db::query",
        "at src/db.rs:33, app::serve",
        "> 10.0 s",
        "30.0  30.9 %   10.0",
        "ready",
    ] {
        assert!(part.contains(said), "{said}: {page}");
    }
    assert!(
        page.lines().all(|line| line.chars().count() <= 100),
        "{page}"
    );
    assert!(page.lines().count() <= 60, "{page}");
}

#[test]
fn ready_tasks_are_shown_where_they_go_on() {
    let profile = recorded(5, |stage, _| {
        stage
            .waits("app::serve", 1, QUERY, Detail::Descriptor(1))
            .state = TaskState::Ready;
    });
    let report = Report::of(&profile);
    assert!((report.waits[0].ready_mean - 1.0).abs() < 1e-9);
    assert_eq!(report.waits[0].mean_tasks, 0.0);
}

#[test]
fn a_task_that_was_sampled_on_a_cpu_is_not_stuck() {
    let play = |stage: &mut Stage, tick: u64| {
        requests(stage, tick);
        stage.waits("app::serve", 77, REPLY, Detail::Object(1));
    };
    let mut profile = recorded(20, play);
    assert_eq!(said(&profile).len(), 1);
    let kind = profile
        .waiting
        .as_ref()
        .and_then(|waiting| waiting.waits[0].kind)
        .unwrap();
    profile.tasks.push(crate::Task {
        id: "77".to_owned(),
        kind,
    });
    assert_eq!(said(&profile), []);
}

#[test]
fn a_lock_whose_holder_never_moves_says_so() {
    let profile = recorded(10, |stage, tick| {
        healthy(stage, tick);
        let holder = stage.waits("app::update", 300, SLEEP, Detail::Deadline(Nanos(9)));
        holder.holds = Box::from([0xa]);
        for id in 301..304 {
            stage.waits("app::update", id, LOCKED, Detail::Object(0xa));
        }
    });
    let said = said(&profile);
    let [(model::Severity::High, text)] = &*said else {
        panic!("{said:?}")
    };
    assert!(text.ends_with("for a timer in app::housekeeping at src/house.rs:12, and was not seen to move in the whole recording"), "{text}");
}
