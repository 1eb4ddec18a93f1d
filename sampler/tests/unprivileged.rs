//! The sampler as an ordinary user, and where everything is refused. Runs as root, and gives
//! that up step by step, each for good: hence no test harness, but one story after the
//! other.

mod target;

use awaitscope_sampler::{
    Abilities, Attachment, Error, Event, LiveProcess, Options, Pid, Process, ReadMemory,
    SampleSource,
};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::time::Duration;
use target::{Target, lost, watch, watch_until};

/// A user of our own: what may be locked is counted by user, and another test may run as `nobody`.
fn nobody() -> u32 {
    60_000 + std::process::id() % 5_000
}

fn main() {
    assert!(
        Uid::effective().is_root(),
        "this test must be started by root"
    );
    // Built while we may write.
    target::program();
    // Whoever started us is root too. (A target of root we could not end any more.)
    let of_root = Pid(nix::unistd::getppid().as_raw().cast_unsigned());
    become_nobody();
    let own = Target::ready(&["burn", "1"]);

    story(
        "an ordinary user watches his own process, without the kernel's part",
        || {
            let options = Options {
                rate_hz: 499,
                ..Options::default()
            };
            let mut attachment = Attachment::attach(own.pid(), &options).expect("attached");
            let expected = Abilities {
                kernel: false,
                switch_registers: false,
            };
            assert_eq!(attachment.abilities(), expected);
            let is_switch = |event: &Event| matches!(event, Event::SwitchOut { .. });
            let events = watch_until(&mut attachment, |events| {
                events.len() > 200 && events.iter().any(is_switch)
            });
            let mut samples = 0;
            let mut switches = 0;
            for event in &events {
                match event {
                    Event::Sample(sample) => {
                        assert!(sample.kernel_chain.is_empty());
                        assert!(sample.stack.bytes.len() >= 64);
                        samples += 1;
                    }
                    Event::SwitchOut { registers, .. } => {
                        assert_eq!(*registers, None);
                        switches += 1;
                    }
                    _ => {}
                }
            }
            assert!(samples > 0 && switches > 0, "{samples} and {switches}");
            assert_eq!(lost(&events), 0);
        },
    );

    story("rings shrink to what an ordinary user may lock", || {
        setrlimit(Resource::RLIMIT_MEMLOCK, 0, 0).expect("a limit");
        let mut attachment = Attachment::attach(own.pid(), &Options::default()).expect("attached");
        let bytes = attachment.footprint().ring_bytes;
        assert!((128 << 10..4 << 20).contains(&bytes), "{bytes}");
        let events = watch(&mut attachment, Duration::from_millis(200));
        assert!(events.iter().any(|event| matches!(event, Event::Sample(_))));
    });

    story("the process of another user is refused by name", || {
        let error = Attachment::attach(of_root, &Options::default()).expect_err("refused");
        let expected = matches!(
            error,
            Error::OtherUser {
                owner: 0,
                we,
                ..
            } if we == nobody()
        );
        assert!(expected, "{error}");
        assert_eq!(error.errno(), Some(libc::EACCES));
        assert!(error.to_string().contains("CAP_PERFMON"));
        let process = LiveProcess::open(of_root).expect("a process");
        assert_eq!(process.facts().expect("facts").owner, 0);
        assert!(process.mappings().is_err() && process.can_read_memory().is_err());
        assert!(!process.read(awaitscope_sampler::Avma(0x40_0000), &mut [0; 8]));
    });

    story(
        "a command is launched and watched without privileges",
        || {
            let mut command = std::process::Command::new(target::program());
            command.args(["burn-for", "200"]);
            let options = Options {
                rate_hz: 999,
                ..Options::default()
            };
            let (mut attachment, mut child) =
                Attachment::launch(command, &options).expect("launched");
            let events = watch_until(&mut attachment, |_| {
                child.try_wait().expect("a state").is_some()
            });
            assert!(child.wait().expect("it ends").success());
            let samples = events
                .iter()
                .filter(|event| matches!(event, Event::Sample(_)))
                .count();
            assert!(samples > 100, "{samples} samples");
        },
    );

    story("too few descriptors say how many it takes", || {
        let many = Target::ready(&["burn", "200"]);
        setrlimit(Resource::RLIMIT_NOFILE, 400, 400).expect("a limit");
        let error = Attachment::attach(many.pid(), &Options::default()).expect_err("refused");
        let Error::Descriptors {
            threads: 201,
            cpus,
            needed,
            allowed,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(needed, (202 * cpus) as u64);
        assert!(allowed < 400);
        assert!(error.to_string().contains(&format!("ulimit -Hn {needed}")));
    });

    story(
        "a sandbox that forbids perf events is told from a system without",
        || {
            forbid_perf(libc::EPERM);
            let error = Attachment::attach(own.pid(), &Options::default()).expect_err("refused");
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            assert_eq!(error.errno(), Some(libc::EPERM));
            forbid_perf(libc::ENOSYS);
            let error = Attachment::attach(own.pid(), &Options::default()).expect_err("refused");
            assert!(matches!(error, Error::NoPerf { .. }), "{error}");
            assert!(matches!(
                Attachment::attach(Pid(4_194_305), &Options::default()),
                Err(Error::NoSuchProcess(_))
            ));
        },
    );
}

fn story(what: &str, tell: impl FnOnce()) {
    println!("{what} …");
    tell();
}

fn become_nobody() {
    let (user, group) = (Uid::from_raw(nobody()), Gid::from_raw(nobody()));
    setgroups(&[group]).expect("groups");
    setresgid(group, group, group).expect("a group");
    setresuid(user, user, user).expect("a user");
    // Whoever changes his user is closed to others like him, and to himself in /proc.
    nix::sys::prctl::set_dumpable(true).expect("dumpable");
}

/// Lets `perf_event_open` fail from now on, as a seccomp profile would.
fn forbid_perf(errno: i32) {
    let load_number = bpf(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0);
    let is_perf = bpf(
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::SYS_perf_event_open as u32,
        0,
        1,
    );
    let fail = libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
    let mut program = [
        load_number,
        is_perf,
        bpf(libc::BPF_RET | libc::BPF_K, fail, 0, 0),
        bpf(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let filter = libc::sock_fprog {
        len: 4,
        filter: program.as_mut_ptr(),
    };
    nix::sys::prctl::set_no_new_privs().expect("no new privileges");
    // SAFETY: `filter` and the program it points to live until the call is over, which copies
    // them.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

fn bpf(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}
