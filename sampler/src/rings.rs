//! The rings of all CPUs.

use crate::assemble::Assembler;
use crate::error::Error;
use crate::moments::Waited;
use crate::open;
use crate::ring::{self, Ring};
use crate::sys;
use nix::errno::Errno;
use perf_event::Counter;
use std::io;
use std::os::fd::BorrowedFd;

/// The ring of one CPU, shared by all events that count there.
#[derive(Debug)]
pub(crate) struct CpuRing {
    pub cpu: u32,
    pub ring: Ring,
    pub assembler: Assembler,
    owner: Counter,
}

impl CpuRing {
    /// The descriptor that stands for the ring.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        sys::borrow(&self.owner)
    }

    /// The same ring, to wait for what comes into it.
    pub(crate) fn waited(&self) -> io::Result<Waited> {
        Ok(Waited {
            cpu: self.cpu,
            ring: self.ring.share(),
            descriptor: self.descriptor().try_clone_to_owned()?,
        })
    }

    fn open(cpu: u32, bytes: usize) -> io::Result<Self> {
        let owner = open::ring_owner(cpu)?;
        let ring = Ring::map(sys::borrow(&owner), bytes)?;
        Ok(Self {
            cpu,
            ring,
            assembler: Assembler::default(),
            owner,
        })
    }
}

/// Opens a ring on each of `cpus`, of `bytes` each or as much less as we may lock, but with
/// room for a few records of `record` bytes. Tells how large they came out.
///
/// All are equally large: the allowance is for all together (`perf_mmap` in
/// `kernel/events/core.c` counts per user), so the first ones must not use it up.
pub(crate) fn open_rings(
    cpus: &[u32],
    bytes: usize,
    record: usize,
) -> Result<(Vec<CpuRing>, usize), Error> {
    /// So many records must fit.
    const RECORDS: usize = 4;
    /// More would be a slip of the pen.
    const LARGEST: usize = 1 << 30;
    let page = ring::page_size().map_err(|source| Error::Ring { cpu: 0, source })?;
    let least = (record * RECORDS).max(page).next_power_of_two();
    let mut bytes = bytes.min(LARGEST).next_power_of_two().max(least);
    loop {
        match try_open(cpus, bytes) {
            Ok(rings) => return Ok((rings, bytes)),
            Err((cpu, source)) => match source.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EPERM | Errno::ENOMEM) if bytes > least => bytes /= 2,
                Some(Errno::EPERM | Errno::ENOMEM) => {
                    return Err(Error::RingMemory { bytes, source });
                }
                _ => return Err(Error::Ring { cpu, source }),
            },
        }
    }
}

fn try_open(cpus: &[u32], bytes: usize) -> Result<Vec<CpuRing>, (u32, io::Error)> {
    cpus.iter()
        .map(|&cpu| CpuRing::open(cpu, bytes).map_err(|error| (cpu, error)))
        .filter(|ring| {
            // A CPU that was just taken off line.
            let gone = |error: &io::Error| error.raw_os_error() == Some(libc::ENODEV);
            !matches!(ring, Err((_, error)) if gone(error))
        })
        .collect()
}
