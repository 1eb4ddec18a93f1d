//! The services know their truth, and the harness reads it: without that, no
//! other test here means anything.

use anyhow::{Context, Result};
use awaitscope_tests::{NOBODY, PublicFolder, RunningService, ServiceBuild, TaskState, alone};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

#[test]
fn a_service_knows_how_its_cpu_time_is_split() -> Result<()> {
    let _alone = alone();
    let mix = ServiceBuild::new("mix").build()?;
    let mut service = RunningService::start(&mix, &["--only", "split"])?;
    service.mark()?;
    sleep(Duration::from_secs(3));
    let truth = service.truth()?;
    // Planned: 50 : 30 : 10. A machine that is busy with other things slows all
    // of them alike.
    let hot = truth.share("mix::split::burn_hot");
    for (kind, planned) in [
        ("mix::split::burn_warm", 0.6),
        ("mix::split::burn_cool", 0.2),
    ] {
        let ratio = truth.share(kind) / hot;
        assert!(
            (ratio / planned - 1.0).abs() < 0.3,
            "{kind} has {ratio} of {hot}"
        );
    }
    let sum: f64 = truth.kinds.iter().map(|kind| truth.share(&kind.kind)).sum();
    assert!((sum + truth.share_outside() - 1.0).abs() < 1e-6);
    let ids: Vec<u64> = truth.tasks.iter().map(|task| task.id).collect();
    assert!(ids.iter().all(|&id| id > 0), "{ids:?}");
    Ok(())
}

#[test]
fn a_service_knows_every_stall_it_planted() -> Result<()> {
    let _alone = alone();
    let mix = ServiceBuild::new("mix").build()?;
    let mut service = RunningService::start(&mix, &["--only", "stalls"])?;
    let mark = service.mark()?;
    sleep(Duration::from_secs(4));
    let truth = service.truth()?;
    assert_eq!(truth.planted.len(), 5);
    for planted in &truth.planted {
        let found = truth
            .long_polls_of(&planted.kind, 10_000_000, mark..u64::MAX)
            .count();
        assert!(found >= 1, "{} stalled {found} times", planted.kind);
    }
    assert!(
        truth
            .long_polls
            .iter()
            .all(|poll| poll.kind != "mix::idles")
    );
    Ok(())
}

