//! Is CPython in the process, where, and which version.

use super::layout::{
    Layout, Misfit, PublishedError, Version, asyncio_published, check, layout_of, published,
};
use super::objects::Heap;
use super::threads::interpreters;
use crate::module::{AddressSpace, Module, ModuleId, Svma};
use awaitscope_sampler::{Avma, Process};
use std::path::Path;

/// What holds all that a CPython has: a symbol, and from 3.10 a section of its own.
const RUNTIME_SYMBOL: &str = "_PyRuntime";
const RUNTIME_SECTION: &str = ".PyRuntime";

/// Where 3.14 and later say how tasks are made.
const ASYNCIO_SECTION: &str = ".AsyncioDebug";

/// What was found of CPython.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct Detected {
    /// The module that holds it: the program, or `libpython`.
    pub module: ModuleId,
    /// `_PyRuntime`.
    pub runtime: Avma,
    /// Its version.
    pub version: Version,
    /// Where it keeps things.
    pub layout: Layout,
    /// Whether the layout was seen to fit. While the interpreter starts, nothing shows
    /// that.
    pub checked: bool,
    /// Whether uvloop is in the process.
    pub uvloop: bool,
}

/// Why a CPython that is there cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::runtime) enum Refused {
    /// Nothing tells the version.
    #[error(
        "Python's asyncio could not be read because the version of {module} is not told by its \
         symbols or its name"
    )]
    NoVersion {
        /// The file.
        module: String,
    },
    /// Versions that we have no row for.
    #[error(
        "Python's asyncio could not be read because this is Python {version}, and only 3.8 to \
         3.14 are known: run the service with one of those"
    )]
    UnknownVersion {
        /// Which.
        version: String,
    },
    /// Built without the lock.
    #[error(
        "Python's asyncio could not be read because this Python {version} is free-threaded, which \
         keeps its objects in another way: run the service with the regular build"
    )]
    FreeThreaded {
        /// Which.
        version: String,
    },
    /// The layout does not fit.
    #[error(
        "Python's asyncio could not be read because the layout of Python {version} does not fit \
         this process: {why}. Is it a build of its own (debug, patched, another processor)?"
    )]
    Misfit {
        /// Which version it says that it is.
        version: String,
        /// What does not fit.
        why: String,
    },
}

impl Detected {
    /// CPython, if a module of the process has it.
    pub fn find(space: &AddressSpace, process: &dyn Process) -> Option<Result<Self, Refused>> {
        let (module, runtime) = space.modules().find_map(|(id, module)| {
            let svma = runtime_in(module)?;
            Some((id, space.avma(id, svma)?))
        })?;
        Some(Self::read(space, process, module, runtime))
    }

    fn read(
        space: &AddressSpace,
        process: &dyn Process,
        module: ModuleId,
        runtime: Avma,
    ) -> Result<Self, Refused> {
        let published = published(runtime, process);
        let version = match &published {
            Some(published) => Some(published.version),
            None => version_of(space, module, process),
        };
        let version = version.ok_or_else(|| Refused::NoVersion {
            module: name_of(space, module),
        })?;
        let named = version.to_string();
        let free = published
            .as_ref()
            .is_some_and(|published| published.free_threaded);
        if free {
            return Err(Refused::FreeThreaded { version: named });
        }
        let row = match version.major {
            3 => layout_of(version.minor),
            _ => None,
        };
        let row = row.ok_or_else(|| Refused::UnknownVersion {
            version: named.clone(),
        })?;
        let misfit = |why: String| Refused::Misfit {
            version: named.clone(),
            why,
        };
        let layout = match &published {
            Some(published) => published
                .apply(row)
                .map_err(|why: PublishedError| misfit(why.to_string()))?,
            None => row,
        };
        let layout = with_tasks(&layout, space);
        let heap = Heap {
            memory: process,
            layout: &layout,
        };
        let checked =
            check(&heap, runtime, process).map_err(|why: Misfit| misfit(why.to_string()))?;
        let exact = version
            .micro
            .is_none()
            .then(|| version_in_sys(&heap, runtime));
        Ok(Self {
            module,
            runtime,
            version: exact.flatten().unwrap_or(version),
            layout,
            checked,
            uvloop: space.modules().any(|(_, module)| is_uvloop(module)),
        })
    }
}

