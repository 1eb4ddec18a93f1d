//! The table of advice for Python's asyncio. Names are joined by dots there; patterns have `::` for them
//! as everywhere.

use super::rules::{self, COMPUTING, Call, READING, Rule, SLEEPING, WAITING, calls};
use crate::profile::Cause;

/// The name of the runtime.
pub(super) const ASYNCIO: &str = "asyncio";

const fn call(
    functions: &'static [&'static str],
    causes: &'static [Cause],
    call: Call,
    advice: &'static str,
) -> Rule {
    calls(ASYNCIO, functions, causes, call, advice)
}

const fn syscalls(names: &'static [&'static str], call: Call, advice: &'static str) -> Rule {
    rules::syscalls(ASYNCIO, names, call, advice)
}

#[rustfmt::skip]
pub(super) static RULES: &[Rule] = &[
    // Network.
    call(&["requests::**", "urllib::request::**", "urllib3::**", "http::client::**", "httplib2::**",
           "httpx::get", "httpx::post", "httpx::request", "httpx::_client::Client::**", "httpx::_api::**"],
        WAITING, Call::Itself,
        "use an async HTTP client: httpx.AsyncClient or aiohttp; or await asyncio.to_thread(...)"),
    call(&["socket::getaddrinfo", "socket::gethostbyname", "socket::getfqdn", "getaddrinfo", "gethostbyname_r"],
        WAITING, Call::Itself,
        "resolve names with await loop.getaddrinfo(...)"),
    call(&["socket::create_connection", "ssl::SSLSocket::**", "smtplib::**", "ftplib::**", "imaplib::**", "telnetlib::**",
           "paramiko::**"],
        WAITING, Call::Itself,
        "use asyncio's streams (asyncio.open_connection) or an async client; or await asyncio.to_thread(...)"),
    call(&["boto3::**", "botocore::**"],
        WAITING, Call::Itself,
        "use aioboto3, or await asyncio.to_thread(...)"),

    // Databases.
    call(&["psycopg2::**", "pq_execute", "curs_execute", "psyco_curs_execute", "_psyco_curs_execute"],
        READING, Call::Itself,
        "use asyncpg or psycopg's AsyncConnection; or await asyncio.to_thread(...)"),
    call(&["psycopg::connection::Connection::**", "psycopg::cursor::Cursor::**"],
        READING, Call::Itself,
        "use psycopg's AsyncConnection and its cursors"),
    call(&["pymysql::**", "MySQLdb::**", "mysql::connector::**"],
        READING, Call::Itself,
        "use aiomysql or asyncmy; or await asyncio.to_thread(...)"),
    call(&["sqlalchemy::**"],
        WAITING, Call::Itself,
        "use SQLAlchemy's asyncio extension (create_async_engine), or await asyncio.to_thread(...)"),
    call(&["sqlite3::**", "pysqlite_connection_execute", "_pysqlite_query_execute"],
        READING, Call::Itself,
        "use aiosqlite, or await asyncio.to_thread(...)"),
    call(&["pymongo::**"],
        WAITING, Call::Itself,
        "use pymongo's AsyncMongoClient, or await asyncio.to_thread(...)"),
    call(&["redis::client::**", "redis::connection::**", "redis::commands::**"],
        WAITING, Call::Itself,
        "use redis.asyncio"),

    // Processes.
    call(&["subprocess::**", "os::popen"],
        WAITING, Call::Itself,
        "use await asyncio.create_subprocess_exec(...)"),

    // Threads.
    call(&["concurrent::futures::_base::Future::result", "concurrent::futures::_base::wait"],
        SLEEPING, Call::Itself,
        "the loop waits here for a thread: await asyncio.wrap_future(...), or use loop.run_in_executor"),
    call(&["threading::Condition::*", "threading::Event::wait", "threading::Semaphore::*", "threading::Barrier::wait",
           "threading::Thread::join", "queue::Queue::*", "multiprocessing::**"],
        SLEEPING, Call::Itself,
        "the loop waits here for a thread or process: use what asyncio has of the kind (asyncio.Event, \
         asyncio.Queue, ...), or await asyncio.to_thread(...)"),

    // The lock of the interpreter, told by its own functions: a stripped one exports the second and
    // the third.
    Rule {
        syscalls: &["futex"],
        ..call(&["take_gil", "PyEval_RestoreThread", "PyEval_AcquireThread"],
            SLEEPING, Call::Is("[waiting for the GIL]"),
            "another thread ran Python code and kept the GIL: move work of threads to a process pool, or call what \
             releases it")
    },

    // Files.
    call(&["pathlib::**", "shutil::**", "tempfile::**", "glob::**", "os::walk", "os::fwalk", "zipfile::**", "tarfile::**",
           "logging::FileHandler::**", "logging::StreamHandler::**", "fileinput::**"],
        WAITING, Call::Itself,
        "do file work in await asyncio.to_thread(...); for logging, use logging.handlers.QueueHandler"),

    // Work.
    call(&["bcrypt::**", "passlib::**", "argon2::**", "crypt::**"],
        COMPUTING, Call::Work,
        "hashing passwords is slow by design: await asyncio.to_thread(...)"),
    call(&["json::**", "orjson::**", "ujson::**", "simplejson::**", "yaml::**", "tomllib::**", "xml::**", "lxml::**",
           "csv::**", "pickle::**", "marshal::**"],
        COMPUTING, Call::Work,
        "parse or write large documents in a process pool (loop.run_in_executor), or limit their size"),
    call(&["re::**", "regex::**"],
        COMPUTING, Call::Work,
        "run regular expressions over large inputs in a process pool (loop.run_in_executor); look for \
         patterns that backtrack"),
    call(&["zlib::**", "gzip::**", "bz2::**", "lzma::**", "hashlib::**"],
        COMPUTING, Call::Work,
        "this releases the GIL for large inputs: await asyncio.to_thread(...)"),
    call(&["numpy::**", "pandas::**", "PIL::**", "cv2::**", "sklearn::**", "scipy::**", "torch::**", "tensorflow::**"],
        COMPUTING, Call::Work,
        "do this in await asyncio.to_thread(...) where it releases the GIL, else in a process pool"),

    // Where no call is known: by what the kernel was asked for.
    syscalls(&["clock_nanosleep", "nanosleep"], Call::Is("time.sleep"),
        "use await asyncio.sleep(...)"),
    // What `time.sleep` asked for up to Python 3.10.
    syscalls(&["pselect6", "select"], Call::Work,
        "if this is time.sleep, use await asyncio.sleep(...); else wait for sockets with asyncio"),
    syscalls(&["fsync", "fdatasync", "sync_file_range", "syncfs", "openat", "openat2", "open", "unlink", "unlinkat",
               "rename", "renameat", "renameat2", "mkdir", "mkdirat", "getdents64", "fallocate", "ftruncate",
               "pread64", "pwrite64", "copy_file_range", "flock"], Call::Work,
        "do file work in await asyncio.to_thread(...)"),
    // Sockets of Python are read by recv: this is a file, a pipe or a terminal.
    syscalls(&["read", "readv"], Call::Work,
        "read files and pipes in await asyncio.to_thread(...), or pipes with loop.connect_read_pipe"),
    syscalls(&["wait4", "waitid"], Call::Work,
        "use await asyncio.create_subprocess_exec(...)"),
    syscalls(&["recvfrom", "recvmsg", "sendto", "sendmsg", "connect", "accept", "accept4"], Call::Work,
        "use asyncio's streams, or loop.sock_recv and its like with a non-blocking socket"),

    // Where nothing is known but the cause.
    call(&[], COMPUTING, Call::Work,
        "move the computation to a process pool (loop.run_in_executor), to asyncio.to_thread where it releases \
         the GIL, or split it with await asyncio.sleep(0)"),
];
