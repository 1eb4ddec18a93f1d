//! Starts the program that the tests watch, and lets nothing of it stay behind.

#![allow(dead_code, reason = "each test file uses its part")]

use awaitscope_sampler::{Attachment, Event, Nanos, Pid, SampleSource};
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A running target, killed when it goes out of scope.
pub struct Target {
    pub child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

/// Held by a test while it runs: they would take the CPUs away from each other, of which a
/// small machine has two.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A failed test leaves nothing behind that would matter to the next.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The compiled program.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/target/program.rs");
        let program = folder.join("target-program");
        let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
        if changed(&program) > changed(&source) {
            return program;
        }
        // Several test programs may be at it: each builds its own, and the last one stays.
        let own = folder.join(format!("target-{}", std::process::id()));
        let status = Command::new("rustc")
            .args(["--edition", "2024", "-O", "-C", "debuginfo=1", "-o"])
            .arg(&own)
            .arg(source)
            .status()
            .expect("rustc runs");
        assert!(status.success(), "the target does not compile");
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("its mode is set");
        fs::rename(&own, &program).expect("it gets its name");
        program
    })
}

impl Target {
    /// Starts the program and waits until it says that it is ready.
    pub fn ready(arguments: &[&str]) -> Self {
        let mut target = Self::start(arguments);
        assert_eq!(target.line(), "ready");
        target
    }

    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(arguments);
        Self::run(command)
    }

    pub fn run(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the target starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, output }
    }

    pub fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// The next thing it says.
    pub fn line(&mut self) -> String {
        self.output
            .next()
            .expect("the target still lives")
            .expect("it speaks")
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a state").is_some()
    }

    /// Everything else it said, after it was killed.
    pub fn rest(&mut self) -> Vec<String> {
        self.child.kill().expect("it can be killed");
        self.output.by_ref().map_while(Result::ok).collect()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Drains every five milliseconds for as long as told, and checks the order on the way.
pub fn watch(attachment: &mut Attachment, time: Duration) -> Vec<Event> {
    let end = Instant::now() + time;
    watch_until(attachment, |_| Instant::now() >= end)
}

/// As long as `over` says, of what came so far, that it is not.
pub fn watch_until(
    attachment: &mut Attachment,
    mut over: impl FnMut(&[Event]) -> bool,
) -> Vec<Event> {
    let mut events = Vec::new();
    let patience = Instant::now() + Duration::from_secs(30);
    let mut complete = Nanos::ZERO;
    while !over(&events) {
        assert!(
            Instant::now() < patience,
            "what was waited for does not come"
        );
        std::thread::sleep(Duration::from_millis(5));
        let before = events.len();
        let horizon = attachment
            .drain(&mut |event| events.push(event))
            .expect("drained");
        for event in &events[before..] {
            assert!(
                event.time() >= complete && event.time() < horizon,
                "{event:?}"
            );
        }
        complete = horizon;
    }
    attachment
        .finish(&mut |event| events.push(event))
        .expect("drained");
    assert!(events.is_sorted_by_key(Event::time), "events out of order");
    events
}

pub fn lost(events: &[Event]) -> u64 {
    events
        .iter()
        .map(|event| match event {
            Event::Lost { count, .. } => *count,
            _ => 0,
        })
        .sum()
}

/// A line of a file such as `/proc/PID/status`, without its key.
pub fn status(pid: Pid, tid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).expect("a status");
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap_or_else(|| panic!("no {key}"))
        .trim()
        .to_owned()
}
