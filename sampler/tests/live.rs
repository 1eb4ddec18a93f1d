//! The sampler on real processes. These need perf events and root, and fail without.

mod target;

use awaitscope_sampler::{
    Attachment, Capture, Children, Clocks, Error, Event, Finished, LiveProcess, Mapped, Mapping,
    Nanos, OffCpu, Options, Pid, Process, Replay, Sample, SampleSource, SwitchReason, Tid,
    syscall_name, thread_pointer,
};
use nix::time::{ClockId, clock_gettime};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::process::Command;
use std::time::Duration;
use target::{Target, lost, program, status, watch, watch_until};

fn at_rate(rate_hz: u32) -> Options {
    Options {
        rate_hz,
        // Far from any storm: these tests look at every switch.
        registers_up_to: 50_000,
        ..Options::default()
    }
}

fn samples(events: &[Event]) -> impl Iterator<Item = &Sample> {
    events.iter().filter_map(|event| match event {
        Event::Sample(sample) => Some(&**sample),
        _ => None,
    })
}

/// How long a thread has run, by the scheduler's own account.
fn scheduled(pid: Pid, tid: Tid) -> Nanos {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).expect("schedstat");
    Nanos(
        text.split(' ')
            .next()
            .expect("a field")
            .parse()
            .expect("a number"),
    )
}

/// What the host of this virtual machine took away from it since it was started.
fn stolen() -> Nanos {
    let text = fs::read_to_string("/proc/stat").expect("stat");
    let ticks = text.split_ascii_whitespace().nth(8).expect("steal");
    Nanos::from_millis(10 * ticks.parse::<u64>().expect("a number"))
}

fn within(value: f64, expected: f64, tolerance: f64, what: &str) {
    let off = (value - expected).abs();
    assert!(
        off <= expected * tolerance,
        "{what}: {value} where {expected} was expected"
    );
}

#[test]
fn samples_come_at_the_requested_rate_and_switches_tell_the_exact_time() {
    samples_come_at_the_rate(Clocks::OfThreads);
}

#[test]
fn clocks_of_cpus_sample_one_process_alone_and_at_the_same_rate() {
    samples_come_at_the_rate(Clocks::OfCpusIfPermitted);
}

fn samples_come_at_the_rate(clocks: Clocks) {
    let _turn = target::turn();
    let target = Target::ready(&["burn", "2"]);
    // It is in the way of the clocks of CPUs.
    let _other = Target::ready(&["burn", "1"]);
    let pid = target.pid();
    let options = Options {
        clocks,
        ..at_rate(999)
    };
    let mut attachment = Attachment::attach(pid, &options).expect("attached");
    let footprint = attachment.footprint();
    assert_eq!(footprint.clocks == 0, clocks == Clocks::OfThreads);
    let process = LiveProcess::open(pid).expect("a process");
    let begin = Nanos::now();
    let stolen_before = stolen();
    let before: HashMap<Tid, Nanos> = process
        .threads()
        .expect("threads")
        .into_iter()
        .map(|tid| (tid, scheduled(pid, tid)))
        .collect();
    let events = watch(&mut attachment, Duration::from_secs(2));
    let end = Nanos::now();
    let mut off_cpu = OffCpu::new(begin);
    events.iter().for_each(|event| {
        off_cpu.feed(event);
    });
    let burners: BTreeSet<Tid> = samples(&events).map(|sample| sample.tid).collect();
    assert_eq!(burners.len(), 2);
    let stolen = stolen().since(stolen_before);
    for tid in burners {
        let truth = scheduled(pid, tid).since(before[&tid]).as_millis();
        let sampled: u64 = samples(&events)
            .filter(|sample| sample.tid == tid)
            .map(|sample| sample.period.0)
            .sum();
        // The scheduler updates its account of a running thread at its own ticks, and leaves out
        // what the host of a virtual machine took away.
        let slack = (20.0 + stolen.as_millis()) / truth;
        let by_samples = Nanos(sampled).as_millis();
        within(by_samples, truth, 0.1 + slack, "time by samples");
        let by_switches = off_cpu.on_cpu(tid, end).as_millis();
        within(by_switches, truth, 0.03 + slack, "time by switches");
        within(
            by_samples,
            by_switches,
            0.05 + slack,
            "samples, by switches",
        );
    }
    assert_eq!(lost(&events), 0);
    assert_eq!(off_cpu.gaps(), 0);
}

