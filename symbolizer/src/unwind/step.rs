//! One step outwards: from a frame to its caller, by the rule of its address.

use super::rule::{Cfa, FullRule, PlainRule, Saved, Source};
use super::stack::ReadStack;
use super::{UnwindEnd, expression};
use awaitscope_sampler::{Avma, Register, Registers};

/// How a frame was left.
pub(super) struct Step {
    /// Where the frame ended.
    pub(super) cfa: Avma,
    /// The caller was interrupted there, it did not call.
    pub(super) interrupted: bool,
    /// Nothing said that this is right, but it looks so.
    pub(super) guessed: bool,
}

/// What a callee may leave changed (System V ABI, section 3.2.1).
const CALLER_SAVED: [Register; 9] = [
    Register(0),
    Register(1),
    Register(2),
    Register(4),
    Register(5),
    Register(8),
    Register(9),
    Register(10),
    Register(11),
];

/// A frame that has no caller, or whose caller cannot be found; and its own CFA,
/// where that is known.
pub(super) struct Last(pub(super) UnwindEnd, pub(super) Option<Avma>);

impl From<UnwindEnd> for Last {
    fn from(end: UnwindEnd) -> Self {
        Self(end, None)
    }
}

/// Whether an epilogue has popped the slot at `offset` already. LLVM does not say
/// so in call frame information; the register holds the caller's value again, and
/// the slot, being below the stack pointer, belongs to nobody.
#[inline]
fn popped(cfa: u64, offset: i64, sp: u64) -> bool {
    cfa.wrapping_add_signed(offset) < sp
}

#[inline]
pub(super) fn by_plain_rule(
    rule: &PlainRule,
    registers: &mut Registers,
    stack: &mut (impl ReadStack + ?Sized),
) -> Result<Step, Last> {
    let base = if rule.cfa_from_rbp {
        Register::RBP
    } else {
        Register::RSP
    };
    let cfa = registers
        .get(base)
        .ok_or(UnwindEnd::UnknownRegister {
            ip: registers.ip(),
            register: base,
        })?
        .wrapping_add_signed(rule.cfa_offset.into());
    if rule.outermost {
        return Err(Last(UnwindEnd::Complete, Some(Avma(cfa))));
    }
    let mut read = |address: u64| {
        let address = Avma(address);
        let word = stack.word(address);
        word.ok_or(Last(UnwindEnd::Unreadable { address }, Some(Avma(cfa))))
    };
    let ip = read(cfa.wrapping_sub(8))?;
    let sp = registers.sp().0;
    for (register, saved) in Register::CALLEE_SAVED.into_iter().zip(rule.saved) {
        match saved.offset() {
            Some(offset) if !popped(cfa, offset, sp) => {
                registers.set(register, read(cfa.wrapping_add_signed(offset))?);
            }
            None if saved == Saved::LOST => registers.forget(register),
            _ => {}
        }
    }
    for register in CALLER_SAVED {
        registers.forget(register);
    }
    registers.set(Register::RSP, cfa);
    registers.set(Register::RA, ip);
    Ok(Step {
        cfa: Avma(cfa),
        interrupted: false,
        guessed: false,
    })
}

#[cold]
pub(super) fn by_full_rule(
    rule: &FullRule,
    registers: &mut Registers,
    stack: &mut (impl ReadStack + ?Sized),
) -> Result<Step, Last> {
    let callee = *registers;
    let ip = callee.ip();
    let known = |register| {
        let value = callee.get(register);
        value.ok_or(UnwindEnd::UnknownRegister { ip, register })
    };
    let no_rule = UnwindEnd::NoRule { ip };
    let cfa = match &rule.cfa {
        Cfa::Register(register, offset) => known(*register)?.wrapping_add_signed(*offset),
        Cfa::Expression(expression) => {
            expression::evaluate(expression, None, &callee, stack).ok_or(no_rule)?
        }
    };
    let mut caller = Registers::from_ip_sp(Avma(0), Avma(cfa));
    // Without a rule of its own, a register that a callee must keep was kept.
    for register in Register::CALLEE_SAVED {
        if let Some(value) = callee.get(register) {
            caller.set(register, value);
        }
    }
    let mut returns = false;
    for (register, source) in &rule.registers {
        let address = match source {
            Source::At(offset) => Some(cfa.wrapping_add_signed(*offset)),
            Source::AtExpression(expression) => {
                Some(expression::evaluate(expression, Some(cfa), &callee, stack).ok_or(no_rule)?)
            }
            _ => None,
        };
        let value = match source {
            Source::Undefined => None,
            Source::Same => callee.get(*register),
            Source::At(offset) if popped(cfa, *offset, callee.sp().0) => callee.get(*register),
            Source::Register(other) => callee.get(*other),
            Source::CfaPlus(offset) => Some(cfa.wrapping_add_signed(*offset)),
            Source::Expression(expression) => {
                Some(expression::evaluate(expression, Some(cfa), &callee, stack).ok_or(no_rule)?)
            }
            Source::At(_) | Source::AtExpression(_) => address
                .map(|address| {
                    let address = Avma(address);
                    stack.word(address).ok_or(UnwindEnd::Unreadable { address })
                })
                .transpose()?,
        };
        match value {
            Some(value) => {
                returns |= *register == Register::RA;
                caller.set(*register, value);
            }
            None => caller.forget(*register),
        }
    }
    if !returns {
        return Err(Last(UnwindEnd::Complete, Some(Avma(cfa))));
    }
    *registers = caller;
    Ok(Step {
        cfa: Avma(cfa),
        interrupted: rule.signal,
        guessed: false,
    })
}
