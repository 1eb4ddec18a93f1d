//! Classes.

use super::Heap;
use awaitscope_sampler::Avma;
use std::collections::HashMap;
use std::sync::Arc;

/// `tp_flags` (`Include/object.h`).
pub(in crate::runtime::asyncio) mod flag {
    /// Values stand behind the object (from 3.13).
    pub const INLINE_VALUES: u64 = 1 << 2;
    /// The words before the object lead to its attributes (from 3.11).
    pub const MANAGED_DICT: u64 = 1 << 4;
    /// A class that was made while the program ran.
    pub const HEAP_TYPE: u64 = 1 << 9;
    /// `str` and what derives from it.
    pub const STR: u64 = 1 << 28;
    /// `type` and what derives from it.
    pub const TYPE: u64 = 1 << 31;
}

/// `PyTypeObject`: the members that we read are at the same place in every version.
const TP_NAME: u64 = 24;
const TP_BASICSIZE: u64 = 32;
const TP_FLAGS: u64 = 168;
const TP_DICT: u64 = 264;
const TP_DICTOFFSET: u64 = 288;
const TP_MRO: u64 = 344;
/// As many bytes as that takes.
const TYPE_BYTES: usize = 352;

/// No class has a longer name, or more classes that it derives from.
const LONGEST_NAME: usize = 256;
const MOST_BASES: usize = 64;

/// No program has more classes. When there are, all are read anew.
const MOST_TYPES: usize = 1 << 16;

/// `PyMemberDescrObject.d_member`, and `PyMemberDef.offset`.
const D_MEMBER: u64 = 40;
const MEMBER_OFFSET: u64 = 16;

/// A class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct TypeInfo {
    /// Where it stands.
    pub address: Avma,
    /// With its module: `asyncio.locks.Lock`, `_asyncio.Task`; as it stands where there is
    /// none: `dict`, `coroutine`.
    pub name: Arc<str>,
    /// `tp_flags`.
    pub flags: u64,
    /// `tp_basicsize`.
    pub basic_size: u64,
    /// `tp_dictoffset`.
    pub dict_offset: i64,
    /// The keys that its objects share.
    pub cached_keys: Option<Avma>,
    /// Itself and those that it derives from, as attributes are looked for.
    pub mro: Vec<Avma>,
    /// The same by name, those of the standard library and its C modules alone: what a
    /// program has may be called anything.
    pub bases: Vec<Arc<str>>,
    /// Where the values of its slots stand.
    slots: Vec<(String, u64)>,
    /// What tells it from another class that took its place.
    identity: Identity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    name: u64,
    basic_size: u64,
    mro: u64,
    dict: u64,
}

impl TypeInfo {
    /// Whether it is, or derives from, the class of this name.
    pub fn is_a(&self, name: &str) -> bool {
        self.bases.iter().any(|base| &**base == name)
    }

    /// Where the value of a slot stands in its objects.
    pub fn slot(&self, name: &str) -> Option<u64> {
        let mut slots = self.slots.iter();
        slots.find(|(own, _)| own == name).map(|(_, at)| *at)
    }
}

/// The classes that were met.
#[derive(Debug, Default)]
pub(in crate::runtime::asyncio) struct Types {
    known: HashMap<Avma, Known>,
    round: u32,
}

#[derive(Debug)]
struct Known {
    info: Option<Arc<TypeInfo>>,
    round: u32,
}

impl Types {
    /// Begins a round: a class that was met before is looked at once more before it is
    /// believed, as another may stand in its place by now.
    pub fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
        if self.known.len() > MOST_TYPES {
            self.known.clear();
        }
    }

    /// The class at an address.
    pub fn at(&mut self, address: Avma, heap: &Heap<'_>) -> Option<Arc<TypeInfo>> {
        if let Some(known) = self.known.get_mut(&address) {
            let still = match &known.info {
                _ if known.round == self.round => true,
                Some(info) => {
                    Raw::read(address, heap).map(|raw| raw.identity()) == Some(info.identity)
                }
                None => false,
            };
            if still {
                known.round = self.round;
                return known.info.clone();
            }
        }
        let info = heap.type_info(address).map(Arc::new);
        let known = Known {
            info: info.clone(),
            round: self.round,
        };
        self.known.insert(address, known);
        info
    }

    /// The class of an object.
    pub fn of(&mut self, object: Avma, heap: &Heap<'_>) -> Option<Arc<TypeInfo>> {
        self.at(heap.type_of(object)?, heap)
    }

    /// What an object has under a name: in a slot, or as an attribute of its own.
    pub fn get(&mut self, object: Avma, name: &str, heap: &Heap<'_>) -> Option<Avma> {
        let class = self.of(object, heap)?;
        match class.slot(name) {
            Some(offset) => heap.pointer(object, offset),
            None => heap.attribute(object, &class, name),
        }
    }
}

/// The members of a type object, as they stand.
struct Raw([u64; TYPE_BYTES / 8]);

impl Raw {
    fn read(address: Avma, heap: &Heap<'_>) -> Option<Self> {
        if !address.0.is_multiple_of(8) {
            return None;
        }
        let words = heap.words(address, (TYPE_BYTES / 8) as u64, TYPE_BYTES / 8)?;
        Some(Self(words.try_into().ok()?))
    }

