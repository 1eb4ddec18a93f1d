//! Evaluating the DWARF expressions of call frame information.

use super::rule::Slice;
use super::stack::ReadStack;
use awaitscope_sampler::{Avma, Register, Registers};
use gimli::{
    Encoding, EndianSlice, EvaluationResult, Expression, Format, LittleEndian, Location, Value,
};

/// A PLT stub's expression takes eight steps, a signal frame's two.
const MOST_STEPS: u32 = 256;

const ENCODING: Encoding = Encoding {
    address_size: 8,
    format: Format::Dwarf32,
    version: 4,
};

/// What `expression` comes to in the frame that `registers` describe. `initial` is
/// on its stack when it begins: the CFA, for registers (DWARF 5, section 6.4.2).
pub(crate) fn evaluate(
    expression: &[u8],
    initial: Option<u64>,
    registers: &Registers,
    stack: &mut (impl ReadStack + ?Sized),
) -> Option<u64> {
    let bytecode: Slice<'_> = EndianSlice::new(expression, LittleEndian);
    let mut evaluation = Expression(bytecode).evaluation(ENCODING);
    evaluation.set_max_iterations(MOST_STEPS);
    if let Some(initial) = initial {
        evaluation.set_initial_value(initial);
    }
    let mut state = evaluation.evaluate().ok()?;
    // Steps that only ask, and so do not count above, cannot repeat without a
    // jump, which does.
    for _ in 0..MOST_STEPS {
        state = match state {
            EvaluationResult::Complete => {
                let [piece] = evaluation.result().try_into().ok()?;
                return match piece.location {
                    Location::Address { address } => Some(address),
                    _ => None,
                };
            }
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = registers.get(Register(register.0))?;
                evaluation.resume_with_register(Value::Generic(value))
            }
            EvaluationResult::RequiresMemory { address, size, .. } => {
                let word = stack.word(Avma(address))?;
                let value = match size {
                    1..8 => word & ((1 << (u32::from(size) * 8)) - 1),
                    _ => word,
                };
                evaluation.resume_with_memory(Value::Generic(value))
            }
            _ => return None,
        }
        .ok()?;
    }
    None
}
