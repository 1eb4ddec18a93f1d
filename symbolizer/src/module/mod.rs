//! The modules of a process: its program, its shared objects, the vDSO.

mod bytes;
mod error;
mod ids;
mod image;
mod layout;
mod origin;
mod root;
mod space;
mod symbols;

pub(crate) use bytes::FileBytes;
pub use bytes::SectionBytes;
pub use error::ModuleError;
pub use ids::{Build, BuildId, ModuleId, Svma};
pub use image::{Image, TlsSegment};
pub(crate) use origin::FileOrigin;
pub use root::Root;
pub use space::{AddressSpace, Binaries, Place};
pub use symbols::{Symbol, SymbolKind, SymbolTable};

use crate::debugfile::DebugFiles;
use crate::names::Places;
use crate::unwind::CallFrameInfo;
use gimli::LittleEndian;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Reads DWARF out of a section that it keeps alive. `Send` and `Sync`; a clone
/// counts one reference.
pub type DwarfReader = gimli::EndianReader<LittleEndian, SectionBytes>;

/// How much a module tells about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DebugTier {
    /// Its functions have no names.
    Nothing,
    /// Functions have names, but no source lines.
    Symbols,
    /// There is DWARF: lines at least.
    Dwarf,
}

/// One ELF file that the process has mapped, opened when it is first asked for
/// something. Shared by `Arc` between threads.
#[derive(Debug)]
pub struct Module {
    origin: FileOrigin,
    debug_files: Arc<DebugFiles>,
    image: OnceLock<Result<Arc<Image>, ModuleError>>,
    debug: OnceLock<Option<(PathBuf, Arc<Image>)>>,
    symbols: OnceLock<SymbolTable>,
    dwarf: OnceLock<Option<Arc<gimli::Dwarf<DwarfReader>>>>,
    places: OnceLock<Option<Arc<Places<DwarfReader>>>>,
    call_frames: OnceLock<Option<CallFrameInfo>>,
}

impl Module {
    pub(crate) fn new(origin: FileOrigin, debug_files: Arc<DebugFiles>) -> Self {
        Self {
            origin,
            debug_files,
            image: OnceLock::new(),
            debug: OnceLock::new(),
            symbols: OnceLock::new(),
            dwarf: OnceLock::new(),
            places: OnceLock::new(),
            call_frames: OnceLock::new(),
        }
    }

    /// The file's path in the target's mount namespace, or `[vdso]`.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.origin.path()
    }

    /// The file name without its folders.
    #[must_use]
    pub fn name(&self) -> &str {
        let path = self.path();
        path.file_name()
            .and_then(|name| name.to_str())
            .or_else(|| path.to_str())
            .unwrap_or("?")
    }

    /// The file as the process runs it.
    ///
    /// # Errors
    /// It cannot be reached, or is damaged.
    pub fn image(&self) -> Result<&Arc<Image>, &ModuleError> {
        self.image
            .get_or_init(|| self.origin.open().map(Arc::new))
            .as_ref()
    }

    /// Its build-id.
    #[must_use]
    pub fn build_id(&self) -> Option<&BuildId> {
        self.image().ok()?.build_id()
    }

    /// Its thread-local storage.
    #[must_use]
    pub fn tls(&self) -> Option<TlsSegment> {
        self.image().ok()?.tls()
    }

    /// Its separate debug file and the path where that was found, if it has one
    /// and needs one.
    #[must_use]
    pub fn debug_file(&self) -> Option<(&Path, &Arc<Image>)> {
        let image = self.image().ok()?;
        self.debug
            .get_or_init(|| self.debug_files.find(image, &self.origin))
            .as_ref()
            .map(|(path, debug)| (path.as_path(), debug))
    }

    /// The file that holds its debug information: the separate one, or its own.
    ///
    /// # Errors
    /// Its own file cannot be used.
    pub fn debug_object(&self) -> Result<&Arc<Image>, &ModuleError> {
        let image = self.image()?;
        Ok(self.debug_file().map_or(image, |(_, debug)| debug))
    }

    /// Its DWARF, as sections that are read where they stand.
    ///
    /// # Errors
    /// Its own file cannot be used.
    pub fn dwarf(&self) -> Result<Option<&Arc<gimli::Dwarf<DwarfReader>>>, &ModuleError> {
        let object = self.debug_object()?;
        Ok(self.dwarf.get_or_init(|| load_dwarf(object)).as_ref())
    }

    /// Where the units of its debug information are, for all that look things up there;
    /// `None` when there is none.
    pub(crate) fn places(&self) -> Option<&Arc<Places<DwarfReader>>> {
        self.places
            .get_or_init(|| {
                let dwarf = self.dwarf().ok().flatten()?;
                Some(Arc::new(Places::of(Arc::clone(dwarf))))
            })
            .as_ref()
    }

    /// Its functions and variables; empty when the file has no symbols or cannot
    /// be read.
    #[must_use]
    pub fn symbols(&self) -> &SymbolTable {
        self.symbols.get_or_init(|| {
            let own = self.image().ok();
            let separate = self.debug_file().map(|(_, debug)| debug);
            let full = |image: &Arc<Image>| SymbolTable::read(image, ".symtab", ".strtab");
            let exported = |image: &Arc<Image>| SymbolTable::read(image, ".dynsym", ".dynstr");
            own.and_then(full)
                .or_else(|| separate.and_then(full))
                .or_else(|| own.and_then(exported))
                .unwrap_or_default()
        })
    }

    /// How much it tells about itself.
    #[must_use]
    pub fn debug_tier(&self) -> DebugTier {
        match self.debug_object() {
            Ok(object) if object.section(".debug_info").is_some() => DebugTier::Dwarf,
            Ok(_) if !self.symbols().is_empty() => DebugTier::Symbols,
            _ => DebugTier::Nothing,
        }
    }

    /// How to unwind through it.
    pub(crate) fn call_frames(&self) -> Option<&CallFrameInfo> {
        self.call_frames
            .get_or_init(|| {
                let image = self.image().ok()?;
                // `--only-keep-debug` leaves .debug_frame in the separate file. That
                // is looked for only when the image has nothing of its own.
                CallFrameInfo::of(image)
                    .or_else(|| CallFrameInfo::of_debug_file(self.debug_file()?.1))
            })
            .as_ref()
    }
}

pub(crate) fn load_dwarf(object: &Image) -> Option<Arc<gimli::Dwarf<DwarfReader>>> {
    object.section(".debug_info")?;
    let dwarf = gimli::Dwarf::load(|id| {
        let bytes = object.section_bytes(id.name()).unwrap_or_default();
        Ok::<_, std::convert::Infallible>(DwarfReader::new(bytes, LittleEndian))
    });
    match dwarf {
        Ok(dwarf) => Some(Arc::new(dwarf)),
        Err(never) => match never {},
    }
}