#[test]
fn a_sample_points_into_code_and_its_stack_begins_at_the_stack_pointer() {
    let _turn = target::turn();
    let target = Target::ready(&["burn", "1"]);
    let mut attachment = Attachment::attach(target.pid(), &at_rate(499)).expect("attached");
    assert!(attachment.abilities().kernel && attachment.abilities().switch_registers);
    let events = watch(&mut attachment, Duration::from_millis(500));
    let mappings = LiveProcess::open(target.pid())
        .and_then(|p| p.mappings())
        .expect("mappings");
    assert!(samples(&events).count() > 50);
    for sample in samples(&events) {
        let holds =
            |address| move |mapping: &&Mapping| mapping.start <= address && address < mapping.end;
        let code = mappings
            .iter()
            .find(holds(sample.registers.ip()))
            .expect("code");
        assert!(code.permissions.execute, "{code:?}");
        let stack = mappings
            .iter()
            .find(holds(sample.registers.sp()))
            .expect("a stack");
        assert!(
            stack.permissions.write && !stack.permissions.execute,
            "{stack:?}"
        );
        assert_eq!(sample.stack.start, sample.registers.sp());
        // The copy may go on into what lies next to the stack.
        assert!(sample.stack.bytes.len() >= 64, "{sample:?}");
        assert!(
            sample
                .kernel_chain
                .iter()
                .all(|&address| address >= 1 << 63)
        );
    }
}

#[test]
fn sleeps_are_measured_to_the_millisecond() {
    let _turn = target::turn();
    let mut target = Target::ready(&["nap", "7", "60"]);
    let mut attachment = Attachment::attach(target.pid(), &Options::default()).expect("attached");
    let events = watch(&mut attachment, Duration::from_millis(1300));
    let mut off_cpu = OffCpu::new(Nanos::ZERO);
    let intervals: Vec<_> = events
        .iter()
        .filter_map(|event| match off_cpu.feed(event)? {
            Finished::Interval(interval) => Some(interval),
            Finished::Thread { .. } => None,
        })
        .filter(|interval| interval.reason == SwitchReason::Waiting)
        .collect();
    let naps: Vec<(u64, u64)> = std::iter::repeat_with(|| target.line())
        .take_while(|line| line != "done")
        .map(|line| {
            let (start, end) = line.split_once(' ').expect("two moments");
            (
                start.parse().expect("a moment"),
                end.parse().expect("a moment"),
            )
        })
        .collect();
    assert_eq!(naps.len(), 60);
    let mut exact = 0;
    for (start, end) in naps {
        let matching = intervals.iter().find(|interval| {
            interval.start.0.abs_diff(start) < 1_000_000 && interval.end.0.abs_diff(end) < 1_000_000
        });
        let Some(interval) = matching else { continue };
        assert!(interval.start.0 >= start && interval.end.0 <= end);
        assert!(
            interval
                .registers
                .as_ref()
                .is_some_and(|registers| registers.ip().0 != 0)
        );
        exact += 1;
    }
    // On a busy machine the target itself may be held up between a sleep and looking at the clock.
    assert!(exact >= 55, "{exact} of 60 within a millisecond");
}

