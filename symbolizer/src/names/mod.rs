//! From an address in a file to the functions that stand there.

mod die;
mod inlined;
mod lines;
#[cfg(test)]
mod oracle;
mod path;
mod places;
mod source_file;
mod span;

pub use path::{FunctionPath, body_chain, coroutines_in_type, function_path, template_arguments};
pub use places::Places;
pub use source_file::SourceFile;

use crate::frame::Origin;
use die::Units;
use gimli::{Dwarf, Reader, Unit, UnitOffset};
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
    units: Units<R>,
    functions: HashMap<(usize, usize), Arc<Function>>,
    symbols: HashMap<String, Arc<Function>>,
    files: HashMap<(usize, u64), Option<Arc<SourceFile>>>,
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
    /// Names out of the debug information that `places` tells of. A unit is parsed when
    /// an address in it is first asked for. `own` is whose the module's own code is:
    /// the user's in the program, a library's elsewhere.
    #[must_use]
    pub fn new(places: Arc<Places<R>>, own: Origin) -> Self {
        Self {
            units: Units::new(places),
            functions: HashMap::new(),
            symbols: HashMap::new(),
            files: HashMap::new(),
            own,
        }
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
        let (unit, found) = self.units.at(svma)?;
        let last = found.len().checked_sub(1)?;
        let mut out = Vec::with_capacity(found.len());
        for (index, standing) in found.into_iter().enumerate() {
            let symbol = symbol.filter(|_| index == last);
            let Some(function) = self.function(unit, standing.entry, symbol) else {
                continue;
            };
            out.push(SourceFrame {
                function,
                file: standing.line.and_then(|line| self.file(unit, line.file)),
                line: standing.line.and_then(|line| line.line),
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
        // Of all inlined copies of a function, one name is made.
        if symbol.is_none()
            && let Some((other, origin)) = self.units.origin(unit, offset)
            && (other, origin) != (unit, offset)
        {
            let function = self.origin(other, origin)?;
            self.functions
                .insert((unit, offset.0), Arc::clone(&function));
            return Some(function);
        }
        self.named(unit, offset, symbol)
    }

    fn origin(&mut self, unit: usize, offset: UnitOffset) -> Option<Arc<Function>> {
        match self.functions.get(&(unit, offset.0)) {
            Some(function) => Some(Arc::clone(function)),
            None => self.named(unit, offset, None),
        }
    }

    fn named(
        &mut self,
        unit: usize,
        offset: UnitOffset,
        symbol: Option<&str>,
    ) -> Option<Arc<Function>> {
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

    fn file(&mut self, unit: usize, index: u64) -> Option<Arc<SourceFile>> {
        if let Some(file) = self.files.get(&(unit, index)) {
            return file.as_ref().map(Arc::clone);
        }
        let path = self.units.file(unit, index);
        let dir = self.units.compilation_dir(unit);
        let file = path.map(|path| source_file::source_file(&path, dir.as_deref(), self.own));
        let file = file.map(Arc::new);
        self.files
            .insert((unit, index), file.as_ref().map(Arc::clone));
        file
    }
}

/// The file with the number `index` in the line program of `unit`, as
/// `DW_AT_decl_file` gives it. `own` is whose the module's own code is.
pub(crate) fn declaring_file<R: Reader<Offset = usize>>(
    dwarf: &Dwarf<R>,
    unit: &Unit<R>,
    index: u64,
    own: Origin,
) -> Option<SourceFile> {
    let header = unit.line_program.as_ref()?.header();
    let path = lines::file_path(dwarf, unit, header, index)?;
    let dir = unit.comp_dir.as_ref().and_then(|dir| {
        let dir = dir.to_string_lossy().ok()?;
        Some(dir.into_owned())
    });
    Some(source_file::source_file(&path, dir.as_deref(), own))
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

    /// Whether it is one of an interpreter, not of native code: its names are those of a module and
    /// of what stands in it, with a dot between.
    #[must_use]
    pub fn is_script(&self) -> bool {
        let path = &self.function.path.readable;
        match self.function.chain.as_slice() {
            [module, name] => path
                .strip_prefix(module.as_str())
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| rest == name),
            _ => false,
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
