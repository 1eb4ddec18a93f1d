//! x86-64.

mod syscalls;

pub use syscalls::syscall_name;

use crate::ids::Avma;
use serde::{Deserialize, Serialize};

/// How many registers [`Registers`] holds: the sixteen general ones and the
/// instruction pointer, numbered as DWARF does (System V ABI, AMD64 supplement,
/// figure 3.36).
pub const REGISTER_COUNT: usize = 17;

/// A register, by its DWARF number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Register(pub u16);

impl Register {
    /// `rbx`, kept by the callee.
    pub const RBX: Self = Self(3);
    /// `rbp`, the frame pointer where there is one; kept by the callee.
    pub const RBP: Self = Self(6);
    /// `rsp`, the stack pointer.
    pub const RSP: Self = Self(7);
    /// The return address column, which stands for `rip`.
    pub const RA: Self = Self(16);
    /// The registers a callee must keep (System V ABI, section 3.2.1).
    pub const CALLEE_SAVED: [Self; 6] =
        [Self::RBX, Self::RBP, Self(12), Self(13), Self(14), Self(15)];
}

/// User registers of a thread, each known or not.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    values: [u64; REGISTER_COUNT],
    /// Bit `n` is set when register `n` is known.
    known: u32,
}

impl Registers {
    /// Only the instruction and stack pointers, as `/proc/PID/task/TID/syscall`
    /// tells them.
    #[must_use]
    #[inline]
    pub fn from_ip_sp(ip: Avma, sp: Avma) -> Self {
        let mut registers = Self {
            values: [0; REGISTER_COUNT],
            known: 0,
        };
        registers.set(Register::RA, ip.0);
        registers.set(Register::RSP, sp.0);
        registers
    }

    /// The value of a register, if it is known.
    #[must_use]
    #[inline]
    pub fn get(&self, register: Register) -> Option<u64> {
        let index = usize::from(register.0);
        (index < REGISTER_COUNT && self.known & (1 << index) != 0).then(|| self.values[index])
    }

    /// The same but for the one in which a system call leaves its result: a thread that is in one gets
    /// that without having run on.
    pub(crate) fn without_result(mut self) -> Self {
        self.known &= !1;
        self.values[0] = 0;
        self
    }

    /// Makes a register known. A register without a place here is ignored.
    #[inline]
    pub fn set(&mut self, register: Register, value: u64) {
        let index = usize::from(register.0);
        if index < REGISTER_COUNT {
            self.values[index] = value;
            self.known |= 1 << index;
        }
    }

    /// Makes a register unknown.
    #[inline]
    pub fn forget(&mut self, register: Register) {
        self.known &= !(1u32.checked_shl(u32::from(register.0)).unwrap_or(0));
    }

    /// The instruction pointer; always known.
    #[must_use]
    #[inline]
    pub fn ip(&self) -> Avma {
        Avma(self.values[usize::from(Register::RA.0)])
    }

    /// The stack pointer; always known.
    #[must_use]
    #[inline]
    pub fn sp(&self) -> Avma {
        Avma(self.values[usize::from(Register::RSP.0)])
    }
}

impl std::fmt::Debug for Registers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registers(ip {}, sp {})", self.ip(), self.sp())
    }
}

/// The registers a sample is asked to carry: all general ones, flags and segments
/// of code and stack (`PERF_REG_X86_AX` to `PERF_REG_X86_SS` and
/// `PERF_REG_X86_R8` to `PERF_REG_X86_R15` of `asm/perf_regs.h`).
pub(crate) const PERF_REGISTERS: u64 = 0x00ff_0fff;

/// Where register `n` of DWARF stands in the kernel's own numbering
/// (`enum perf_event_x86_regs` of `asm/perf_regs.h`, which follows the names:
/// ax, bx, cx, dx, si, di, bp, sp, ip).
const PERF_NUMBER: [u64; REGISTER_COUNT] = [
    0,  // rax
    3,  // rdx
    2,  // rcx
    1,  // rbx
    4,  // rsi
    5,  // rdi
    6,  // rbp
    7,  // rsp
    16, // r8
    17, 18, 19, 20, 21, 22, 23, // to r15
    8,  // rip
];

impl Registers {
    /// The registers of a sample, given the value of each by the kernel's
    /// number; `None` unless it tells ip and sp.
    pub(crate) fn from_perf(value: impl Fn(u64) -> Option<u64>) -> Option<Self> {
        let known = |register: Register| value(PERF_NUMBER[usize::from(register.0)]);
        let mut registers =
            Self::from_ip_sp(Avma(known(Register::RA)?), Avma(known(Register::RSP)?));
        for (dwarf, perf) in (0u16..).zip(PERF_NUMBER) {
            if let Some(value) = value(perf) {
                registers.set(Register(dwarf), value);
            }
        }
        Some(registers)
    }
}