#[test]
fn a_sleeping_thread_is_known_to_be_off_with_the_stack_it_sleeps_on() {
    let _turn = target::turn();
    let target = Target::ready(&["nap", "400", "1"]);
    let mut attachment = Attachment::attach(target.pid(), &Options::default()).expect("attached");
    let process = LiveProcess::open(target.pid()).expect("a process");
    let mut off_cpu = OffCpu::new(Nanos::now());
    for event in watch(&mut attachment, Duration::from_millis(500)) {
        off_cpu.feed(&event);
    }
    let long_ago = Nanos::now() - Nanos::from_millis(10);
    let off: Vec<_> = off_cpu.off_since_before(long_ago).collect();
    assert_eq!(off.len(), 1);
    let blocked = process.blocked_in(off[0].tid).expect("asleep");
    assert_eq!(
        blocked.syscall.and_then(syscall_name),
        Some("clock_nanosleep")
    );
    let registers = off[0].registers.expect("registers");
    assert_eq!((registers.ip(), registers.sp()), (blocked.ip, blocked.sp));
}

#[test]
fn a_thread_started_later_is_followed_under_its_name() {
    let _turn = target::turn();
    let mut target = Target::ready(&["late"]);
    let mut attachment = Attachment::attach(target.pid(), &at_rate(499)).expect("attached");
    let events = watch_until(&mut attachment, |events| {
        events
            .iter()
            .any(|event| matches!(event, Event::ThreadExit { .. }))
    });
    let tid = Tid(target.line().parse().expect("a number"));
    let pid = target.pid();
    let position = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted);
    let started = position(
        &|event| matches!(event, Event::ThreadStart { pid: p, tid: t, .. } if (*p, *t) == (pid, tid)),
    );
    let named = position(
        &|event| matches!(event, Event::ThreadName { tid: t, name, .. } if *t == tid && **name == *"latecomer"),
    );
    let ended = position(&|event| matches!(event, Event::ThreadExit { tid: t, .. } if *t == tid));
    let (started, named, ended) = (
        started.expect("started"),
        named.expect("named"),
        ended.expect("ended"),
    );
    assert!(started < named && named < ended);
    let count = samples(&events).filter(|sample| sample.tid == tid).count();
    within(count as f64, 150.0, 0.1, "samples of the latecomer");
}

/// How often each thread has left its CPU, by the scheduler's own account.
fn switches(pid: Pid, threads: &[Tid]) -> HashMap<Tid, u64> {
    threads
        .iter()
        .map(|&tid| {
            let count = |key| status(pid, tid.0, key).parse::<u64>().expect("a number");
            (
                tid,
                count("voluntary_ctxt_switches:") + count("nonvoluntary_ctxt_switches:"),
            )
        })
        .collect()
}

#[test]
fn threads_that_start_while_we_attach_are_neither_missed_nor_counted_twice() {
    let _turn = target::turn();
    for _ in 0..3 {
        let mut target = Target::ready(&["churn", "200"]);
        let pid = target.pid();
        let mut attachment = Attachment::attach(pid, &at_rate(99)).expect("attached");
        assert_eq!(target.line(), "all");
        // What was inherited shows in the first records of a thread.
        watch(&mut attachment, Duration::from_millis(300));
        let process = LiveProcess::open(pid).expect("a process");
        let threads = process.threads().expect("threads");
        assert_eq!(threads.len(), 201);
        let before = switches(pid, &threads);
        let events = watch(&mut attachment, Duration::from_millis(1000));
        let after = switches(pid, &threads);
        assert_eq!(lost(&events), 0);
        let mut seen: HashMap<Tid, u64> = HashMap::new();
        for event in &events {
            if let Event::SwitchOut { tid, registers, .. } = event {
                assert!(registers.is_some(), "{event:?}");
                *seen.entry(*tid).or_default() += 1;
            }
        }
        for tid in threads {
            let truth = after[&tid] - before[&tid];
            let seen = seen.get(&tid).copied().unwrap_or(0);
            // The counts are not read at the moment of the drains.
            assert!(
                seen.abs_diff(truth) <= 3,
                "{tid}: {seen} switches of {truth}"
            );
        }
    }
}

