//! What can be found out where call frame information or a register is missing.
//! Everything here is checked against the stack before it is believed.

use super::arch;
use super::stack::ReadStack;
use super::step::Step;
use crate::module::{AddressSpace, Place};
use awaitscope_sampler::{Avma, Register, Registers};
use gimli::UnwindContext;

/// The step out of a frame without call frame information: hand-written assembly,
/// or generated code.
#[cold]
pub(super) fn step(
    space: &AddressSpace,
    lookup: Avma,
    innermost: bool,
    registers: &mut Registers,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<Step> {
    if !space.is_executable(lookup) && !innermost {
        return None;
    }
    let generated = match space.place(lookup) {
        Place::Generated => true,
        Place::Module(_, module, _) => module.image().is_err(),
        Place::Nowhere => false,
    };
    // A leaf in assembly, or a call through a wild pointer: nothing was pushed since
    // the call.
    let as_leaf = innermost && !generated;
    let caller = as_leaf
        .then(|| leaf(space, registers, stack))
        .flatten()
        .or_else(|| by_frame_pointer(space, registers, stack))?;
    *registers = caller;
    Some(Step {
        cfa: caller.sp(),
        interrupted: false,
        guessed: true,
    })
}

fn leaf(
    space: &AddressSpace,
    registers: &Registers,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<Registers> {
    let sp = registers.sp();
    let ip = Avma(stack.word(sp)?);
    if !is_return_address(space, ip, stack) {
        return None;
    }
    let mut caller = Registers::from_ip_sp(ip, sp.checked_add(8)?);
    for register in Register::CALLEE_SAVED {
        if let Some(value) = registers.get(register) {
            caller.set(register, value);
        }
    }
    Some(caller)
}

fn by_frame_pointer(
    space: &AddressSpace,
    registers: &Registers,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<Registers> {
    let rbp = registers.get(Register::RBP)?;
    let (saved_rbp, ip) = frame_record(space, rbp, registers.sp(), stack)?;
    // The other registers may have been saved anywhere.
    let mut caller = Registers::from_ip_sp(ip, Avma(rbp.checked_add(16)?));
    caller.set(Register::RBP, saved_rbp);
    Some(caller)
}

/// The value of `rbp` in a frame of which only `sp` is known, where its function's
/// prologue says how far they are apart, and what then lies at `rbp` bears it out.
pub(super) fn frame_pointer(
    space: &AddressSpace,
    lookup: Avma,
    sp: Avma,
    context: &mut UnwindContext<usize>,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<u64> {
    let Place::Module(_, module, svma) = space.place(lookup) else {
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
    let rbp = sp.0.checked_add(prologue.depth)?;
    frame_record(space, rbp, sp, stack)?;
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
    if !space.is_executable(Avma(address.0 - 1)) {
        return false;
    }
    let code = match space.place(Avma(address.0 - 1)) {
        Place::Module(_, module, svma) => module.image().ok().map(|image| {
            let start = svma.0.checked_sub(LENGTH as u64 - 1);
            start.and_then(|start| image.loaded_at(start)?.get(..LENGTH))
        }),
        Place::Generated | Place::Nowhere => None,
    };
    match code {
        Some(code) => code.is_some_and(arch::ends_with_call),
        // Generated code, in anonymous memory or (.NET, some JavaScript engines) in a
        // memory file that is no ELF file.
        None => {
            let mut code = [0; LENGTH];
            stack.code(Avma(start), &mut code) && arch::ends_with_call(&code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{UnwindEnd, Unwinder};
    use super::*;
    use crate::debugfile::DebugFiles;
    use crate::module::Binaries;
    use awaitscope_sampler::{Mapped, Mapping, Permissions, Pid, ReadMemory, ReadRequest};

    const CODE: u64 = 0x10_0000;
    const STACK: u64 = 0x7fff_0000;

    struct Nothing;

    impl ReadMemory for Nothing {
        fn read_many(&self, _: &mut [ReadRequest<'_>]) {}
    }

    /// Generated code that is all `call rax`, and a stack.
    struct Generated(Vec<u64>);

    impl ReadStack for Generated {
        fn word(&mut self, address: Avma) -> Option<u64> {
            let index = usize::try_from(address.0.checked_sub(STACK)? / 8).ok()?;
            self.0.get(index).copied()
        }

        fn code(&mut self, address: Avma, into: &mut [u8]) -> bool {
            for (byte, at) in into.iter_mut().zip(address.0..) {
                *byte = if at % 2 == 0 { 0xff } else { 0xd0 };
            }
            true
        }
    }

    fn space() -> AddressSpace {
        let mut space = AddressSpace::new(Binaries::OfProcess(Pid(0)), DebugFiles::none());
        let mapping = Mapping {
            start: Avma(CODE),
            end: Avma(CODE + 0x1000),
            file_offset: 0,
            permissions: Permissions {
                read: true,
                write: true,
                execute: true,
            },
            what: Mapped::Anonymous { name: None },
        };
        space.update(&[mapping], &Nothing);
        space
    }

    fn walk(stack: Vec<u64>) -> (UnwindEnd, Vec<(u64, bool)>) {
        let mut registers = Registers::from_ip_sp(Avma(CODE + 0x10), Avma(STACK));
        registers.set(Register::RBP, STACK + 16);
        let mut frames = Vec::new();
        let mut stack = Generated(stack);
        let end = Unwinder::new().unwind(&space(), &registers, &mut stack, &mut frames);
        let seen = frames.iter().map(|frame| (frame.ip.0, frame.guessed));
        (end, seen.collect())
    }

    #[test]
    fn generated_code_is_followed_by_frame_pointers_and_marked() {
        let (end, frames) = walk(vec![1, 2, STACK + 40, CODE + 0x20, 3, 0, CODE + 0x40, 0, 0]);
        assert_eq!(
            frames,
            [
                (CODE + 0x10, false),
                (CODE + 0x20, true),
                (CODE + 0x40, true)
            ]
        );
        assert_eq!(
            end,
            UnwindEnd::NoModule {
                ip: Avma(CODE + 0x3f)
            }
        );
    }

    #[test]
    fn a_word_that_follows_no_call_is_no_return_address() {
        let (end, frames) = walk(vec![1, 2, STACK + 40, CODE + 0x21, 3, 0, 0]);
        assert_eq!(frames, [(CODE + 0x10, false)]);
        assert_eq!(
            end,
            UnwindEnd::NoModule {
                ip: Avma(CODE + 0x10)
            }
        );
    }
}
