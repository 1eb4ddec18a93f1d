//! Getting at the very file that the process has mapped.

use super::bytes::FileBytes;
use super::error::ModuleError;
use super::ids::Build;
use super::image::Image;
use super::root::Root;
use awaitscope_sampler::{Avma, Pid};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file as a mapping names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MappedFile {
    /// Its path in the target's mount namespace.
    pub(crate) path: PathBuf,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) deleted: bool,
}

/// Where the bytes of a module come from.
#[derive(Debug)]
pub(crate) enum FileOrigin {
    /// A file that a live process has mapped.
    Live {
        pid: Pid,
        file: MappedFile,
        /// Where it is mapped: the names in `/proc/PID/map_files`.
        ranges: Vec<(Avma, Avma)>,
    },
    /// A file of a process that runs no more, or elsewhere: found by its path and
    /// held to its build-id.
    Recorded {
        root: PathBuf,
        path: PathBuf,
        build: Option<Build>,
    },
    /// An image without a file: the vDSO, copied from the target's memory.
    Memory { name: &'static str, bytes: Vec<u8> },
}

impl FileOrigin {
    /// The path, or the name in brackets.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Live { file, .. } => &file.path,
            Self::Recorded { path, .. } => path,
            Self::Memory { name, .. } => Path::new(name),
        }
    }

    /// Where its debug files are looked for.
    pub(crate) fn roots(&self) -> Vec<Root> {
        let host = Root::Directory(PathBuf::from("/"));
        match self {
            Self::Live { pid, .. } => vec![Root::OfProcess(*pid), host],
            Self::Recorded { root, .. } => vec![Root::Directory(root.clone()), host],
            Self::Memory { .. } => vec![host],
        }
    }

    /// The image.
    pub(crate) fn open(&self) -> Result<Image, ModuleError> {
        let path = self.path();
        let unreadable = |source| ModuleError::unreadable(path, source);
        match self {
            Self::Live { pid, file, ranges } => {
                let opened = open_live(*pid, file, ranges)?;
                parse(path, FileBytes::of(&opened).map_err(unreadable)?)
            }
            Self::Recorded { root, build, .. } => {
                if build == &Some(Build::Unread) {
                    let why = "it could not be read when it was recorded";
                    return Err(unreadable(io::Error::other(why)));
                }
                let root = Root::Directory(root.clone());
                let file = root.open(path).map_err(unreadable)?;
                let image = parse(path, FileBytes::of(&file).map_err(unreadable)?)?;
                match build {
                    Some(Build::Id(id)) if image.build_id() != Some(id) => {
                        Err(ModuleError::AnotherBuild { path: path.into() })
                    }
                    _ => Ok(image),
                }
            }
            Self::Memory { bytes, .. } => {
                parse(path, FileBytes::Owned(bytes.clone().into_boxed_slice()))
            }
        }
    }
}

fn parse(path: &Path, bytes: FileBytes) -> Result<Image, ModuleError> {
    Image::parse(bytes).map_err(|reason| ModuleError::malformed(path, reason))
}

/// Opens the file that is mapped, by the ways that lead to it, surest first.
fn open_live(pid: Pid, file: &MappedFile, ranges: &[(Avma, Avma)]) -> Result<File, ModuleError> {
    // The mapping itself: also right when the file was deleted or replaced. Needs
    // CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (proc_pid_map_files(5)).
    for (start, end) in ranges {
        let link = PathBuf::from(format!("/proc/{pid}/map_files/{:x}-{:x}", start.0, end.0));
        if let Some(opened) = open_link(&link, file) {
            return Ok(opened);
        }
    }
    // The main program: also right when it was deleted. Needs no capability.
    if let Some(opened) = open_link(&PathBuf::from(format!("/proc/{pid}/exe")), file) {
        return Ok(opened);
    }
    // The path. Anybody may have put another file there.
    let opened = Root::OfProcess(pid)
        .open(&file.path)
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound if file.deleted => ModuleError::Replaced {
                path: file.path.clone(),
            },
            _ => ModuleError::unreadable(&file.path, source),
        })?;
    if is_same_file(&opened, file) {
        Ok(opened)
    } else {
        Err(ModuleError::Replaced {
            path: file.path.clone(),
        })
    }
}

/// Opens what a link of `/proc` leads to, if it is `file`.
fn open_link(link: &Path, file: &MappedFile) -> Option<File> {
    let opened = File::open(link).ok()?;
    if is_same_file(&opened, file) {
        return Some(opened);
    }
    // On stacked filesystems the mapping and stat(2) can name different inodes
    // (overlayfs before Linux 6.8); the link's own text is then the mapping's.
    let target = fs::read_link(link).ok()?;
    let target = target.to_str()?;
    let target = target.strip_suffix(" (deleted)").unwrap_or(target);
    (Path::new(target) == file.path).then_some(opened)
}

/// Whether `opened` is the file of the mapping. While it is mapped its inode
/// number cannot be given to another file of the same filesystem.
fn is_same_file(opened: &File, file: &MappedFile) -> bool {
    let Ok(metadata) = opened.metadata() else {
        return false;
    };
    // Filesystems without a device of their own (btrfs, overlayfs: major 0) show
    // one number in maps and another in stat(2).
    let nameless = |device| libc::major(device) == 0;
    metadata.ino() == file.inode
        && (metadata.dev() == file.device || nameless(metadata.dev()) && nameless(file.device))
}
