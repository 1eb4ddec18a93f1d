//! Opening files as the target would, without ever leaving its root.

use awaitscope_sampler::Pid;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A directory that paths of the target are taken to begin at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// What the process itself sees as `/`, in its own mount namespace.
    OfProcess(Pid),
    /// A directory of ours: `/`, or an unpacked image of another machine.
    Directory(PathBuf),
}

impl Root {
    /// Opens `path` for reading, every link and `..` in it taken beneath this root.
    ///
    /// The target chose its links: without `RESOLVE_IN_ROOT`, one that points to
    /// `/etc/shadow` would have us read our own file (openat2(2)).
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        let how = OpenHow::new()
            // A FIFO or a device must not block us.
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let directory = self.directory()?;
        // EAGAIN: something was renamed meanwhile, so the kernel cannot vouch for
        // the path; openat2(2) says to try again.
        for _ in 0..4 {
            match openat2(&directory, path, how) {
                Ok(file) => return Ok(File::from(file)),
                Err(Errno::EAGAIN) => {}
                Err(Errno::ENOSYS) => {
                    return Err(io::Error::other("openat2 is missing: Linux 5.6 is needed"));
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Errno::EAGAIN.into())
    }

    fn directory(&self) -> io::Result<OwnedFd> {
        let path = match self {
            Self::OfProcess(pid) => PathBuf::from(format!("/proc/{pid}/root")),
            Self::Directory(path) => path.clone(),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(open(&path, flags, Mode::empty())?)
    }
}
