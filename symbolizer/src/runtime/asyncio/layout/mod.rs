//! Where CPython and its `_asyncio` module keep what we read.
//!
//! Interpreters come without debug information, so there is a row of plain numbers for
//! each minor version (`table`), out of the DWARF of release builds for x86-64. From 3.13 on
//! the interpreter says itself where much of it stands (`published`): that is believed over
//! the row. Either is checked against the memory of the process (`check`) before anything
//! is shown.

mod check;
mod published;
mod table;

pub(in crate::runtime::asyncio) use check::{Misfit, check};
pub(in crate::runtime::asyncio) use published::{PublishedError, asyncio_published, published};
pub(in crate::runtime::asyncio) use table::layout_of;

use std::fmt;

/// A version of CPython.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::runtime::asyncio) struct Version {
    /// 3.
    pub major: u8,
    /// 11.
    pub minor: u8,
    /// 7; `None` where only the name of a library or folder told the version.
    pub micro: Option<u8>,
}

impl Version {
    /// `PY_VERSION_HEX`: major, minor, micro, and release level and serial.
    pub fn of_hex(hex: u32) -> Self {
        let [major, minor, micro, _] = hex.to_be_bytes();
        Self {
            major,
            minor,
            micro: Some(micro),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.micro {
            Some(micro) => write!(f, ".{micro}"),
            None => Ok(()),
        }
    }
}

/// Where everything stands, by the names of the members in CPython's headers. All numbers
/// are offsets in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct Layout {
    /// Which minor version it is for.
    pub minor: u8,
    /// `_PyRuntimeState` (`pycore_runtime.h`).
    pub runtime: RuntimeLayout,
    /// `PyInterpreterState` (`pycore_interp.h`).
    pub interpreter: InterpreterLayout,
    /// `PyThreadState` (`cpython/pystate.h`).
    pub thread: ThreadLayout,
    /// What is called, being run or suspended.
    pub frame: FrameLayout,
    /// `PyCodeObject` (`cpython/code.h`).
    pub code: CodeLayout,
    /// `PyGenObject`, with which coroutines and async generators begin alike
    /// (`cpython/genobject.h`).
    pub generator: GeneratorLayout,
    /// How objects of the built-in types are made.
    pub objects: ObjectLayout,
    /// `TaskObj` and `FutureObj` (`Modules/_asynciomodule.c`).
    pub task: TaskLayout,
}

/// `_PyRuntimeState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct RuntimeLayout {
    /// The first interpreter.
    pub interpreters_head: u64,
}

/// `PyInterpreterState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct InterpreterLayout {
    /// The next interpreter.
    pub next: u64,
    /// The first thread state.
    pub threads_head: u64,
    /// `sys.modules`.
    pub modules: u64,
    /// The names in `sys`.
    pub sysdict: u64,
    /// Its list of tasks whose threads have ended (from 3.14).
    pub tasks_head: Option<u64>,
}

/// `PyThreadState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct ThreadLayout {
    /// The next thread state.
    pub next: u64,
    /// Its interpreter.
    pub interp: u64,
    /// What it runs.
    pub frame: FrameRoot,
    /// `pthread_self()`, which is the thread pointer with glibc and musl.
    pub thread_id: u64,
    /// `gettid()`, in its own PID namespace (from 3.11).
    pub native_thread_id: Option<u64>,
    /// Names that belong to the thread. Up to 3.12, asyncio keeps its loop there.
    pub dict: u64,
    /// The newest of the chunks in which frames stand one upon the other (from 3.11).
    pub datastack_chunk: Option<u64>,
    /// The end of what is used of it.
    pub datastack_top: Option<u64>,
    /// The loop that it runs (from 3.13).
    pub running_loop: Option<u64>,
    /// The task that it runs (from 3.14).
    pub running_task: Option<u64>,
    /// Its list of tasks (from 3.14).
    pub tasks_head: Option<u64>,
}

/// How a thread state tells what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum FrameRoot {
    /// It has a pointer to the frame there.
    Here(u64),
    /// It has a pointer at the first offset to a `_PyCFrame`, that has the pointer to the
    /// frame at the second (3.11, 3.12).
    CFrame(u64, u64),
}

