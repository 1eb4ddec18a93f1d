//! How to get from a frame to its caller.

use awaitscope_sampler::Register;
use gimli::{CfaRule, EndianSlice, LittleEndian, RegisterRule, UnwindExpression, UnwindTableRow};

pub(crate) type Slice<'a> = EndianSlice<'a, LittleEndian>;
pub(crate) type Row = UnwindTableRow<usize>;

/// Longer expressions are not evaluated. Real ones have a dozen bytes.
const LONGEST_EXPRESSION: usize = 1024;

/// What to do at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    Plain(PlainRule),
    Full(Box<FullRule>),
}

/// The rule of nearly every address: the caller's stack pointer (CFA) is a
/// register plus an offset, the return address lies just below it, and registers
/// lie in the frame or were not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainRule {
    /// The CFA is this plus...
    pub(crate) cfa_offset: i32,
    /// Where the caller's value of each of [`Register::CALLEE_SAVED`] is.
    pub(crate) saved: [Saved; 6],
    /// ...`rbp`, or else `rsp`.
    pub(crate) cfa_from_rbp: bool,
    /// The outermost frame of its stack.
    pub(crate) outermost: bool,
}

/// Where a callee-saved register is: at CFA + 8 × this, with two special values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved(i16);

impl Saved {
    /// Still in the register.
    pub(crate) const SAME: Self = Self(i16::MIN);
    /// Lost.
    pub(crate) const LOST: Self = Self(i16::MIN + 1);

    fn at(offset: i64) -> Option<Self> {
        let slot = i16::try_from(offset / 8).ok()?;
        (offset % 8 == 0 && slot > Self::LOST.0).then_some(Self(slot))
    }

    /// The offset from the CFA, unless it is one of the special values.
    pub(crate) fn offset(self) -> Option<i64> {
        (self.0 > Self::LOST.0).then(|| i64::from(self.0) * 8)
    }
}

/// Any other rule: signal frames, PLT stubs, hand-written assembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FullRule {
    pub(crate) cfa: Cfa,
    pub(crate) registers: Vec<(Register, Source)>,
    /// The caller was interrupted, it did not call.
    pub(crate) signal: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cfa {
    Register(Register, i64),
    Expression(Box<[u8]>),
}

/// Where a register's value in the caller comes from (DWARF 5, section 6.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Undefined,
    Same,
    At(i64),
    CfaPlus(i64),
    Register(Register),
    AtExpression(Box<[u8]>),
    Expression(Box<[u8]>),
}

/// Reads the bytes of an expression out of its section.
pub(crate) trait Expressions {
    fn bytes(&self, expression: UnwindExpression<usize>) -> Option<Box<[u8]>>;
}

impl<'a, S: gimli::UnwindSection<Slice<'a>>> Expressions for S {
    fn bytes(&self, expression: UnwindExpression<usize>) -> Option<Box<[u8]>> {
        let bytes = expression.get(self).ok()?.0.slice();
        (bytes.len() <= LONGEST_EXPRESSION).then(|| bytes.into())
    }
}

impl Rule {
    /// The rule that a row of call frame information stands for; `None` when it
    /// is beyond what we follow.
    pub(crate) fn of(row: &Row, signal: bool, expressions: &impl Expressions) -> Option<Self> {
        if !signal && let Some(rule) = PlainRule::of(row) {
            return Some(Self::Plain(rule));
        }
        FullRule::of(row, signal, expressions).map(|rule| Self::Full(Box::new(rule)))
    }
}

impl PlainRule {
    fn of(row: &Row) -> Option<Self> {
        let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
            return None;
        };
        let mut rule = Self {
            cfa_offset: i32::try_from(offset).ok()?,
            saved: [Saved::SAME; 6],
            cfa_from_rbp: match Register(register.0) {
                Register::RBP => true,
                Register::RSP => false,
                _ => return None,
            },
            outermost: true,
        };
        // A row that does not say where the return address is has none.
        for (register, source) in row.registers() {
            let register = Register(register.0);
            if register == Register::RA {
                rule.outermost = match source {
                    RegisterRule::Undefined => true,
                    RegisterRule::Offset(-8) => false,
                    _ => return None,
                };
            } else if let Some(index) = callee_saved_index(register) {
                rule.saved[index] = match source {
                    RegisterRule::Undefined => Saved::LOST,
                    RegisterRule::SameValue => Saved::SAME,
                    RegisterRule::Offset(offset) => Saved::at(*offset)?,
                    _ => return None,
                };
            } else if register == Register::RSP || !matches!(source, RegisterRule::Undefined) {
                return None;
            }
        }
        Some(rule)
    }
}

impl FullRule {
    fn of(row: &Row, signal: bool, expressions: &impl Expressions) -> Option<Self> {
        let cfa = match *row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                Cfa::Register(Register(register.0), offset)
            }
            CfaRule::Expression(expression) => Cfa::Expression(expressions.bytes(expression)?),
        };
        let mut registers = Vec::new();
        for (register, source) in row.registers() {
            let source = match *source {
                RegisterRule::SameValue => Source::Same,
                RegisterRule::Offset(offset) => Source::At(offset),
                RegisterRule::ValOffset(offset) => Source::CfaPlus(offset),
                RegisterRule::Register(other) => Source::Register(Register(other.0)),
                RegisterRule::Expression(e) => Source::AtExpression(expressions.bytes(e)?),
                RegisterRule::ValExpression(e) => Source::Expression(expressions.bytes(e)?),
                _ => Source::Undefined,
            };
            registers.push((Register(register.0), source));
        }
        Some(Self {
            cfa,
            registers,
            signal,
        })
    }
}

fn callee_saved_index(register: Register) -> Option<usize> {
    Register::CALLEE_SAVED
        .iter()
        .position(|saved| *saved == register)
}
