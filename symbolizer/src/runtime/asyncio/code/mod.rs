//! From a code object and an instruction to what people read.

mod lines;
mod paths;

pub(in crate::runtime::asyncio) use paths::Roots;

use super::glue::is_machinery;
use super::layout::{CodeLayout, InstructionPlace, Instructions, LineTable, Variables};
use super::objects::{Heap, at};
use crate::frame::{Frame, FrameKind};
use crate::names::{Function, FunctionPath, SourceFile, SourceFrame};
use awaitscope_sampler::Avma;
use lines::Lines;
use std::collections::HashMap;
use std::sync::Arc;

/// The most code objects that are kept. A large service has a hundred thousand.
const MOST_CODES: usize = 1 << 18;

/// The most files and folders that are kept.
const MOST_FILES: usize = 1 << 16;

/// `co_flags` (`cpython/code.h`).
const CO_GENERATOR: u32 = 0x20;
const CO_COROUTINE: u32 = 0x80;
const CO_ITERABLE_COROUTINE: u32 = 0x100;
const CO_ASYNC_GENERATOR: u32 = 0x200;

/// What a function is, by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum CodeKind {
    /// An ordinary function, or a module or class.
    Plain,
    /// `async def`, or a generator that `types.coroutine` made one.
    Coroutine,
    /// `async def` with `yield`.
    AsyncGenerator,
    /// `def` with `yield`.
    Generator,
}

impl CodeKind {
    fn of(flags: u32) -> Self {
        if flags & CO_ASYNC_GENERATOR != 0 {
            Self::AsyncGenerator
        } else if flags & (CO_COROUTINE | CO_ITERABLE_COROUTINE) != 0 {
            Self::Coroutine
        } else if flags & CO_GENERATOR != 0 {
            Self::Generator
        } else {
            Self::Plain
        }
    }

    /// Whether it is run by awaiting it.
    pub fn is_async(self) -> bool {
        matches!(self, Self::Coroutine | Self::AsyncGenerator)
    }
}

/// A place in a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct CodePlace {
    /// The code object.
    pub code: Avma,
    /// What the frame has at [`InstructionPlace::offset`]: a word, or an `int` of C in its
    /// lower half.
    pub instruction: u64,
    /// The frame's `f_globals`, which tell the module.
    pub globals: Option<Avma>,
    /// The qualified name that a coroutine or generator has, a `str`: up to 3.10 code
    /// objects have none.
    pub qualname: Option<Avma>,
}

/// A function of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct Code {
    /// Under the name that people know, with its module.
    pub function: Arc<Function>,
    /// Its file.
    pub file: Arc<SourceFile>,
    /// What it is.
    pub kind: CodeKind,
    /// Its own name, without class and module: `acquire`.
    pub name: Arc<str>,
    /// With its class, without its module: `Lock.acquire`.
    pub qualname: Arc<str>,
    /// Its module: `asyncio.locks`.
    pub module: Arc<str>,
    /// The names of its variables, in the order in which frames have their values.
    pub variables: Arc<[Box<str>]>,
    lines: Arc<Lines>,
}

/// A function and where it is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct CodeFrame {
    /// The function.
    pub code: Arc<Code>,
    /// The line.
    pub line: Option<u32>,
}

impl CodeFrame {
    /// As running stacks have frames.
    pub fn source(&self) -> SourceFrame {
        SourceFrame {
            function: Arc::clone(&self.code.function),
            file: Some(Arc::clone(&self.code.file)),
            line: self.line,
        }
    }

    /// As people read it.
    pub fn frame(&self) -> Frame {
        let code = &self.code;
        let is_async = code.kind.is_async();
        Frame {
            function: code.function.path.readable.as_str().into(),
            file: Some(code.file.short.as_str().into()),
            line: self.line,
            kind: if is_machinery(&code.file.short, is_async) {
                FrameKind::Runtime
            } else if is_async {
                FrameKind::Async
            } else {
                FrameKind::Sync
            },
            origin: code.file.origin,
        }
    }
}

