//! Opening the events on a thread.

use crate::arch::PERF_REGISTERS;
use crate::error::Error;
use crate::ids::{Nanos, Pid, Tid};
use crate::options::{Children, KernelPart, Options, SwitchRegisters};
use crate::procfs;
use crate::record::{Kind, sample_format};
use crate::sys;
use nix::errno::Errno;
use perf_event::events::Software;
use perf_event::{Builder, Counter};
use std::io;

/// What the events ask for: what was wished, cut down to what is permitted.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub period: Nanos,
    pub stack_bytes: u32,
    pub kernel: bool,
    pub switch_registers: bool,
    pub inherit: Inherit,
    pub begin: Begin,
    /// The samples come from the clocks of the CPUs, and those on threads tell of all else.
    pub clocks_of_cpus: bool,
}

/// Who inherits the events of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inherit {
    /// The threads it starts.
    Threads,
    /// The threads and processes it starts.
    All,
}

/// When the events begin to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At once.
    Now,
    /// When the thread runs another program.
    OnExec,
}

impl Plan {
    /// What `options` wish.
    pub(crate) fn wished(options: &Options, begin: Begin) -> Result<Self, Error> {
        let kernel = options.kernel == KernelPart::IfPermitted;
        Ok(Self {
            period: options.period()?,
            stack_bytes: options.stack_copy(),
            kernel,
            // A switch happens in the kernel, so an event that leaves the kernel out
            // never sees one (`perf_exclude_event`).
            switch_registers: kernel && options.switch_registers == SwitchRegisters::IfPermitted,
            inherit: match options.children {
                Children::Ignore => Inherit::Threads,
                Children::Follow => Inherit::All,
            },
            begin,
            clocks_of_cpus: false,
        })
    }

    /// Finds out, on one thread, how much of the wish is granted.
    pub(crate) fn granted(mut self, pid: Pid, on: Tid, cpu: u32) -> Result<Self, Error> {
        loop {
            let error = match self.open(Kind::Clock, on, cpu) {
                Ok(_) => break,
                Err(error) => error,
            };
            match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                Errno::EACCES | Errno::EPERM if self.kernel => {
                    self.kernel = false;
                    self.switch_registers = false;
                }
                // `inherit_thread` came with Linux 5.13.
                Errno::EINVAL | Errno::E2BIG if self.inherit == Inherit::Threads => {
                    self.inherit = Inherit::All;
                }
                _ => return Err(explain(error, Kind::Clock, pid)),
            }
        }
        if self.switch_registers {
            self.switch_registers = match self.open(Kind::Switch, on, cpu) {
                Ok(_) => true,
                Err(error) if is_refusal(&error) => false,
                Err(error) => return Err(explain(error, Kind::Switch, pid)),
            };
        }
        Ok(self)
    }

    /// Opens an event.
    pub(crate) fn open(&self, kind: Kind, on: Tid, cpu: u32) -> io::Result<Counter> {
        let thread = i32::try_from(on.0).map_err(|_| Errno::ESRCH)?;
        let mut builder = Builder::new()
            .kind(match kind {
                Kind::Clock if self.clocks_of_cpus => Software::DUMMY,
                Kind::Clock => Software::CPU_CLOCK,
                Kind::Switch => Software::CONTEXT_SWITCHES,
            })
            .observe_pid(thread)
            .one_cpu(cpu as usize);
        self.records(kind, &mut builder);
        let attrs = builder.attrs_mut();
        attrs.set_inherit(1);
        attrs.set_inherit_thread((self.inherit == Inherit::Threads).into());
        attrs.set_disabled((self.begin == Begin::OnExec).into());
        attrs.set_enable_on_exec((self.begin == Begin::OnExec).into());
        match kind {
            Kind::Clock => {
                attrs.set_context_switch(1);
                attrs.set_comm(1);
                attrs.set_comm_exec(1);
                attrs.set_task(1);
                attrs.set_mmap(1);
                attrs.set_mmap2(1);
            }
            Kind::Switch => {}
        }
        let counter = builder.build()?;
        sys::close_on_exec(&counter)?;
        Ok(counter)
    }

    /// Opens the clock of a CPU, which does not tick yet. It samples whoever runs there.
    pub(crate) fn open_on_cpu(&self, cpu: u32) -> io::Result<Counter> {
        let mut builder = Builder::new()
            .kind(Software::CPU_CLOCK)
            .any_pid()
            .one_cpu(cpu as usize);
        self.records(Kind::Clock, &mut builder);
        let attrs = builder.attrs_mut();
        attrs.set_disabled(1);
        attrs.set_exclude_idle(1);
        let counter = builder.build()?;
        sys::close_on_exec(&counter)?;
        Ok(counter)
    }

    /// What the records of an event hold, and when it samples.
    fn records(&self, kind: Kind, builder: &mut Builder<'_>) {
        let attrs = builder.attrs_mut();
        attrs.sample_type = sample_format(kind, self.kernel).bits();
        attrs.sample_regs_user = PERF_REGISTERS;
        attrs.read_format = 0;
        attrs.clockid = libc::CLOCK_MONOTONIC;
        attrs.set_use_clockid(1);
        attrs.set_sample_id_all(1);
        attrs.set_exclude_kernel((!self.kernel).into());
        attrs.set_exclude_hv(1);
        attrs.__bindgen_anon_1.sample_period = match kind {
            Kind::Clock => self.period.0,
            Kind::Switch => 1,
        };
        if kind == Kind::Clock {
            // Who waits for the ring hears of each sample ([`crate::Moments`]); nobody else is woken.
            attrs.__bindgen_anon_2.wakeup_events = 1;
            attrs.sample_stack_user = self.stack_bytes;
            attrs.set_exclude_callchain_user(1);
        }
    }
}

