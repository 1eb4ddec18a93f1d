//! Reads live interpreters of every version that this machine has, and compares with what
//! they say of themselves.

mod code;
mod objects;
mod waits;

use super::detect::Detected;
use super::objects::Heap;
use crate::debugfile::DebugFiles;
use crate::module::{AddressSpace, Binaries};
use awaitscope_sampler::{LiveProcess, Pid, Process};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The interpreters of this machine: pyenv's and the system's.
pub(super) fn pythons() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| home.map(|home| home.join(".pyenv")));
    let versions = root.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let mut found: Vec<PathBuf> = versions
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path()))
        .filter(|version| (8..=14).any(|minor| has(version, minor)))
        .map(|version| version.join("bin/python3"))
        .collect();
    found.push("/usr/bin/python3".into());
    found.retain(|python| python.exists());
    assert!(
        !found.is_empty(),
        "there is no Python here: install python3, or pyenv with the versions to be tested"
    );
    found
}

fn has(version: &std::path::Path, minor: u8) -> bool {
    version.join(format!("bin/python3.{minor}")).exists()
}

/// A script that runs, and what it said.
pub(super) struct Script {
    child: Child,
    pub python: PathBuf,
    pub process: LiveProcess,
    pub space: AddressSpace,
    /// Its lines up to the one that says `ready`.
    pub said: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Script {
    /// Runs `source` as `service.py` until it says `ready`.
    pub fn start(python: &PathBuf, source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("service.py");
        std::fs::write(&path, source).expect("a script");
        let mut child = Command::new(python)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let said: Vec<String> = lines
            .map(|line| line.expect("a line"))
            .take_while(|line| line != "ready")
            .collect();
        let process = LiveProcess::open(Pid(child.id())).expect("it runs");
        let mut space = AddressSpace::new(Binaries::OfProcess(process.pid()), DebugFiles::none());
        space.update(&process.mappings().expect("mappings"), &process);
        Self {
            child,
            python: python.clone(),
            process,
            space,
            said,
            _folder: folder,
        }
    }

    pub fn detected(&self) -> Detected {
        let found = Detected::find(&self.space, &self.process).expect("CPython is in the process");
        found.unwrap_or_else(|why| panic!("{}: {why}", self.python.display()))
    }

    pub fn heap<'a>(&'a self, detected: &'a Detected) -> Heap<'a> {
        Heap {
            memory: &self.process,
            layout: &detected.layout,
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