#[test]
fn an_exec_is_told_and_the_new_program_sampled() {
    let _turn = target::turn();
    for role in ["exec", "exec-from-thread"] {
        let program = program().to_str().expect("a path");
        let mut target = Target::ready(&[role, program, "burn-for", "400"]);
        let mut attachment = Attachment::attach(target.pid(), &at_rate(499)).expect("attached");
        let events = watch_until(&mut attachment, |_| target.has_ended());
        let execs: Vec<Nanos> = events
            .iter()
            .filter_map(|event| match event {
                Event::Exec { pid, time } if *pid == target.pid() => Some(*time),
                _ => None,
            })
            .collect();
        assert_eq!(execs.len(), 1, "{role}");
        let after = samples(&events).filter(|sample| sample.time > execs[0]);
        let of_first = after
            .filter(|sample| sample.tid.0 == target.pid().0)
            .count();
        within(of_first as f64, 200.0, 0.1, role);
        let mapped = |event: &Event| matches!(event, Event::Mapped { length, .. } if *length > 0);
        assert!(events.iter().any(mapped));
    }
}

#[test]
fn a_command_is_watched_from_its_first_instruction() {
    let _turn = target::turn();
    let mut command = Command::new(program());
    command.args(["burn-for", "300"]);
    let (mut attachment, mut child) = Attachment::launch(command, &at_rate(999)).expect("launched");
    let events = watch_until(&mut attachment, |_| {
        child.try_wait().expect("a state").is_some()
    });
    assert!(child.wait().expect("it ends").success());
    assert!(
        matches!(events.first(), Some(Event::Exec { .. })),
        "{:?}",
        events.first()
    );
    let count = samples(&events).count();
    within(count as f64, 300.0, 0.1, "samples");
    // The dynamic loader maps the C library: only seen from the first instruction on.
    assert!(
        events
            .iter()
            .filter(|event| matches!(event, Event::Mapped { .. }))
            .count()
            >= 3
    );
    assert!(
        matches!(events.last(), Some(Event::ThreadExit { .. })),
        "{:?}",
        events.last()
    );
}

#[test]
fn a_command_that_is_not_there_is_an_error_that_names_it() {
    let _turn = target::turn();
    let error = Attachment::launch(Command::new("/nowhere/at all"), &Options::default())
        .expect_err("nothing to run");
    assert_eq!(error.to_string(), "cannot start /nowhere/at all");
    assert_eq!(error.errno(), Some(2));
}

#[test]
fn attaching_a_hundred_times_leaves_no_trace_in_the_target() {
    let _turn = target::turn();
    let mut target = Target::ready(&["epoll"]);
    let pid = target.pid();
    let process = LiveProcess::open(pid).expect("a process");
    let threads = process.threads().expect("threads");
    let descriptors = || fs::read_dir("/proc/self/fd").expect("descriptors").count();
    let before = descriptors();
    for _ in 0..100 {
        let mut attachment = Attachment::attach(pid, &at_rate(999)).expect("attached");
        watch(&mut attachment, Duration::from_millis(6));
        for &tid in &threads {
            assert_eq!(status(pid, tid.0, "TracerPid:"), "0");
            assert!(!matches!(
                status(pid, tid.0, "State:").as_bytes()[0],
                b'T' | b't'
            ));
        }
    }
    assert_eq!(process.threads().expect("threads"), threads);
    // Other tests of this process open some too, but not a thousand.
    assert!(descriptors() < before + 500);
    assert_eq!(target.rest(), [""; 0], "epoll_wait was interrupted");
}