/// `sys.version`: `3.8.18 (default, …`.
fn version_in_sys(heap: &Heap<'_>, runtime: Avma) -> Option<Version> {
    let interpreter = *interpreters(heap, runtime).first()?;
    let sys = heap.pointer(interpreter, heap.layout.interpreter.sysdict)?;
    let version = heap.text(heap.dict_get(sys, "version")?)?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    Some(Version {
        major: number()?,
        minor: number()?,
        micro: Some(number()?),
    })
    .filter(|version| version.minor == heap.layout.minor)
}

/// What a module of asyncio says itself of tasks, put into the layout.
fn with_tasks(layout: &Layout, space: &AddressSpace) -> Layout {
    if layout.minor < 14 {
        return *layout;
    }
    let mut sections = space.modules().filter_map(|(_, module)| {
        // A few files may have it: `_asyncio`, and what links it in.
        let image = module.image().ok()?;
        image.section_bytes(ASYNCIO_SECTION)
    });
    let told = sections.find_map(|section| asyncio_published(layout, &section));
    told.unwrap_or(*layout)
}

fn runtime_in(module: &Module) -> Option<Svma> {
    let image = module.image().ok()?;
    if let Some(section) = image.section(RUNTIME_SECTION) {
        return Some(Svma(section.svma));
    }
    // Others that embed it import the symbol, and do not define it.
    let mut variables = module.symbols().variables();
    let found = variables.find(|symbol| symbol.name == RUNTIME_SYMBOL);
    found.map(|symbol| symbol.svma)
}

fn version_of(space: &AddressSpace, id: ModuleId, memory: &dyn Process) -> Option<Version> {
    let module = space.module(id)?;
    let mut variables = module.symbols().variables();
    // `const unsigned long Py_Version = PY_VERSION_HEX` (from 3.11).
    let symbol = variables.find(|symbol| symbol.name == "Py_Version");
    let hex = symbol
        .and_then(|symbol| space.avma(id, symbol.svma))
        .and_then(|address| memory.read_word(address));
    if let Some(hex) = hex.filter(|hex| *hex >> 24 == 3) {
        return Some(Version::of_hex(hex as u32));
    }
    let named = version_in_path(module.path());
    // A program of another name: where its extensions lie tells.
    named.or_else(|| {
        let mut modules = space.modules();
        modules.find_map(|(_, module)| version_in_path(module.path()))
    })
}

/// `libpython3.9.so.1.0`, `python3.9`, `lib/python3.9/lib-dynload/…`.
fn version_in_path(path: &Path) -> Option<Version> {
    let path = path.to_str()?;
    path.match_indices("python3.").find_map(|(at, mark)| {
        let rest = &path[at + mark.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        Some(Version {
            major: 3,
            minor: rest[..end].parse().ok()?,
            micro: None,
        })
    })
}

fn is_uvloop(module: &Module) -> bool {
    let path = module.path().to_str().unwrap_or_default();
    path.contains("/uvloop/loop.")
}

fn name_of(space: &AddressSpace, id: ModuleId) -> String {
    space.module(id).map_or_else(
        || "the program".to_owned(),
        |module| module.path().display().to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_by_the_name_of_the_library_or_of_a_folder() {
        let told = |path: &str| version_in_path(Path::new(path)).map(|v| v.to_string());
        assert_eq!(told("/usr/lib/libpython3.9.so.1.0").as_deref(), Some("3.9"));
        assert_eq!(told("/usr/bin/python3.10").as_deref(), Some("3.10"));
        let extension = "/usr/lib/python3.8/lib-dynload/_asyncio.cpython-38-x86_64-linux-gnu.so";
        assert_eq!(told(extension).as_deref(), Some("3.8"));
        assert_eq!(told("/usr/bin/python3"), None);
    }
}
