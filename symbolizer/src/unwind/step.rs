//! One step outwards: from a frame to its caller, by the rule of its address.

use super::rule::{Cfa, FullRule, PlainRule, Saved, Source};
use super::stack::ReadStack;
use super::{UnwindEnd, expression};
use awaitscope_sampler::{Avma, Register, Registers};

/// Where a walk goes on.
pub(super) struct Caller {
    pub(super) registers: Registers,
    pub(super) cfa: Avma,
    /// The caller was interrupted there, it did not call.
    pub(super) interrupted: bool,
    pub(super) guessed: bool,
}

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

pub(super) fn by_plain_rule(
    rule: &PlainRule,
    registers: &Registers,
    stack: &mut (impl ReadStack + ?Sized),
) -> Result<Caller, Last> {
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
    let mut caller = Registers::from_ip_sp(Avma(ip), Avma(cfa));
    let sp = registers.sp().0;
    for (register, saved) in Register::CALLEE_SAVED.into_iter().zip(rule.saved) {
        let value = match saved.offset() {
            Some(offset) if !popped(cfa, offset, sp) => {
                Some(read(cfa.wrapping_add_signed(offset))?)
            }
            None if saved == Saved::LOST => None,
            _ => registers.get(register),
        };
        if let Some(value) = value {
            caller.set(register, value);
        }
    }
    Ok(Caller {
        registers: caller,
        cfa: Avma(cfa),
        interrupted: false,
        guessed: false,
    })
}

pub(super) fn by_full_rule(
    rule: &FullRule,
    registers: &Registers,
    stack: &mut (impl ReadStack + ?Sized),
) -> Result<Caller, Last> {
    let ip = registers.ip();
    let known = |register| {
        let value = registers.get(register);
        value.ok_or(UnwindEnd::UnknownRegister { ip, register })
    };
    let no_rule = UnwindEnd::NoRule { ip };
    let cfa = match &rule.cfa {
        Cfa::Register(register, offset) => known(*register)?.wrapping_add_signed(*offset),
        Cfa::Expression(expression) => {
            expression::evaluate(expression, None, registers, stack).ok_or(no_rule)?
        }
    };
    let mut caller = Registers::from_ip_sp(Avma(0), Avma(cfa));
    // Without a rule of its own, a register that a callee must keep was kept.
    for register in Register::CALLEE_SAVED {
        if let Some(value) = registers.get(register) {
            caller.set(register, value);
        }
    }
    let mut returns = false;
    for (register, source) in &rule.registers {
        let address = match source {
            Source::At(offset) => Some(cfa.wrapping_add_signed(*offset)),
            Source::AtExpression(expression) => {
                Some(expression::evaluate(expression, Some(cfa), registers, stack).ok_or(no_rule)?)
            }
            _ => None,
        };
        let value = match source {
            Source::Undefined => None,
            Source::Same => registers.get(*register),
            Source::At(offset) if popped(cfa, *offset, registers.sp().0) => {
                registers.get(*register)
            }
            Source::Register(other) => registers.get(*other),
            Source::CfaPlus(offset) => Some(cfa.wrapping_add_signed(*offset)),
            Source::Expression(expression) => {
                Some(expression::evaluate(expression, Some(cfa), registers, stack).ok_or(no_rule)?)
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
    Ok(Caller {
        registers: caller,
        cfa: Avma(cfa),
        interrupted: rule.signal,
        guessed: false,
    })
}
