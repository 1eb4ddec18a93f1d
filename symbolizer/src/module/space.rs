//! Where the modules of a process lie.

use super::Module;
use super::ids::{Build, ModuleId, Svma};
use super::image::Image;
use super::layout::{Group, GroupFile, Layout, Piece};
use super::origin::FileOrigin;
use crate::debugfile::DebugFiles;
use awaitscope_sampler::{Avma, Mapping, Pid, ReadMemory};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// The vDSO is one or two pages of code; this is far more than any kernel's.
const LARGEST_VDSO: u64 = 256 << 10;
const PAGE: u64 = 4096;

/// Where the files of a process are opened.
#[derive(Debug, Clone)]
pub enum Binaries {
    /// Through the live process, whatever happened to the files on disk.
    OfProcess(Pid),
    /// On this machine, by path: for a process that was recorded before, or
    /// elsewhere.
    OnDisk {
        /// The folder that the paths begin at.
        root: PathBuf,
        /// What was recorded of each path; another build is refused.
        builds: HashMap<PathBuf, Build>,
    },
}

/// All modules of a process and where they are mapped.
///
/// Cheap to clone: clones share the modules and all that was read of them.
#[derive(Debug, Clone)]
pub struct AddressSpace {
    binaries: Arc<Binaries>,
    debug_files: Arc<DebugFiles>,
    /// By id. Modules that were unmapped stay, so that ids stay.
    modules: Vec<Arc<Module>>,
    by_file: HashMap<FileKey, ModuleId>,
    /// Sorted, not overlapping.
    ranges: Vec<CodeRange>,
    generation: u64,
}

/// What makes a file the same file over updates. A path changes when the file is
/// renamed; device and inode cannot be reused while it is mapped.
type FileKey = (u64, u64);

/// A range of memory that belongs to a module, or holds code without one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CodeRange {
    start: u64,
    end: u64,
    executable: bool,
    load: Option<Arc<Load>>,
}

/// A module mapped at one place.
#[derive(Debug)]
struct Load {
    module: ModuleId,
    /// Its mappings of the file, by address.
    pieces: Vec<Piece>,
    /// What is added to an svma to get the avma: the same for all segments.
    bias: OnceLock<u64>,
}

impl PartialEq for Load {
    fn eq(&self, other: &Self) -> bool {
        self.module == other.module && self.pieces == other.pieces
    }
}

impl Eq for Load {}

/// What is at an address.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A module: its id, itself, and the address in it.
    Module(ModuleId, &'a Arc<Module>, Svma),
    /// Executable memory without a file: generated code.
    Generated,
    /// Nothing that could run.
    Nowhere,
}

impl AddressSpace {
    /// An address space without mappings yet.
    #[must_use]
    pub fn new(binaries: Binaries, debug_files: Arc<DebugFiles>) -> Self {
        Self {
            binaries: Arc::new(binaries),
            debug_files,
            modules: Vec::new(),
            by_file: HashMap::new(),
            ranges: Vec::new(),
            generation: 0,
        }
    }

    /// Takes over the mappings of the process as they are now: at the start, and
    /// after it loaded or unloaded a library or ran another program. Modules that
    /// stay keep their ids and what was read of them. No file is opened. `memory`
    /// gives the image of the vDSO, which has no file.
    pub fn update(&mut self, mappings: &[Mapping], memory: &dyn ReadMemory) {
        let ranges = self.adopt(Layout::of(mappings), memory);
        let stays = |old: &CodeRange| {
            let at = ranges.binary_search_by_key(&old.start, |range| range.start);
            at.is_ok_and(|at| ranges[at] == *old)
        };
        if !self.ranges.iter().all(stays) {
            self.generation += 1;
        }
        self.ranges = ranges;
        // The inode of a file that is mapped no more can be given to another.
        let loads = self.ranges.iter().filter_map(|range| range.load.as_ref());
        let mapped: HashSet<ModuleId> = loads.map(|load| load.module).collect();
        self.by_file.retain(|_, id| mapped.contains(id));
    }

