//! What the native frames of a Python thread are.

use crate::frame::Origin;
use crate::module::{ModuleId, Svma};
use crate::names::{Function, FunctionPath, SourceFile, SourceFrame};
use crate::runtime::SeenStack;
use crate::unwind::PhysicalFrame;
use std::collections::HashMap;
use std::sync::Arc;

/// The C function that runs Python code, and parts that a compiler split from it.
const EVALUATES: &str = "_PyEval_EvalFrameDefault";

/// The most functions that are remembered. There are some ten thousand in an interpreter.
const MOST_FUNCTIONS: usize = 1 << 16;

/// What a native frame is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NativeKind {
    /// It runs Python functions.
    Evaluates(SourceFrame),
    /// Anything else of the interpreter.
    Machinery(SourceFrame),
    /// No part of the interpreter.
    Other,
}

/// The native frames of an interpreter.
#[derive(Debug)]
pub(super) struct Natives {
    module: ModuleId,
    /// By module and first address of the function.
    known: HashMap<(ModuleId, Option<Svma>), NativeKind>,
    /// Whether a module is part of the interpreter.
    parts: HashMap<ModuleId, Option<Arc<SourceFile>>>,
}

impl Natives {
    pub fn new(module: ModuleId) -> Self {
        Self {
            module,
            known: HashMap::new(),
            parts: HashMap::new(),
        }
    }

    /// What a frame is.
    pub fn kind(&mut self, frame: &PhysicalFrame, seen: &SeenStack<'_>) -> NativeKind {
        let Some((id, svma)) = seen.space.lookup(frame.lookup) else {
            return NativeKind::Other;
        };
        let Some(file) = self.part(id, seen) else {
            return NativeKind::Other;
        };
        let symbols = seen.space.module(id).map(|module| module.symbols());
        let symbol = symbols.and_then(|symbols| symbols.function_at(svma));
        let key = (id, symbol.as_ref().map(|symbol| symbol.svma));
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let name = symbol.map_or_else(|| "[interpreter]".to_owned(), |s| s.name.to_owned());
        let evaluates = id == self.module && name.starts_with(EVALUATES);
        let frame = machinery(name, &file);
        let kind = match evaluates {
            true => NativeKind::Evaluates(frame),
            false => NativeKind::Machinery(frame),
        };
        if self.known.len() < MOST_FUNCTIONS {
            self.known.insert(key, kind.clone());
        }
        kind
    }

    /// The file that stands for a part of the interpreter; `None` for any other module.
    fn part(&mut self, id: ModuleId, seen: &SeenStack<'_>) -> Option<Arc<SourceFile>> {
        if let Some(known) = self.parts.get(&id) {
            return known.clone();
        }
        let module = seen.space.module(id)?;
        let name = module.name();
        let loops = name.starts_with("_asyncio.")
            || name.starts_with("loop.") && module.path().to_string_lossy().contains("/uvloop/");
        let part = (id == self.module || loops).then(|| {
            Arc::new(SourceFile {
                short: format!("cpython/{name}"),
                origin: Origin::Std,
            })
        });
        self.parts.insert(id, part.clone());
        part
    }
}

/// A frame of the interpreter's own.
pub(super) fn machinery(name: String, file: &Arc<SourceFile>) -> SourceFrame {
    SourceFrame {
        function: Arc::new(Function {
            path: FunctionPath {
                readable: name,
                is_async: false,
            },
            chain: Vec::new(),
            origin: Origin::Std,
        }),
        file: Some(Arc::clone(file)),
        line: None,
    }
}