#[test]
fn children_are_followed_only_when_asked_for() {
    let _turn = target::turn();
    for (children, followed) in [(Children::Ignore, 0), (Children::Follow, 2)] {
        let mut target = Target::ready(&["children"]);
        let options = Options {
            children,
            ..at_rate(499)
        };
        let mut attachment = Attachment::attach(target.pid(), &options).expect("attached");
        let events = watch(&mut attachment, Duration::from_millis(1500));
        let born: BTreeSet<Pid> = (0..2)
            .map(|_| Pid(target.line().parse().expect("a number")))
            .collect();
        let sampled: BTreeSet<Pid> = samples(&events)
            .map(|sample| sample.pid)
            .filter(|pid| born.contains(pid))
            .collect();
        assert_eq!(sampled.len(), followed);
        let strangers = samples(&events)
            .filter(|sample| sample.pid != target.pid() && !born.contains(&sample.pid));
        assert_eq!(strangers.count(), 0);
    }
}

#[test]
fn the_thread_pointer_of_every_thread_is_found() {
    let _turn = target::turn();
    let mut target = Target::start(&["where", "8"]);
    let truth: HashMap<Tid, u64> = (0..9)
        .map(|_| {
            let line = target.line();
            let (tid, base) = line.split_once(' ').expect("two numbers");
            (
                Tid(tid.parse().expect("a number")),
                base.parse().expect("an address"),
            )
        })
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    let process = LiveProcess::open(target.pid()).expect("a process");
    let mappings = process.mappings().expect("mappings");
    for (tid, base) in truth {
        let sp = process.blocked_in(tid).expect("asleep").sp;
        let found = thread_pointer(&process, &mappings, tid, sp).map(|found| found.0);
        assert_eq!(found, Some(base), "{tid}");
    }
}

#[test]
fn threads_of_a_container_are_found_by_the_numbers_they_know_themselves_by() {
    let _turn = target::turn();
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--pid", "--fork", "--kill-child"])
        .arg(program())
        .args(["where", "3"]);
    let mut target = Target::run(unshare);
    let truth: HashMap<u32, u64> = (0..4)
        .map(|_| {
            let line = target.line();
            let (tid, base) = line.split_once(' ').expect("two numbers");
            (
                tid.parse().expect("a number"),
                base.parse().expect("an address"),
            )
        })
        .collect();
    assert!(
        truth.contains_key(&1),
        "a namespace of its own begins with one"
    );
    std::thread::sleep(Duration::from_millis(50));
    let of_unshare = target.pid();
    let children = format!("/proc/{of_unshare}/task/{of_unshare}/children");
    let inner = fs::read_to_string(children).expect("its children");
    let process =
        LiveProcess::open(Pid(inner.trim().parse().expect("one child"))).expect("a process");
    let mappings = process.mappings().expect("mappings");
    for tid in process.threads().expect("threads") {
        let own = process.own_number(tid).expect("a number");
        assert_ne!(own, tid.0);
        let sp = process.blocked_in(tid).expect("asleep").sp;
        let found = thread_pointer(&process, &mappings, tid, sp).map(|found| found.0);
        assert_eq!(found, truth.get(&own).copied());
    }
}

#[test]
fn what_the_rings_cannot_hold_is_counted() {
    let _turn = target::turn();
    let target = Target::ready(&["switch"]);
    let options = Options {
        ring_bytes: 1,
        stack_bytes: 1024,
        ..at_rate(1000)
    };
    let mut attachment = Attachment::attach(target.pid(), &options).expect("attached");
    let kept = attachment.footprint().ring_bytes;
    assert!(kept < 64 << 10);
    std::thread::sleep(Duration::from_millis(400));
    let events = watch(&mut attachment, Duration::from_millis(100));
    assert!(lost(&events) > 100, "{} lost", lost(&events));
}

