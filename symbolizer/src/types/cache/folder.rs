//! The folder where indexes are kept: the user's own, and nobody else's.
//!
//! We often run as root, with an environment that an ordinary user may have set. So
//! nothing is read or written but in a folder that belongs to the user we run as and that
//! nobody else can write to, reached without following any symbolic link; and in there
//! only plain files of our own.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

pub(super) const PREFIX: &str = "types-";
pub(super) const SUFFIX: &str = ".index";
/// A file that is being written.
const UNFINISHED: &str = "unfinished-";

/// All files together.
const LARGEST_FOLDER: u64 = 512 << 20;
/// One of them: the index of several gigabytes of debug information.
const LARGEST_FILE: u64 = LARGEST_FOLDER / 2;
/// More files are not looked at: we do not make as many.
const MOST_FILES: usize = 1 << 14;
/// A file that was not finished by then was left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// Keeps indexes of types between runs.
#[derive(Debug)]
pub struct TypeCache {
    folder: OwnedFd,
    largest: u64,
}

impl TypeCache {
    /// `$XDG_CACHE_HOME/awaitscope`, or `~/.cache/awaitscope`. Nothing where neither can
    /// be had: then there is no cache.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let absolute = |name| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Self::beneath(&base)
    }

    /// The folder `awaitscope` in `base`, both made if need be. Nothing where one of them
    /// is not the user's own, or is reached through a link.
    #[must_use]
    pub fn beneath(base: &Path) -> Option<Self> {
        let around = open_folder(base.parent()?).ok()?;
        let base = own_folder(&around, Path::new(base.file_name()?)).ok()?;
        let folder = own_folder(&base, Path::new("awaitscope")).ok()?;
        Some(Self {
            folder,
            largest: LARGEST_FOLDER,
        })
    }

    /// All bytes of a file.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        // Not a FIFO, which would block us.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty()).ok()?;
        let stat = fstat(&file).ok()?;
        let size = u64::try_from(stat.st_size).ok()?;
        if !is_own(&stat, SFlag::S_IFREG) || size > LARGEST_FILE {
            return None;
        }
        let file = File::from(file);
        // What was used last is dropped last.
        let _ = file.set_modified(SystemTime::now());
        let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?);
        file.take(size).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Writes a file, which appears when it is whole. Old ones make room for it.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        if bytes.len() as u64 > LARGEST_FILE.min(self.largest) {
            return Err(io::Error::other("it is too large to be kept"));
        }
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{UNFINISHED}{}-{number}", std::process::id());
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let mut file = File::from(openat(&self.folder, unfinished.as_str(), flags, mode)?);
        let written = file.write_all(bytes).and_then(|()| {
            let (from, to) = (unfinished.as_str(), name);
            Ok(renameat(&self.folder, from, &self.folder, to)?)
        });
        if written.is_err() {
            self.remove(&unfinished);
        }
        self.make_room(name);
        written
    }

    /// Removes the files that were not used for longest, until the others fit, and those
    /// that were left behind unfinished.
    fn make_room(&self, newest: &str) {
        // By its descriptor: the path may lead elsewhere by now.
        let folder = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        let now = SystemTime::now();
        let mut kept = Vec::new();
        for entry in entries.take(MOST_FILES).flatten() {
            let name = entry.file_name();
            let (Some(name), Ok(metadata)) = (name.to_str(), entry.metadata()) else {
                continue;
            };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if name.starts_with(UNFINISHED) {
                if now.duration_since(used).is_ok_and(|age| age > LEFT_BEHIND) {
                    self.remove(name);
                }
            } else if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
                kept.push((name != newest, used, name.to_owned(), metadata.len()));
            }
        }
        // What was just written first, then from the last used to the oldest.
        kept.sort_by_key(|(other, used, ..)| (*other, std::cmp::Reverse(*used)));
        let mut total = 0u64;
        for (_, _, name, size) in kept {
            total = total.saturating_add(size);
            if total > self.largest {
                self.remove(&name);
            }
        }
    }

    fn remove(&self, name: &str) {
        let _ = unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir);
    }
}

/// Opens a folder, and nothing that only leads to one.
fn open_folder(path: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(AT_FDCWD, path, how)
}

