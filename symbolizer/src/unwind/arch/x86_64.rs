//! x86-64. Encodings: Intel SDM volume 2, chapters 2 and 3 to 5.

/// The longest call instruction that [`ends_with_call`] knows.
pub(crate) const LONGEST_CALL: usize = 7;

/// Whether `code` ends with a call instruction, as the code before every return
/// address does. `E8` is a call of a fixed place; `FF /2` one through a register
/// or memory, with the addressing form in its ModRM byte.
pub(crate) fn ends_with_call(code: &[u8]) -> bool {
    let back = |distance: usize| code.len().checked_sub(distance).map(|at| code[at]);
    if back(5) == Some(0xe8) {
        return true;
    }
    // By the instruction's length without prefixes: its ModRM byte must call for
    // exactly that length.
    (2..=LONGEST_CALL).any(|length| {
        back(length) == Some(0xff)
            && back(length - 1).is_some_and(|modrm| {
                let sib = (length > 2).then(|| back(length - 2)).flatten();
                modrm >> 3 & 7 == 2 && indirect_length(modrm, sib) == length
            })
    })
}

/// The length of an `FF` instruction by its ModRM byte and the byte after it.
fn indirect_length(modrm: u8, sib: Option<u8>) -> usize {
    let (mode, base) = (modrm >> 6, modrm & 7);
    let has_sib = mode != 3 && base == 4;
    let displacement = match mode {
        1 => 1,
        2 => 4,
        0 if base == 5 => 4,
        0 if has_sib && sib.is_some_and(|sib| sib & 7 == 5) => 4,
        _ => 0,
    };
    2 + usize::from(has_sib) + displacement
}

/// A function's first instructions, as compilers write them for functions with a
/// frame pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prologue {
    /// How many bytes it takes.
    pub(crate) length: usize,
    /// How far below `rbp` it leaves `rsp`.
    pub(crate) depth: u64,
}

/// Reads the prologue at the start of `function`, a function's whole code:
/// `push rbp; mov rbp, rsp`, then pushes of other registers and `sub rsp, N`. `None`
/// when it begins otherwise, or when its body moves `rsp` by amounts that only
/// run time knows, so that the depth says nothing.
pub(crate) fn prologue(function: &[u8]) -> Option<Prologue> {
    const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
    let mut rest = function.strip_prefix(ENDBR64).unwrap_or(function);
    rest = rest.strip_prefix(&[0x55])?;
    rest = rest
        .strip_prefix(&[0x48, 0x89, 0xe5])
        .or_else(|| rest.strip_prefix(&[0x48, 0x8b, 0xec]))?;
    let mut depth = 0u64;
    while let Some((more, after)) = grows_stack(rest) {
        depth = depth.checked_add(more)?;
        rest = after;
    }
    let length = function.len() - rest.len();
    (!moves_stack_freely(rest)).then_some(Prologue { length, depth })
}

/// One instruction that belongs to a prologue, by how much it grows the stack.
fn grows_stack(code: &[u8]) -> Option<(u64, &[u8])> {
    match *code {
        // push of rbx, or of r12 to r15
        [0x53, ref rest @ ..] | [0x41, 0x54..=0x57, ref rest @ ..] => Some((8, rest)),
        // push rax: LLVM's way to grow the stack by 8
        [0x50, ref rest @ ..] => Some((8, rest)),
        [0x48, 0x83, 0xec, by, ref rest @ ..] if by < 0x80 => Some((by.into(), rest)),
        [0x48, 0x81, 0xec, a, b, c, d, ref rest @ ..] => {
            let by = u32::from_le_bytes([a, b, c, d]);
            (by < 0x8000_0000).then_some((by.into(), rest))
        }
        // mov qword [rsp], 0: the stack probe between two steps of a page
        [0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0, ref rest @ ..] => Some((0, rest)),
        _ => None,
    }
}

/// Whether `code` may subtract from `rsp` (again), align it, or load it. Looks at every byte, so it also finds instructions that are none: then we know
/// less, never something wrong.
fn moves_stack_freely(code: &[u8]) -> bool {
    code.windows(3).any(|bytes| match *bytes {
        [0x48..=0x4f, opcode, modrm] => {
            let to_stack_pointer = modrm >> 6 == 3 && modrm & 7 == 4 && bytes[0] & 1 == 0;
            let from_memory = modrm >> 3 & 7 == 4 && bytes[0] & 4 == 0;
            match opcode {
                // and, sub, mov rsp, reg
                0x21 | 0x29 | 0x89 => to_stack_pointer,
                // and, sub, mov rsp, reg or memory
                0x23 | 0x2b | 0x8b => from_memory,
                // and, sub rsp, imm
                0x81 | 0x83 => to_stack_pointer && matches!(modrm >> 3 & 7, 4 | 5),
                _ => false,
            }
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_the_bytes_before_a_return_address() {
        let calls: &[&[u8]] = &[
            &[0xe8, 1, 2, 3, 4],             // call rel32
            &[0xff, 0xd0],                   // call rax
            &[0x41, 0xff, 0xd4],             // call r12
            &[0xff, 0x10],                   // call [rax]
            &[0xff, 0x50, 0x18],             // call [rax+0x18]
            &[0x41, 0xff, 0x54, 0x24, 0x18], // call [r12+0x18]
            &[0xff, 0x15, 1, 2, 3, 4],       // call [rip+x]
            &[0xff, 0x90, 1, 2, 3, 4],       // call [rax+disp32]
            &[0xff, 0x94, 0x24, 1, 2, 3, 4], // call [rsp+disp32]
            &[0xff, 0x14, 0xc5, 1, 2, 3, 4], // call [rax*8+disp32]
        ];
        for call in calls {
            let mut code = vec![0x90; 3];
            code.extend_from_slice(call);
            assert!(ends_with_call(&code), "{call:x?}");
        }
    }

    #[test]
    fn other_instructions_are_no_calls() {
        let others: &[&[u8]] = &[
            &[],
            &[0x90; 16],
            &[0xff, 0xe0],             // jmp rax
            &[0xff, 0x25, 1, 2, 3, 4], // jmp [rip+x]
            &[0xff, 0x50],             // the start of a call
            &[0x48, 0x89, 0xe5],
        ];
        for other in others {
            assert!(!ends_with_call(other), "{other:x?}");
        }
    }

    #[test]
    fn a_prologue_says_how_deep_its_frame_is() {
        let code = [
            0x55, 0x48, 0x89, 0xe5, // push rbp; mov rbp, rsp
            0x41, 0x56, 0x53, // push r14; push rbx
            0x48, 0x83, 0xec, 0x20, // sub rsp, 0x20
            0x90, 0xc3,
        ];
        assert_eq!(
            prologue(&code),
            Some(Prologue {
                length: 11,
                depth: 0x30
            })
        );
    }

    #[test]
    fn a_function_that_aligns_its_stack_has_no_known_depth() {
        let code = [
            0x55, 0x48, 0x89, 0xe5, // push rbp; mov rbp, rsp
            0x48, 0x83, 0xe4, 0xe0, // and rsp, -32
            0x48, 0x83, 0xec, 0x20, // sub rsp, 0x20
            0xc3,
        ];
        assert_eq!(prologue(&code), None);
    }

    #[test]
    fn a_function_with_a_variable_array_has_no_known_depth() {
        let code = [
            0x55, 0x48, 0x89, 0xe5, // push rbp; mov rbp, rsp
            0x48, 0x83, 0xec, 0x20, // sub rsp, 0x20
            0x48, 0x29, 0xc4, // sub rsp, rax
            0xc3,
        ];
        assert_eq!(prologue(&code), None);
    }
}
