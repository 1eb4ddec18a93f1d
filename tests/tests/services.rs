//! The services know their truth, and the harness reads it: without that, no
//! other test here means anything.

use anyhow::Result;
use awaitscope_tests::{RunningService, ServiceBuild};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn a_service_knows_how_its_cpu_time_is_split() -> Result<()> {
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