#[test]
fn a_service_ends_when_nobody_listens_any_more() -> Result<()> {
    let mix = ServiceBuild::new("mix").build()?;
    let service = RunningService::start(&mix, &[])?;
    let pid = service.pid();
    let truth = service.finish()?;
    assert_eq!(truth.pid, pid);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

#[test]
fn a_dropped_service_is_gone() -> Result<()> {
    let mix = ServiceBuild::new("mix").build()?;
    let service = RunningService::start(&mix, &[])?;
    let pid = service.pid();
    drop(service);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

#[test]
fn every_shape_says_its_whole_stack() -> Result<()> {
    let shapes = ServiceBuild::new("shapes").build()?;
    let mut service = RunningService::start(&shapes, &[])?;
    let truth = service.truth()?;
    let stacks = truth.stacks();
    assert_eq!(stacks.len(), 23, "{:?}", stacks.keys());
    for (shape, frames) in stacks {
        for (depth, frame) in (0..).zip(&frames) {
            assert_eq!(frame.depth, depth, "{shape} has a gap");
        }
        let leaf = frames.last().map(|frame| frame.function.as_str());
        assert!(leaf.is_some_and(|leaf| leaf.contains("spin_")), "{shape}");
    }
    Ok(())
}

#[test]
fn every_parked_task_says_its_whole_tree() -> Result<()> {
    let waits = ServiceBuild::new("waits").build()?;
    for flavor in ["multi", "current", "local"] {
        let mut service = RunningService::start(&waits, &["--flavor", flavor])?;
        let truth = service.truth()?;
        assert!(truth.waits.len() > 110, "{}", truth.waits.len());
        let ids: HashSet<_> = truth.waits.iter().map(|task| task.id).collect();
        assert_eq!(ids.len(), truth.waits.len(), "an id was given twice");
        for task in &truth.waits {
            let waits = task.state == TaskState::Suspended;
            assert_eq!(task.leaves.is_empty(), task.state == TaskState::Complete);
            for leaf in &task.leaves {
                assert_eq!(
                    !leaf.what.is_empty(),
                    waits,
                    "{} of {}",
                    leaf.leaf,
                    task.name
                );
                assert!(!leaf.frames.is_empty(), "{} has no frames", leaf.leaf);
            }
            assert!(
                task.leaves
                    .iter()
                    .all(|leaf| { leaf.frames[0].function == task.leaves[0].frames[0].function })
            );
        }
    }
    Ok(())
}

#[test]
fn a_crowd_is_counted_while_it_comes_and_goes() -> Result<()> {
    let _alone = alone();
    let crowd = ServiceBuild::new("crowd").build()?;
    let args = ["--tasks", "5000", "--churn", "20000", "--load", "1"];
    let mut service = RunningService::start(&crowd, &args)?;
    let before = service.truth()?;
    sleep(Duration::from_secs(1));
    let after = service.truth()?;
    let parked = ["sleeper", "boxed", "permit", "select"].map(|name| after.crowd(name));
    let live: u64 = parked.iter().flatten().map(|crowd| crowd.live()).sum();
    assert_eq!(live, 5000);
    for crowd in parked.into_iter().flatten() {
        assert_eq!(crowd.last_id - crowd.first_id + 1, crowd.spawned);
    }
    let (then, now) = (before.crowd("short"), after.crowd("short"));
    let (then, now) = (then.context("a crowd")?, now.context("a crowd")?);
    assert!(now.finished - then.finished > 5000, "{then:?} {now:?}");
    assert!(after.ops > before.ops);
    Ok(())
}

#[test]
fn one_thread_with_a_local_set_knows_its_split_and_stalls() -> Result<()> {
    let _alone = alone();
    let single = ServiceBuild::new("single").build()?;
    let mut service = RunningService::start(&single, &[])?;
    service.mark()?;
    sleep(Duration::from_secs(2));
    let truth = service.truth()?;
    assert!(truth.share("single::burn_hot") > truth.share("single::burn_warm"));
    assert!(truth.share("single::burn_warm") > truth.share("single::burn_cool"));
    for planted in &truth.planted {
        let mut stalls = truth.long_polls_of(&planted.kind, 20_000_000, 0..u64::MAX);
        assert!(stalls.next().is_some(), "{} never stalled", planted.kind);
    }
    Ok(())
}

#[test]
fn actix_handlers_are_called_all_the_time() -> Result<()> {
    let _alone = alone();
    let actix = ServiceBuild::new("actix").build()?;
    let mut service = RunningService::start(&actix, &[])?;
    service.mark()?;
    sleep(Duration::from_secs(2));
    let truth = service.truth()?;
    assert!(truth.share("actix::hungry") > 0.3);
    let mut stalls = truth.long_polls_of("actix::blocking", 20_000_000, 0..u64::MAX);
    assert!(stalls.next().is_some());
    assert!(
        truth
            .kinds
            .iter()
            .any(|kind| kind.kind == "actix::healthy" && kind.polls > 20)
    );
    Ok(())
}

#[test]
fn the_http_service_answers_many_requests_on_a_connection() -> Result<()> {
    let http = ServiceBuild::new("http").build()?;
    let mut service = RunningService::start(&http, &["--only", "measured"])?;
    let port: u16 = service.ready_value("port").context("a port")?.parse()?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut answer = [0; 70];
        stream.read_exact(&mut answer)?;
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"\r\nhello\n"));
    }
    let connection = service.truth()?.kinds.remove(0);
    assert_eq!(
        (connection.kind.as_str(), connection.tasks),
        ("http::connection", 1)
    );
    Ok(())
}

#[test]
fn threads_and_tasks_come_and_go() -> Result<()> {
    let _alone = alone();
    let churn = ServiceBuild::new("churn").build()?;
    let mut service = RunningService::start(&churn, &[])?;
    let tids = || -> Result<HashSet<_>> {
        let folder = std::fs::read_dir(format!("/proc/{}/task", service.pid()))?;
        Ok(folder.flatten().map(|entry| entry.file_name()).collect())
    };
    let before = tids()?;
    sleep(Duration::from_secs(1));
    let after = tids()?;
    assert!(before.len() > 100 && after.len() > 100, "{}", before.len());
    assert!(before.intersection(&after).count() < 20);
    assert!(service.truth()?.kinds[0].tasks > 1000);
    Ok(())
}

#[test]
fn a_native_program_has_cpu_time_and_no_tasks() -> Result<()> {
    let _alone = alone();
    let plain = ServiceBuild::new("plain").build()?;
    let mut service = RunningService::start(&plain, &[])?;
    service.mark()?;
    sleep(Duration::from_secs(1));
    let truth = service.truth()?;
    assert!(truth.kinds.is_empty() && truth.process_cpu_ns > 50_000_000);
    Ok(())
}

#[test]
fn a_service_runs_as_another_user_where_we_may_choose() -> Result<()> {
    let plain = ServiceBuild::new("plain").build()?;
    let folder = PublicFolder::new()?;
    let us = nix::unistd::getuid().as_raw();
    let user = if us == 0 { NOBODY } else { us };
    let service = RunningService::start_as(&plain, &[], user, &folder)?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid()))?;
    assert!(
        status.contains(&format!("Uid:\t{user}\t{user}")),
        "{status}"
    );
    Ok(())
}
