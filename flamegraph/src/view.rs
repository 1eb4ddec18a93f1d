//! What a picture shows, and how it is divided.

use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// What the width of a box means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum View {
    /// Time on a CPU, by logical stack.
    #[default]
    Cpu,
    /// Tasks × time suspended, by await point.
    Wait,
    /// Both, and ready without running.
    Wall,
    /// Time a worker was held past the threshold, by the stack that held it.
    Stall,
}

/// What the first rows of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Grouping {
    /// The functions themselves.
    None,
    /// The threads.
    Thread,
    /// The kinds of tasks.
    #[default]
    Kind,
    /// The kinds of tasks, and the tasks of each.
    Task,
}

/// What becomes of the machinery of executor and standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RuntimeFrames {
    /// Its time goes to the function that called it.
    #[default]
    Folded,
    /// It is drawn like any function.
    Shown,
}

macro_rules! named {
    (@list $first:literal $(, $more:literal)*) => {
        concat!($first $(, ", ", $more)*)
    };
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $name,)+
                })
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self, Error> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(Error::UnknownName {
                        what: $what,
                        name: name.to_owned(),
                        known: named!(@list $($name),+),
                    }),
                }
            }
        }
    };
}

pub(crate) use named;

named!(
    View,
    "view",
    Cpu = "cpu",
    Wait = "wait",
    Wall = "wall",
    Stall = "stall"
);
named!(
    Grouping,
    "grouping",
    None = "none",
    Thread = "thread",
    Kind = "kind",
    Task = "task"
);
