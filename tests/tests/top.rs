//! `awaitscope top` on a real terminal, attached to real services.

use anyhow::{Context, Result};
use awaitscope_tests::{OnTerminal, Profiler, RunningService, ServiceBuild, alone};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The kinds of the burners, those that use the most first.
const SPLIT: [&str; 3] = [
    "mix::split::burn_hot",
    "mix::split::burn_warm",
    "mix::split::burn_cool",
];

/// A service and its profiler. That comes first, because it may have to be built: a service that
/// nobody talks to does not wait for so long.
fn started(args: &[&str]) -> Result<RunningService> {
    let mix = ServiceBuild::new("mix").build()?;
    Profiler::get()?;
    RunningService::start(&mix, args)
}

fn top(pid: u32, args: &[&str], columns: u16, rows: u16) -> Result<OnTerminal> {
    let pid = pid.to_string();
    let args = [&["top", "-p", &pid], args].concat();
    OnTerminal::start(Profiler::get()?.command(&args), columns, rows)
}

/// A way to tell it to end.
type Way = fn(&mut OnTerminal) -> Result<()>;

/// The line on which a text stands.
fn row(lines: &[String], text: &str) -> Option<usize> {
    lines.iter().position(|line| line.contains(text))
}

/// A terminal as it was before: its modes, its screen, its cursor.
fn assert_given_back(terminal: &OnTerminal) -> Result<()> {
    assert_eq!(&terminal.modes()?, terminal.modes_before());
    assert!(
        !terminal.on_second_screen(),
        "it is still on its own screen"
    );
    assert!(!terminal.hides_cursor(), "the cursor is hidden");
    Ok(())
}

#[test]
fn kinds_stand_in_the_order_of_their_cpu() -> Result<()> {
    let _alone = alone();
    let service = started(&["--only", "split"])?;
    let terminal = top(service.pid(), &[], 120, 40)?;
    terminal.wait_for("last 8 s")?;
    let in_order = |lines: &[String]| {
        let rows = SPLIT.map(|kind| row(lines, kind));
        rows.iter().all(Option::is_some) && rows.is_sorted()
    };
    let lines = terminal.wait_until("the kinds in order", in_order)?;
    let hot = &lines[row(&lines, SPLIT[0]).context("it is there")?];
    let share: f64 = hot.split_whitespace().next().context("a share")?.parse()?;
    // The burners are made to use six parts, three and one.
    assert!((45.0..75.0).contains(&share), "{hot}");
    let live = &lines[row(&lines, " live ").context("a trend")?];
    assert!(live.contains("24") || live.contains("25"), "{live}");
    Ok(())
}

#[test]
fn a_stall_is_shown_with_its_culprit_and_what_to_do() -> Result<()> {
    let _alone = alone();
    let service = started(&["--only", "stalls"])?;
    let mut terminal = top(service.pid(), &[], 140, 60)?;
    terminal.type_keys("2")?;
    let lines = terminal.wait_for("std::thread::sleep")?;
    let at = row(&lines, "std::thread::sleep").context("it is there")?;
    assert!(lines[at].contains("src/stalls.rs:"), "{}", lines[at]);
    assert!(
        lines[at + 1].contains("mix::stalls::sleeps_in_poll"),
        "{}",
        lines[at + 1]
    );
    assert!(
        lines[at + 1].contains("use tokio::time::sleep"),
        "{}",
        lines[at + 1]
    );
    Ok(())
}

#[test]
fn keys_sort_filter_hold_and_drill() -> Result<()> {
    let _alone = alone();
    let service = started(&[])?;
    let mut terminal = top(service.pid(), &[], 120, 40)?;
    terminal.wait_for(SPLIT[0])?;
    terminal.type_keys("s")?;
    terminal.wait_for("by live")?;
    terminal.type_keys("/burn_hot")?;
    terminal.wait_until("the filter", |lines| {
        row(lines, "filter: burn_hot").is_some() && row(lines, SPLIT[1]).is_none()
    })?;
    terminal.type_keys("\r")?;
    terminal.wait_for("with “burn_hot”")?;
    terminal.type_keys("\r")?;
    terminal.wait_for("on CPU, by stack")?;
    terminal.wait_for("mix::split::hot_leaf")?;
    terminal.type_keys("\t")?;
    terminal.wait_for("src/split.rs")?;
    terminal.wait_for("where it waits")?;
    terminal.type_keys(" ")?;
    terminal.wait_for("held")?;
    terminal.type_keys("?")?;
    terminal.wait_for("MEANING")?;
    Ok(())
}

