//! Stops real processes, and sees that they go on.

mod target;

use awaitscope_sampler::{Error, LiveProcess, Pid, Process, Stopped};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};
use target::{Target, status, turn};

/// The states of all threads: `t` is stopped by a tracer.
fn states(pid: Pid) -> Vec<u8> {
    let process = LiveProcess::open(pid).expect("it lives");
    let threads = process.threads().expect("threads");
    let stat = |tid| std::fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok();
    let state = |stat: Vec<u8>| {
        let name_end = stat.iter().rposition(|byte| *byte == b')').expect("a name");
        stat[name_end + 2]
    };
    threads.into_iter().filter_map(stat).map(state).collect()
}

/// Waits until no thread is stopped, and the process has no tracer.
fn assert_goes_on(pid: Pid) {
    let patience = Instant::now() + Duration::from_secs(5);
    while states(pid).contains(&b't') {
        assert!(Instant::now() < patience, "it was left stopped");
        sleep(Duration::from_millis(1));
    }
    let process = LiveProcess::open(pid).expect("it lives");
    for tid in process.threads().expect("threads") {
        assert_eq!(status(pid, tid.0, "TracerPid:"), "0");
    }
}

#[test]
fn all_threads_stand_still_while_it_is_stopped_and_go_on_after() {
    let _turn = turn();
    let target = Target::ready(&["burn", "6"]);
    for _ in 0..20 {
        let stopped = Stopped::stop(target.pid()).expect("stopped");
        let states = states(target.pid());
        assert_eq!(states.len(), stopped.threads());
        assert!(states.iter().all(|state| *state == b't'), "{states:?}");
        drop(stopped);
        assert_goes_on(target.pid());
    }
}

#[test]
fn threads_that_start_meanwhile_are_stopped_too() {
    let _turn = turn();
    let target = Target::ready(&["churn", "300"]);
    for _ in 0..30 {
        let stopped = Stopped::stop(target.pid()).expect("stopped");
        let states = states(target.pid());
        assert_eq!(states.len(), stopped.threads());
        assert!(states.iter().all(|state| *state == b't'), "{states:?}");
    }
    assert_goes_on(target.pid());
}

/// A process of its own that stops the target and holds it. Returns its number once it
/// does.
fn holder(pid: Pid) -> nix::unistd::Pid {
    let (mut from, mut to) = std::io::pipe().expect("a pipe");
    // SAFETY: the child does no more than stop the target, write a byte and wait for its end; the
    // allocations of that are safe in a child of glibc's fork.
    match unsafe { fork() }.expect("forked") {
        ForkResult::Child => {
            let stopped = Stopped::stop(pid);
            let _ = to.write_all(&[u8::from(stopped.is_ok())]);
            sleep(Duration::from_secs(60));
            std::process::exit(0);
        }
        ForkResult::Parent { child } => {
            drop(to);
            let mut byte = [0];
            from.read_exact(&mut byte).expect("it says how it went");
            assert_eq!(byte, [1], "it could not stop the target");
            child
        }
    }
}

#[test]
fn a_profiler_that_is_killed_meanwhile_leaves_nobody_stopped() {
    let _turn = turn();
    let mut target = Target::ready(&["burn", "4"]);
    for _ in 0..10 {
        let holder = holder(target.pid());
        assert!(states(target.pid()).iter().all(|state| *state == b't'));
        kill(holder, Signal::SIGKILL).expect("killed");
        waitpid(holder, None).expect("it ended");
        assert_goes_on(target.pid());
    }
    assert!(!target.has_ended(), "it was killed with its tracer");
}

#[test]
fn what_cannot_be_stopped_says_why() {
    let _turn = turn();
    let target = Target::ready(&["burn", "1"]);
    let holder = holder(target.pid());
    let error = Stopped::stop(target.pid()).expect_err("it has a tracer");
    kill(holder, Signal::SIGKILL).expect("killed");
    waitpid(holder, None).expect("it ended");
    let tracer = u32::try_from(holder.as_raw()).expect("a number");
    assert!(
        matches!(error, Error::Traced { tracer: by, .. } if by == Pid(tracer)),
        "{error}"
    );
    assert_goes_on(target.pid());
    let error = Stopped::stop(Pid(4_194_304)).expect_err("there is none");
    assert!(matches!(error, Error::NoSuchProcess(_)), "{error}");
}

#[test]
fn a_process_that_ends_meanwhile_is_no_trouble() {
    let _turn = turn();
    let mut target = Target::ready(&["burn", "3"]);
    let stopped = Stopped::stop(target.pid()).expect("stopped");
    target.child.kill().expect("killed");
    drop(stopped);
    // It does not end before its tracer took note of the end of its threads; and that it ended, we
    // may have been told as its tracer.
    let _ = target.child.wait();
    assert!(LiveProcess::open(target.pid()).is_err());
}
