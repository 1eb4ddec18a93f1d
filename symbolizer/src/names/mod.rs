//! From an address in a file to the functions that stand there.

mod die;
mod path;
mod source_file;

pub use path::{FunctionPath, body_chain, coroutines_in_type, function_path, template_arguments};
pub use source_file::SourceFile;

use crate::frame::Origin;
use addr2line::{Context, LookupContinuation, LookupResult};
use die::Units;
use gimli::{Dwarf, Reader, UnitOffset};
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of a function, wherever it was inlined to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its readable path, and whether it is an async body.
    pub path: FunctionPath,
    /// Its name and those around it in the debug information, outermost first;
    /// its own, with template arguments, last. Empty where only its symbol is known.
    pub chain: Vec<String>,
    /// Whose it is, by the package its path begins with: for code without a file.
    pub origin: Origin,
}

impl Function {
    /// Its own name in the debug information, with template arguments.
    #[must_use]
    pub fn own_name(&self) -> &str {
        self.chain.last().map_or("", String::as_str)
    }

    fn from_symbol(symbol: &str, program: &str) -> Self {
        let path = function_path(Some(symbol), &[]);
        Self {
            origin: origin_of(&path.readable, program),
            path,
            chain: Vec::new(),
        }
    }
}

/// One function at an address: the one that holds the code, or one that was
/// inlined into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFrame {
    /// The function.
    pub function: Arc<Function>,
    /// The source file of the line.
    pub file: Option<Arc<SourceFile>>,
    /// The line being run, or called from.
    pub line: Option<u32>,
}

/// The names of one module's code.
pub struct Names<R: Reader<Offset = usize>> {
    context: Context<R>,
    units: Units<R>,
    functions: HashMap<(usize, usize), Arc<Function>>,
    symbols: HashMap<String, Arc<Function>>,
    files: HashMap<(usize, String), Arc<SourceFile>>,
    own: Origin,
}

impl<R: Reader<Offset = usize>> std::fmt::Debug for Names<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names")
            .field("functions", &self.functions.len())
            .finish_non_exhaustive()
    }
}

impl<R: Reader<Offset = usize>> Names<R> {
    /// Opens a module's debug information. Only the list of units is read; a
    /// unit is parsed when an address in it is first asked for. `own` is whose the
    /// module's own code is: the user's in the program, a library's elsewhere.
    ///
    /// # Errors
    /// The debug information is broken.
    pub fn new(dwarf: Arc<Dwarf<R>>, own: Origin) -> Result<Self, gimli::Error> {
        Ok(Self {
            units: Units::new(Arc::clone(&dwarf)),
            context: Context::from_arc_dwarf(dwarf)?,
            functions: HashMap::new(),
            symbols: HashMap::new(),
            files: HashMap::new(),
            own,
        })
    }

    /// The functions at `svma`, innermost first. `symbol` is the symbol that
    /// covers it: a name for functions whose debug information gives none.
    pub fn lookup(&mut self, svma: u64, symbol: Option<&str>) -> Vec<SourceFrame> {
        let mut frames = self.described(svma, symbol).unwrap_or_default();
        if frames.is_empty() {
            frames.extend(symbol.map(|symbol| symbol_frame(symbol, "")));
        }
        frames
    }

    fn described(&mut self, svma: u64, symbol: Option<&str>) -> Option<Vec<SourceFrame>> {
        let unit = skip_loads(self.context.find_dwarf_and_unit(svma))?;
        let unit_start = unit.unit.header.debug_info_offset()?.0;
        let mut found = Vec::new();
        let mut frames = skip_loads(self.context.find_frames(svma)).ok()?;
        while let Ok(Some(frame)) = frames.next() {
            let location = frame.location.as_ref();
            found.push((
                frame.dw_die_offset,
                location.and_then(|l| l.file).map(str::to_owned),
                location.and_then(|l| l.line).filter(|line| *line != 0),
            ));
        }
        drop(frames);
        let last = found.len().checked_sub(1)?;
        let mut out = Vec::with_capacity(found.len());
        for (index, (die, file, line)) in found.into_iter().enumerate() {
            let symbol = symbol.filter(|_| index == last);
            let Some(function) = self.function(unit_start, die, symbol) else {
                continue;
            };
            out.push(SourceFrame {
                function,
                file: file.map(|file| self.file(unit_start, file)),
                line,
            });
        }
        Some(out)
    }

    fn function(
        &mut self,
        unit: usize,
        die: Option<UnitOffset>,
        symbol: Option<&str>,
    ) -> Option<Arc<Function>> {
        let Some(offset) = die else {
            return symbol.map(|symbol| self.symbol(symbol));
        };
        if let Some(function) = self.functions.get(&(unit, offset.0)) {
            return Some(Arc::clone(function));
        }
        let die = self.units.function(unit, offset)?;
        let linkage = die.linkage.as_deref().or(symbol);
        let function = Arc::new(Function {
            path: function_path(linkage, &die.chain),
            chain: die.chain,
            origin: Origin::Unknown,
        });
        self.functions
            .insert((unit, offset.0), Arc::clone(&function));
        Some(function)
    }

    fn symbol(&mut self, symbol: &str) -> Arc<Function> {
        if let Some(function) = self.symbols.get(symbol) {
            return Arc::clone(function);
        }
        let function = Arc::new(Function::from_symbol(symbol, ""));
        self.symbols
            .insert(symbol.to_owned(), Arc::clone(&function));
        function
    }

    fn file(&mut self, unit: usize, path: String) -> Arc<SourceFile> {
        if let Some(file) = self.files.get(&(unit, path.clone())) {
            return Arc::clone(file);
        }
        let dir = self.units.compilation_dir(unit);
        let file = Arc::new(source_file::source_file(&path, dir.as_deref(), self.own));
        self.files.insert((unit, path), Arc::clone(&file));
        file
    }
}

/// The frame of code that has a symbol and no debug information, in the program
/// of the package `program`.
#[must_use]
pub fn symbol_frame(symbol: &str, program: &str) -> SourceFrame {
    SourceFrame {
        function: Arc::new(Function::from_symbol(symbol, program)),
        file: None,
        line: None,
    }
}

impl SourceFrame {
    /// A frame of which nothing is known but a place.
    #[must_use]
    pub fn nameless(place: String) -> Self {
        Self {
            function: Arc::new(Function {
                path: FunctionPath {
                    readable: place,
                    is_async: false,
                },
                chain: Vec::new(),
                origin: Origin::Unknown,
            }),
            file: None,
            line: None,
        }
    }

    /// Whose code the frame is, by its file, or else by the package its path
    /// begins with.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match &self.file {
            Some(file) => file.origin,
            None => self.function.origin,
        }
    }
}

/// Whose a function is, by its path. Of the packages in a program only its own has
/// a name that tells.
fn origin_of(path: &str, program: &str) -> Origin {
    let path = path.trim_start_matches('<');
    match path.split_once("::") {
        Some(("std" | "core" | "alloc", _)) => Origin::Std,
        Some((package, _)) if package == program => Origin::User,
        _ => Origin::Unknown,
    }
}

/// Split debug information in separate `.dwo` files is not looked for: nobody
/// ships those with a service.
fn skip_loads<L: LookupContinuation>(result: LookupResult<L>) -> L::Output {
    result.skip_all_loads()
}
