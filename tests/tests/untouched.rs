//! The target does not notice: it is never stopped, never traced, and loses
//! nothing, whatever becomes of the profiler.

use anyhow::{Context, Result, bail};
use awaitscope_tests::compare::share_errors;
use awaitscope_tests::{Profiler, PublicFolder, RunningService, ServiceBuild, alone};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

fn threads(pid: u32) -> Result<BTreeSet<u32>> {
    fs::read_dir(format!("/proc/{pid}/task"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().parse()?))
        .collect()
}

/// No thread of it is traced or stopped.
fn assert_untouched(pid: u32) -> Result<()> {
    for tid in threads(pid)? {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status"))?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        assert_eq!(value("TracerPid:"), "0", "thread {tid}");
        let state = value("State:");
        assert!(!state.starts_with(['T', 't']), "thread {tid} is {state}");
    }
    Ok(())
}

/// Sends requests one after the other until it is told to end, and counts them.
/// Every one must be answered.
struct Client {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64>>,
}

impl Client {
    fn start(service: &RunningService) -> Result<Self> {
        let port: u16 = service.ready_value("port").context("a port")?.parse()?;
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let mut count = 0;
            while !told.load(Ordering::Relaxed) {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
                let mut answer = [0; 70];
                stream.read_exact(&mut answer).context("no answer")?;
                count += 1;
            }
            Ok(count)
        });
        Ok(Self { ended, thread })
    }

    fn finish(self) -> Result<u64> {
        self.ended.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(counted) => counted,
            Err(_) => bail!("the client panicked"),
        }
    }
}

#[test]
fn a_hundred_attachments_under_load_leave_no_trace() -> Result<()> {
    let http = ServiceBuild::new("http").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    // Four services, because none lives longer than two minutes.
    for _ in 0..4 {
        let service = RunningService::start(&http, &["--only", "measured"])?;
        let client = Client::start(&service)?;
        let before = threads(service.pid())?;
        for _ in 0..25 {
            profiler.record(service.pid(), &["-d", "100ms", "-F", "999"])?;
            assert_untouched(service.pid())?;
        }
        assert_eq!(threads(service.pid())?, before);
        assert!(client.finish()? > 1000);
    }
    Ok(())
}

#[test]
fn a_profiler_that_is_killed_at_any_moment_leaves_no_trace() -> Result<()> {
    let http = ServiceBuild::new("http").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    let mut service = RunningService::start(&http, &["--only", "measured"])?;
    let client = Client::start(&service)?;
    let before = threads(service.pid())?;
    let folder = tempfile::tempdir()?;
    for round in 0..30_u64 {
        let mut child = start(&profiler, service.pid(), &folder.path().join("x"))?;
        sleep(Duration::from_millis(round * round));
        child.kill()?;
        child.wait()?;
        assert_untouched(service.pid())?;
    }
    assert_eq!(threads(service.pid())?, before);
    service.truth()?;
    assert!(client.finish()? > 1000);
    Ok(())
}

#[test]
fn ctrl_c_sigterm_and_the_targets_end_save_the_profile() -> Result<()> {
    let plain = ServiceBuild::new("plain").build()?;
    let profiler = Profiler::get()?;
    let _alone = alone();
    for signal in [Some(Signal::SIGINT), Some(Signal::SIGTERM), None] {
        let service = RunningService::start(&plain, &[])?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("x");
        let mut child = start(&profiler, service.pid(), &file)?;
        sleep(Duration::from_secs(3));
        match signal {
            Some(signal) => kill(Pid::from_raw(i32::try_from(child.id())?), signal)?,
            None => drop(service),
        }
        wait_for(&mut child)?;
        let profile = awaitscope_flamegraph::Profile::load(&file)?;
        assert!(
            profile.quality.samples > 20,
            "{signal:?}: {:?}",
            profile.quality
        );
        assert!(profile.duration_ns < 10_000_000_000);
    }
    Ok(())
}

fn start(profiler: &Profiler, pid: u32, file: &Path) -> Result<Child> {
    let pid = pid.to_string();
    let mut command = profiler.command(&["record", "-p", &pid, "-d", "60s", "-F", "99", "-o"]);
    command
        .arg(file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the profiler")
}

/// It must end soon, and well.
fn wait_for(child: &mut Child) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait()? {
            assert_eq!(status.code(), Some(0));
            return Ok(());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("the profiler does not end");
        }
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn someone_without_rights_profiles_their_own_process() -> Result<()> {
    let mix = ServiceBuild::new("mix").build()?;
    let folder = PublicFolder::new()?;
    let (user, profiler) = Profiler::get()?.without_rights(&folder)?;
    let _alone = alone();
    let mut service = RunningService::start_as(&mix, &[], user, &folder)?;
    service.mark()?;
    let recording = profiler.record(service.pid(), &["-d", "10s", "-F", "499"])?;
    let truth = service.truth()?;
    let report = recording.report()?;
    let errors = share_errors(&truth, &report.kinds);
    assert!(errors[0].points().abs() <= 4.0, "{errors:#?}");
    let paranoid = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid")?;
    if paranoid.trim().parse::<i32>()? >= 2 {
        assert!(
            recording.said.contains("perf_event_paranoid"),
            "{}",
            recording.said
        );
    }
    Ok(())
}