#[test]
fn a_storm_of_switches_is_told_without_registers() {
    let _turn = target::turn();
    let target = Target::ready(&["switch"]);
    let mut attachment = Attachment::attach(target.pid(), &at_rate(99)).expect("attached");
    let bare = |event: &Event| match event {
        Event::SwitchOut { registers, .. } => Some(registers.is_none()),
        _ => None,
    };
    let events = watch_until(&mut attachment, |events| {
        let mut last = events.iter().rev().filter_map(bare).take(1000).peekable();
        last.peek().is_some() && last.all(|bare| bare)
    });
    assert_eq!(
        events.iter().find_map(bare),
        Some(false),
        "it began with registers"
    );
}

#[test]
fn a_process_that_ends_is_noticed_and_what_came_before_is_kept() {
    let _turn = target::turn();
    let mut child = Command::new(program())
        .args(["burn-for", "200"])
        .spawn()
        .expect("it starts");
    let pid = Pid(child.id());
    let mut attachment = Attachment::attach(pid, &at_rate(999)).expect("attached");
    let process = LiveProcess::open(pid).expect("a process");
    assert!(!process.exited());
    // It has ended, though nobody has waited for it.
    let events = watch_until(&mut attachment, |_| process.exited());
    assert!(samples(&events).count() > 100);
    assert!(matches!(events.last(), Some(Event::ThreadExit { .. })));
    assert!(matches!(
        Attachment::attach(pid, &at_rate(99)),
        Err(Error::Exited(_))
    ));
    child.wait().expect("it ended");
    assert!(matches!(process.threads(), Err(Error::NoSuchProcess(_))));
    assert_eq!(process.thread_name(Tid(pid.0)), None);
}

#[test]
fn a_process_whose_first_thread_has_ended_is_watched() {
    let _turn = target::turn();
    let target = Target::ready(&["headless"]);
    let mut attachment = Attachment::attach(target.pid(), &at_rate(499)).expect("attached");
    let events = watch_until(&mut attachment, |events| samples(events).count() > 50);
    assert!(samples(&events).all(|sample| sample.tid.0 != target.pid().0));
}

#[test]
fn what_cannot_be_watched_says_why() {
    let _turn = target::turn();
    let refused = |pid: Pid| Attachment::attach(pid, &Options::default()).expect_err("refused");
    // Beyond the largest number the kernel gives (PID_MAX_LIMIT).
    assert!(matches!(refused(Pid(4_194_305)), Error::NoSuchProcess(_)));
    assert!(matches!(refused(Pid(0)), Error::NoSuchProcess(_)));

    let mut target = Target::start(&["zombie"]);
    let zombie = Pid(target.line().parse().expect("a number"));
    assert!(matches!(refused(zombie), Error::Exited(_)));

    let kernel_thread = refused(Pid(2));
    assert_eq!(
        kernel_thread.to_string(),
        "2 (kthreadd) is a thread of the kernel; it has no user code to watch"
    );

    let target = Target::ready(&["burn", "1"]);
    let process = LiveProcess::open(target.pid()).expect("a process");
    let thread = *process
        .threads()
        .expect("threads")
        .last()
        .expect("a thread");
    let error = refused(Pid(thread.0));
    assert!(
        matches!(error, Error::NotAProcess { process, .. } if process == target.pid()),
        "{error}"
    );
    assert!(matches!(
        LiveProcess::open(Pid(thread.0)),
        Err(Error::NotAProcess { .. })
    ));

    let options = Options {
        rate_hz: 0,
        ..Options::default()
    };
    let error = Attachment::attach(target.pid(), &options).expect_err("no rate");
    assert_eq!(
        error.to_string(),
        "the sampling rate is 0: 1 to 100000 Hz is possible"
    );
}

/// What someone learns of a process from a few events.
type Learnt = (
    Vec<Option<u64>>,
    Vec<Mapping>,
    Vec<Tid>,
    Vec<Option<String>>,
);

fn learn(events: &[Event], process: &dyn Process) -> Learnt {
    let words = samples(events).map(|sample| process.read_word(sample.registers.sp()));
    let words = words.collect();
    let mappings = process.mappings().expect("mappings");
    let threads = process.threads().expect("threads");
    let names = threads.iter().map(|&tid| process.thread_name(tid));
    let names = names.collect();
    (words, mappings, threads, names)
}