    /// Changes whenever something that was known of an address may have become
    /// wrong. New modules alone do not change it.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The module at `address`, and the address in it.
    #[must_use]
    pub fn lookup(&self, address: Avma) -> Option<(ModuleId, Svma)> {
        match self.place(address) {
            Place::Module(id, _, svma) => Some((id, svma)),
            Place::Generated | Place::Nowhere => None,
        }
    }

    /// What is at `address`.
    #[must_use]
    pub fn place(&self, address: Avma) -> Place<'_> {
        let Some(range) = self.range_at(address) else {
            return Place::Nowhere;
        };
        match range.load.as_ref() {
            Some(load) => match self.module(load.module) {
                Some(module) => {
                    let svma = Svma(address.0.wrapping_sub(load.bias(module)));
                    Place::Module(load.module, module, svma)
                }
                None => Place::Nowhere,
            },
            None if range.executable => Place::Generated,
            None => Place::Nowhere,
        }
    }

    /// Whether `address` is mapped and can be run.
    #[must_use]
    pub fn is_executable(&self, address: Avma) -> bool {
        self.range_at(address).is_some_and(|range| range.executable)
    }

    /// A module by its id.
    #[must_use]
    pub fn module(&self, id: ModuleId) -> Option<&Arc<Module>> {
        self.modules.get(id.0 as usize)
    }

    /// How many modules there are or were.
    pub(crate) fn module_count(&self) -> usize {
        self.modules.len()
    }

    /// The modules that are mapped now, by address, each once.
    pub fn modules(&self) -> impl Iterator<Item = (ModuleId, &Arc<Module>)> {
        let mut seen = vec![false; self.modules.len()];
        self.ranges
            .iter()
            .filter_map(|range| range.load.as_ref())
            .filter(move |load| {
                seen.get_mut(load.module.0 as usize)
                    .is_some_and(|seen| !std::mem::replace(seen, true))
            })
            .filter_map(|load| Some((load.module, self.module(load.module)?)))
    }

    /// Where `svma` of a module stands in memory, if the module is mapped. (Of a
    /// library that is mapped several times, the first.)
    #[must_use]
    pub fn avma(&self, id: ModuleId, svma: Svma) -> Option<Avma> {
        let module = self.module(id)?;
        let load = self
            .ranges
            .iter()
            .filter_map(|range| range.load.as_ref())
            .find(|load| load.module == id)?;
        Some(Avma(svma.0.wrapping_add(load.bias(module))))
    }

    fn range_at(&self, address: Avma) -> Option<&CodeRange> {
        let after = self
            .ranges
            .partition_point(|range| range.start <= address.0);
        self.ranges
            .get(after.checked_sub(1)?)
            .filter(|range| address.0 < range.end)
    }

    /// Gives every group of mappings its module, an old one where it is known.
    fn adopt(&mut self, layout: Layout, memory: &dyn ReadMemory) -> Vec<CodeRange> {
        let known: HashMap<(ModuleId, u64), Arc<Load>> = self
            .ranges
            .iter()
            .filter_map(|range| range.load.as_ref())
            .filter_map(|load| Some(((load.module, load.pieces.first()?.start), Arc::clone(load))))
            .collect();
        let mut load_of = |group: Group| {
            // A file mapped as data: fonts, locales, databases.
            if !group.pieces.iter().any(|piece| piece.executable) {
                return None;
            }
            let module = self.module_of(&group, memory)?;
            let start = group.pieces.first()?.start;
            let old = known.get(&(module, start));
            let old = old.filter(|old| old.pieces == group.pieces).map(Arc::clone);
            Some(old.unwrap_or_else(|| {
                Arc::new(Load {
                    module,
                    pieces: group.pieces,
                    bias: OnceLock::new(),
                })
            }))
        };
        let loads: Vec<_> = layout.groups.into_iter().map(&mut load_of).collect();
        layout
            .ranges
            .into_iter()
            .map(|range| CodeRange {
                start: range.start,
                end: range.end,
                executable: range.executable,
                load: range
                    .group
                    .and_then(|group| loads.get(group).cloned().flatten()),
            })
            .filter(|range| range.executable || range.load.is_some())
            .collect()
    }

    fn module_of(&mut self, group: &Group, memory: &dyn ReadMemory) -> Option<ModuleId> {
        let key = match &group.what {
            GroupFile::File(file) => (file.device, file.inode),
            GroupFile::Vdso => VDSO_KEY,
        };
        if let Some(&id) = self.by_file.get(&key) {
            return Some(id);
        }
        let origin = self.origin_of(group, memory)?;
        let id = ModuleId(u32::try_from(self.modules.len()).ok()?);
        let module = Module::new(origin, Arc::clone(&self.debug_files));
        self.modules.push(Arc::new(module));
        self.by_file.insert(key, id);
        Some(id)
    }

    fn origin_of(&self, group: &Group, memory: &dyn ReadMemory) -> Option<FileOrigin> {
        let GroupFile::File(file) = &group.what else {
            let piece = group.pieces.first()?;
            let size = piece.end.checked_sub(piece.start)?;
            let size = usize::try_from(size.min(LARGEST_VDSO)).ok()?;
            let mut bytes = vec![0; size];
            return memory
                .read(Avma(piece.start), &mut bytes)
                .then_some(FileOrigin::Memory {
                    name: "[vdso]",
                    bytes,
                });
        };
        Some(match &*self.binaries {
            Binaries::OfProcess(pid) => FileOrigin::Live {
                pid: *pid,
                file: file.clone(),
                ranges: group
                    .pieces
                    .iter()
                    .map(|piece| (Avma(piece.start), Avma(piece.end)))
                    .collect(),
            },
            Binaries::OnDisk { root, builds } => FileOrigin::Recorded {
                root: root.clone(),
                path: file.path.clone(),
                build: builds.get(&file.path).cloned(),
            },
        })
    }
}

