//! A live process, asked through `/proc` and `process_vm_readv`.

use crate::error::Error;
use crate::ids::{Pid, Tid};
use crate::kernel::KernelSymbols;
use crate::maps;
use crate::memory;
use crate::open_files::OpenFiles;
use crate::process::{BlockedThread, Mapping, Process, ReadMemory, ReadRequest};
use crate::procfs::{Folder, Stat};
use crate::sys;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

/// A running process. It is held by more than its number: when it has ended and another
/// process has its number, this value does not answer for the other.
#[derive(Debug)]
pub struct LiveProcess {
    pid: Pid,
    folder: Folder,
    /// Kernels before 5.3 have none.
    handle: Option<OwnedFd>,
    start_time: u64,
    kernel: OnceLock<KernelSymbols>,
}

/// What a process is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its number.
    pub pid: Pid,
    /// The program it runs, by its path in the process's own mount namespace; `None` if we may not
    /// know, or for a thread of the kernel.
    pub exe: Option<PathBuf>,
    /// Its arguments, the first of which is the command.
    pub command_line: Vec<String>,
    /// The name of its first thread.
    pub name: String,
    /// The user it runs as.
    pub owner: u32,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: bool,
}

impl LiveProcess {
    /// Takes hold of a process.
    ///
    /// # Errors
    /// There is none with this number, or it has ended.
    pub fn open(pid: Pid) -> Result<Self, Error> {
        let folder = Folder::open(pid)?;
        let stat = folder.stat()?;
        let process = folder.process()?;
        if process != pid {
            return Err(Error::NotAProcess { tid: pid, process });
        }
        let handle = match sys::pidfd_open(pid) {
            Ok(handle) => Some(handle),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                return Err(Error::NoSuchProcess(pid));
            }
            Err(_) => None,
        };
        // Both `folder` and `handle` stand for what had the number when they were opened: the
        // same process, if it is still there.
        let start_time = folder.stat()?.start_time;
        if stat.start_time != start_time {
            return Err(Error::NoSuchProcess(pid));
        }
        Ok(Self {
            pid,
            folder,
            handle,
            start_time,
            kernel: OnceLock::new(),
        })
    }

    /// What the process is.
    ///
    /// # Errors
    /// It has ended.
    pub fn facts(&self) -> Result<Facts, Error> {
        let stat = self.folder.stat()?;
        let arguments = self.folder.arguments().unwrap_or_default();
        let arguments = arguments.strip_suffix(b"\0").unwrap_or(&arguments);
        Ok(Facts {
            pid: self.pid,
            exe: fs::read_link(self.folder.path("exe")).ok(),
            command_line: if arguments.is_empty() {
                Vec::new()
            } else {
                arguments
                    .split(|&byte| byte == 0)
                    .map(|argument| String::from_utf8_lossy(argument).into_owned())
                    .collect()
            },
            kernel_thread: stat.is_kernel_thread(),
            name: stat.name,
            owner: self.folder.owner()?,
        })
    }

    /// When it started, in clock ticks since the system did: with its number, its identity.
    #[must_use]
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    pub(crate) fn pid_number(&self) -> Pid {
        self.pid
    }

    /// Whether it has ended.
    #[must_use]
    pub fn exited(&self) -> bool {
        match &self.handle {
            Some(handle) => sys::readable(handle.as_fd()),
            None => self.folder.stat().as_ref().map_or(true, Stat::has_ended),
        }
    }

    /// Where a file of it below `/proc/PID` can be opened by us: `root/etc/passwd`,
    /// `map_files/…`, `exe`. Valid as long as this value lives, and never means another process.
    #[must_use]
    pub fn proc_path(&self, file: &str) -> PathBuf {
        self.folder.path(file).into()
    }

    /// That its memory can be read, or what to do about it.
    ///
    /// # Errors
    /// It cannot be.
    pub fn need_memory(&self) -> Result<(), Error> {
        self.can_read_memory().map_err(|source| {
            if self.exited() {
                return Error::Exited(self.pid);
            }
            Error::Memory {
                pid: self.pid,
                owner: self.folder.owner().unwrap_or_default(),
                source,
            }
        })
    }

    /// Whether its memory can be read at all. It takes more permission than perf events do.
    ///
    /// # Errors
    /// What the kernel says if not.
    pub fn can_read_memory(&self) -> io::Result<()> {
        let mapping = maps::parse(&self.folder.maps().map_err(io::Error::other)?)
            .into_iter()
            .find(|mapping| mapping.permissions.read)
            .ok_or(io::ErrorKind::NotFound)?;
        memory::probe(self.pid, mapping.start)
    }
}

impl ReadMemory for LiveProcess {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        memory::read_many(self.pid, requests);
        // The kernel goes by the number. A process that lives after the reads has had it
        // during them.
        if self.exited() {
            for request in requests {
                request.done = false;
            }
        }
    }
}

impl Process for LiveProcess {
    fn pid(&self) -> Pid {
        self.pid
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Error> {
        self.folder.maps().map(|text| maps::parse(&text))
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        self.folder.threads()
    }

    fn thread_name(&self, tid: Tid) -> Option<String> {
        self.folder.thread_name(tid)
    }

    fn blocked_in(&self, tid: Tid) -> Option<BlockedThread> {
        self.folder.blocked_in(tid)
    }

    fn own_number(&self, tid: Tid) -> Option<u32> {
        self.folder.own_number(tid)
    }

    fn kernel_function(&self, address: u64) -> Option<String> {
        let symbols = self.kernel.get_or_init(KernelSymbols::load);
        symbols.name(address).map(str::to_owned)
    }

    fn open_files(&self) -> Option<OpenFiles> {
        Some(OpenFiles::read(&self.folder))
    }
}