#[test]
fn await_points_are_shown_by_how_many_tasks_are_there() -> Result<()> {
    let _alone = alone();
    let service = started(&[])?;
    let mut terminal = top(service.pid(), &[], 120, 40)?;
    terminal.type_keys("3")?;
    let lines = terminal.wait_for("mix::idles src/main.rs:")?;
    let idle = &lines[row(&lines, "mix::idles src/main.rs:").context("it is there")?];
    let mut words = idle.split_whitespace();
    assert_eq!(words.next(), Some("20"), "{idle}");
    assert_eq!(words.next(), Some("="), "{idle}");
    Ok(())
}

#[test]
fn another_size_is_filled_at_once() -> Result<()> {
    let _alone = alone();
    let service = started(&[])?;
    let terminal = top(service.pid(), &[], 120, 40)?;
    terminal.wait_for("WHERE TASKS WAIT")?;
    terminal.resize(40, 10)?;
    let lines = terminal.wait_until("a small screen", |lines| {
        row(lines, "WHERE TASKS WAIT").is_none() && row(lines, "KINDS").is_some()
    })?;
    assert!(lines.len() <= 10 && lines.iter().all(|line| line.chars().count() <= 40));
    terminal.resize(160, 50)?;
    terminal.wait_for("WHERE TASKS WAIT")?;
    Ok(())
}

#[test]
fn it_leaves_the_terminal_as_it_was_when_told_to() -> Result<()> {
    let mut service = started(&["--only", "split"])?;
    let told: [(&str, Way); 4] = [
        ("q", |terminal| terminal.type_keys("q")),
        ("Ctrl-C", |terminal| terminal.type_keys("\x03")),
        ("SIGTERM", |terminal| terminal.signal(Signal::SIGTERM)),
        ("SIGHUP", |terminal| terminal.signal(Signal::SIGHUP)),
    ];
    for (how, tell) in told {
        let mut terminal = top(service.pid(), &[], 100, 30)?;
        terminal.wait_for("KINDS")?;
        assert!(terminal.on_second_screen() && terminal.modes()? != *terminal.modes_before());
        tell(&mut terminal)?;
        let status = terminal.end().context(how)?;
        assert!(status.success(), "{how}: {status}");
        assert_given_back(&terminal).context(how)?;
    }
    assert!(service.is_running());
    Ok(())
}

#[test]
fn a_terminal_that_is_gone_ends_it() -> Result<()> {
    let service = started(&["--only", "split"])?;
    let mut terminal = top(service.pid(), &[], 100, 30)?;
    terminal.wait_for("KINDS")?;
    terminal.hang_up();
    let status = terminal.end()?;
    assert!(status.success(), "{status}");
    Ok(())
}

#[test]
fn a_target_that_is_lost_is_told_after_the_terminal_is_given_back() -> Result<()> {
    let service = started(&["--only", "split"])?;
    let mut terminal = top(service.pid(), &[], 100, 30)?;
    terminal.wait_for("KINDS")?;
    kill(
        Pid::from_raw(i32::try_from(service.pid())?),
        Signal::SIGKILL,
    )?;
    let status = terminal.end()?;
    assert!(status.success(), "{status}");
    assert_given_back(&terminal)?;
    let lines = terminal.lines().join("\n");
    assert!(lines.contains("was ended by SIGKILL"), "{lines}");
    Ok(())
}

#[test]
fn what_cannot_be_attached_to_is_refused_before_anything_is_drawn() -> Result<()> {
    let mut terminal = top(u32::MAX / 2, &[], 100, 30)?;
    let status = terminal.end()?;
    assert_eq!(status.code(), Some(1));
    let written = terminal.written();
    assert!(
        !written.contains(&b'\x1b'),
        "{}",
        String::from_utf8_lossy(&written)
    );
    Ok(())
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() -> Result<()> {
    let us = std::process::id().to_string();
    let output = Profiler::get()?.run(&["top", "-p", &us])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("awaitscope report") && said.contains("awaitscope record"),
        "{said}"
    );
    Ok(())
}
