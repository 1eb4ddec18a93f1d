//! What to do about code that holds a worker.
//!
//! To add advice, add a [`Rule`]. A stack is matched from the user's own
//! function inwards: the outermost call that a rule knows decides, because that
//! is the one the user can replace. Only when no call is known do rules by
//! system call, and last those by cause, get their turn. Where no rule fits
//! there is no advice: none is better than a wrong one.

mod python;
mod rules;

use crate::path::{fits, plain};
use crate::profile::{Cause, FrameView};
use rules::{Call, RULES, Rule};

/// What is known of the call that held a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advised {
    /// The name of the call, where that says more than the user's function.
    pub(crate) call: Option<String>,
    /// What to do.
    pub(crate) advice: Option<&'static str>,
}

/// Looks for advice. `inner` are the frames below the user's own innermost one,
/// from the outermost on.
pub(crate) fn advise(
    inner: &[FrameView<'_>],
    cause: Cause,
    syscall: Option<&str>,
    runtime: Option<&str>,
) -> Advised {
    let applies = |rule: &Rule| {
        rule.causes.contains(&cause)
            && (rule.runtime.is_none() || rule.runtime == runtime)
            && (rule.syscalls.is_empty()
                || syscall.is_some_and(|syscall| rule.syscalls.contains(&syscall)))
    };
    for frame in inner {
        let names = names(frame.function, runtime);
        let knows = |rule: &Rule| rule.functions.iter().any(|pattern| fits(&names, pattern));
        if let Some(rule) = rules().find(|rule| applies(rule) && knows(rule)) {
            return Advised {
                call: named(rule.call, || names.join(separator(runtime))),
                advice: Some(rule.advice),
            };
        }
    }
    let general = |rule: &&Rule| rule.functions.is_empty() && applies(rule);
    let by_syscall = |rule: &&Rule| general(rule) && !rule.syscalls.is_empty();
    let rule = rules().find(by_syscall);
    let rule = rule.or_else(|| rules().find(general));
    Advised {
        call: rule.and_then(|rule| named(rule.call, String::new)),
        advice: rule.map(|rule| rule.advice),
    }
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain(python::RULES)
}

/// What stands between the names of a path.
fn separator(runtime: Option<&str>) -> &'static str {
    match runtime {
        Some(python::ASYNCIO) => ".",
        _ => "::",
    }
}

fn names<'a>(function: &'a str, runtime: Option<&str>) -> Vec<&'a str> {
    match separator(runtime) {
        "." => function.split('.').collect(),
        _ => plain(function),
    }
}

