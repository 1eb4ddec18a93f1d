//! Walking a stack from the innermost frame outwards.
//!
//! By call frame information: release builds keep no frame pointers. Besides the
//! instruction and stack pointers, all registers that a callee must keep are
//! recovered in every frame, because that is where poll functions hold their task.

mod arch;
mod cache;
mod cfi;
mod copy;
mod expression;
mod guess;
mod rule;
mod stack;
mod step;

pub(crate) use cfi::CallFrameInfo;
pub(crate) use copy::copy_stack;
pub use stack::{ReadStack, StackReader};

use crate::module::{AddressSpace, Place};
use awaitscope_sampler::{Avma, Register, Registers};
use cache::{Cached, RuleCache};
use gimli::UnwindContext;
use step::{Last, Step, by_full_rule, by_plain_rule};

/// One function's activation on the stack; functions that were inlined into it
/// are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhysicalFrame {
    /// The instruction that was interrupted, or that the callee returns to.
    pub ip: Avma,
    /// The address to look up. For a return address it is one less: the call may
    /// be the last instruction of its line, or of its function.
    pub lookup: Avma,
    /// The stack pointer before the call that made this frame: where the frame
    /// ends. Unknown in the last frame of a stack that could not be followed on.
    pub cfa: Option<Avma>,
    /// The registers as they stand in this frame. In callers only those are known
    /// that a callee must keep.
    pub registers: Registers,
    /// The frame was found without call frame information, by a frame pointer that
    /// led to a return address after a call.
    pub guessed: bool,
}

/// Why the walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnwindEnd {
    /// At the outermost frame: the stack is whole.
    Complete,
    /// No module has code there, and frame pointers lead nowhere.
    NoModule {
        /// Where.
        ip: Avma,
    },
    /// The module does not say how to unwind from there.
    NoRule {
        /// Where.
        ip: Avma,
    },
    /// A register is needed that is not known, as in a thread whose registers
    /// other than `ip` and `sp` could not be read.
    UnknownRegister {
        /// Where.
        ip: Avma,
        /// Which.
        register: Register,
    },
    /// The stack could not be read there: it is deeper than the copy.
    Unreadable {
        /// Which address.
        address: Avma,
    },
    /// The stack is deeper than the copy, and memory has changed since.
    Moved,
    /// The stack pointer did not rise: the stack is damaged, or was misread.
    Loop,
    /// There are more frames than are followed.
    TooDeep,
}

impl UnwindEnd {
    /// Whether the thread's first function was reached.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self == Self::Complete
    }
}

/// Walks stacks. Keeps the rules of addresses it met, so one walker a thread and
/// process is kept for many samples.
#[derive(Debug)]
pub struct Unwinder {
    cache: RuleCache,
    context: UnwindContext<usize>,
    generation: u64,
    most_frames: usize,
}

impl Default for Unwinder {
    fn default() -> Self {
        Self::new()
    }
}

impl Unwinder {
    /// How many frames are followed. Recursion goes as deep as stacks allow, but
    /// nobody reads such a picture.
    pub const MOST_FRAMES: usize = 2048;