    fn word(&self, offset: u64) -> u64 {
        self.0[(offset / 8) as usize]
    }

    fn identity(&self) -> Identity {
        Identity {
            name: self.word(TP_NAME),
            basic_size: self.word(TP_BASICSIZE),
            mro: self.word(TP_MRO),
            dict: self.word(TP_DICT),
        }
    }
}

impl Heap<'_> {
    /// Whether what stands there is a class.
    pub fn is_type(&self, address: Avma) -> bool {
        let flags = self.type_flags(address);
        flags.is_some_and(|flags| flags & flag::TYPE != 0)
    }

    /// The [flags](flag) of the class of an object.
    pub fn type_flags(&self, object: Avma) -> Option<u64> {
        self.word(self.type_of(object)?, TP_FLAGS)
    }

    /// The short name of a class: `Task` of `_asyncio.Task`, as `tp_name` has it.
    pub fn type_name(&self, address: Avma) -> Option<String> {
        let name = self.pointer(address, TP_NAME)?;
        self.c_text(name)
    }

    /// The string of C at an address.
    fn c_text(&self, address: Avma) -> Option<String> {
        /// What is read at once: most names are shorter.
        const PIECE: usize = 32;
        let mut text = Vec::new();
        while text.len() < LONGEST_NAME {
            // Never over the end of a page, behind which there may be nothing.
            let start = address.0.checked_add(text.len() as u64)?;
            let left = 4096 - (start % 4096) as usize;
            let mut piece = vec![0; left.min(PIECE)];
            if !self.memory.read(Avma(start), &mut piece) {
                return None;
            }
            let end = piece.iter().position(|byte| *byte == 0);
            text.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
            if end.is_some() {
                return String::from_utf8(text).ok();
            }
        }
        None
    }

    fn type_info(&self, address: Avma) -> Option<TypeInfo> {
        if !self.is_type(address) {
            return None;
        }
        let raw = Raw::read(address, self)?;
        let mro = match raw.word(TP_MRO) {
            0 => vec![address],
            mro => self.tuple(Avma(mro), MOST_BASES)?,
        };
        let mut bases = Vec::new();
        let mut slots = Vec::new();
        for base in &mro {
            let Some(raw) = Raw::read(*base, self) else {
                continue;
            };
            let dict = self.own_names(&raw);
            let name = self.full_name(&raw, &dict)?;
            if is_of_python(&name) {
                bases.push(name.into());
            }
            slots.extend(self.slots_in(&dict));
        }
        let flags = raw.word(TP_FLAGS);
        let cached_keys = match flags & flag::HEAP_TYPE {
            0 => None,
            _ => self.pointer(address, self.layout.objects.cached_keys),
        };
        Some(TypeInfo {
            address,
            name: self.full_name(&raw, &self.own_names(&raw))?.into(),
            flags,
            basic_size: raw.word(TP_BASICSIZE),
            dict_offset: raw.word(TP_DICTOFFSET).cast_signed(),
            cached_keys,
            mro,
            bases,
            slots,
            identity: raw.identity(),
        })
    }

    /// What a class that was made by a program has in its dict. (From 3.12 those of the
    /// interpreter itself keep theirs elsewhere, and have nothing that we need.)
    fn own_names(&self, raw: &Raw) -> Vec<(Avma, Avma)> {
        if raw.word(TP_FLAGS) & flag::HEAP_TYPE == 0 || raw.word(TP_DICT) == 0 {
            return Vec::new();
        }
        self.dict(Avma(raw.word(TP_DICT)), 1 << 14)
            .unwrap_or_default()
    }

    /// `tp_name` has the module where the class was made in C; else it is in the dict.
    fn full_name(&self, raw: &Raw, dict: &[(Avma, Avma)]) -> Option<String> {
        let name = self.c_text(Avma(raw.word(TP_NAME)))?;
        if name.contains('.') {
            return Some(name);
        }
        let module = dict
            .iter()
            .find(|(key, _)| self.is_text(*key, "__module__"));
        let module = module.and_then(|(_, module)| self.text(*module));
        Some(match module {
            Some(module) if module != "builtins" => format!("{module}.{name}"),
            _ => name,
        })
    }

    /// The descriptors of members with a fixed place.
    fn slots_in(&self, dict: &[(Avma, Avma)]) -> Vec<(String, u64)> {
        let slots = dict.iter().filter_map(|(key, value)| {
            let class = self.type_of(*value)?;
            let name = self.type_name(class)?;
            if name != "member_descriptor" {
                return None;
            }
            let member = self.pointer(*value, D_MEMBER)?;
            let offset = self.word(member, MEMBER_OFFSET)?;
            Some((self.text(*key)?, offset))
        });
        slots.collect()
    }
}

/// Whether a class is one of the interpreter or its library.
fn is_of_python(name: &str) -> bool {
    !name.contains('.')
        || [
            "_asyncio.",
            "_socket.",
            "_collections.",
            "asyncio.",
            "collections.",
            "concurrent.futures.",
            "functools.",
            "socket.",
            "_weakrefset.",
            "uvloop.",
        ]
        .iter()
        .any(|start| name.starts_with(start))
}
