//! Web services as people run them, under load: FastAPI on uvicorn and aiohttp, with and without
//! uvloop, and with workers.

use anyhow::{Context, Result, ensure};
use awaitscope_tests::python::Python;
use awaitscope_tests::{Profiler, RunningService, Truth, alone, cpu_stacks};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// `wrk` on one endpoint, with one connection. It is killed when this is dropped.
struct Load(Child);

impl Load {
    fn start(service: &RunningService, endpoint: &str) -> Result<Self> {
        let port = service.ready_value("port").context("a port")?;
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c1", "-d60s"])
            .arg(format!("http://127.0.0.1:{port}/{endpoint}"))
            .stdout(Stdio::null());
        let child = wrk
            .spawn()
            .context("cannot run wrk: install the Debian package wrk (.ci/run does)")?;
        Ok(Self(child))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Both fail only when it has ended and was reaped already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn handlers_and_what_blocks_them_are_named() -> Result<()> {
    let _alone = alone();
    for (version, framework, event_loop) in [
        ("3.9", "fastapi", "asyncio"),
        ("3.11", "fastapi", "uvloop"),
        ("3.13", "aiohttp", "uvloop"),
        ("3.14", "aiohttp", "asyncio"),
        ("3.14", "fastapi", "uvloop"),
    ] {
        let python = Python::get(version)?;
        let args = ["--framework", framework, "--loop", event_loop];
        let mut service = python.start_with_packages("web", &args)?;
        handlers_are_named(&mut service)
            .with_context(|| format!("{python}, {framework} on {event_loop}"))?;
    }
    Ok(())
}

fn handlers_are_named(service: &mut RunningService) -> Result<()> {
    let _cpu = Load::start(service, "cpu")?;
    let _blocking = Load::start(service, "blocking")?;
    sleep(Duration::from_millis(500));
    let recording = Profiler::get()?.record(service.pid(), &["-d", "3s", "-F", "499"])?;
    let truth: Truth = service.truth()?;
    let report = recording.report()?;
    let planted = truth.planted.first().context("a planted stall")?;
    let named = report.stalls.iter().find(|stall| {
        stall.culprit.as_ref().is_some_and(|culprit| {
            culprit.file.as_deref() == Some(planted.file.as_str())
                && culprit.line == Some(planted.line)
        })
    });
    let named = named.with_context(|| format!("{planted:?} is not in {:#?}", report.stalls))?;
    ensure!(named.count > 20, "{named:?}");
    let mut handled = 0;
    for stack in cpu_stacks(&recording.profile()?)? {
        let mut functions = stack.frames.iter().map(|frame| frame.function.as_str());
        let is_handler = |function: &str| function == "web.cpu";
        if stack.kind.is_some()
            && functions.any(is_handler)
            && functions.any(|it| it == "web.compute")
        {
            handled += stack.samples;
        }
    }
    ensure!(handled > 20, "{handled} samples in {:#?}", report.kinds);
    Ok(())
}

/// The processes that uvicorn starts are found by their parent.
#[test]
fn a_worker_of_uvicorn_is_recorded_by_its_number() -> Result<()> {
    let _alone = alone();
    let python = Python::get("3.13")?;
    let service = python.start_with_packages("web", &["--workers", "2"])?;
    let _cpu = [Load::start(&service, "cpu")?, Load::start(&service, "cpu")?];
    sleep(Duration::from_millis(500));
    let mut samples = 0;
    for worker in workers(service.pid())? {
        let recording = Profiler::get()?.record(worker, &["-d", "2s", "-F", "499"])?;
        for stack in cpu_stacks(&recording.profile()?)? {
            let mut functions = stack.frames.iter();
            if stack.kind.is_some() && functions.any(|frame| frame.function == "web.compute") {
                samples += stack.samples;
            }
        }
    }
    ensure!(samples > 20, "{samples}");
    Ok(())
}

fn workers(parent: u32) -> Result<Vec<u32>> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let mut workers = Vec::new();
    for child in children.split_whitespace() {
        let command = std::fs::read_to_string(format!("/proc/{child}/cmdline"))?;
        if command.contains("spawn_main") {
            workers.push(child.parse()?);
        }
    }
    ensure!(workers.len() == 2, "{workers:?}");
    Ok(workers)
}