/// `PyFrameObject` up to 3.10, `_PyInterpreterFrame` from 3.11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct FrameLayout {
    /// Its code object. From 3.14 the lowest two bits are no part of the address, and
    /// between Python functions there can be frames whose code is no code object.
    pub code: u64,
    /// The frame that called it. Null for a suspended generator.
    pub previous: u64,
    /// The names of its module.
    pub globals: u64,
    /// `f_gen`: its generator, if it has one (up to 3.10).
    pub generator: Option<u64>,
    /// Where it is.
    pub instruction: InstructionPlace,
    /// The first of its variables: arguments, locals, cells, in the order of their names in
    /// the code object; the stack of values follows.
    pub localsplus: u64,
    /// Where the stack of values ends.
    pub stack: StackEnd,
    /// A byte that says who owns it (`enum _frameowner`; from 3.11).
    pub owner: Option<u64>,
    /// A byte that is 1 where the C function that runs Python code was entered anew (3.11
    /// alone).
    pub is_entry: Option<u64>,
}

/// How a frame tells where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum InstructionPlace {
    /// `f_lasti`, an `int`: a number of bytes from the first instruction to the last
    /// that was begun (3.8, 3.9).
    Bytes(u64),
    /// The same, as a number of instructions of two bytes (3.10).
    Units(u64),
    /// A pointer to the last instruction that was begun: `prev_instr` (3.11, 3.12), or to
    /// the one that is being run: `instr_ptr` (from 3.13).
    Pointer(u64),
}

impl InstructionPlace {
    /// Its offset in the frame.
    pub fn offset(self) -> u64 {
        match self {
            Self::Bytes(offset) | Self::Units(offset) | Self::Pointer(offset) => offset,
        }
    }
}

/// How a suspended frame tells where its stack of values ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum StackEnd {
    /// `f_stacktop`, a pointer behind the last value; null while it runs (3.8, 3.9), or
    /// `stackpointer` (from 3.14).
    Pointer(u64),
    /// `f_stackdepth` values stand from where `f_valuestack` points to (3.10).
    Depth {
        /// `f_stackdepth`, an `int`.
        depth: u64,
        /// `f_valuestack`.
        base: u64,
    },
    /// `stacktop`, an `int`: the number of words from `localsplus` (3.11 to 3.13).
    Words(u64),
}

/// `PyCodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct CodeLayout {
    /// `co_argcount`.
    pub argcount: u64,
    /// `co_flags`.
    pub flags: u64,
    /// `co_firstlineno`.
    pub firstlineno: u64,
    /// `co_filename`.
    pub filename: u64,
    /// `co_name`.
    pub name: u64,
    /// `co_qualname` (from 3.11).
    pub qualname: Option<u64>,
    /// Lines.
    pub lines: LineTable,
    /// Instructions.
    pub instructions: Instructions,
    /// The names of the variables.
    pub variables: Variables,
}

/// How a code object tells lines, by the offset of a `bytes` object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum LineTable {
    /// `co_lnotab` (up to 3.9; `Objects/lnotab_notes.txt`).
    Lnotab(u64),
    /// `co_linetable` of 3.10 (PEP 626).
    Lines(u64),
    /// `co_linetable` from 3.11 (`Objects/locations.md`).
    Locations(u64),
}

/// Where instructions stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum Instructions {
    /// In a `bytes` object: `co_code` (up to 3.10).
    Bytes(u64),
    /// In the code object, from there on: `co_code_adaptive` (from 3.11).
    Inside(u64),
}

/// Where the names of variables stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum Variables {
    /// Three tuples, one after the other: `co_varnames`, and the offsets of
    /// `co_cellvars` and `co_freevars` (up to 3.10).
    Three {
        /// `co_varnames`.
        locals: u64,
        /// `co_cellvars`.
        cells: u64,
        /// `co_freevars`.
        free: u64,
    },
    /// One tuple: `co_localsplusnames` (from 3.11).
    One(u64),
}