fn named(call: Call, itself: impl FnOnce() -> String) -> Option<String> {
    match call {
        Call::Is(name) => Some(name.to_owned()),
        Call::Itself => Some(itself()),
        Call::Work => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use awaitscope_symbolizer::{FrameKind, Origin};

    fn frames<'a>(functions: &[&'a str]) -> Vec<FrameView<'a>> {
        functions
            .iter()
            .map(|function| FrameView {
                function,
                file: None,
                line: None,
                kind: FrameKind::Sync,
                origin: Origin::Std,
            })
            .collect()
    }

    /// The call that is named, and the advice, to a task on Tokio.
    fn told(functions: &[&str], cause: Cause, syscall: Option<&str>) -> (String, String) {
        let told = advise(&frames(functions), cause, syscall, Some("tokio"));
        (
            told.call.unwrap_or_default(),
            told.advice.unwrap_or_default().to_owned(),
        )
    }

    #[test]
    fn known_calls_have_their_advice() {
        for (function, syscall, call, advice) in [
            (
                "std::thread::functions::sleep",
                "clock_nanosleep",
                "std::thread::sleep",
                "tokio::time::sleep",
            ),
            (
                "std::thread::sleep",
                "clock_nanosleep",
                "std::thread::sleep",
                "tokio::time::sleep",
            ),
            (
                "std::fs::read_to_string::<&str>",
                "read",
                "std::fs::read_to_string",
                "tokio::fs",
            ),
            (
                "<std::fs::File as std::io::Write>::write_all",
                "write",
                "std::fs::File::write_all",
                "tokio::fs",
            ),
            (
                "std::fs::File::sync_all",
                "fsync",
                "std::fs::File::sync_all",
                "spawn_blocking",
            ),
            (
                "std::sync::poison::mutex::Mutex<T>::lock",
                "futex",
                "std::sync::Mutex::lock",
                "tokio::sync::Mutex",
            ),
            (
                "std::sync::poison::rwlock::RwLock<T>::write",
                "futex",
                "std::sync::RwLock",
                "tokio::sync::RwLock",
            ),
            (
                "std::sync::poison::condvar::Condvar::wait",
                "futex",
                "std::sync::Condvar::wait",
                "tokio::sync::Notify",
            ),
            (
                "<str as std::net::socket_addr::ToSocketAddrs>::to_socket_addrs",
                "poll",
                "std::net::ToSocketAddrs::to_socket_addrs",
                "tokio::net::lookup_host",
            ),
            (
                "std::net::tcp::TcpStream::connect",
                "connect",
                "std::net::tcp::TcpStream::connect",
                "tokio::net",
            ),
            (
                "std::process::Command::output",
                "poll",
                "std::process::Command::output",
                "tokio::process",
            ),
            (
                "std::thread::join_handle::JoinHandle<T>::join",
                "futex",
                "std::thread::join_handle::JoinHandle::join",
                "spawn_blocking",
            ),
            (
                "std::sync::mpsc::Receiver<T>::recv",
                "futex",
                "std::sync::mpsc::Receiver::recv",
                "tokio::sync::mpsc",
            ),
            (
                "reqwest::blocking::client::ClientHandle::execute_request",
                "futex",
                "reqwest::blocking::client::ClientHandle::execute_request",
                "reqwest::Client",
            ),
            (
                "rusqlite::Connection::execute",
                "fdatasync",
                "rusqlite::Connection::execute",
                "spawn_blocking",
            ),
            (
                "futures_executor::local_pool::block_on",
                "futex",
                "futures_executor::local_pool::block_on",
                ".await",
            ),
        ] {
            let told = told(&[function], Cause::Syscall, Some(syscall));
            assert_eq!(told.0, call);
            assert!(told.1.contains(advice), "{function}: {}", told.1);
        }
    }

    #[test]
    fn the_outermost_known_call_decides() {
        let stack = [
            "core::ops::function::FnOnce::call_once",
            "std::net::tcp::TcpStream::connect",
            "<str as std::net::ToSocketAddrs>::to_socket_addrs",
            "getaddrinfo",
        ];
        let told = told(&stack, Cause::Syscall, Some("poll"));
        assert_eq!(told.0, "std::net::tcp::TcpStream::connect");
    }

    #[test]
    fn heavy_work_is_moved_away_and_the_users_function_named() {
        let told = |function| told(&[function], Cause::Cpu, None);
        assert_eq!(told("argon2::Argon2::hash_password_into").0, "");
        assert!(
            told("argon2::Argon2::fill_blocks")
                .1
                .contains("spawn_blocking")
        );
        assert!(
            told("serde_json::de::from_slice")
                .1
                .contains("large documents")
        );
        assert!(told("app::crunch").1.contains("yield_now"));
    }

    #[test]
    fn a_system_call_alone_tells_where_it_can_mean_one_thing_only() {
        let told = |syscall| told(&["libfoo_do"], Cause::Syscall, Some(syscall)).1;
        assert!(told("fsync").contains("tokio::fs"));
        assert!(told("clock_nanosleep").contains("tokio::time::sleep"));
        // A file, a pipe or a socket; a lock or a condition: who can tell?
        assert_eq!(told("read"), "");
        assert_eq!(told("futex"), "");
    }

    #[test]
    fn advice_for_tokio_is_for_tokio() {
        let told = advise(
            &frames(&["std::thread::sleep"]),
            Cause::Syscall,
            Some("clock_nanosleep"),
            Some("asyncio"),
        );
        assert_eq!(
            told,
            Advised {
                call: Some("time.sleep".to_owned()),
                advice: Some("use await asyncio.sleep(...)")
            }
        );
        let told = advise(&[], Cause::Preempted, None, None);
        assert!(told.advice.unwrap().contains("more busy threads than CPUs"));
    }

    #[test]
    fn calls_of_python_have_their_advice_and_their_names() {
        let told = |function, cause, syscall| {
            let told = advise(&frames(&[function]), cause, syscall, Some("asyncio"));
            (
                told.call.unwrap_or_default(),
                told.advice.unwrap_or_default(),
            )
        };
        let (call, advice) = told(
            "requests.sessions.Session.send",
            Cause::Syscall,
            Some("poll"),
        );
        assert_eq!(call, "requests.sessions.Session.send");
        assert!(advice.contains("httpx.AsyncClient"));
        let (call, advice) = told("app.load", Cause::Syscall, Some("clock_nanosleep"));
        assert_eq!(
            (call.as_str(), advice),
            ("time.sleep", "use await asyncio.sleep(...)")
        );
        assert!(
            told("subprocess.run", Cause::Syscall, Some("poll"))
                .1
                .contains("create_subprocess")
        );
        assert!(
            told("json.decoder.JSONDecoder.decode", Cause::Cpu, None)
                .1
                .contains("process pool")
        );
        assert!(
            told("app.crunch", Cause::Cpu, None)
                .1
                .contains("asyncio.sleep(0)")
        );
        assert_eq!(told("app.call", Cause::Syscall, Some("futex")).1, "");
    }

    #[test]
    fn formatting_an_address_is_not_networking() {
        let (_, advice) = told(&["std::net::ip_addr::Ipv4Addr::fmt"], Cause::Cpu, None);
        assert!(!advice.contains("tokio::net"));
    }
}
