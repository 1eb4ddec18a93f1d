//! The symbol table of a module.

use super::bytes::SectionBytes;
use super::ids::Svma;
use super::image::Image;
use object::LittleEndian;
use object::elf::{
    SHN_UNDEF, STB_GLOBAL, STB_WEAK, STT_FUNC, STT_GNU_IFUNC, STT_OBJECT, STT_TLS, Sym64,
};
use object::read::elf::Sym;

/// What a symbol stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SymbolKind {
    /// Code.
    Function,
    /// A static variable.
    Data,
    /// A thread-local variable: its address counts from the start of the
    /// module's TLS block.
    Tls,
}

/// A named place of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Where it stands; for [`SymbolKind::Tls`], its offset in the TLS block.
    pub svma: Svma,
    /// How many bytes; 0 when the file does not say.
    pub size: u64,
    /// Its name, mangled as it stands in the file.
    pub name: &'a str,
    /// What it is.
    pub kind: SymbolKind,
}

/// The functions and variables of a module, by `.symtab` of its image or debug
/// file, or else by what it exports (`.dynsym`).
///
/// Names are not copied: entries point into the file's string table.
#[derive(Debug, Default)]
pub struct SymbolTable {
    names: SectionBytes,
    /// Sorted by address, one for each.
    functions: Vec<Entry>,
    variables: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    svma: u64,
    size: u64,
    name: u32,
    kind: SymbolKind,
    /// Which of several names for one function is shown: the higher.
    rank: u8,
}

impl SymbolTable {
    /// The symbols of `section` (`.symtab` or `.dynsym`), with names in `names`.
    pub(crate) fn read(image: &Image, section: &str, names: &str) -> Option<Self> {
        let bytes = image.section_bytes(section)?;
        let names = image.section_bytes(names)?;
        let count = bytes.len() / size_of::<Sym64<LittleEndian>>();
        let (symbols, _) =
            object::pod::slice_from_bytes::<Sym64<LittleEndian>>(&bytes, count).ok()?;
        let mut table = Self {
            names,
            functions: Vec::with_capacity(symbols.len() / 2),
            variables: Vec::new(),
        };
        for symbol in symbols {
            table.add(symbol);
        }
        table
            .functions
            .sort_unstable_by_key(|entry| (entry.svma, u8::MAX - entry.rank, entry.name));
        table.functions.dedup_by_key(|entry| entry.svma);
        (!table.is_empty()).then_some(table)
    }

    fn add(&mut self, symbol: &Sym64<LittleEndian>) {
        if symbol.st_shndx(LittleEndian) == SHN_UNDEF {
            return;
        }
        let kind = match symbol.st_type() {
            STT_FUNC | STT_GNU_IFUNC => SymbolKind::Function,
            STT_OBJECT => SymbolKind::Data,
            STT_TLS => SymbolKind::Tls,
            _ => return,
        };
        let entry = Entry {
            svma: symbol.st_value(LittleEndian),
            size: symbol.st_size(LittleEndian),
            name: symbol.st_name(LittleEndian),
            kind,
            rank: self.rank(symbol),
        };
        match kind {
            SymbolKind::Function => self.functions.push(entry),
            SymbolKind::Data | SymbolKind::Tls => self.variables.push(entry),
        }
    }

    /// glibc gives one function many names: `__nanosleep`, `nanosleep`,
    /// `__GI___nanosleep`. People know the global one without underscores.
    fn rank(&self, symbol: &Sym64<LittleEndian>) -> u8 {
        let bound = match symbol.st_bind() {
            STB_GLOBAL => 2,
            STB_WEAK => 1,
            _ => 0,
        };
        let name = symbol.st_name(LittleEndian) as usize;
        let plain = self.names.get(name).is_some_and(|&first| first != b'_');
        let sized = symbol.st_size(LittleEndian) > 0;
        u8::from(sized) << 3 | u8::from(plain) << 2 | bound
    }

    /// The function that holds `svma`.
    #[must_use]
    pub fn function_at(&self, svma: Svma) -> Option<Symbol<'_>> {
        let after = self.functions.partition_point(|entry| entry.svma <= svma.0);
        let entry = self.functions.get(after.checked_sub(1)?)?;
        // A function without a size (hand-written assembly) reaches to the next.
        (entry.size == 0 || svma.0 - entry.svma < entry.size).then(|| self.symbol(entry))
    }

    /// All functions, by address; one name for each.
    pub fn functions(&self) -> impl ExactSizeIterator<Item = Symbol<'_>> {
        self.functions.iter().map(|entry| self.symbol(entry))
    }

    /// All static and thread-local variables, in the file's order.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = Symbol<'_>> {
        self.variables.iter().map(|entry| self.symbol(entry))
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.variables.is_empty()
    }

    fn symbol(&self, entry: &Entry) -> Symbol<'_> {
        let name = self.names.get(entry.name as usize..).unwrap_or_default();
        let name = &name[..name.len().min(LONGEST_NAME)];
        let end = name.iter().position(|&byte| byte == 0);
        let name = &name[..end.unwrap_or(name.len())];
        Symbol {
            svma: Svma(entry.svma),
            size: entry.size,
            name: std::str::from_utf8(name).unwrap_or("?"),
            kind: entry.kind,
        }
    }
}

/// C++ templates reach tens of thousands of bytes; a damaged string table has no
/// end at all.
const LONGEST_NAME: usize = 1 << 20;
