//! The profiler, as a user runs it.

use crate::build::{run, workspace_target};
use crate::public::{NOBODY, PublicFolder};
use crate::report::Report;
use crate::tasks::Tasks;
use anyhow::{Context, Result, ensure};
use awaitscope_flamegraph::Profile;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The `awaitscope` binary of this workspace.
#[derive(Debug, Clone)]
pub struct Profiler {
    binary: PathBuf,
    user: Option<u32>,
}

/// A profile that was recorded. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Recording {
    profiler: Profiler,
    /// The profile.
    pub file: PathBuf,
    /// What `record` said on standard error.
    pub said: String,
}

impl Profiler {
    /// The profiler of this workspace, built in the profile that this test was
    /// built in; or the one that `AWAITSCOPE_BIN` names.
    ///
    /// # Errors
    /// It does not build.
    pub fn get() -> Result<Self> {
        static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let binary = BINARY
            .get_or_init(|| build().map_err(|error| format!("{error:#}")))
            .clone()
            .map_err(anyhow::Error::msg)?;
        Ok(Self { binary, user: None })
    }

    /// The same, run by another user, out of a folder that user may look into.
    ///
    /// # Errors
    /// It cannot be copied there.
    pub fn run_by(self, user: u32, folder: &PublicFolder) -> Result<Self> {
        Ok(Self {
            binary: folder.add(&self.binary)?,
            user: Some(user),
        })
    }

    /// The same, run by somebody without rights, and who that is: nobody, or we ourselves where
    /// we have none.
    ///
    /// # Errors
    /// It cannot be copied there.
    pub fn without_rights(self, folder: &PublicFolder) -> Result<(u32, Self)> {
        let us = nix::unistd::getuid();
        match us.is_root() {
            true => Ok((NOBODY, self.run_by(NOBODY, folder)?)),
            false => Ok((us.as_raw(), self)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// A command that runs it.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args);
        if let Some(user) = self.user {
            command.uid(user).gid(user).current_dir("/tmp");
        }
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It cannot be started. That it fails is no error here.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        let mut command = self.command(args);
        command
            .output()
            .with_context(|| format!("cannot run {command:?}"))
    }

    /// The tasks of a process at this moment.
    ///
    /// # Errors
    /// `tasks` fails, or writes something that the contract does not know.
    pub fn tasks(&self, pid: u32, args: &[&str]) -> Result<Tasks> {
        let pid = pid.to_string();
        let args = [&["tasks", "-p", &pid, "--format", "json"], args].concat();
        let output = self.run(&args)?;
        ensure!(
            output.status.success(),
            "awaitscope {} ended with {}: {}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).with_context(|| {
            let beginning: String = String::from_utf8_lossy(&output.stdout)
                .chars()
                .take(2000)
                .collect();
            format!("not what tasks should say: {beginning}")
        })
    }

    /// Records a process.
    ///
    /// # Errors
    /// `record` fails; the message has what it said.
    pub fn record(&self, pid: u32, args: &[&str]) -> Result<Recording> {
        let file = fresh_file();
        let name = file.to_string_lossy().into_owned();
        let pid = pid.to_string();
        let args = [&["record", "-p", &pid, "-o", &name], args].concat();
        let output = self.run(&args)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let recording = Recording {
            profiler: self.clone(),
            file,
            said,
        };
        ensure!(
            output.status.success(),
            "awaitscope {} ended with {}: {}",
            args.join(" "),
            output.status,
            recording.said
        );
        Ok(recording)
    }
}

impl Recording {
    /// The profile itself.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn profile(&self) -> Result<Profile> {
        Ok(Profile::load(&self.file)?)
    }

    /// What `report` makes of it.
    ///
    /// # Errors
    /// `report` fails, or writes something that the contract does not know.
    pub fn report(&self) -> Result<Report> {
        let name = self.file.to_string_lossy();
        let output = self.profiler.run(&["report", &name, "--format", "json"])?;
        ensure!(
            output.status.success(),
            "awaitscope report failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        serde_json::from_str(&text).with_context(|| format!("not a report: {text}"))
    }

    /// What `export --format collapsed` makes of it: lines of a stack, root first,
    /// and its weight.
    ///
    /// # Errors
    /// `export` fails.
    pub fn collapsed(&self) -> Result<String> {
        let name = self.file.to_string_lossy();
        let output = self
            .profiler
            .run(&["export", &name, "--format", "collapsed"])?;
        ensure!(
            output.status.success(),
            "awaitscope export failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Not there when recording failed.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A name that no other test has.
fn fresh_file() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let us = std::process::id();
    std::env::temp_dir().join(format!("test-{us}-{count}.awaitscope"))
}

fn build() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("AWAITSCOPE_BIN") {
        return Ok(binary.into());
    }
    // …/target/PROFILE/deps/test-1234
    let ours = std::env::current_exe()?;
    let optimized = ours.components().any(|part| part.as_os_str() == "release");
    let (profile, folder) = if optimized {
        ("release", "release")
    } else {
        ("dev", "debug")
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "-p", "awaitscope", "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    run(&mut cargo).context("building the profiler")?;
    Ok(workspace_target().join(folder).join("awaitscope"))
}
