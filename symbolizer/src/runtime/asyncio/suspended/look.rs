//! One reading of an interpreter: its memory, and what was learned of its classes and code.

use super::super::code::{Code, CodeFrame, CodePlace, Codes};
use super::super::layout::{
    GeneratorFrame, GeneratorState, InstructionPlace, Instructions, StackEnd,
};
use super::super::objects::{Heap, TypeInfo, Types, at};
use super::pages::Pages;
use awaitscope_sampler::Avma;
use std::sync::Arc;

/// No function keeps more values on its stack.
const DEEPEST_STACK: u64 = 1 << 16;

/// What an interpreter shows.
pub(super) struct Look<'a> {
    pub heap: Heap<'a>,
    pub pages: &'a Pages<'a>,
    pub types: &'a mut Types,
    pub codes: &'a mut Codes,
}

/// What a coroutine or generator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It has not begun.
    Created,
    /// It waits at an `await` or `yield from`, or at a `yield`.
    Suspended,
    /// It runs.
    Executing,
    /// It is done.
    Done,
}

/// A suspended function.
#[derive(Debug, Clone)]
pub(super) struct Suspended {
    /// What it is and where.
    pub frame: CodeFrame,
    /// Where its frame stands in memory.
    pub address: Avma,
    /// Where its stack of values ends; `None` while it runs or before it begins.
    pub stack_end: Option<Avma>,
}

/// A coroutine, an async generator or a generator.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    pub doing: Doing,
    /// `None` when it is done.
    pub suspended: Option<Suspended>,
    /// What it awaits.
    pub awaits: Option<Avma>,
}

