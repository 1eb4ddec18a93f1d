//! Copies that another user may run: build folders often stand where others may
//! not look.

use anyhow::{Context, Result};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A user without any rights, as every Linux has: `nobody`.
pub const NOBODY: u32 = 65534;

/// A folder that everyone may read and write, removed when it is dropped.
#[derive(Debug)]
pub struct PublicFolder(TempDir);

impl PublicFolder {
    /// A new one.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777))?;
        Ok(Self(folder))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Copies a program into it.
    ///
    /// # Errors
    /// It cannot be read, or there is no room.
    pub fn add(&self, program: &Path) -> Result<PathBuf> {
        let name = program.file_name().context("a program has a name")?;
        let copy = self.path().join(name);
        fs::copy(program, &copy).with_context(|| format!("cannot copy {}", program.display()))?;
        fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
        Ok(copy)
    }
}
