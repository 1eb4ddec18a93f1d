//! Bringing the interpreters that this machine does not have, out of Debian's suites.

use super::{COVERED, Place, Python, home, packages, root_of};
use crate::build::run;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const MIRROR: &str = "http://deb.debian.org/debian";

/// Which suites of Debian have a version, the best first.
pub(super) fn suites(version: &str) -> &'static [&'static str] {
    match version {
        "3.9" => &["bullseye"],
        "3.13" => &["trixie"],
        "3.14" => &["sid", "forky"],
        _ => &[],
    }
}

/// Brings every covered version that is missing, and for each that is there the packages of the
/// services; says how long each took.
///
/// # Errors
/// A tool failed; the message has what it said.
pub fn bring() -> Result<()> {
    fs::create_dir_all(home())?;
    let lock = File::create(home().join("lock"))?;
    lock.lock()
        .context("cannot lock the folder of the interpreters")?;
    for version in COVERED {
        if Python::find(version).is_none() {
            timed(&format!("CPython {version}"), || install_from_any(version))?;
        }
    }
    for version in COVERED {
        let python = Python::get(version)?;
        if !packages::place(&python).exists() {
            timed(&format!("packages for {python}"), || {
                packages::install(&python)
            })?;
        }
    }
    Ok(())
}

fn timed(what: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    work().with_context(|| format!("bringing {what}"))?;
    println!("{:6.1} s  {what}", begin.elapsed().as_secs_f64());
    Ok(())
}

/// From the first suite that (still) has it.
fn install_from_any(version: &str) -> Result<()> {
    let mut tried = Ok(());
    for suite in suites(version) {
        tried = install(version, suite).with_context(|| format!("from Debian's {suite}"));
        if tried.is_ok() {
            break;
        }
    }
    tried
}

/// The folder appears under its name when it is whole.
fn install(version: &str, suite: &str) -> Result<()> {
    ensure!(
        nix::unistd::getuid().is_root(),
        "only root may make a root of its own for CPython {version}"
    );
    let fresh = home().join(format!("{suite}.fresh"));
    // An attempt that was killed; what it had mounted went with it.
    run(Command::new("rm")
        .args(["-rf", "--one-file-system"])
        .arg(&fresh))?;
    let mut debootstrap = Command::new("unshare");
    debootstrap
        .args(["--mount", "debootstrap", "--variant=minbase"])
        .arg(format!(
            "--include=python{version}-minimal,libpython{version}-stdlib"
        ))
        .arg(suite)
        .arg(&fresh)
        .arg(MIRROR);
    let rules = Path::new("/usr/share/debootstrap/scripts");
    if !rules.join(suite).exists() {
        // A suite that is newer than debootstrap is made as sid is.
        debootstrap.arg(rules.join("sid"));
    }
    run(&mut debootstrap).context("(the Debian package debootstrap is needed)")?;
    // Nobody installs anything more in there.
    for unneeded in ["var/cache/apt", "var/lib/apt/lists"] {
        fs::remove_dir_all(fresh.join(unneeded))?;
    }
    fs::rename(&fresh, root_of(suite))?;
    Ok(())
}

impl Python {
    /// Whether it has a root of its own.
    pub(super) fn is_inside(&self) -> bool {
        matches!(self.place, Place::Inside(_))
    }
}
