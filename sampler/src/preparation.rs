//! What must be clear before the first thread is attached: whether the process can be watched, what
//! is permitted, and whether there are descriptors enough.

use crate::descriptors;
use crate::error::Error;
use crate::ids::{Pid, Tid};
use crate::open::Plan;
use crate::procfs::Folder;

/// The threads of a process that can be watched at all.
pub(crate) fn living_threads(pid: Pid, folder: &Folder) -> Result<Vec<Tid>, Error> {
    let stat = folder.stat()?;
    if stat.is_kernel_thread() {
        return Err(Error::KernelThread {
            pid,
            name: stat.name,
        });
    }
    let process = folder.process()?;
    if process != pid {
        return Err(Error::NotAProcess { tid: pid, process });
    }
    // The first thread may have ended and left the others running.
    let mut threads = folder.threads()?;
    threads.retain(|&tid| {
        folder
            .thread_stat(tid)
            .is_some_and(|stat| !stat.has_ended())
    });
    if threads.is_empty() {
        return Err(Error::Exited(pid));
    }
    Ok(threads)
}

/// Finds out what is permitted, on the first thread that does not end meanwhile.
pub(crate) fn grant(wished: Plan, pid: Pid, threads: &[Tid], cpus: &[u32]) -> Result<Plan, Error> {
    for &tid in threads {
        for &cpu in cpus {
            match wished.clone().granted(pid, tid, cpu) {
                Err(Error::Exited(_)) => break,
                Err(Error::Unsupported { source, .. })
                    if source.raw_os_error() == Some(libc::ENODEV) => {}
                result => return result,
            }
        }
    }
    Err(Error::Exited(pid))
}

/// Makes room for the descriptors of so many threads, of which `open` are open, without the
/// registers of switches if need be.
pub(crate) fn make_room(
    plan: &mut Plan,
    threads: usize,
    cpus: usize,
    open: usize,
) -> Result<(), Error> {
    loop {
        let kinds = 1 + usize::from(plan.switch_registers);
        let needed = (threads * cpus * kinds + cpus) as u64;
        match descriptors::make_room(needed.saturating_sub(open as u64)) {
            Ok(()) => return Ok(()),
            Err(_) if plan.switch_registers => plan.switch_registers = false,
            Err(allowed) => {
                let allowed = allowed + open as u64;
                return Err(Error::Descriptors {
                    threads,
                    cpus,
                    needed,
                    allowed,
                });
            }
        }
    }
}
