//! Which files are machinery: what runs a service, not what the service does.

/// Files of which nothing is the service's own doing.
const MACHINERY: &[&str] = &[
    "_weakrefset.py",
    "anyio/_backends/",
    "anyio/_core/",
    "anyio/from_thread.py",
    "asgiref/",
    "asyncio/__main__.py",
    "asyncio/base_events.py",
    "asyncio/base_futures.py",
    "asyncio/base_tasks.py",
    "asyncio/coroutines.py",
    "asyncio/events.py",
    "asyncio/futures.py",
    "asyncio/proactor_events.py",
    "asyncio/runners.py",
    "asyncio/selector_events.py",
    "asyncio/sslproto.py",
    "asyncio/transports.py",
    "asyncio/unix_events.py",
    "concurrent/futures/",
    "contextlib.py",
    "cpython/",
    "fastapi/_",
    "fastapi/applications.py",
    "fastapi/middleware/",
    "fastapi/routing.py",
    "fastapi/telemetry/",
    "gunicorn/",
    "importlib/",
    "multiprocessing/",
    "runpy.py",
    "selectors.py",
    "starlette/_exception_handler.py",
    "starlette/_utils.py",
    "starlette/applications.py",
    "starlette/concurrency.py",
    "starlette/middleware/",
    "starlette/routing.py",
    "threading.py",
    "uvicorn/",
    "uvloop/",
];

/// Files whose async functions are what people call, and the rest of which is machinery:
/// `asyncio.sleep` stands beside the step of a task.
const HALF_MACHINERY: &[&str] = &["asyncio/"];

/// Whether a function is machinery, by its shortened file.
pub(in crate::runtime::asyncio) fn is_machinery(short: &str, is_async: bool) -> bool {
    let among = |files: &[&str]| files.iter().any(|file| short.starts_with(file));
    among(MACHINERY) || !is_async && among(HALF_MACHINERY)
}

#[cfg(test)]
mod tests {
    use super::is_machinery;

    #[test]
    fn what_people_call_in_asyncio_is_no_machinery() {
        assert!(!is_machinery("asyncio/tasks.py", true));
        assert!(is_machinery("asyncio/tasks.py", false));
        assert!(is_machinery("asyncio/base_events.py", true));
        assert!(!is_machinery("app/asyncio/tasks.py", false));
    }
}