    /// A walker that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cache: RuleCache::new(),
            context: UnwindContext::new(),
            generation: 0,
            most_frames: Self::MOST_FRAMES,
        }
    }

    /// Follows at most `frames` frames.
    #[must_use]
    pub fn with_most_frames(mut self, frames: usize) -> Self {
        self.most_frames = frames;
        self
    }

    /// Forgets all rules: for another process.
    pub fn forget(&mut self) {
        self.cache.clear();
    }

    /// Walks the stack of a thread with these `registers` and puts its frames into
    /// `frames`, innermost first, in place of what was there.
    ///
    /// A walker is used with one address space and its updates; call
    /// [`forget`](Self::forget) before another.
    pub fn unwind(
        &mut self,
        space: &AddressSpace,
        registers: &Registers,
        stack: &mut (impl ReadStack + ?Sized),
        frames: &mut Vec<PhysicalFrame>,
    ) -> UnwindEnd {
        frames.clear();
        if self.generation != space.generation() {
            self.generation = space.generation();
            self.cache.clear();
        }
        let mut registers = *registers;
        let mut lookup = registers.ip();
        let mut guessed = false;
        loop {
            if frames.len() >= self.most_frames {
                return UnwindEnd::TooDeep;
            }
            let innermost = frames.is_empty();
            let sp = registers.sp();
            frames.push(PhysicalFrame {
                ip: registers.ip(),
                lookup,
                cfa: None,
                registers,
                guessed,
            });
            let step = match self.step(space, lookup, innermost, &mut registers, stack) {
                Ok(step) => step,
                Err(Last(end, cfa)) => {
                    // An address that cannot be code is no frame, except that the
                    // thread did stand there.
                    if !innermost
                        && matches!(end, UnwindEnd::NoModule { .. })
                        && !space.is_executable(lookup)
                    {
                        frames.pop();
                    } else if let Some(frame) = frames.last_mut() {
                        frame.cfa = cfa;
                    }
                    return match end {
                        UnwindEnd::Unreadable { .. } if stack.moved() => UnwindEnd::Moved,
                        _ => end,
                    };
                }
            };
            if let Some(frame) = frames.last_mut() {
                frame.cfa = Some(step.cfa);
            }
            let ip = registers.ip();
            if ip.0 == 0 {
                return UnwindEnd::Complete;
            }
            // A signal handler may run on a stack of its own, anywhere.
            if registers.sp() <= sp && !step.interrupted {
                return UnwindEnd::Loop;
            }
            lookup = Avma(ip.0 - u64::from(!step.interrupted));
            guessed = step.guessed;
        }
    }

    /// Turns the registers of the frame at `lookup` into those of its caller.
    fn step(
        &mut self,
        space: &AddressSpace,
        lookup: Avma,
        innermost: bool,
        registers: &mut Registers,
        stack: &mut (impl ReadStack + ?Sized),
    ) -> Result<Step, Last> {
        let step = match self.by_known_rule(lookup, registers, stack) {
            Some(step) => step,
            None => match self.learn(space, lookup) {
                Ok(()) => self
                    .by_known_rule(lookup, registers, stack)
                    .unwrap_or(Err(UnwindEnd::NoRule { ip: lookup }.into())),
                Err(end) => {
                    return guess::step(space, lookup, innermost, registers, stack)
                        .ok_or(end.into());
                }
            },
        };
        match step {
            Err(Last(UnwindEnd::UnknownRegister { register, .. }, _))
                if register == Register::RBP =>
            {
                self.with_derived_frame_pointer(space, lookup, registers, stack)
            }
            other => other,
        }
    }

    /// The step by the rule in the cache, if there is one.
    #[inline]
    fn by_known_rule(
        &self,
        lookup: Avma,
        registers: &mut Registers,
        stack: &mut (impl ReadStack + ?Sized),
    ) -> Option<Result<Step, Last>> {
        Some(match self.cache.get(lookup.0)? {
            Cached::Plain(rule) => by_plain_rule(rule, registers, stack),
            Cached::Full(rule) => by_full_rule(rule, registers, stack),
        })
    }

    /// Finds the rule of an address and puts it into the cache.
    fn learn(&mut self, space: &AddressSpace, lookup: Avma) -> Result<(), UnwindEnd> {
        let Place::Module(_, module, svma) = space.place(lookup) else {
            return Err(UnwindEnd::NoModule { ip: lookup });
        };
        let found = module
            .call_frames()
            .and_then(|frames| frames.find(svma.0, &mut self.context))
            .ok_or(UnwindEnd::NoRule { ip: lookup })?;
        self.cache.insert(lookup.0, found.rule);
        Ok(())
    }

    /// The step out of a frame whose `rbp` is needed and not known: from `rsp`, where
    /// the function's prologue says exactly how far they are apart.
    ///
    /// So it is with a thread asleep in glibc, of which only `ip` and `sp` are
    /// known: glibc has no frame pointers, Rust's std has, since 1.79.
    #[cold]
    fn with_derived_frame_pointer(
        &mut self,
        space: &AddressSpace,
        lookup: Avma,
        registers: &mut Registers,
        stack: &mut (impl ReadStack + ?Sized),
    ) -> Result<Step, Last> {
        let unknown = UnwindEnd::UnknownRegister {
            ip: registers.ip(),
            register: Register::RBP,
        };
        let sp = registers.sp();
        let rbp = guess::frame_pointer(space, lookup, sp, &mut self.context, stack);
        registers.set(Register::RBP, rbp.ok_or(unknown)?);
        self.by_known_rule(lookup, registers, stack)
            .unwrap_or(Err(unknown.into()))
    }
}
