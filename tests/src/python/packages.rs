//! The packages that the services in Python use, beside each interpreter.

use super::{BRING, Place, Python, home, services};
use crate::build::run;
use anyhow::{Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The tags of the wheels that pip is to take for an interpreter that it does not run on.
const PLATFORMS: [&str; 3] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];

/// Where the packages of an interpreter are. An interpreter that runs here has them in a virtual
/// environment, one with a root of its own in a folder.
pub(super) fn place(python: &Python) -> PathBuf {
    let sort = if python.is_inside() {
        "packages"
    } else {
        "venv"
    };
    home().join(format!("{sort}-{}", python.version()))
}

/// The same, if they are there.
pub(super) fn of(python: &Python) -> Result<PathBuf> {
    let place = place(python);
    ensure!(
        place.is_dir(),
        "{} is missing: {BRING} makes it",
        place.display()
    );
    Ok(place)
}

/// Installs them. The folder appears under its name when it is whole; a virtual environment does
/// not mind, as nothing is run out of it by name but its interpreter.
pub(super) fn install(python: &Python) -> Result<()> {
    let place = place(python);
    let fresh = home().join(format!("fresh-{}", python.version()));
    let _ = fs::remove_dir_all(&fresh);
    let requirements = services()
        .join("requirements")
        .join(format!("{}.txt", pinned_for(python)));
    let mut pip = match &python.place {
        Place::Here(program) => {
            run(Command::new(program).args(["-m", "venv"]).arg(&fresh))?;
            Command::new(fresh.join("bin/python"))
        }
        Place::Inside(_) => Command::new("python3"),
    };
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
    ]);
    pip.args(["--only-binary", ":all:", "--disable-pip-version-check"]);
    if python.is_inside() {
        pip.args([
            "--implementation",
            "cp",
            "--python-version",
            python.version(),
        ]);
        pip.args(PLATFORMS.map(|platform| format!("--platform={platform}")));
        pip.arg("--target").arg(&fresh);
    }
    run(pip.arg("--requirement").arg(requirements))?;
    fs::rename(&fresh, &place)?;
    Ok(())
}

/// The packages ended their support of old versions one after the other.
fn pinned_for(python: &Python) -> &'static str {
    match python.version() {
        "3.8" => "3.8",
        "3.9" => "3.9",
        "3.10" => "3.10",
        _ => "3.11",
    }
}