/// `PyGenObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct GeneratorLayout {
    /// Its frame.
    pub frame: GeneratorFrame,
    /// Its name.
    pub name: u64,
    /// Its qualified name.
    pub qualname: u64,
    /// What it does.
    pub state: GeneratorState,
}

/// Where the frame of a generator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum GeneratorFrame {
    /// A pointer to it there; null once it is done (up to 3.10).
    Pointer(u64),
    /// It stands in the generator itself, from there on (from 3.11).
    Inside(u64),
}

/// How a generator tells what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum GeneratorState {
    /// `gi_running`, a byte of the generator; it has not begun while `f_lasti` is negative
    /// (3.8, 3.9).
    Running(u64),
    /// `f_state`, a byte of the frame: -2 created, -1 suspended, 0 executing (3.10).
    OfFrame(u64),
    /// `gi_frame_state`, a byte of the generator: -2 created, -1 suspended, 0 executing,
    /// 1 completed, 4 cleared (3.11, 3.12).
    Old(u64),
    /// The same, with -3 created, -2 suspended at a `yield`, -1 suspended at an `await` or
    /// `yield from` (3.13, 3.14).
    New(u64),
}

/// How built-in objects are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct ObjectLayout {
    /// Where the characters of a compact ASCII string begin: `sizeof(PyASCIIObject)`.
    pub ascii: u64,
    /// Where those of any other compact string begin: `sizeof(PyCompactUnicodeObject)`.
    pub compact: u64,
    /// Where the kind stands in the bits of `state`.
    pub kind_shift: u8,
    /// How an `int` tells its sign and length.
    pub int: IntLayout,
    /// How the keys of a `dict` are kept.
    pub keys: KeysLayout,
    /// How an object keeps its attributes.
    pub attributes: AttributesLayout,
    /// `PyHeapTypeObject.ht_cached_keys`.
    pub cached_keys: u64,
    /// `PyFunctionObject.func_closure`.
    pub func_closure: u64,
    /// The first item of a tuple.
    pub tuple_items: u64,
}

/// How an `int` tells its sign and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum IntLayout {
    /// `ob_size`: the number of digits, negative for a negative number (up to 3.11).
    Size,
    /// `lv_tag`: the number of digits above three bits, 2 in the lowest two for a negative
    /// number (from 3.12).
    Tag,
}

/// `PyDictKeysObject` (`pycore_dict.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum KeysLayout {
    /// `dk_size`, and entries of hash, key and value (up to 3.10).
    Size,
    /// `dk_log2_size` and its like; entries have no hash where all keys are strings (from
    /// 3.11).
    Log2,
}

/// How an object of a class with `Py_TPFLAGS_MANAGED_DICT` keeps its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) enum AttributesLayout {
    /// There is no such flag: `tp_dictoffset` tells (up to 3.10).
    DictOffset,
    /// Two words before the object: values at -32, a dict at -24 (3.11).
    Before,
    /// One word before it: a dict, or values if the lowest bit is set (3.12).
    Tagged,
    /// A dict at -24, or values behind the object (from 3.13).
    Inline,
}

/// `TaskObj`. What a `FutureObj` begins with is the same in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct TaskLayout {
    /// An `int`: 0 pending, 1 cancelled, 2 finished.
    pub state: u64,
    /// What it waits on.
    pub fut_waiter: u64,
    /// Its coroutine.
    pub coro: u64,
    /// Its name: a `str`, or from 3.13 an `int` while nobody asked for it.
    pub name: u64,
    /// `sizeof(TaskObj)`, which is `tp_basicsize` of its type.
    pub size: u64,
    /// Its place in the list of tasks (from 3.14).
    pub node: Option<u64>,
}

impl TaskLayout {
    /// `fut_loop`, the same in every version.
    pub const LOOP: u64 = 16;
    /// `fut_callback0`.
    pub const CALLBACK0: u64 = 24;
    /// `fut_callbacks`, a list of tuples of a callback and its context.
    pub const CALLBACKS: u64 = 40;
}
