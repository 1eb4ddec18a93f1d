//! Frames of the standard library that only pass a call on.

use crate::frame::Origin;
use crate::names::SourceFrame;

/// Files of the standard library that hold nothing but ways to call something
/// else. Files, because a function inlined in a line-tables-only build has a
/// file and no path.
const GLUE_FILES: &[&str] = &[
    "alloc/src/boxed.rs",
    "core/src/future/",
    "core/src/ops/function.rs",
    "core/src/panic/unwind_safe.rs",
    "core/src/pin.rs",
    "core/src/pin/",
    "core/src/task/",
    "std/src/panic.rs",
    "std/src/panicking.rs",
    "std/src/rt.rs",
    "std/src/sys/backtrace.rs",
    "std/src/sys_common/backtrace.rs",
    "std/src/thread/local.rs",
    "std/src/sys/thread_local/",
];

/// The same by path, for code without line tables.
const GLUE_PATHS: &[&str] = &[
    "<alloc::boxed::Box as core::",
    "<core::future::",
    "<core::panic::unwind_safe::",
    "<core::pin::Pin as ",
    "core::future::",
    "core::ops::function::",
    "core::pin::",
    "core::task::",
    "std::panic::",
    "std::panicking::",
    "std::rt::",
    "std::sys::backtrace::",
    "std::sys_common::backtrace::",
    "std::thread::local::",
];

/// Whether a frame of the standard library only passes a call on.
#[must_use]
pub fn is_standard_glue(frame: &SourceFrame) -> bool {
    match &frame.file {
        Some(file) => {
            file.origin == Origin::Std && GLUE_FILES.iter().any(|glue| file.short.starts_with(glue))
        }
        None => {
            let path = frame.function.path.readable.as_str();
            GLUE_PATHS.iter().any(|glue| path.starts_with(glue)) || path == "__rust_try"
        }
    }
}
