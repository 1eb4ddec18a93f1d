//! Every CPython that the tests need, and the services in Python that run on them.
//!
//! Interpreters are those that pyenv and the system have, and beside them those of Debian's
//! other suites, each in a folder below `target/python/` that is its root. A service in there
//! runs in a mount namespace of its own: what it has mapped is nowhere on this side.

mod bring;
mod packages;

pub use bring::bring;

use crate::build::{services_source, workspace_target};
use crate::service::RunningService;
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The versions that the tests cover wherever they run; others where they are found.
pub const COVERED: [&str; 4] = ["3.9", "3.11", "3.13", "3.14"];

/// Every version that the profiler promises to know.
pub const VERSIONS: [&str; 7] = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"];

/// What brings everything that is not there.
const BRING: &str = "`cargo run -p awaitscope-tests --bin bring-pythons` (.ci/run does it)";

/// Where a service finds its files, and its packages, when it has a root of its own. Both are
/// empty folders of any Debian.
const SERVICES_INSIDE: &str = "/srv";
const PACKAGES_INSIDE: &str = "/mnt";

/// Binds the services, the packages and what the kernel shows into a root, and becomes the
/// interpreter in it: the process keeps its number.
const ENTER: &str = r#"
root=$1 services=$2 packages=$3
mount --bind "$services" "$root/srv"
if [ -d "$packages" ]; then mount --bind "$packages" "$root/mnt"; fi
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
shift 3
exec chroot "$root" "$@"
"#;

/// An interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    version: &'static str,
    place: Place,
}

/// Where an interpreter is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A program on this side.
    Here(PathBuf),
    /// `/usr/bin/python3.X` below this root.
    Inside(PathBuf),
}

impl Python {
    /// The interpreter of this version, as `3.11`.
    ///
    /// # Errors
    /// There is none; the message says what brings it.
    pub fn get(version: &'static str) -> Result<Self> {
        Self::find(version).with_context(|| {
            let from = match bring::suites(version) {
                [] => "pyenv installs it".to_owned(),
                [suite, ..] => format!("{BRING} brings it from Debian's {suite}"),
            };
            format!("there is no CPython {version} in pyenv or /usr/bin: {from}")
        })
    }

    /// The covered versions, and every other that is found.
    ///
    /// # Errors
    /// A covered one is missing.
    pub fn all() -> Result<Vec<Self>> {
        let mut pythons: Vec<Self> = COVERED.into_iter().map(Self::get).collect::<Result<_>>()?;
        let others = VERSIONS.into_iter().filter_map(Self::find);
        for python in others.chain(of_the_system()) {
            if !pythons.contains(&python) {
                pythons.push(python);
            }
        }
        pythons.sort_by_key(|python| VERSIONS.iter().position(|known| *known == python.version));
        Ok(pythons)
    }

    fn find(version: &'static str) -> Option<Self> {
        let here = |path: PathBuf| Self {
            version,
            place: Place::Here(path),
        };
        if let Some(path) = of_pyenv(version) {
            return Some(here(path));
        }
        let roots = bring::suites(version).iter().map(|suite| root_of(suite));
        let inside = roots
            .filter(|root| root.join(format!("usr/bin/python{version}")).exists())
            .map(|root| Self {
                version,
                place: Place::Inside(root),
            })
            .next();
        inside.or_else(|| of_the_system().find(|python| python.version == version))
    }

    /// Its version, as `3.11`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Whether it is at least this minor version of Python 3.
    #[must_use]
    pub fn is_at_least(&self, minor: u32) -> bool {
        let own = self
            .version
            .strip_prefix("3.")
            .and_then(|own| own.parse().ok());
        own.is_some_and(|own: u32| own >= minor)
    }

    /// Starts a service (a file of `tests/services/python`) and waits until it is warm.
    ///
    /// # Errors
    /// It does not start, or is not ready in time.
    pub fn start(&self, service: &'static str, args: &[&str]) -> Result<RunningService> {
        let mut command = self.command(&[]);
        command.arg(self.script(service)).args(args);
        RunningService::start_command(service, command)
    }

    /// The same in a virtual environment, which has FastAPI, uvicorn, httpx, aiohttp, uvloop and
    /// py-spy.
    ///
    /// # Errors
    /// As [`start`](Self::start); or the environment is missing.
    pub fn start_with_packages(
        &self,
        service: &'static str,
        args: &[&str],
    ) -> Result<RunningService> {
        let packages = packages::of(self)?;
        let mut command = match &self.place {
            Place::Here(_) => Command::new(packages.join("bin/python")),
            Place::Inside(_) => self.command(&[]),
        };
        command.arg(self.script(service)).args(args);
        RunningService::start_command(service, command)
    }

    /// A command that runs it on these arguments.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.place {
            Place::Here(path) => Command::new(path),
            Place::Inside(root) => {
                let mut command = Command::new("unshare");
                command
                    .args(["--mount", "sh", "-eu", "-c", ENTER, "sh"])
                    .args([root, &services(), &packages::place(self)])
                    .arg(format!("/usr/bin/python{}", self.version))
                    .env("PYTHONPATH", PACKAGES_INSIDE);
                command
            }
        };
        command.args(args).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// A tool of the virtual environment, as `py-spy`.
    ///
    /// # Errors
    /// The environment is missing, or has no such tool.
    pub fn tool(&self, name: &str) -> Result<PathBuf> {
        let tool = packages::of(self)?.join("bin").join(name);
        ensure!(
            tool.exists(),
            "{} is missing: remove its folder and let `cargo run -p awaitscope-tests --bin bring-pythons` (.ci/run does) make it anew",
            tool.display()
        );
        Ok(tool)
    }

    /// The service's file, as the interpreter finds it.
    fn script(&self, service: &str) -> PathBuf {
        let file = format!("{service}.py");
        match self.place {
            Place::Here(_) => services().join(file),
            Place::Inside(_) => Path::new(SERVICES_INSIDE).join(file),
        }
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Place::Here(place) | Place::Inside(place)) = &self.place;
        write!(f, "CPython {} ({})", self.version, place.display())
    }
}

fn services() -> PathBuf {
    services_source().join("python")
}

/// Where everything is that this machine does not have by itself.
fn home() -> PathBuf {
    workspace_target().join("python")
}

fn root_of(suite: &str) -> PathBuf {
    home().join(suite)
}

/// The newest patch release that pyenv has of a version.
fn of_pyenv(version: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".pyenv")));
    let patch =
        |name: &str| -> Option<u32> { name.strip_prefix(version)?.strip_prefix('.')?.parse().ok() };
    let releases = fs::read_dir(root?.join("versions")).ok()?.flatten();
    let newest = releases
        .filter_map(|entry| Some((patch(entry.file_name().to_str()?)?, entry.path())))
        .max()?;
    let program = newest.1.join(format!("bin/python{version}"));
    program.exists().then_some(program)
}

/// What the distribution has: stripped, and without a shared library.
fn of_the_system() -> impl Iterator<Item = Python> {
    VERSIONS.into_iter().filter_map(|version| {
        let path = PathBuf::from(format!("/usr/bin/python{version}"));
        let place = Place::Here(path.clone());
        path.exists().then_some(Python { version, place })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_missing_says_what_brings_it() {
        let error = Python::get("2.6").unwrap_err();
        assert!(error.to_string().contains("pyenv"), "{error}");
    }
}
