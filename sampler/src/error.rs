//! What can go wrong while watching a process.

use crate::ids::Pid;
use std::io;

/// Why a process cannot be watched, or not any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No process has this number.
    #[error("there is no process {0}")]
    NoSuchProcess(Pid),
    /// A file of `/proc` could not be read.
    #[error("cannot read {path}")]
    Proc {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}
