//! Watches the threads of a running Linux process, without stopping it.
mod arch;
mod error;
mod event;
mod ids;
mod process;
mod source;

pub use arch::{REGISTER_COUNT, Register, Registers};
pub use error::Error;
pub use event::{Event, Sample, StackCopy, SwitchReason};
pub use ids::{Avma, Nanos, Pid, Tid};
pub use process::{
    BlockedThread, Mapped, Mapping, Permissions, Process, ReadMemory, ReadRequest,
};
pub use source::{Abilities, SampleSource};
