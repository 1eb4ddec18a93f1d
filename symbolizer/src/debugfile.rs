//! Separate debug files: what `strip` or `objcopy --only-keep-debug` took out of
//! a program.
//!
//! They are looked for where gdb looks (GDB manual, "Debugging Information in
//! Separate Files"): files that the user names; `/usr/lib/debug/.build-id/`; and
//! the name in `.gnu_debuglink` beside the program, in `.debug/` there, and
//! beneath `/usr/lib/debug`. First in the target's own root, then in ours. What is
//! found is used only when it belongs to the very build that runs: same build-id,
//! or, where the linker wrote none, the checksum of the link.

use crate::module::{BuildId, FileBytes, FileOrigin, Image, ModuleError};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The debug files that the user gave.
#[derive(Debug, Default)]
pub struct DebugFiles {
    given: Vec<GivenFile>,
}

#[derive(Debug)]
struct GivenFile {
    path: PathBuf,
    image: Arc<Image>,
    matched: AtomicBool,
}

impl DebugFiles {
    /// No file given: only the usual places.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Files that the user gave with `--debug-file`.
    ///
    /// # Errors
    /// One of them cannot be read, or is no ELF file.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Arc<Self>, ModuleError> {
        let given = paths
            .iter()
            .map(|path| {
                let path = path.as_ref();
                Ok(GivenFile {
                    path: path.into(),
                    image: Arc::new(open_image(path)?),
                    matched: AtomicBool::new(false),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { given }))
    }

    /// The given files that belong to no module whose debug information was asked
    /// for so far.
    pub fn unmatched(&self) -> impl Iterator<Item = &Path> {
        self.given
            .iter()
            .filter(|file| !file.matched.load(Ordering::Relaxed))
            .map(|file| file.path.as_path())
    }

    /// The debug file of `image`, which came from `origin`.
    pub(crate) fn find(&self, image: &Image, origin: &FileOrigin) -> Option<(PathBuf, Arc<Image>)> {
        if let Some(given) = self.given_for(image) {
            return Some(given);
        }
        if image.section(".debug_info").is_some() {
            return None;
        }
        candidates(image, origin.path())
            .into_iter()
            .find_map(|path| {
                origin.roots().into_iter().find_map(|root| {
                    let bytes = FileBytes::of(&root.open(&path).ok()?).ok()?;
                    let debug = Image::parse(bytes).ok()?;
                    belongs(&debug, image).then(|| (path.clone(), Arc::new(debug)))
                })
            })
    }

    fn given_for(&self, image: &Image) -> Option<(PathBuf, Arc<Image>)> {
        let file = self.given.iter().find(|file| belongs(&file.image, image))?;
        file.matched.store(true, Ordering::Relaxed);
        Some((file.path.clone(), Arc::clone(&file.image)))
    }
}

fn open_image(path: &Path) -> Result<Image, ModuleError> {
    let unreadable = |source| ModuleError::unreadable(path, source);
    let file = File::open(path).map_err(unreadable)?;
    Image::parse(FileBytes::of(&file).map_err(unreadable)?)
        .map_err(|reason| ModuleError::malformed(path, reason))
}

/// Where the debug file of `image` may be, as paths from a root.
fn candidates(image: &Image, program: &Path) -> Vec<PathBuf> {
    let store = Path::new("/usr/lib/debug");
    let mut paths = Vec::new();
    if let Some(id) = image.build_id() {
        paths.push(store.join(path_of(id)));
    }
    if let (Some(link), Some(folder)) = (debug_link(image), program.parent()) {
        // A name, not a path: what leads elsewhere is not followed.
        if let Some(name) = Path::new(&link.name).file_name() {
            paths.push(folder.join(name));
            paths.push(folder.join(".debug").join(name));
            let beneath = folder.strip_prefix("/").unwrap_or(folder);
            paths.push(store.join(beneath).join(name));
        }
    }
    paths
}

/// `.build-id/xx/yyyy….debug`.
fn path_of(id: &BuildId) -> PathBuf {
    let id = id.to_string();
    let (first, rest) = id.split_at(2);
    Path::new(".build-id")
        .join(first)
        .join(format!("{rest}.debug"))
}

/// Whether `debug` was taken out of `image`.
fn belongs(debug: &Image, image: &Image) -> bool {
    match (debug.build_id(), image.build_id()) {
        // Stronger than the checksum, and does not read a gigabyte.
        (Some(theirs), Some(ours)) => theirs == ours,
        _ => debug_link(image).is_some_and(|link| crc32fast::hash(debug.bytes()) == link.crc),
    }
}

struct DebugLink {
    name: String,
    crc: u32,
}

/// `.gnu_debuglink`: a name, padded with zeroes to four bytes, and a CRC-32.
fn debug_link(image: &Image) -> Option<DebugLink> {
    let bytes = image.section_bytes(".gnu_debuglink")?;
    let length = bytes.iter().position(|&byte| byte == 0)?;
    let at = (length + 1).next_multiple_of(4);
    let crc = bytes.get(at..at.checked_add(4)?)?;
    Some(DebugLink {
        name: String::from_utf8(bytes[..length].to_vec()).ok()?,
        crc: u32::from_le_bytes(crc.try_into().ok()?),
    })
}