/// The code objects that were met, and the files that they are of.
#[derive(Debug, Default)]
pub(in crate::runtime::asyncio) struct Codes {
    known: HashMap<Avma, Known>,
    files: HashMap<String, Arc<SourceFile>>,
    roots: Roots,
    round: u32,
    /// What became known since somebody asked.
    learned: Vec<Avma>,
}

#[derive(Debug)]
struct Known {
    code: Arc<Code>,
    identity: Identity,
    /// Whether the module was told by the names around it, and not by its file.
    sure: bool,
    /// Whether the qualified name is known: up to 3.10 only a coroutine tells it.
    named: bool,
    round: u32,
}

/// What tells a code object from another that took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    filename: u64,
    name: u64,
    lines: u64,
    first_line: i32,
    flags: u32,
}

impl Codes {
    /// The folders that the program imports from, by which files are shortened. What is
    /// known already keeps its name.
    pub fn set_roots(&mut self, roots: Roots) {
        if self.roots != roots {
            self.roots = roots;
            self.known.clear();
            self.files.clear();
        }
    }

    /// Whether the folders are known.
    pub fn has_roots(&self) -> bool {
        self.roots != Roots::default()
    }

    /// Begins a round. Within one, a code object that was met is believed to be the same;
    /// in the next it is looked at once more, as another may stand in its place.
    pub fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.learned.clear();
        if self.known.len() > MOST_CODES {
            self.known.clear();
        }
        if self.files.len() > MOST_FILES {
            self.files.clear();
        }
    }

    /// What stands at a place.
    pub fn frame(&mut self, place: CodePlace, heap: &Heap<'_>) -> Option<CodeFrame> {
        let code = self.code(place, heap)?;
        let line = code.lines.at(offset_of(place, heap.layout)?);
        Some(CodeFrame { code, line })
    }

    /// The function of a place.
    pub fn code(&mut self, place: CodePlace, heap: &Heap<'_>) -> Option<Arc<Code>> {
        let better = place.globals.is_some();
        let mut identity = None;
        if let Some(known) = self.known.get_mut(&place.code) {
            if known.round != self.round {
                identity = Identity::read(place.code, heap);
            }
            let still = identity.is_none_or(|identity| identity == known.identity)
                && (known.round == self.round || identity.is_some());
            let as_good = (known.sure || !better) && (known.named || place.qualname.is_none());
            if still && as_good {
                known.round = self.round;
                return Some(Arc::clone(&known.code));
            }
        }
        let identity = match identity {
            Some(identity) => identity,
            None => Identity::read(place.code, heap)?,
        };
        let (code, sure) = self.read(place, identity, heap)?;
        let code = Arc::new(code);
        let known = Known {
            code: Arc::clone(&code),
            identity,
            sure,
            named: heap.layout.code.qualname.is_some() || place.qualname.is_some(),
            round: self.round,
        };
        self.known.insert(place.code, known);
        if self.learned.len() < MOST_CODES {
            self.learned.push(place.code);
        }
        Some(code)
    }

    /// The code objects that became known since this was asked, for whoever finds out later
    /// whether the places that told of them were to be believed.
    pub fn take_learned(&mut self) -> Vec<Avma> {
        std::mem::take(&mut self.learned)
    }

    /// Forgets code objects, and gives what was known of them.
    pub fn forget(&mut self, codes: &[Avma]) -> Vec<Arc<Code>> {
        let known = codes.iter().filter_map(|code| self.known.remove(code));
        known.map(|known| known.code).collect()
    }

    fn read(
        &mut self,
        place: CodePlace,
        identity: Identity,
        heap: &Heap<'_>,
    ) -> Option<(Code, bool)> {
        let layout = &heap.layout.code;
        let class = heap.type_of(place.code)?;
        if heap.type_name(class)? != "code" {
            return None;
        }
        let name = heap.text(Avma(identity.name))?;
        let qualname = match layout.qualname {
            Some(offset) => heap.text(heap.pointer(place.code, offset)?)?,
            None => place
                .qualname
                .and_then(|qualname| heap.text(qualname))
                .unwrap_or_else(|| name.clone()),
        };
        let path = heap.text(Avma(identity.filename))?;
        let file = self.file(&path);
        let told = place
            .globals
            .and_then(|globals| heap.dict_get(globals, "__name__"));
        let told = told.and_then(|name| heap.text(name));
        let module = match told.as_deref() {
            Some("__main__") => paths::main_name(&path).to_owned(),
            Some(module) => module.to_owned(),
            None => paths::module_of(&file.short),
        };
        let kind = CodeKind::of(identity.flags);
        let table = heap.bytes(Avma(identity.lines))?;
        let code = Code {
            function: Arc::new(Function {
                path: FunctionPath {
                    readable: format!("{module}.{qualname}"),
                    is_async: kind.is_async(),
                },
                chain: vec![module.clone(), qualname.clone()],
                origin: file.origin,
            }),
            file,
            kind,
            name: name.into(),
            qualname: qualname.into(),
            module: module.into(),
            variables: variables(place.code, heap).unwrap_or_default(),
            lines: Arc::new(Lines::decode(layout.lines, &table, identity.first_line)),
        };
        Some((code, told.is_some()))
    }

    fn file(&mut self, path: &str) -> Arc<SourceFile> {
        if let Some(file) = self.files.get(path) {
            return Arc::clone(file);
        }
        let file = Arc::new(self.roots.file(path));
        self.files.insert(path.to_owned(), Arc::clone(&file));
        file
    }
}

