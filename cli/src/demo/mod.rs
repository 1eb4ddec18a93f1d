//! A service of our own to look at, for whoever has none at hand.

pub mod service;

use anyhow::{Context, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// The demo's service, running. It ends when this is dropped.
#[derive(Debug)]
pub struct DemoService {
    child: Child,
}

impl DemoService {
    /// Starts the service and waits until it answers.
    pub fn start() -> Result<Self> {
        let binary = std::env::current_exe().context("cannot find our own binary")?;
        let child = Command::new(binary)
            .arg("demo-service")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the demo's service")?;
        let mut service = Self { child };
        let output = service.child.stdout.take();
        let output = output.context("the demo's service has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if !line.starts_with("READY") {
            bail!("the demo's service did not start");
        }
        Ok(service)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for DemoService {
    fn drop(&mut self) {
        // It may have ended already, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