impl Look<'_> {
    /// The class of an object.
    pub fn class(&mut self, object: Avma) -> Option<Arc<TypeInfo>> {
        /// Another object can take its place.
        const OB_TYPE: u64 = 8;
        self.pages.watch(at(object, OB_TYPE), 8);
        self.types.of(object, &self.heap)
    }

    /// What an object has under a name.
    pub fn get(&mut self, object: Avma, name: &str) -> Option<Avma> {
        let class = self.class(object)?;
        let Some(offset) = class.slot(name) else {
            return self.heap.attribute(object, &class, name);
        };
        self.pages.watch(at(object, offset), 8);
        self.heap.pointer(object, offset)
    }

    /// From 3.14 on the lowest bits of a value on a stack, or in a variable, are no part of
    /// its address.
    pub fn value(&self, word: u64) -> Option<Avma> {
        /// `Py_TAG_BITS`; with both of them set it is a number.
        const TAG: u64 = 0b11;
        let newer = self.heap.layout.minor >= 14;
        if newer && word & TAG == TAG {
            return None;
        }
        let word = if newer { word & !TAG } else { word };
        (word != 0).then_some(Avma(word))
    }

    /// Reads a coroutine or generator.
    pub fn generator(&mut self, object: Avma) -> Option<Generator> {
        let layout = self.heap.layout;
        self.pages.watch(at(object, layout.generator.qualname), 8);
        let frame = match layout.generator.frame {
            GeneratorFrame::Inside(offset) => Some(at(object, offset)),
            GeneratorFrame::Pointer(offset) => {
                self.pages.watch(at(object, offset), 8);
                self.heap.pointer(object, offset)
            }
        };
        let Some(address) = frame else {
            return Some(Generator {
                doing: Doing::Done,
                suspended: None,
                awaits: None,
            });
        };
        let instruction = layout.frame.instruction.offset();
        self.pages.watch(at(address, instruction), 8);
        self.pages.watch(at(address, layout.frame.code), 8);
        let doing = self.doing(object, address)?;
        if doing == Doing::Done {
            return Some(Generator {
                doing,
                suspended: None,
                awaits: None,
            });
        }
        let place = CodePlace {
            code: self.value(self.heap.word(address, layout.frame.code)?)?,
            instruction: self.heap.word(address, instruction)?,
            globals: self.heap.pointer(address, layout.frame.globals),
            qualname: self.heap.pointer(object, layout.generator.qualname),
        };
        let frame = self.codes.frame(place, &self.heap)?;
        let stack_end = match doing {
            Doing::Suspended => self.stack_end(address),
            _ => None,
        };
        let awaits = match self.is_at_await(object, place) && doing == Doing::Suspended {
            true => Some(self.top(stack_end?)?),
            false => None,
        };
        Some(Generator {
            doing,
            suspended: Some(Suspended {
                frame,
                address,
                stack_end,
            }),
            awaits,
        })
    }

    fn doing(&self, object: Avma, frame: Avma) -> Option<Doing> {
        let layout = self.heap.layout;
        let byte = |base: Avma, offset: u64| {
            self.pages.watch(at(base, offset), 1);
            self.heap.byte(base, offset).map(u8::cast_signed)
        };
        match layout.generator.state {
            GeneratorState::Running(offset) => {
                let running = byte(object, offset)? != 0;
                let last = self.heap.int32(frame, layout.frame.instruction.offset())?;
                Some(match (running, last < 0) {
                    (true, _) => Doing::Executing,
                    (false, true) => Doing::Created,
                    (false, false) => Doing::Suspended,
                })
            }
            GeneratorState::OfFrame(offset) => old_state(byte(frame, offset)?),
            GeneratorState::Old(offset) => old_state(byte(object, offset)?),
            GeneratorState::New(offset) => match byte(object, offset)? {
                -3 => Some(Doing::Created),
                -2 | -1 => Some(Doing::Suspended),
                0 => Some(Doing::Executing),
                1..=4 => Some(Doing::Done),
                _ => None,
            },
        }
    }

    /// Whether a suspended function is at an `await` or `yield from`, and not at a `yield`.
    fn is_at_await(&self, object: Avma, place: CodePlace) -> bool {
        /// `YIELD_FROM` of 3.8 to 3.10 (`opcode.h`).
        const YIELD_FROM: u8 = 72;
        /// `RESUME`, what 3.11 makes of it, and what 3.12 does while it is traced.
        const RESUMES: [u8; 3] = [151, 150, 237];
        let layout = self.heap.layout;
        if let GeneratorState::New(offset) = layout.generator.state {
            return self.heap.byte(object, offset).map(u8::cast_signed) == Some(-1);
        }
        // The instruction that will be run next.
        let next = match (layout.frame.instruction, layout.code.instructions) {
            (InstructionPlace::Pointer(_), _) => Some(at(Avma(place.instruction), 2)),
            (units, Instructions::Bytes(offset)) => {
                /// `PyBytesObject.ob_sval`.
                const CONTENTS: u64 = 32;
                let last = i64::from(place.instruction as u32 as i32);
                let next = match units {
                    InstructionPlace::Units(_) => (last + 1) * 2,
                    _ => last + 2,
                };
                let code = self.heap.pointer(place.code, offset);
                code.map(|code| at(code, CONTENTS.wrapping_add_signed(next)))
            }
            _ => None,
        };
        let opcode = next.and_then(|next| self.heap.byte(next, 0));
        match layout.frame.instruction {
            InstructionPlace::Pointer(_) => {
                let argument = next.and_then(|next| self.heap.byte(next, 1));
                // 2 after a `yield from`, 3 after an `await`.
                opcode.is_some_and(|opcode| RESUMES.contains(&opcode))
                    && argument.is_some_and(|argument| argument & 0b11 >= 2)
            }
            _ => opcode == Some(YIELD_FROM),
        }
    }

    fn stack_end(&self, frame: Avma) -> Option<Avma> {
        let layout = &self.heap.layout.frame;
        match layout.stack {
            StackEnd::Pointer(offset) => self.heap.pointer(frame, offset),
            StackEnd::Depth { depth, base } => {
                let depth = u64::try_from(self.heap.int32(frame, depth)?).ok()?;
                let base = self.heap.pointer(frame, base)?;
                (depth <= DEEPEST_STACK).then(|| at(base, 8 * depth))
            }
            StackEnd::Words(offset) => {
                let words = u64::try_from(self.heap.int32(frame, offset)?).ok()?;
                (words <= DEEPEST_STACK).then(|| at(frame, layout.localsplus + 8 * words))
            }
        }
    }

    fn top(&self, stack_end: Avma) -> Option<Avma> {
        let top = Avma(stack_end.0.checked_sub(8)?);
        self.pages.watch(top, 8);
        self.value(self.heap.word(top, 0)?)
    }

    /// The value of a variable of a suspended function.
    pub fn local(&mut self, function: &Suspended, name: &str) -> Option<Avma> {
        let code: &Code = &function.frame.code;
        let first = at(function.address, self.heap.layout.frame.localsplus);
        // Up to 3.10 an argument that an inner function uses has two places, one of them
        // empty.
        let places = code.variables.iter().enumerate();
        for (index, _) in places.filter(|(_, own)| &***own == name) {
            let place = at(first, 8 * index as u64);
            self.pages.watch(place, 8);
            let Some(value) = self.heap.word(place, 0).and_then(|word| self.value(word)) else {
                continue;
            };
            let class = self.class(value)?;
            return match &*class.name {
                "cell" => self.heap.cell(value),
                _ => Some(value),
            };
        }
        None
    }

    /// The values on the stack of a suspended function, below the innermost.
    pub fn stack(&self, function: &Suspended) -> Vec<Avma> {
        /// Nobody nests more statements than that.
        const MOST: u64 = 256;
        let variables = function.frame.code.variables.len() as u64;
        let base = self.stack_base(function.address, variables);
        let (Some(base), Some(end)) = (base, function.stack_end) else {
            return Vec::new();
        };
        let count = end.0.saturating_sub(base.0) / 8;
        let words = self.heap.words(base, count.min(MOST), MOST as usize);
        let words = words.unwrap_or_default();
        words.iter().filter_map(|word| self.value(*word)).collect()
    }

    fn stack_base(&self, frame: Avma, variables: u64) -> Option<Avma> {
        // Up to 3.10 a frame says where its stack begins.
        match self.heap.layout.frame.instruction {
            InstructionPlace::Pointer(_) => {
                Some(at(frame, self.heap.layout.frame.localsplus + 8 * variables))
            }
            _ => self.heap.pointer(frame, VALUE_STACK),
        }
    }
}

/// `PyFrameObject.f_valuestack`, up to 3.10.
const VALUE_STACK: u64 = 64;

/// `enum _framestate` of 3.10 to 3.12.
fn old_state(state: i8) -> Option<Doing> {
    match state {
        -2 => Some(Doing::Created),
        -1 => Some(Doing::Suspended),
        0 => Some(Doing::Executing),
        1..=4 => Some(Doing::Done),
        _ => None,
    }
}
