//! Reading many places of another process's memory at once.

use crate::ids::{Avma, Pid};
use crate::process::ReadRequest;
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd;
use std::io::{self, IoSliceMut};

/// The most ranges one call takes (`UIO_MAXIOV` of `linux/uio.h`).
const MOST: usize = 1024;

/// Does all requests, with one system call per [`MOST`] of them and one more for each that
/// cannot be read: the kernel stops at the first such, and we go on behind it.
pub(crate) fn read_many(pid: Pid, requests: &mut [ReadRequest<'_>]) {
    let Ok(pid) = i32::try_from(pid.0) else {
        return;
    };
    let pid = unistd::Pid::from_raw(pid);
    let mut rest = requests;
    while !rest.is_empty() {
        let batch = rest.len().min(MOST);
        let whole = match read_batch(pid, &mut rest[..batch]) {
            Ok(bytes) => mark_done(&mut rest[..batch], bytes),
            Err(Errno::EFAULT) => 0,
            // The process is gone, or its memory is not for us.
            Err(_) => return,
        };
        // Unless all came, the one after those that did is the one that failed.
        let passed = if whole < batch { whole + 1 } else { batch };
        rest = &mut rest[passed..];
    }
}

fn read_batch(pid: unistd::Pid, batch: &mut [ReadRequest<'_>]) -> Result<usize, Errno> {
    let remote: Vec<RemoteIoVec> = batch
        .iter()
        .map(|request| RemoteIoVec {
            // On a processor of 64 bits, which is all `arch` knows, every address fits.
            base: request.address.0 as usize,
            len: request.into.len(),
        })
        .collect();
    let mut local: Vec<IoSliceMut<'_>> = batch
        .iter_mut()
        .map(|request| IoSliceMut::new(request.into))
        .collect();
    process_vm_readv(pid, &mut local, &remote)
}

/// Marks the requests that `bytes` bytes, given out in order, fill. The kernel can stop in
/// the middle of one, at the end of a page; that one stays undone. Returns how many are done.
fn mark_done(batch: &mut [ReadRequest<'_>], bytes: usize) -> usize {
    let mut left = bytes;
    for (index, request) in batch.iter_mut().enumerate() {
        let Some(after) = left.checked_sub(request.into.len()) else {
            return index;
        };
        left = after;
        request.done = true;
    }
    batch.len()
}

/// Reads one byte and tells what the kernel says to that.
pub(crate) fn probe(pid: Pid, address: Avma) -> io::Result<()> {
    let pid = i32::try_from(pid.0).map_err(|_| Errno::ESRCH)?;
    let mut byte = [0];
    let mut request = [ReadRequest::new(address, &mut byte)];
    read_batch(unistd::Pid::from_raw(pid), &mut request)?;
    Ok(())
}
