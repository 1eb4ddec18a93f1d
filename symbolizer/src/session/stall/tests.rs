//! Stalls, told as stories of one worker.

use super::*;

const WORKER: Tid = Tid(7);

fn ms(millis: u64) -> Nanos {
    Nanos::from_millis(millis)
}

fn task(id: u64, epoch: u64) -> Progress {
    Progress {
        task: Some(TaskId(id)),
        epoch,
    }
}

fn stalls() -> Stalls {
    Stalls::new(ms(10))
}

fn asleep(stack: u32, task: u64) -> OffEvidence {
    OffEvidence {
        stack: StackId(stack),
        sleep: Sleep::Syscall(230),
        in_poll: true,
        task: Some(TaskId(task)),
    }
}

#[test]
fn a_poll_that_computes_is_as_long_as_its_equal_pulses() {
    let mut stalls = stalls();
    stalls.pulse(WORKER, ms(0), task(1, 1));
    for time in (2..=40).step_by(2) {
        stalls.pulse(WORKER, ms(time), task(2, 2));
        if time % 10 == 0 {
            stalls.sample(WORKER, ms(time), StackId(5), Some(TaskId(2)));
        }
    }
    stalls.pulse(WORKER, ms(42), task(1, 3));
    let found = stalls.finish(ms(50));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].task, Some(TaskId(2)));
    assert_eq!(found[0].duration, ms(40));
    assert_eq!(found[0].uncertainty, ms(2));
    assert_eq!(found[0].cause, StallCause::Cpu);
    let seen: u64 = found[0].stacks.iter().map(|(_, length)| length.0).sum();
    assert_eq!(seen, found[0].duration.0);
}

#[test]
fn a_neighbours_sample_bounds_a_poll_and_is_not_its_evidence() {
    let mut stalls = stalls();
    stalls.pulse(WORKER, ms(0), task(1, 1));
    stalls.sample(WORKER, ms(2), StackId(4), Some(TaskId(1)));
    stalls.pulse(WORKER, ms(3), task(2, 2));
    stalls.sample(WORKER, ms(9), StackId(5), Some(TaskId(2)));
    stalls.pulse(WORKER, ms(18), task(2, 2));
    stalls.pulse(WORKER, ms(20), task(1, 3));
    let found = stalls.finish(ms(30));
    assert_eq!(found[0].start, Nanos(2_500_000));
    assert_eq!(found[0].stacks, [(StackId(5), found[0].duration)]);
}

#[test]
fn a_sleep_in_a_poll_is_exact() {
    let mut stalls = stalls();
    stalls.switch_out(WORKER, ms(1), SwitchReason::Waiting);
    stalls.pulse(WORKER, ms(2), task(1, 1));
    stalls.switch_in(WORKER, Nanos(5_000_000));
    stalls.switch_out(WORKER, Nanos(5_100_000), SwitchReason::Waiting);
    stalls.pulse(WORKER, ms(6), task(2, 2));
    stalls.off_stack(WORKER, Nanos(5_100_000), asleep(9, 2));
    stalls.switch_in(WORKER, Nanos(30_100_000));
    stalls.switch_out(WORKER, Nanos(30_200_000), SwitchReason::Waiting);
    stalls.pulse(WORKER, ms(32), task(1, 3));
    let found = stalls.finish(ms(33));
    assert_eq!(found.len(), 1);
    assert!(found[0].uncertainty <= Nanos(200_000), "{:?}", found[0]);
    assert_eq!(found[0].duration, ms(25));
    assert_eq!(found[0].cause, StallCause::Syscall);
    assert_eq!(found[0].syscall, Some(230));
    assert_eq!(found[0].stacks[0].0, StackId(9));
}

#[test]
fn two_stalls_in_a_row_are_two() {
    let mut stalls = stalls();
    stalls.pulse(WORKER, ms(0), task(1, 1));
    for time in (2..=20).step_by(2) {
        stalls.pulse(WORKER, ms(time), task(2, 2));
    }
    for time in (22..=40).step_by(2) {
        stalls.pulse(WORKER, ms(time), task(2, 3));
    }
    stalls.pulse(WORKER, ms(42), task(1, 4));
    assert_eq!(stalls.finish(ms(50)).len(), 2);
}

#[test]
fn many_short_polls_of_one_task_are_no_stall() {
    let mut stalls = stalls();
    for time in 0..100 {
        stalls.pulse(WORKER, ms(time * 2), task(2, time));
    }
    assert!(stalls.finish(ms(200)).is_empty());
}