/// Opens an event that never happens, to own the ring of a CPU.
pub(crate) fn ring_owner(cpu: u32) -> io::Result<Counter> {
    let mut builder = Builder::new().kind(Software::DUMMY).one_cpu(cpu as usize);
    let attrs = builder.attrs_mut();
    // Events share a ring only if they go by one clock (`perf_event_set_output`).
    attrs.clockid = libc::CLOCK_MONOTONIC;
    attrs.set_use_clockid(1);
    let counter = builder.build()?;
    sys::close_on_exec(&counter)?;
    Ok(counter)
}

/// Whether the kernel refused for want of a permission.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EACCES | Errno::EPERM)
    )
}

/// Whether descriptors ran out.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EMFILE | Errno::ENFILE)
    )
}

/// Tells apart why an event cannot be opened.
pub(crate) fn explain(source: io::Error, kind: Kind, pid: Pid) -> Error {
    let what = match kind {
        Kind::Clock => "the cpu-clock event",
        Kind::Switch => "the context-switches event",
    };
    match Errno::from_raw(source.raw_os_error().unwrap_or(0)) {
        Errno::ESRCH => Error::Exited(pid),
        Errno::ENOSYS => Error::NoPerf { source },
        Errno::ENOENT | Errno::EINVAL | Errno::E2BIG | Errno::EOPNOTSUPP | Errno::ENODEV => {
            Error::Unsupported { what, source }
        }
        Errno::EACCES | Errno::EPERM => explain_refusal(source, pid),
        _ => Error::Perf { what, pid, source },
    }
}

fn explain_refusal(source: io::Error, pid: Pid) -> Error {
    let owner = procfs::Folder::open(pid).and_then(|folder| folder.owner());
    Circumstances {
        watches_anybody: procfs::Capabilities::ours().perfmon,
        // Without the setting there is no such refusal; two is the kernel's own choice.
        level: procfs::paranoid_level().unwrap_or(2),
        we: nix::unistd::geteuid().as_raw(),
        owner: owner.ok(),
    }
    .explain(source, pid)
}

/// What bears on a refusal.
struct Circumstances {
    watches_anybody: bool,
    level: i32,
    we: u32,
    owner: Option<u32>,
}

impl Circumstances {
    fn explain(&self, source: io::Error, pid: Pid) -> Error {
        let &Self {
            watches_anybody,
            level,
            we,
            owner,
        } = self;
        // Mainline knows levels up to 2. Debian and Ubuntu added those that forbid all.
        if level >= 3 && !watches_anybody {
            return Error::Paranoid { level, source };
        }
        match owner {
            Some(owner) if owner != we && !watches_anybody => Error::OtherUser {
                pid,
                owner,
                we,
                source,
            },
            _ => Error::Refused { pid, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Pid = Pid(42);

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    fn refusal(watches_anybody: bool, level: i32, owner: u32) -> Error {
        Circumstances {
            watches_anybody,
            level,
            we: 1000,
            owner: Some(owner),
        }
        .explain(error(Errno::EACCES), TARGET)
    }

    #[test]
    fn refusals_are_told_apart_and_keep_their_number() {
        assert!(matches!(
            refusal(false, 4, 1000),
            Error::Paranoid { level: 4, .. }
        ));
        assert!(matches!(
            refusal(false, 2, 0),
            Error::OtherUser {
                owner: 0,
                we: 1000,
                ..
            }
        ));
        assert!(matches!(refusal(false, 2, 1000), Error::Refused { .. }));
        assert!(matches!(refusal(true, 4, 0), Error::Refused { .. }));
        assert_eq!(refusal(true, 4, 0).errno(), Some(Errno::EACCES as i32));
    }

    #[test]
    fn other_failures_are_not_taken_for_refusals() {
        let explained = |errno| explain(error(errno), Kind::Clock, TARGET);
        assert!(matches!(explained(Errno::ESRCH), Error::Exited(TARGET)));
        assert!(matches!(explained(Errno::ENOSYS), Error::NoPerf { .. }));
        // As a machine without the event's hardware says.
        let unsupported = explained(Errno::ENOENT);
        assert!(matches!(unsupported, Error::Unsupported { .. }));
        assert_eq!(unsupported.errno(), Some(Errno::ENOENT as i32));
        assert!(matches!(explained(Errno::ENOMEM), Error::Perf { .. }));
    }
}