/// No file: inode 0 is never given.
const VDSO_KEY: FileKey = (u64::MAX, 0);

impl Load {
    /// What is added to an svma of this module to get the avma.
    fn bias(&self, module: &Module) -> u64 {
        *self.bias.get_or_init(|| {
            let image = module.image().ok();
            image
                .and_then(|image| bias_of(image, &self.pieces))
                // Without the program headers all that can be said of an address
                // is its place in the file.
                .unwrap_or_else(|| {
                    let first = self.pieces.first();
                    first.map_or(0, |piece| piece.start.wrapping_sub(piece.file_offset))
                })
        })
    }
}

/// Finds the mapping of a segment. Two segments can share a page of the file (lld
/// lays them out so), which is then mapped twice: a mapping that begins where a
/// segment begins, with the segment's permission, tells them apart.
fn bias_of(image: &Image, pieces: &[Piece]) -> Option<u64> {
    let floor = |address: u64| address & !(PAGE - 1);
    let exact = pieces.iter().find_map(|piece| {
        let segment = image.segments().iter().find(|segment| {
            segment.executable == piece.executable && floor(segment.file.start) == piece.file_offset
        })?;
        Some(piece.start.wrapping_sub(floor(segment.svma)))
    });
    // The start of every segment may have been unmapped or remapped since.
    exact.or_else(|| {
        pieces.iter().find_map(|piece| {
            let segment = image.segments().iter().find(|segment| {
                segment.executable == piece.executable
                    && floor(segment.file.start) <= piece.file_offset
                    && piece.file_offset < segment.file.end
            })?;
            let into = piece.file_offset.wrapping_sub(segment.file.start);
            Some(piece.start.wrapping_sub(segment.svma.wrapping_add(into)))
        })
    })
}
