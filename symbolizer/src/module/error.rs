//! Why a module's file cannot be used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a module's own file, or its debug file, cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file could not be opened or read.
    #[error("cannot read {path}: {source}; run as the user of the process, or as root")]
    Unreadable {
        /// The file, as the target names it.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// What now stands at the path is not what the process runs.
    #[error(
        "{path} was replaced on disk since the process started, and the old file can be reached only with CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE; run as root, or restart the process"
    )]
    Replaced {
        /// The file, as the target names it.
        path: PathBuf,
    },
    /// What stands at the path is not the build that was recorded.
    #[error("{path} is another build than the one that was recorded")]
    AnotherBuild {
        /// The file, as the target named it.
        path: PathBuf,
    },
    /// The file is not an ELF file we can use.
    #[error("{path} is not a usable 64-bit x86-64 ELF file: {reason}")]
    Malformed {
        /// The file, as the target names it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl ModuleError {
    pub(crate) fn unreadable(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.into(),
            source: Arc::new(source),
        }
    }

    pub(crate) fn malformed(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Malformed {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