/// Opens, or makes, a folder that is ours alone.
fn own_folder(around: &OwnedFd, name: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = match openat(around, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => {
            match mkdirat(around, name, Mode::S_IRWXU) {
                // Another of us was quicker.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
            openat(around, name, flags, Mode::empty())?
        }
        found => found?,
    };
    let others = Mode::S_IWGRP | Mode::S_IWOTH;
    let stat = fstat(&folder)?;
    let ours = is_own(&stat, SFlag::S_IFDIR) && stat.st_mode & others.bits() == 0;
    if ours { Ok(folder) } else { Err(Errno::EPERM) }
}

fn is_own(stat: &FileStat, what: SFlag) -> bool {
    stat.st_uid == geteuid().as_raw() && stat.st_mode & SFlag::S_IFMT.bits() == what.bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn cache() -> (tempfile::TempDir, TypeCache) {
        let base = tempfile::tempdir().unwrap();
        let cache = TypeCache::beneath(base.path()).unwrap();
        (base, cache)
    }

    fn set_used(base: &Path, name: &str, seconds_ago: u64) {
        let file = File::open(base.join("awaitscope").join(name)).unwrap();
        let then = SystemTime::now() - Duration::from_secs(seconds_ago);
        file.set_modified(then).unwrap();
    }

    #[test]
    fn what_is_written_is_read_and_is_nobody_elses() {
        let (base, cache) = cache();
        cache.write("types-01.index", b"one").unwrap();
        cache.write("types-01.index", b"two").unwrap();
        assert_eq!(cache.read("types-01.index").unwrap(), b"two");
        assert!(cache.read("types-02.index").is_none());
        let folder = base.path().join("awaitscope");
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        let files: Vec<_> = folder.read_dir().unwrap().flatten().collect();
        assert_eq!(files.len(), 1, "nothing unfinished stays");
        assert_eq!(files[0].metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_files_that_were_not_used_for_longest_make_room() {
        let (base, mut cache) = cache();
        cache.largest = 250;
        for (name, seconds_ago) in [("types-a.index", 300), ("types-b.index", 200)] {
            cache.write(name, &[0; 100]).unwrap();
            set_used(base.path(), name, seconds_ago);
        }
        // Being read makes it young again.
        cache.read("types-a.index").unwrap();
        cache.write("types-c.index", &[0; 100]).unwrap();
        assert!(cache.read("types-a.index").is_some());
        assert!(cache.read("types-b.index").is_none());
        assert!(cache.read("types-c.index").is_some());
        assert!(cache.write("types-d.index", &[0; 251]).is_err());
    }

    #[test]
    fn what_others_keep_there_is_left_alone_and_what_was_left_behind_is_removed() {
        let (base, mut cache) = cache();
        cache.largest = 10;
        let folder = base.path().join("awaitscope");
        std::fs::write(folder.join("notes"), [0; 100]).unwrap();
        std::fs::write(folder.join("unfinished-1-1"), [0; 100]).unwrap();
        std::fs::write(folder.join("unfinished-2-1"), [0; 100]).unwrap();
        set_used(base.path(), "unfinished-1-1", 3600);
        cache.write("types-a.index", &[0; 5]).unwrap();
        assert!(folder.join("notes").exists());
        assert!(!folder.join("unfinished-1-1").exists());
        assert!(folder.join("unfinished-2-1").exists());
    }

    #[test]
    fn no_link_is_followed() {
        let (base, cache) = cache();
        let secret = base.path().join("secret");
        std::fs::write(&secret, b"secret").unwrap();
        let folder = base.path().join("awaitscope");
        symlink(&secret, folder.join("types-01.index")).unwrap();
        assert!(cache.read("types-01.index").is_none());
        cache.write("types-01.index", b"mine").unwrap();
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
        assert_eq!(cache.read("types-01.index").unwrap(), b"mine");

        let elsewhere = tempfile::tempdir().unwrap();
        symlink(&folder, elsewhere.path().join("awaitscope")).unwrap();
        assert!(TypeCache::beneath(elsewhere.path()).is_none());
        let link = elsewhere.path().join("link");
        symlink(base.path(), &link).unwrap();
        assert!(TypeCache::beneath(&link).is_none());
        assert!(TypeCache::beneath(&link.join("below")).is_none());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_used() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("awaitscope");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o770)).unwrap();
        assert!(TypeCache::beneath(base.path()).is_none());
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(TypeCache::beneath(base.path()).is_some());
        if geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(12345), None).unwrap();
            assert!(TypeCache::beneath(base.path()).is_none());
        }
    }

    #[test]
    fn a_folder_or_a_fifo_in_the_place_of_a_file_is_not_read() {
        let (base, cache) = cache();
        let folder = base.path().join("awaitscope");
        std::fs::create_dir(folder.join("types-01.index")).unwrap();
        assert!(cache.read("types-01.index").is_none());
        let fifo = folder.join("types-02.index");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert!(cache.read("types-02.index").is_none());
        assert!(cache.write("types-01.index", b"mine").is_err());
    }

    #[test]
    fn many_who_write_at_once_leave_a_whole_file() {
        let (_base, cache) = cache();
        std::thread::scope(|scope| {
            for letter in b'a'..b'i' {
                let cache = &cache;
                scope.spawn(move || {
                    for _ in 0..20 {
                        cache.write("types-01.index", &[letter; 10_000]).unwrap();
                        let read = cache.read("types-01.index").unwrap();
                        assert_eq!(read.len(), 10_000);
                        assert!(read.iter().all(|byte| *byte == read[0]));
                    }
                });
            }
        });
    }
}