/// No function has more variables.
const MOST_VARIABLES: usize = 1 << 12;

fn variables(code: Avma, heap: &Heap<'_>) -> Option<Arc<[Box<str>]>> {
    let tuples = match heap.layout.code.variables {
        Variables::One(all) => vec![all],
        Variables::Three {
            locals,
            cells,
            free,
        } => vec![locals, cells, free],
    };
    let mut names = Vec::new();
    for tuple in tuples {
        for name in heap.tuple(heap.pointer(code, tuple)?, MOST_VARIABLES)? {
            names.push(heap.text(name)?.into_boxed_str());
        }
    }
    Some(names.into())
}

impl Identity {
    fn read(code: Avma, heap: &Heap<'_>) -> Option<Self> {
        let CodeLayout {
            filename,
            name,
            lines: LineTable::Lnotab(lines) | LineTable::Lines(lines) | LineTable::Locations(lines),
            firstlineno,
            flags,
            ..
        } = heap.layout.code;
        // All of it stands within the first words: one read.
        let length = lines.max(name).max(filename) + 8;
        let bytes = heap.block(code, length, 512)?;
        let word = |offset: u64| {
            let bytes = bytes.get(usize::try_from(offset).ok()?..)?.first_chunk()?;
            Some(u64::from_le_bytes(*bytes))
        };
        let int = |offset: u64| {
            let bytes = bytes.get(usize::try_from(offset).ok()?..)?.first_chunk()?;
            Some(i32::from_le_bytes(*bytes))
        };
        Some(Self {
            filename: word(filename)?,
            name: word(name)?,
            lines: word(lines)?,
            first_line: int(firstlineno)?,
            flags: int(flags)?.cast_unsigned(),
        })
    }
}

/// How many bytes behind the first instruction a place is.
fn offset_of(place: CodePlace, layout: &super::layout::Layout) -> Option<i64> {
    let lasti = i64::from(place.instruction as u32 as i32);
    match (layout.frame.instruction, layout.code.instructions) {
        (InstructionPlace::Bytes(_), _) => Some(lasti),
        (InstructionPlace::Units(_), _) => Some(lasti * 2),
        (InstructionPlace::Pointer(_), Instructions::Inside(offset)) => {
            let first = at(place.code, offset).0;
            Some(place.instruction.wrapping_sub(first).cast_signed())
        }
        (InstructionPlace::Pointer(_), Instructions::Bytes(_)) => None,
    }
}
