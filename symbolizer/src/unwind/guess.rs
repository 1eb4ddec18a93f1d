//! What can be found out where call frame information or a register is missing.
//! Everything here is checked against the stack before it is believed.

use super::PhysicalFrame;
use super::arch;
use super::stack::ReadStack;
use super::step::Caller;
use crate::module::{AddressSpace, Place};
use awaitscope_sampler::{Avma, Register, Registers};
use gimli::UnwindContext;

/// The caller of a frame without call frame information: hand-written assembly,
/// or generated code.
pub(super) fn caller(
    space: &AddressSpace,
    frame: &PhysicalFrame,
    innermost: bool,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<Caller> {
    if !space.is_executable(frame.lookup) && !innermost {
        return None;
    }
    let generated = matches!(space.place(frame.lookup), Place::Generated);
    if innermost && !generated {
        // A leaf in assembly, or a call through a wild pointer: nothing was pushed
        // since the call.
        leaf(space, frame, stack).or_else(|| by_frame_pointer(space, frame, stack))
    } else {
        by_frame_pointer(space, frame, stack)
    }
}

fn leaf(
    space: &AddressSpace,
    frame: &PhysicalFrame,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<Caller> {
    let sp = frame.registers.sp();
    let ip = Avma(stack.word(sp)?);
    let cfa = sp.checked_add(8)?;
    if !is_return_address(space, ip, stack) {
        return None;
    }
    let mut registers = Registers::from_ip_sp(ip, cfa);
    for register in Register::CALLEE_SAVED {
        if let Some(value) = frame.registers.get(register) {
            registers.set(register, value);
        }
    }
    Some(Caller {
        registers,
        cfa,
        interrupted: false,
        guessed: true,
    })
}

fn by_frame_pointer(
    space: &AddressSpace,
    frame: &PhysicalFrame,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<Caller> {
    let rbp = frame.registers.get(Register::RBP)?;
    let (saved_rbp, ip) = frame_record(space, rbp, frame.registers.sp(), stack)?;
    let cfa = Avma(rbp.checked_add(16)?);
    // The other registers may have been saved anywhere.
    let mut registers = Registers::from_ip_sp(ip, cfa);
    registers.set(Register::RBP, saved_rbp);
    Some(Caller {
        registers,
        cfa,
        interrupted: false,
        guessed: true,
    })
}

/// The value of `rbp` in a frame of which only `sp` is known, where its function's
/// prologue says how far they are apart, and what then lies at `rbp` bears it out.
pub(super) fn frame_pointer(
    space: &AddressSpace,
    frame: &PhysicalFrame,
    context: &mut UnwindContext<usize>,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<u64> {
    let Place::Module(_, module, svma) = space.place(frame.lookup) else {
        return None;
    };
    let found = module.call_frames()?.find(svma.0, context)?;
    let length = usize::try_from(found.function.end.checked_sub(found.function.start)?).ok()?;
    let code = module.image().ok()?.loaded_at(found.function.start)?;
    let prologue = arch::prologue(code.get(..length)?)?;
    let into = usize::try_from(svma.0.checked_sub(found.function.start)?).ok()?;
    if into < prologue.length {
        return None;
    }
    let rbp = frame.registers.sp().0.checked_add(prologue.depth)?;
    frame_record(space, rbp, frame.registers.sp(), stack)?;
    Some(rbp)
}

/// What a function with a frame pointer leaves at `rbp`: its caller's `rbp`, and
/// its return address.
fn frame_record(
    space: &AddressSpace,
    rbp: u64,
    sp: Avma,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<(u64, Avma)> {
    if rbp < sp.0 || !rbp.is_multiple_of(8) {
        return None;
    }
    let saved_rbp = stack.word(Avma(rbp))?;
    let ip = Avma(stack.word(Avma(rbp.checked_add(8)?))?);
    is_return_address(space, ip, stack).then_some((saved_rbp, ip))
}

/// Whether `address` can be run and comes after a call.
fn is_return_address(
    space: &AddressSpace,
    address: Avma,
    stack: &mut (impl ReadStack + ?Sized),
) -> bool {
    const LENGTH: usize = arch::LONGEST_CALL;
    let Some(start) = address.0.checked_sub(LENGTH as u64) else {
        return false;
    };
    let mut read = [0; LENGTH];
    match space.place(Avma(address.0.wrapping_sub(1))) {
        Place::Nowhere => false,
        Place::Generated => stack.code(Avma(start), &mut read) && arch::ends_with_call(&read),
        Place::Module(_, module, svma) => {
            let code = svma.0.checked_sub(LENGTH as u64 - 1).and_then(|start| {
                let image = module.image().ok()?;
                image.loaded_at(start)?.get(..LENGTH)
            });
            space.is_executable(Avma(address.0 - 1)) && code.is_some_and(arch::ends_with_call)
        }
    }
}