#[test]
fn a_capture_of_a_live_process_replays_without_it() {
    let _turn = target::turn();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("burn.capture");
    let target = Target::ready(&["burn", "2"]);
    let mut attachment = Attachment::attach(target.pid(), &at_rate(499)).expect("attached");
    let capture = Capture::create(&path, target.pid()).expect("begun");
    let process = capture.process(LiveProcess::open(target.pid()).expect("a process"));
    let mut first = Vec::new();
    for _ in 0..10 {
        let mut events = Vec::new();
        attachment
            .drain(&mut |event| events.push(event))
            .expect("drained");
        capture.step(&events);
        let learnt = learn(&events, &process);
        first.push((events, learnt));
        std::thread::sleep(Duration::from_millis(20));
    }
    capture.finish(&"ten drains").expect("finished");
    let count = first.iter().map(|(events, _)| samples(events).count());
    assert!(count.sum::<usize>() > 10);
    let pid = target.pid();
    drop(target);

    let (about, mut replay) = Replay::open::<String>(&path).expect("opened");
    let process = replay.process();
    assert_eq!((about.as_str(), process.pid()), ("ten drains", pid));
    let mut again = Vec::new();
    while let Some(events) = replay.step::<Vec<Event>>().expect("whole") {
        let learnt = learn(&events, &*process);
        again.push((events, learnt));
    }
    assert!(again == first, "the replay differs");
    assert_eq!(process.unknown(), 0);
}

#[test]
fn the_names_of_the_kernel_are_those_of_kallsyms() {
    let process = LiveProcess::open(Pid(std::process::id())).expect("a process");
    let symbols = fs::read_to_string("/proc/kallsyms").expect("kallsyms");
    let line = symbols.lines().find(|line| line.ends_with(" T schedule"));
    let line = line.expect("every kernel has it, and root may know where");
    let address = u64::from_str_radix(&line[..16], 16).expect("an address");
    assert_eq!(
        process.kernel_function(address).as_deref(),
        Some("schedule")
    );
    assert_eq!(process.kernel_function(1), None);
}

#[test]
fn the_facts_of_a_process_are_those_it_was_started_with() {
    let _turn = target::turn();
    let target = Target::ready(&["burn", "0"]);
    let process = LiveProcess::open(target.pid()).expect("a process");
    let facts = process.facts().expect("facts");
    assert_eq!(
        facts.exe.as_deref(),
        program().canonicalize().ok().as_deref()
    );
    assert_eq!(facts.command_line[1..], ["burn", "0"]);
    assert_eq!((facts.owner, facts.kernel_thread), (0, false));
    assert!(facts.name.starts_with("target-"), "{}", facts.name);
    process.can_read_memory().expect("readable");
    let mappings = process.mappings().expect("mappings");
    let own = |mapping: &&Mapping| matches!(&mapping.what, Mapped::File { path, .. } if Some(path) == facts.exe.as_ref());
    assert!(mappings.iter().filter(own).count() >= 3);
}

#[test]
fn attaching_takes_little_time_and_few_rings_even_with_many_threads() {
    let _turn = target::turn();
    let mut target = Target::start(&["where", "500"]);
    for _ in 0..501 {
        target.line();
    }
    let cpu_time = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
    let began = cpu_time();
    let attachment = Attachment::attach(target.pid(), &at_rate(99)).expect("attached");
    let took = Duration::from(cpu_time() - began);
    let footprint = attachment.footprint();
    let of_threads = footprint.descriptors - footprint.clocks;
    assert_eq!(of_threads, 501 * 2 * footprint.rings);
    println!("501 threads on {} CPUs: {took:?}", footprint.rings);
    assert!(
        took < Duration::from_millis(100) * footprint.rings as u32,
        "{took:?}"
    );
}
