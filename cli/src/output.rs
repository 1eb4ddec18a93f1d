//! Talking to people: notes and errors on standard error, results on standard
//! output.

use anyhow::{Context, Result, bail};
use awaitscope_flamegraph::Color;
use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

/// Says what went wrong, and why, one cause a line.
pub fn error(error: &anyhow::Error) {
    eprintln!("awaitscope: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

/// A remark.
pub fn note(text: &str) {
    eprintln!("awaitscope: {text}");
}

/// Writes a result to a file, whole or not at all, or to standard output for
/// `-`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_stdout(path) {
        let mut out = std::io::stdout().lock();
        return out
            .write_all(bytes)
            .and_then(|()| out.flush())
            .context("cannot write to standard output");
    }
    Ok(awaitscope_flamegraph::save(path, |out| {
        out.write_all(bytes)
    })?)
}

/// Whether a file can be written there, asked before the work is done whose result
/// it is to hold.
pub fn check(path: &Path) -> Result<()> {
    if is_stdout(path) {
        return Ok(());
    }
    if path.is_dir() {
        bail!("cannot write {}: it is a folder", path.display());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // The only way to know: root may do what /proc or a full file system refuses.
    let probe = folder.join(format!(".awaitscope-{}", std::process::id()));
    let made = File::create_new(&probe);
    made.with_context(|| format!("cannot write {} into its folder", path.display()))?;
    // What cannot be removed again is empty, and the result will stand beside it.
    let _ = std::fs::remove_file(&probe);
    Ok(())
}

/// Whether a path means standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether what goes to `path` is shown on a terminal.
pub fn is_terminal(path: &Path) -> bool {
    is_stdout(path) && std::io::stdout().is_terminal()
}

/// Whether a text that goes to `path` may be coloured: on a terminal, unless
/// `NO_COLOR` is set (no-color.org).
pub fn color(path: &Path) -> Color {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && is_terminal(path) {
        Color::Always
    } else {
        Color::Never
    }
}
