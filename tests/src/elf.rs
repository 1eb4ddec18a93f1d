//! What the tests must know of a binary.

use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// The build-id of a binary, in hexadecimal, as `readelf` tells it.
pub(crate) fn build_id(binary: &Path) -> Result<String> {
    let notes = readelf("--notes", binary)?;
    let (_, id) = notes
        .split_once("Build ID: ")
        .with_context(|| format!("{} has no build-id", binary.display()))?;
    Ok(id.chars().take_while(char::is_ascii_hexdigit).collect())
}

/// What `readelf` says.
pub(crate) fn readelf(what: &str, binary: &Path) -> Result<String> {
    let output = Command::new("readelf")
        .args([what, "--wide"])
        .arg(binary)
        .output()
        .context("cannot run readelf (Debian package binutils)")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
