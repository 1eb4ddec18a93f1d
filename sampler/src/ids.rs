//! The small values that name things in a process: who, where, when.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id! {
    /// A process, as numbered in our own PID namespace.
    Pid(u32)
}
id! {
    /// A thread, as numbered in our own PID namespace.
    Tid(u32)
}
id! {
    /// An *actual virtual memory address*: where something stands in a running
    /// process, after relocation.
    Avma(u64)
}
id! {
    /// Nanoseconds: a moment on `CLOCK_MONOTONIC`, or the length between two.
    Nanos(u64)
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Avma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

impl Avma {
    /// The address `offset` bytes further on, or `None` past the end of the
    /// address space.
    #[must_use]
    pub fn checked_add(self, offset: u64) -> Option<Self> {
        self.0.checked_add(offset).map(Self)
    }
}

impl Nanos {
    /// No time at all; also the oldest moment.
    pub const ZERO: Self = Self(0);

    /// The moment it is, on `CLOCK_MONOTONIC`: the clock of all events.
    #[must_use]
    pub fn now() -> Self {
        crate::sys::now()
    }

    /// The length of `millis` milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// This length in milliseconds.
    #[must_use]
    pub fn as_millis(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The length from `earlier` to `self`, zero if `earlier` is not earlier.
    /// Clocks of several CPUs can disagree by a little.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Default for Nanos {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Add for Nanos {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanos {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}
