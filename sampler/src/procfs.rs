//! What `/proc` tells (proc(5)).

use crate::error::Error;
use crate::ids::{Avma, Pid, Tid};
use crate::process::BlockedThread;
use std::fmt::Display;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file of `/proc` that ought to be short is not read beyond this.
const SHORT: u64 = 1 << 20;

/// The list of mappings can be long: a million lines of a hundred bytes.
const LONG: u64 = 128 << 20;

/// What `/proc/PID/stat` tells of a process or a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub name: String,
    pub state: u8,
    pub flags: u64,
    /// In clock ticks since the system started.
    pub start_time: u64,
}

impl Stat {
    /// `PF_KTHREAD` of `linux/sched.h`.
    const KERNEL_THREAD: u64 = 0x0020_0000;

    pub(crate) fn is_kernel_thread(&self) -> bool {
        self.flags & Self::KERNEL_THREAD != 0
    }

    /// It has ended, whether or not its parent has taken note.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// The name stands in brackets and may itself hold anything, brackets and
    /// newlines too; so the last bracket ends it.
    fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|&byte| byte == b'(')?;
        let close = text.iter().rposition(|&byte| byte == b')')?;
        let name = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        // Fields are numbered from 1 in proc(5); the one after the name is 3.
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let flags = fields.nth(9 - 4)?.parse().ok()?;
        let start_time = fields.nth(22 - 10)?.parse().ok()?;
        Some(Self {
            name,
            state,
            flags,
            start_time,
        })
    }
}

/// The folder of a process. It is held open, so that it goes on meaning this process when
/// the number is given to another: then all its files are gone.
#[derive(Debug)]
pub(crate) struct Folder {
    pid: Pid,
    folder: fs::File,
}

impl Folder {
    pub(crate) fn open(pid: Pid) -> Result<Self, Error> {
        let path = format!("/proc/{pid}");
        let folder = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(&path)
            .map_err(|source| gone_or(pid, path, source))?;
        Ok(Self { pid, folder })
    }

    /// Where a file of it can be opened.
    pub(crate) fn path(&self, file: impl Display) -> String {
        format!("/proc/self/fd/{}/{file}", self.folder.as_raw_fd())
    }

    /// What a person knows that file by.
    fn known_as(&self, file: impl Display) -> String {
        format!("/proc/{}/{file}", self.pid)
    }

    fn read(&self, file: &str, limit: u64) -> Result<Vec<u8>, Error> {
        read(self.path(file), limit).map_err(|source| self.failure(file, source))
    }

    pub(crate) fn failure(&self, file: &str, source: io::Error) -> Error {
        gone_or(self.pid, self.known_as(file), source)
    }

    /// Its status.
    pub(crate) fn stat(&self) -> Result<Stat, Error> {
        let text = self.read("stat", SHORT)?;
        Stat::parse(&text).ok_or_else(|| unintelligible(self.known_as("stat")))
    }

    /// The status of a thread, if it is there.
    pub(crate) fn thread_stat(&self, tid: Tid) -> Option<Stat> {
        Stat::parse(&self.read(&format!("task/{tid}/stat"), SHORT).ok()?)
    }

    /// Its threads, in ascending order.
    pub(crate) fn threads(&self) -> Result<Vec<Tid>, Error> {
        let entries =
            fs::read_dir(self.path("task")).map_err(|source| self.failure("task", source))?;
        let mut threads: Vec<Tid> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Tid))
            .collect();
        threads.sort_unstable();
        Ok(threads)
    }

    /// The name of a thread.
    pub(crate) fn thread_name(&self, tid: Tid) -> Option<String> {
        let mut name = self.read(&format!("task/{tid}/comm"), SHORT).ok()?;
        if name.last() == Some(&b'\n') {
            name.pop();
        }
        Some(String::from_utf8_lossy(&name).into_owned())
    }

    /// In which system call a thread sleeps.
    pub(crate) fn blocked_in(&self, tid: Tid) -> Option<BlockedThread> {
        let text = self.read(&format!("task/{tid}/syscall"), SHORT).ok()?;
        parse_syscall(std::str::from_utf8(&text).ok()?)
    }

    /// The text of its list of mappings.
    pub(crate) fn maps(&self) -> Result<Vec<u8>, Error> {
        self.read("maps", LONG)
    }

    /// Its arguments, each ended by a zero byte.
    pub(crate) fn arguments(&self) -> Result<Vec<u8>, Error> {
        self.read("cmdline", SHORT)
    }

    /// The user it belongs to.
    pub(crate) fn owner(&self) -> Result<u32, Error> {
        // Real, effective, saved and file system user.
        self.status("Uid:")?
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|owner| owner.parse().ok())
            .ok_or_else(|| unintelligible(self.known_as("status")))
    }

    /// The process that traces it.
    pub(crate) fn tracer(&self) -> Option<Pid> {
        let tracer = self.status("TracerPid:").ok()?.trim().parse().ok()?;
        (tracer != 0).then_some(Pid(tracer))
    }

    /// The process this number belongs to: another one if it is that of a thread.
    pub(crate) fn process(&self) -> Result<Pid, Error> {
        self.status("Tgid:")?
            .trim()
            .parse()
            .map(Pid)
            .map_err(|_| unintelligible(self.known_as("status")))
    }

    /// The number of a thread in the innermost PID namespace it lives in: its own view of
    /// itself.
    pub(crate) fn own_number(&self, tid: Tid) -> Option<u32> {
        let text = self.read(&format!("task/{tid}/status"), SHORT).ok()?;
        let line = line_after(&text, "NSpid:")?;
        line.split_ascii_whitespace().next_back()?.parse().ok()
    }

    fn status(&self, key: &str) -> Result<String, Error> {
        line_after(&self.read("status", SHORT)?, key)
            .ok_or_else(|| unintelligible(self.known_as("status")))
    }
}

