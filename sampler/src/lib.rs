//! Watches the threads of a running Linux process, without stopping it.
//!
//! # What it does
//!
//! * [`Attachment`] attaches to every thread of a process and to those it starts later, or launches a
//!   command and watches it from its first instruction. It is a [`SampleSource`]: by and by it is
//!   drained of [`Event`]s, in the order of time over all CPUs. Samples of running threads come with all
//!   general registers, a copy of the user stack and, where permitted, the kernel's call chain;
//!   switches come with their exact times, and with the registers where permitted.
//! * [`OffCpu`] makes of these events the intervals that threads spent off their CPUs.
//! * [`LiveProcess`] reads memory in batches ([`ReadMemory`]) and tells of mappings and threads
//!   ([`Process`]). [`thread_pointer`] finds a thread's thread-local data.
//! * [`Moments`] reads memory at the very moment of a sample ([`AtSample`]), for what no stack tells.
//! * [`Capture`] writes down what came of this, step by step, with every answer of the process, and
//!   [`Replay`] gives it again without the process and without privileges.
//!
//! # What it does not do
//!
//! It knows no symbol, no debug information and no language; it does not unwind. It never writes to a
//! process, and does not stop or trace one: a stop would show, since a blocked `epoll_wait` returns
//! `EINTR` after one. (The exception is [`Stopped`], for whoever asks for just that.)
//!
//! # What it needs
//!
//! Perf events, on one's own processes down to `perf_event_paranoid` 2. Anybody's processes, time in the
//! kernel, and registers of switches need `CAP_PERFMON` (or root; the latter two, a
//! `perf_event_paranoid` of 1). What was granted is in [`Abilities`]; what was refused is an [`Error`]
//! that says what to do. Memory and mappings need the permissions of `ptrace(2)`, as for a debugger.
//!
//! # How it is cheap
//!
//! Threads share one ring a CPU, so that five hundred threads on sixty-four CPUs take descriptors but no
//! memory, and a burst of one thread has the room of all. Nothing wakes us: whoever watches drains
//! the rings every few milliseconds. A thread that does not run costs nothing. Where it is permitted,
//! the clocks that sample are those of the CPUs, and a thread that comes and goes has none to start and
//! stop.
//!
//! ```no_run
//! use awaitscope_sampler::{Attachment, Event, Options, Pid, SampleSource};
//!
//! let mut attachment = Attachment::attach(Pid(1234), &Options::default())?;
//! for _ in 0..1000 {
//!     std::thread::sleep(std::time::Duration::from_millis(5));
//!     attachment.drain(&mut |event| {
//!         if let Event::Sample(sample) = event {
//!             println!("{} at {}", sample.tid, sample.registers.ip());
//!         }
//!     })?;
//! }
//! # Ok::<(), awaitscope_sampler::Error>(())
//! ```

mod arch;
mod assemble;
mod attachment;
mod by_number;
mod capture;
mod descriptors;
mod ended;
mod error;
mod event;
mod guard;
mod ids;
mod kernel;
mod launch;
mod lineage;
mod live;
mod maps;
mod memory;
mod moments;
mod off_cpu;
mod open;
mod open_files;
mod options;
mod order;
mod preparation;
mod process;
mod procfs;
mod record;
mod ring;
mod rings;
mod source;
mod stop;
mod sys;
mod tls;
mod wide;

pub use arch::{REGISTER_COUNT, Register, Registers, syscall_name};
pub use attachment::{Attachment, Footprint};
pub use capture::{Capture, RecordedProcess, Replay, ReplayProcess};
pub use error::Error;
pub use event::{Event, Sample, StackCopy, SwitchReason};
pub use ids::{Avma, Nanos, Pid, Tid};
pub use live::{Facts, LiveProcess};
pub use moments::{AtSample, MemoryCopy, Moment, Moments};
pub use off_cpu::{Finished, OffCpu, OffInterval, OffThread};
pub use open_files::{Descriptor, OpenFiles, Protocol, Socket};
pub use options::{Children, Clocks, KernelPart, Options, SwitchRegisters};
pub use process::{BlockedThread, Mapped, Mapping, Permissions, Process, ReadMemory, ReadRequest};
pub use source::{Abilities, SampleSource};
pub use stop::Stopped;
pub use tls::{is_thread_block, thread_pointer};
