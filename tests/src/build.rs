//! Building a service with a certain Tokio in a certain flavour.

use crate::elf;
use crate::flavour::Flavour;
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The last release of each minor version that the profiler promises to know.
pub const TOKIO_VERSIONS: [&str; 6] = ["1.35.1", "1.40.0", "1.44.2", "1.47.5", "1.50.0", "1.54.1"];

/// The newest of them.
pub const NEWEST_TOKIO: &str = TOKIO_VERSIONS[TOKIO_VERSIONS.len() - 1];

/// A service, and how it is to be built.
#[derive(Debug, Clone, Copy)]
pub struct ServiceBuild {
    service: &'static str,
    tokio: &'static str,
    flavour: Flavour,
}

/// A service that was built.
#[derive(Debug, Clone)]
pub struct BuiltService {
    /// Its name, which is that of its crate.
    pub name: &'static str,
    /// What to run.
    pub binary: PathBuf,
    /// Its debug information, where that is not in the binary.
    pub debug_file: Option<PathBuf>,
}

impl ServiceBuild {
    /// The service of that name (a folder of `tests/services`), with the newest
    /// Tokio and full debug information.
    #[must_use]
    pub fn new(service: &'static str) -> Self {
        Self {
            service,
            tokio: NEWEST_TOKIO,
            flavour: Flavour::Full,
        }
    }

    /// With exactly this version of Tokio.
    #[must_use]
    pub fn tokio(self, version: &'static str) -> Self {
        Self {
            tokio: version,
            ..self
        }
    }

    /// Built this way.
    #[must_use]
    pub fn flavour(self, flavour: Flavour) -> Self {
        Self { flavour, ..self }
    }

    /// Builds it, or finds it built. Dependencies are shared by all services of
    /// the same Tokio and flavour, and tests that run at once wait for each
    /// other.
    ///
    /// # Errors
    /// Cargo or a tool of binutils failed; the message has what it said.
    pub fn build(&self) -> Result<BuiltService> {
        let class = format!("{}-{}", self.tokio, self.flavour.compiled_as().name());
        let place = services_target().join(class);
        fs::create_dir_all(&place)?;
        let lock = File::create(place.join("lock"))?;
        lock.lock().context("cannot lock the build folder")?;
        let project = self.write_project(&place)?;
        self.run_cargo(&project, &place)?;
        self.finish(&place)
    }

    /// A project whose manifest pins Tokio and the flavour, and whose `src` is
    /// the service's: so the debug information looks as in any user's project.
    fn write_project(&self, place: &Path) -> Result<PathBuf> {
        let sources = services_source();
        let source = sources.join(self.service);
        let manifest = fs::read_to_string(source.join("Cargo.toml"))
            .with_context(|| format!("there is no service {:?}", self.service))?
            .replace(
                "path = \"../truth\"",
                &format!("path = {:?}", sources.join("truth")),
            )
            .replace(
                "tokio = { version = \"1\"",
                &format!("tokio = {{ version = \"={}\"", self.tokio),
            );
        let profile = self.flavour.profile();
        let manifest = format!("{manifest}\n[profile.release]\nopt-level = 3\n{profile}");
        let project = place.join("projects").join(self.service);
        fs::create_dir_all(&project)?;
        write_if_changed(&project.join("Cargo.toml"), &manifest)?;
        let link = project.join("src");
        if fs::read_link(&link).ok() != Some(source.join("src")) {
            let _ = fs::remove_file(&link);
            symlink(source.join("src"), &link).context("cannot link the sources")?;
        }
        Ok(project)
    }

    fn run_cargo(&self, project: &Path, place: &Path) -> Result<()> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--quiet", "--release"])
            .current_dir(project)
            .env("CARGO_TARGET_DIR", place)
            .env("RUSTFLAGS", self.flavour.rustflags())
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("CARGO_BUILD_TARGET");
        run(&mut cargo).with_context(|| format!("building {self}"))
    }

    /// Does to the fresh binary what the flavour asks for.
    fn finish(&self, place: &Path) -> Result<BuiltService> {
        let compiled = place.join("release").join(self.service);
        if self.flavour == self.flavour.compiled_as() {
            return Ok(BuiltService {
                name: self.service,
                binary: compiled,
                debug_file: None,
            });
        }
        let folder = place.join(self.flavour.name());
        fs::create_dir_all(&folder)?;
        let binary = folder.join(self.service);
        let debug_file = match self.flavour {
            Flavour::DebugLink => Some(folder.join(format!("{}.debug", self.service))),
            Flavour::BuildId => Some(build_id_path(&folder, &elf::build_id(&compiled)?)),
            _ => None,
        };
        if !is_newer(&binary, &compiled) {
            self.transform(&compiled, &binary, debug_file.as_deref())?;
        }
        Ok(BuiltService {
            name: self.service,
            binary,
            debug_file,
        })
    }

    /// The new binary appears under its name when it is whole: an old one may be
    /// running.
    fn transform(&self, from: &Path, to: &Path, debug_file: Option<&Path>) -> Result<()> {
        let fresh = to.with_extension("fresh");
        let mut objcopy = Command::new("objcopy");
        match (self.flavour, debug_file) {
            (Flavour::Compressed, _) => objcopy.arg("--compress-debug-sections=zlib"),
            (Flavour::Symbols, _) => objcopy.arg("--strip-debug"),
            _ => objcopy.arg("--strip-all"),
        };
        if let Some(debug_file) = debug_file {
            let folder = debug_file.parent().context("a file stands in a folder")?;
            fs::create_dir_all(folder)?;
            let mut keep = Command::new("objcopy");
            run(keep.arg("--only-keep-debug").arg(from).arg(debug_file))?;
            if self.flavour == Flavour::DebugLink {
                objcopy.arg(format!("--add-gnu-debuglink={}", debug_file.display()));
            }
        }
        run(objcopy.arg(from).arg(&fresh))?;
        fs::rename(&fresh, to)?;
        Ok(())
    }
}

impl fmt::Display for ServiceBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flavour = self.flavour.name();
        write!(f, "{} with tokio {}, {flavour}", self.service, self.tokio)
    }
}

/// Where the file with that build-id stands below a folder for debug files:
/// `.build-id/ab/cdef….debug`.
fn build_id_path(folder: &Path, build_id: &str) -> PathBuf {
    let (first, rest) = build_id.split_at(2);
    folder.join(format!(".build-id/{first}/{rest}.debug"))
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    time(file) > time(than)
}

fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Runs a command to its end; what it wrote to standard error is in the error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {:?}", command.get_program()))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

pub(crate) fn services_source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services")
}

/// The workspace's own target folder.
pub(crate) fn workspace_target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target"),
        PathBuf::from,
    )
}

fn services_target() -> PathBuf {
    workspace_target().join("services")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_split_after_its_first_byte() {
        assert_eq!(
            build_id_path(Path::new("/d"), "0123ab"),
            Path::new("/d/.build-id/01/23ab.debug")
        );
    }

    #[test]
    fn an_unknown_service_is_named_in_the_error() {
        let error = ServiceBuild::new("nonesuch").build().unwrap_err();
        assert!(error.to_string().contains("nonesuch"), "{error}");
    }
}
