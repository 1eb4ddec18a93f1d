//! Who is to blame for a stall, and what to do about it.

use super::model::Culprit;
use crate::advice::advise;
use crate::profile::{Cause, FrameView};
use awaitscope_symbolizer::{FrameKind, Origin};

/// The culprit of a stack that held a worker, and the advice.
///
/// The place is that of the innermost function of the user's own, because that
/// is what the user can change. The function is that one too, unless it called
/// something that is known to block: then the call is named. Without a function
/// of the user's, it is the innermost that is neither machinery nor kernel.
pub(super) fn culprit(
    stack: &[FrameView<'_>],
    cause: Cause,
    syscall: Option<&str>,
    runtime: Option<&str>,
) -> (Option<Culprit>, Option<&'static str>) {
    let own = stack.iter().rposition(|frame| frame.origin == Origin::User);
    let inner = own.map_or(stack, |own| &stack[own + 1..]);
    let advised = advise(inner, cause, syscall, runtime);
    let place = own.map(|own| &stack[own]).or_else(|| innermost(stack));
    let culprit = place.map(|frame| Culprit {
        function: advised
            .call
            .clone()
            .unwrap_or_else(|| frame.function.to_owned()),
        file: frame.file.map(str::to_owned),
        line: frame.line,
    });
    (culprit, advised.advice)
}

/// The innermost frame that says the most.
fn innermost<'a, 'p>(stack: &'a [FrameView<'p>]) -> Option<&'a FrameView<'p>> {
    let plain =
        |frame: &&FrameView<'_>| !matches!(frame.kind, FrameKind::Runtime | FrameKind::Kernel);
    let machinery = |frame: &&FrameView<'_>| frame.kind != FrameKind::Runtime;
    let find = stack.iter().rev().find(plain);
    find.or_else(|| stack.iter().rev().find(machinery))
        .or_else(|| stack.last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// The culprit as `function @ file:line`, and the advice.
    fn blamed(lines: &[&str], cause: Cause, syscall: Option<&str>) -> (String, String) {
        let frames: Vec<_> = lines.iter().map(|line| sample::frame(line)).collect();
        let views: Vec<FrameView<'_>> = frames
            .iter()
            .map(|frame| FrameView {
                function: &frame.function,
                file: frame.file.as_deref(),
                line: frame.line,
                kind: frame.kind,
                origin: frame.origin,
            })
            .collect();
        let (culprit, advice) = culprit(&views, cause, syscall, Some("tokio"));
        let culprit = culprit.unwrap();
        let place = match (culprit.file, culprit.line) {
            (Some(file), Some(line)) => format!(" @ {file}:{line}"),
            _ => String::new(),
        };
        let culprit = format!("{}{place}", culprit.function);
        (culprit, advice.unwrap_or_default().to_owned())
    }

    #[test]
    fn a_sleep_is_named_with_the_users_line() {
        let stack = [
            "runtime library tokio::runtime::task::harness::poll_future",
            "async user app::handler @ src/main.rs:21",
            "sync std std::thread::functions::sleep @ std/src/thread/functions.rs:301",
            "sync std std::sys::thread::unix::sleep @ std/src/sys/thread/unix.rs:560",
            "sync library clock_nanosleep",
            "kernel kernel __x64_sys_clock_nanosleep",
        ];
        let (culprit, advice) = blamed(&stack, Cause::Syscall, Some("clock_nanosleep"));
        assert_eq!(culprit, "std::thread::sleep @ src/main.rs:21");
        assert_eq!(advice, "use tokio::time::sleep");
    }

    #[test]
    fn a_call_marked_as_machinery_is_found_all_the_same() {
        let stack = [
            "async user app::handler @ src/main.rs:21",
            "runtime std std::sync::poison::mutex::Mutex<T>::lock @ std/src/sync/mutex.rs:1",
            "runtime std std::sys::sync::mutex::futex::Mutex::lock_contended",
        ];
        let (culprit, _) = blamed(&stack, Cause::Syscall, Some("futex"));
        assert_eq!(culprit, "std::sync::Mutex::lock @ src/main.rs:21");
    }

    #[test]
    fn a_computation_is_blamed_on_the_users_function() {
        let stack = [
            "async user app::handler @ src/main.rs:21",
            "sync user app::parse @ src/parse.rs:9",
            "sync library serde_json::de::from_slice @ serde_json-1/src/de.rs:1",
        ];
        let (culprit, advice) = blamed(&stack, Cause::Cpu, None);
        assert_eq!(culprit, "app::parse @ src/parse.rs:9");
        assert!(advice.contains("large documents"), "{advice}");
    }

    #[test]
    fn a_blocking_call_deep_in_a_library_is_named_with_the_users_line() {
        let stack = [
            "async user app::job @ src/job.rs:5",
            "sync library legacy::client::fetch @ legacy/src/client.rs:80",
            "sync std std::fs::read @ std/src/fs.rs:300",
        ];
        let (culprit, advice) = blamed(&stack, Cause::Syscall, Some("read"));
        assert_eq!(culprit, "std::fs::read @ src/job.rs:5");
        assert!(advice.contains("tokio::fs"), "{advice}");
    }

    #[test]
    fn without_the_users_code_the_innermost_plain_function_is_blamed() {
        let stack = [
            "runtime library tokio::runtime::task::harness::poll_future",
            "async library hyper::proto::h1::dispatch::poll @ hyper/src/dispatch.rs:1",
            "sync library zstd::encode @ zstd/src/lib.rs:7",
            "runtime std core::ops::function::FnOnce::call_once",
            "kernel kernel page_fault",
        ];
        let (culprit, advice) = blamed(&stack, Cause::Cpu, None);
        assert_eq!(culprit, "zstd::encode @ zstd/src/lib.rs:7");
        assert!(advice.contains("compress"), "{advice}");
    }

    #[test]
    fn an_unknown_wait_gets_no_advice() {
        let stack = [
            "async user app::handler @ src/main.rs:21",
            "sync library device_ioctl",
        ];
        let (culprit, advice) = blamed(&stack, Cause::Syscall, Some("ioctl"));
        assert_eq!(culprit, "app::handler @ src/main.rs:21");
        assert_eq!(advice, "");
    }
}
