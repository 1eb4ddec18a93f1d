//! How a service is asked, and how it ends.

use crate::json::Object;
use crate::marker::Sources;
use crate::{calibrate, ledger, marker, parked};
use std::io::{BufRead, Write};
use std::time::Duration;

/// No service lives longer than this, whatever happens to its parent.
const LONGEST: Duration = Duration::from_secs(120);

/// What a service can be told on its command line.
pub struct Args {
    seconds: Option<u64>,
    only: Option<String>,
    port: u16,
    own: Vec<(&'static str, String)>,
}

impl Args {
    /// Reads the command line and measures how fast this machine is. To be
    /// called first in `main`, before any thread is started: it blocks `SIGTERM`,
    /// which one thread of [`serve`] then waits for.
    pub fn read() -> Self {
        Self::read_with(&[], &[])
    }

    /// The same, for a service that knows options (which take a value) and flags
    /// of its own, each told as it is written: `--tasks`.
    pub fn read_with(options: &[&'static str], flags: &[&'static str]) -> Self {
        let mut args = Self {
            seconds: None,
            only: None,
            port: 0,
            own: Vec::new(),
        };
        let known =
            |names: &[&'static str], word: &str| names.iter().copied().find(|&name| name == word);
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            if let Some(flag) = known(flags, &word) {
                args.own.push((flag, String::new()));
                continue;
            }
            let Some(value) = words.next() else {
                usage(&word);
            };
            match word.as_str() {
                "--seconds" => args.seconds = Some(number(&value)),
                "--only" => args.only = Some(value),
                "--port" => args.port = number(&value) as u16,
                _ => match known(options, &word) {
                    Some(option) => args.own.push((option, value)),
                    None => usage(&word),
                },
            }
        }
        block_sigterm();
        calibrate();
        args
    }

    /// Whether this part of the service should run.
    pub fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    /// The value of an option of the service's own, if it was given.
    pub fn option(&self, name: &str) -> Option<&str> {
        let given = self.own.iter().rev().find(|(option, _)| *option == name)?;
        Some(&given.1)
    }

    /// The value of an option that is a number, 0 if it was not given.
    pub fn count(&self, name: &str) -> u64 {
        self.option(name).map_or(0, number)
    }

    /// Whether a flag of the service's own was given.
    pub fn has(&self, name: &str) -> bool {
        self.option(name).is_some()
    }

    /// The port to listen on; 0 for any.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn number(value: &str) -> u64 {
    value.parse().unwrap_or_else(|_| usage(value))
}

fn usage(word: &str) -> ! {
    eprintln!(
        "cannot understand {word:?}; known: --seconds N, --only PART, --port N, and the service's own"
    );
    std::process::exit(2);
}

/// Says `READY`, answers questions on standard input, and ends the process when
/// its time is over, on `SIGTERM`, or (unless `--seconds` was given) when
/// standard input ends. Tells the truth a last time then.
///
/// `ready` may add to the `READY` line; `sources` are the service's files with
/// markers in them.
pub fn serve(args: &Args, service: &'static str, sources: Sources, ready: &str) -> ! {
    std::thread::sleep(Duration::from_millis(500));
    let time = args.seconds.map_or(LONGEST, Duration::from_secs);
    std::thread::spawn(move || {
        std::thread::sleep(time.min(LONGEST));
        finish(service, sources);
    });
    std::thread::spawn(move || {
        wait_for_sigterm();
        finish(service, sources);
    });
    ledger::mark();
    // Last, so that whoever looks at our threads from now on sees all of them.
    println!("READY pid={}{ready}", std::process::id());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.trim() {
            "mark" => println!("MARKED {}", ledger::mark()),
            "truth" => tell(service, sources),
            other => eprintln!("cannot understand {other:?}; known: mark, truth"),
        }
    }
    if args.seconds.is_none() {
        finish(service, sources);
    }
    loop {
        std::thread::park();
    }
}

fn finish(service: &str, sources: Sources) -> ! {
    tell(service, sources);
    std::process::exit(0)
}

fn tell(service: &str, sources: Sources) {
    let mut object = Object::new();
    object
        .number("schema", 1)
        .text("service", service)
        .number("pid", u64::from(std::process::id()));
    ledger::describe(&mut object);
    marker::describe(sources, &mut object);
    parked::describe(sources, &mut object);
    // A parent that does not listen any more is no reason to fail.
    let _ = writeln!(std::io::stdout().lock(), "{}", object.end());
}

fn sigterm() -> libc::sigset_t {
    // SAFETY: the set is made empty before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        set
    }
}

fn block_sigterm() {
    // SAFETY: a valid set, and the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &sigterm(), std::ptr::null_mut()) };
}

fn wait_for_sigterm() {
    let mut signal = 0;
    // SAFETY: a valid set and a valid place for the answer.
    unsafe { libc::sigwait(&sigterm(), &mut signal) };
}
