//! Which frames are Tokio's machinery.

use super::anchor::is_tokio_file;
use crate::frame::Origin;
use crate::names::SourceFrame;

/// Files of Tokio, and of what is built around it, that schedule and pass on.
const GLUE_FILES: &[&str] = &[
    "/src/future/",
    "/src/loom/",
    "/src/macros/",
    "/src/runtime/blocking/",
    "/src/runtime/builder.rs",
    "/src/runtime/context",
    "/src/runtime/coop.rs",
    "/src/runtime/driver.rs",
    "/src/runtime/handle.rs",
    "/src/runtime/local_runtime/",
    "/src/runtime/park.rs",
    "/src/runtime/runtime.rs",
    "/src/runtime/scheduler/",
    "/src/runtime/task/",
    "/src/runtime/thread_id.rs",
    "/src/task/coop/",
    "/src/task/local.rs",
    "/src/task/unconstrained.rs",
    "/src/time/timeout.rs",
    "/src/util/",
];

/// The same by path, for code without line tables.
const GLUE_PATHS: &[&str] = &[
    "tokio::future::",
    "tokio::loom::",
    "tokio::runtime::blocking::",
    "tokio::runtime::context::",
    "tokio::runtime::coop::",
    "tokio::runtime::driver::",
    "tokio::runtime::handle::",
    "tokio::runtime::park::",
    "tokio::runtime::runtime::",
    "tokio::runtime::scheduler::",
    "tokio::runtime::task::",
    "tokio::task::coop::",
    "tokio::task::local::",
    "tokio::util::",
];

/// Whether a frame is Tokio's machinery.
pub(in crate::runtime::tokio) fn is_glue(frame: &SourceFrame) -> bool {
    match &frame.file {
        Some(file) => {
            let package = file.short.split('/').next().unwrap_or_default();
            (file.origin == Origin::Library && package.starts_with("actix-rt-"))
                || (is_tokio_file(&file.short)
                    && GLUE_FILES.iter().any(|glue| file.short.contains(glue)))
        }
        None => {
            let path = frame.function.path.readable.trim_start_matches('<');
            GLUE_PATHS.iter().any(|glue| path.starts_with(glue))
        }
    }
}
