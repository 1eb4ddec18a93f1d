//! The tools that profiles are exported for, as readers of what was exported.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What brings the Firefox Profiler's command line.
const FIREFOX: &str = "nodejs, and of npm @firefox-devtools/profiler-cli@0.10.0";

const SESSION: [&str; 2] = ["--session", "test"];

/// How long it may take to load a profile, on a machine that is busy building.
const LOADING: Duration = Duration::from_secs(60);

/// What `go tool pprof -tags` says of one label: each value with its part of a sample type, in
/// nanoseconds or as a count.
///
/// # Errors
/// pprof is not installed, or does not read the file.
pub fn pprof_label(file: &Path, sample_type: &str, label: &str) -> Result<BTreeMap<String, u64>> {
    let index = format!("-sample_index={sample_type}");
    let said = pprof(&["-tags", "-unit=ns", &index], file)?;
    let heading = format!("{label}: Total");
    let lines = said.lines().map(str::trim);
    let values = lines
        .skip_while(|line| !line.starts_with(&heading))
        .skip(1)
        .take_while(|line| !line.is_empty());
    values
        .map(|line| {
            let (amount, name) = line.split_once(": ").context("no value")?;
            let number = amount.split(' ').next().unwrap_or_default();
            Ok((name.to_owned(), amount_of(number)?))
        })
        .collect::<Result<_>>()
        .with_context(|| format!("not the tags of pprof: {said}"))
}

/// All of a sample type, as `go tool pprof -top` has it.
///
/// # Errors
/// As [`pprof_label`].
pub fn pprof_total(file: &Path, sample_type: &str) -> Result<u64> {
    let index = format!("-sample_index={sample_type}");
    let said = pprof(&["-top", "-unit=ns", &index], file)?;
    let total = said.lines().find_map(|line| {
        let (_, total) = line.split_once("% of ")?;
        total.strip_suffix(" total")
    });
    amount_of(total.with_context(|| format!("no total in {said}"))?)
}

fn amount_of(text: &str) -> Result<u64> {
    let number = text.trim_end_matches("ns");
    let number: f64 = number
        .parse()
        .with_context(|| format!("no number: {text}"))?;
    Ok(number as u64)
}

fn pprof(args: &[&str], file: &Path) -> Result<String> {
    let mut command = Command::new("go");
    command.args(["tool", "pprof"]).args(args).arg(file);
    said(&mut command, "the Debian package golang-go")
}

/// Whether a file is as speedscope's own schema of its format has it.
///
/// # Errors
/// It is not, or the schema or what checks it are not installed.
pub fn check_speedscope(file: &Path) -> Result<()> {
    const CHECK: &str = "
        const fs = require('fs');
        const Ajv = require('ajv').default;
        const [schema, file] = process.argv.slice(1).map(name => JSON.parse(fs.readFileSync(name)));
        const check = new Ajv({ strict: false, allErrors: true }).compile(schema);
        if (!check(file)) throw new Error(JSON.stringify(check.errors.slice(0, 5)));";
    let modules = npm_root()?;
    let schema = modules.join("speedscope/dist/release/file-format-schema.json");
    ensure!(
        schema.is_file(),
        "{} is missing: npm install -g speedscope@1.25.0 ajv@8.20.0 (.ci/run does)",
        schema.display()
    );
    let mut command = Command::new("node");
    command
        .args(["-e", CHECK])
        .args([&schema, file])
        .env("NODE_PATH", modules);
    said(
        &mut command,
        "nodejs, and of npm speedscope@1.25.0 and ajv@8.20.0",
    )
    .map(drop)
}

fn npm_root() -> Result<PathBuf> {
    let root = said(Command::new("npm").args(["root", "-g"]), "nodejs and npm")?;
    Ok(PathBuf::from(root.trim()))
}

/// The Firefox Profiler's own command line, with a profile in it. A process of it reads the
/// profile and answers questions; it is killed when this is dropped.
#[derive(Debug)]
pub struct FirefoxProfiler {
    sessions: TempDir,
    reader: Child,
}

/// A track of the profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// The thread, or the kind of task.
    pub name: String,
    /// The group of tracks it is in.
    pub process_name: String,
    /// Its time on a CPU.
    pub cpu_ms: f64,
}

/// A marker on a track.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// What sort.
    pub marker_type: String,
    /// Its start, in milliseconds since the beginning.
    pub start: f64,
    /// Its length in milliseconds.
    pub duration: f64,
    /// Its fields.
    pub data: BTreeMap<String, serde_json::Value>,
}

impl FirefoxProfiler {
    /// Loads a profile.
    ///
    /// # Errors
    /// The tool is not installed, or does not read the file.
    pub fn load(file: &Path) -> Result<Self> {
        // The path of its socket must be short.
        let sessions = tempfile::Builder::new().prefix("pq").tempdir_in("/tmp")?;
        // As its `load` starts it, which gives it up after half a second.
        let mut reader = command(sessions.path());
        reader.arg("--daemon").arg(file).args(SESSION);
        let reader = reader
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| {
                format!("cannot run profiler-cli: install {FIREFOX} (.ci/run does)")
            })?;
        let profiler = Self { sessions, reader };
        let deadline = Instant::now() + LOADING;
        while let Err(why) = profiler.ask(&["status"]) {
            ensure!(Instant::now() < deadline, "it does not load: {why:#}");
            sleep(Duration::from_millis(200));
        }
        Ok(profiler)
    }

    /// Its tracks.
    ///
    /// # Errors
    /// The tool says something else.
    pub fn tracks(&self) -> Result<Vec<Track>> {
        #[derive(Deserialize)]
        struct Tracks {
            threads: Vec<Track>,
        }
        let tracks: Tracks = self.json(&["thread", "list", "--limit", "1000"])?;
        Ok(tracks.threads)
    }

    /// Its markers of one type.
    ///
    /// # Errors
    /// The tool says something else.
    pub fn markers(&self, marker_type: &str) -> Result<Vec<Marker>> {
        #[derive(Deserialize)]
        struct Markers {
            markers: Vec<Marker>,
        }
        let all: Markers = self.json(&["profile", "markers", "--limit", "100000"])?;
        let markers = all.markers.into_iter();
        Ok(markers
            .filter(|marker| marker.marker_type == marker_type)
            .collect())
    }

    fn json<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T> {
        let said = self.ask(&[args, &["--json"]].concat())?;
        serde_json::from_str(&said).with_context(|| format!("not what it should say: {said}"))
    }

    fn ask(&self, args: &[&str]) -> Result<String> {
        said(
            command(self.sessions.path()).args(args).args(SESSION),
            FIREFOX,
        )
    }
}

impl Drop for FirefoxProfiler {
    fn drop(&mut self) {
        // Both fail only when it has ended and was reaped already.
        let _ = self.reader.kill();
        let _ = self.reader.wait();
    }
}

fn command(sessions: &Path) -> Command {
    let mut command = Command::new("profiler-cli");
    command.env("PROFILER_CLI_SESSION_DIR", sessions);
    command
}

/// What a tool says; `install` brings it where it is missing.
fn said(command: &mut Command, install: &str) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}: install {install} (.ci/run does)"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {} ({install} brings it)",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).context("not text")
}
