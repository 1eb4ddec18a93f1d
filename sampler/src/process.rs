//! What can be asked of a process while it runs.

use crate::error::Error;
use crate::ids::{Avma, Pid, Tid};
use crate::open_files::OpenFiles;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// A range of memory that one read asks for.
#[derive(Debug)]
pub struct ReadRequest<'a> {
    /// The first address.
    pub address: Avma,
    /// Where the bytes go. Its length says how many.
    pub into: &'a mut [u8],
    /// Set by the read: whether every byte came.
    pub done: bool,
}

impl<'a> ReadRequest<'a> {
    /// Asks for as many bytes from `address` as `into` holds.
    pub fn new(address: Avma, into: &'a mut [u8]) -> Self {
        Self {
            address,
            into,
            done: false,
        }
    }
}

/// Reads the memory of a process, live or out of a capture.
pub trait ReadMemory {
    /// Does all `requests` in as few system calls as possible and marks those
    /// that came whole. An address that cannot be read is not an error of the
    /// batch: its request just stays undone.
    fn read_many(&self, requests: &mut [ReadRequest<'_>]);

    /// Reads `into.len()` bytes from `address`; false when any byte is missing.
    fn read(&self, address: Avma, into: &mut [u8]) -> bool {
        let mut request = [ReadRequest::new(address, into)];
        self.read_many(&mut request);
        request[0].done
    }

    /// The little-endian word at `address`.
    fn read_word(&self, address: Avma) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)
            .then(|| u64::from_le_bytes(bytes))
    }
}

/// All that can be asked of a process besides its events. Implemented by
/// [`LiveProcess`](crate::LiveProcess), and by a capture that answers what the
/// live process answered once.
pub trait Process: ReadMemory {
    /// The process.
    fn pid(&self) -> Pid;

    /// Its memory mappings, by address.
    ///
    /// # Errors
    /// The process is gone, or may not be looked at.
    fn mappings(&self) -> Result<Vec<Mapping>, Error>;

    /// Its threads.
    ///
    /// # Errors
    /// The process is gone.
    fn threads(&self) -> Result<Vec<Tid>, Error>;

    /// The name of a thread, if it still lives.
    fn thread_name(&self, tid: Tid) -> Option<String>;

    /// Where a thread sleeps, if it sleeps in a system call right now.
    fn blocked_in(&self, tid: Tid) -> Option<BlockedThread>;

    /// The number by which a thread knows itself: the one in its own PID namespace, which is
    /// another than `tid` when it runs in a container and we do not.
    fn own_number(&self, tid: Tid) -> Option<u32> {
        Some(tid.0)
    }

    /// The function of the kernel at an address, where we may know it.
    fn kernel_function(&self, _address: u64) -> Option<String> {
        None
    }

    /// Its open descriptors as they are now, where we may know them. A capture does not.
    fn open_files(&self) -> Option<OpenFiles> {
        None
    }
}

impl<T: ReadMemory + ?Sized> ReadMemory for Arc<T> {
    fn read_many(&self, requests: &mut [ReadRequest<'_>]) {
        (**self).read_many(requests);
    }
}

impl<T: Process + ?Sized> Process for Arc<T> {
    fn pid(&self) -> Pid {
        (**self).pid()
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Error> {
        (**self).mappings()
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        (**self).threads()
    }

    fn thread_name(&self, tid: Tid) -> Option<String> {
        (**self).thread_name(tid)
    }

    fn blocked_in(&self, tid: Tid) -> Option<BlockedThread> {
        (**self).blocked_in(tid)
    }

    fn own_number(&self, tid: Tid) -> Option<u32> {
        (**self).own_number(tid)
    }

    fn kernel_function(&self, address: u64) -> Option<String> {
        (**self).kernel_function(address)
    }

    fn open_files(&self) -> Option<OpenFiles> {
        (**self).open_files()
    }
}

/// A thread that sleeps, as `/proc/PID/task/TID/syscall` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedThread {
    /// The number of the system call, or `None` when it sleeps outside one
    /// (a page fault).
    pub syscall: Option<u64>,
    /// The user stack pointer.
    pub sp: Avma,
    /// The user instruction pointer.
    pub ip: Avma,
}

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The first address.
    pub start: Avma,
    /// The first address after it.
    pub end: Avma,
    /// Where in the file it begins.
    pub file_offset: u64,
    /// What may be done with it.
    pub permissions: Permissions,
    /// What is mapped.
    pub what: Mapped,
}

/// What a mapping allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// It can be read.
    pub read: bool,
    /// It can be written.
    pub write: bool,
    /// It can be run.
    pub execute: bool,
}

/// What stands behind a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mapped {
    /// A file, as named in the target's own mount namespace.
    File {
        /// Its path there, without the mark of a deleted file.
        path: PathBuf,
        /// Its device, as `st_dev` gives it.
        device: u64,
        /// Its inode.
        inode: u64,
        /// It was deleted or replaced since.
        deleted: bool,
    },
    /// Memory without a file, with its name if it has one: `[heap]`, `[stack]`,
    /// `[vdso]`.
    Anonymous {
        /// The name, with its brackets.
        name: Option<String>,
    },
}