#[test]
fn an_idle_worker_is_no_stall() {
    let mut stalls = stalls();
    stalls.pulse(WORKER, ms(0), task(9, 1));
    stalls.switch_out(WORKER, ms(1), SwitchReason::Waiting);
    stalls.pulse(WORKER, ms(2), task(1, 2));
    stalls.idle_shows(WORKER, TaskId(1));
    stalls.switch_in(WORKER, ms(900));
    stalls.pulse(WORKER, ms(901), task(9, 3));
    assert!(stalls.finish(ms(902)).is_empty());
}

#[test]
fn without_progress_a_sleep_inside_a_poll_is_a_stall() {
    let mut stalls = stalls();
    stalls.switch_out(WORKER, ms(5), SwitchReason::Waiting);
    stalls.off_stack(WORKER, ms(5), asleep(3, 2));
    stalls.switch_in(WORKER, ms(30));
    stalls.switch_out(WORKER, ms(31), SwitchReason::Waiting);
    stalls.off_stack(
        WORKER,
        ms(31),
        OffEvidence {
            in_poll: false,
            ..asleep(4, 2)
        },
    );
    stalls.switch_in(WORKER, ms(90));
    let found = stalls.finish(ms(100));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].duration, ms(25));
    assert_eq!(found[0].uncertainty, Nanos::ZERO);
}

#[test]
fn a_poll_that_was_pushed_off_its_cpu_says_so() {
    let mut stalls = stalls();
    stalls.pulse(WORKER, ms(0), task(1, 1));
    stalls.pulse(WORKER, ms(2), task(2, 2));
    stalls.switch_out(WORKER, ms(3), SwitchReason::Preempted);
    stalls.switch_in(WORKER, ms(20));
    stalls.pulse(WORKER, ms(20), task(2, 2));
    stalls.pulse(WORKER, ms(22), task(1, 3));
    let found = stalls.finish(ms(30));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].cause, StallCause::Preempted);
}

#[test]
fn a_thread_that_was_about_to_run_when_seen_is_not_taken_for_a_page_fault() {
    let mut stalls = stalls();
    stalls.pulse(WORKER, ms(0), task(1, 1));
    stalls.switch_out(WORKER, ms(1), SwitchReason::Waiting);
    stalls.pulse(WORKER, ms(3), task(2, 2));
    let seen = OffEvidence {
        sleep: Sleep::Unknown,
        ..asleep(9, 2)
    };
    stalls.off_stack(WORKER, ms(1), seen);
    stalls.switch_in(WORKER, ms(20));
    stalls.pulse(WORKER, ms(21), task(1, 3));
    let found = stalls.finish(ms(30));
    assert_eq!(found[0].cause, StallCause::Syscall);
    assert_eq!(found[0].syscall, None);
}

#[test]
fn half_of_the_work_is_done_without_the_pauses() {
    let pause = |from, to| Evidence::Off {
        from: ms(from),
        to: ms(to),
        reason: SwitchReason::Preempted,
        seen: None,
    };
    let middle = |evidence: &[Evidence]| middle_of_work(evidence, ms(0), ms(10));
    assert_eq!(middle(&[]), ms(5));
    assert_eq!(middle(&[pause(1, 9)]), ms(1));
    assert_eq!(middle(&[pause(4, 8), pause(20, 30)]), ms(3));
    assert_eq!(middle(&[pause(0, 6)]), ms(8));
}

/// A worker that polls one task for 40 ms, then sleeps in the next, which goes on.
fn held_twice() -> Stalls {
    let mut stalls = stalls();
    stalls.pulse(WORKER, ms(0), task(1, 1));
    for time in (2..=40).step_by(2) {
        stalls.pulse(WORKER, ms(time), task(2, 2));
    }
    stalls.pulse(WORKER, ms(42), task(3, 3));
    stalls.switch_out(WORKER, ms(42), SwitchReason::Waiting);
    stalls.off_stack(WORKER, ms(42), asleep(5, 3));
    stalls
}

#[test]
fn a_poll_that_goes_on_is_told_as_far_as_it_was_seen_and_told_anew_when_it_is_longer() {
    let mut stalls = held_twice();
    let lengths = |found: Vec<Stall>| -> Vec<u64> {
        found
            .iter()
            .map(|stall| stall.duration.0 / 1_000_000)
            .collect()
    };
    assert_eq!(lengths(stalls.since(ms(0), ms(92))), [40, 50]);
    assert_eq!(lengths(stalls.since(ms(0), ms(142))), [40, 100]);
    stalls.switch_in(WORKER, ms(152));
    stalls.pulse(WORKER, ms(154), task(1, 4));
    assert_eq!(lengths(stalls.since(ms(0), ms(200))), [40, 110]);
}

#[test]
fn what_ended_before_is_forgotten_and_what_began_before_is_cut() {
    let mut stalls = held_twice();
    let found = stalls.since(ms(60), ms(92));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].start, found[0].duration), (ms(60), ms(32)));
    assert_eq!(stalls.count(), 0);
}