/// `running`, or `-1 SP PC`, or `NUMBER ARG0 … ARG5 SP PC` (`proc_pid_syscall` in
/// `fs/proc/base.c`).
fn parse_syscall(text: &str) -> Option<BlockedThread> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let (number, sp, ip) = match fields[..] {
        ["-1", sp, ip] => (None, sp, ip),
        [number, _, _, _, _, _, _, sp, ip] => (Some(number.parse().ok()?), sp, ip),
        _ => return None,
    };
    Some(BlockedThread {
        syscall: number,
        sp: hexadecimal(sp)?,
        ip: hexadecimal(ip)?,
    })
}

fn hexadecimal(text: &str) -> Option<Avma> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16)
        .ok()
        .map(Avma)
}

/// The capabilities that bear on us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capabilities {
    /// Watch anybody (`CAP_PERFMON`, or `CAP_SYS_ADMIN` which stands in for it).
    pub perfmon: bool,
}

impl Capabilities {
    // Numbers of `linux/capability.h`.
    const SYS_ADMIN: u32 = 21;
    const PERFMON: u32 = 38;

    pub(crate) fn ours() -> Self {
        // Of this thread, which is the one that opens the events.
        let bits = read("/proc/thread-self/status", SHORT)
            .ok()
            .and_then(|text| line_after(&text, "CapEff:"))
            .and_then(|line| u64::from_str_radix(line.trim(), 16).ok())
            .unwrap_or(0);
        let has = |capability: u32| bits & (1 << capability) != 0;
        Self {
            perfmon: has(Self::PERFMON) || has(Self::SYS_ADMIN),
        }
    }
}

/// `kernel.perf_event_paranoid`.
pub(crate) fn paranoid_level() -> Option<i32> {
    let text = read("/proc/sys/kernel/perf_event_paranoid", SHORT).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

/// The CPUs that are running: `0-3,8`.
pub(crate) fn online_cpus() -> Result<Vec<u32>, Error> {
    let path = "/sys/devices/system/cpu/online";
    let text = read(path, SHORT).map_err(|source| Error::Proc {
        path: path.into(),
        source,
    })?;
    std::str::from_utf8(&text)
        .ok()
        .and_then(parse_cpus)
        .filter(|cpus| !cpus.is_empty())
        .ok_or_else(|| unintelligible(path.into()))
}

fn parse_cpus(text: &str) -> Option<Vec<u32>> {
    // More than `CONFIG_NR_CPUS` allows anywhere.
    const MOST: u32 = 1 << 16;
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last > MOST {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// What follows `key` in lines such as `Uid:  0 0 0 0`.
fn line_after(text: &[u8], key: &str) -> Option<String> {
    String::from_utf8_lossy(text)
        .lines()
        .find_map(|line| line.strip_prefix(key).map(str::to_owned))
}

/// The content of a file, up to `limit` bytes.
pub(crate) fn read(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?
        .take(limit)
        .read_to_end(&mut content)?;
    Ok(content)
}

/// A missing process is told from other failures: its folder is gone, or its files
/// answer ESRCH.
fn gone_or(pid: Pid, path: String, source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => Error::NoSuchProcess(pid),
        _ => Error::Proc { path, source },
    }
}

fn unintelligible(path: String) -> Error {
    Error::Proc {
        path,
        source: io::Error::from(io::ErrorKind::InvalidData),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_brackets_spaces_and_newlines() {
        let text = b"42 (a) R (\n) S 1 42 42 0 -1 2097216 0 0 0 0 0 0 0 0 20 0 3 0 7117 0 0\n";
        let stat = Stat::parse(text).expect("a status");
        assert_eq!(stat.name, "a) R (\n");
        assert_eq!((stat.state, stat.start_time), (b'S', 7117));
        assert!(stat.is_kernel_thread());
        assert!(!stat.has_ended());
        assert_eq!(Stat::parse(b"42 (a"), None);
        assert_eq!(Stat::parse(b"42 (a) R 1"), None);
    }

    #[test]
    fn a_sleeping_thread_is_told_from_a_running_one_and_from_a_page_fault() {
        let asleep = parse_syscall("230 0x0 0x0 0x7ffc 0x0 0x0 0x0 0x7ffca0 0x7f10\n");
        let expected = BlockedThread {
            syscall: Some(230),
            sp: Avma(0x7f_fca0),
            ip: Avma(0x7f10),
        };
        assert_eq!(asleep, Some(expected));
        let faulting = parse_syscall("-1 0x7ffca0 0x7f10\n");
        assert_eq!(
            faulting,
            Some(BlockedThread {
                syscall: None,
                ..expected
            })
        );
        assert_eq!(parse_syscall("running\n"), None);
        assert_eq!(parse_syscall(""), None);
    }

    #[test]
    fn cpu_lists_have_ranges_and_gaps() {
        assert_eq!(parse_cpus("0\n"), Some(vec![0]));
        assert_eq!(parse_cpus("0-2,5,7-8\n"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(parse_cpus("0-4294967295"), None);
        assert_eq!(parse_cpus("x"), None);
    }
}
