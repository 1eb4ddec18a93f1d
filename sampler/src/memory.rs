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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ReadMemory;
    use proptest::prelude::*;

    fn ourselves() -> Pid {
        Pid(std::process::id())
    }

    #[test]
    fn one_bad_address_does_not_spoil_the_others() {
        let words: Vec<u64> = (0..3000).map(|n| n * 7).collect();
        let bad = |index: usize| index % 500 == 3 || index == 2999;
        let mut read = vec![[0; 8]; words.len()];
        let mut requests: Vec<ReadRequest<'_>> = read
            .iter_mut()
            .enumerate()
            .map(|(index, into)| {
                let address = if bad(index) {
                    16
                } else {
                    &raw const words[index] as u64
                };
                ReadRequest::new(Avma(address), into)
            })
            .collect();
        read_many(ourselves(), &mut requests);
        for (index, request) in requests.iter().enumerate() {
            assert_eq!(request.done, !bad(index), "{index}");
        }
        for (index, bytes) in read.iter().enumerate().filter(|&(index, _)| !bad(index)) {
            assert_eq!(u64::from_le_bytes(*bytes), words[index]);
        }
    }

    #[test]
    fn a_read_that_runs_into_nothing_is_undone_and_the_next_one_still_comes() {
        let page = [7_u8; 64];
        let (mut before, mut across, mut after) = ([0; 8], vec![0; 1 << 20], [0; 8]);
        // From a page below the end of the first stack, a megabyte is not all there.
        let end = crate::maps::parse(&std::fs::read("/proc/self/maps").expect("our mappings"))
            .into_iter()
            .find(|mapping| {
                let name = Some("[stack]".to_owned());
                mapping.what == crate::process::Mapped::Anonymous { name }
            })
            .expect("our first stack")
            .end;
        let address = Avma(page.as_ptr() as u64);
        let mut requests = [
            ReadRequest::new(address, &mut before),
            ReadRequest::new(Avma(end.0 - 4096), &mut across),
            ReadRequest::new(address, &mut after),
        ];
        read_many(ourselves(), &mut requests);
        let done: Vec<bool> = requests.iter().map(|request| request.done).collect();
        assert_eq!(done, [true, false, true]);
        assert_eq!((before, after), ([7; 8], [7; 8]));
    }

    #[test]
    fn a_process_that_is_not_there_answers_nothing() {
        let mut bytes = [0; 8];
        let mut requests = [ReadRequest::new(Avma(4096), &mut bytes)];
        read_many(Pid(u32::MAX), &mut requests);
        assert!(!requests[0].done);
        read_many(Pid(4_194_303), &mut requests);
        assert!(!requests[0].done);
    }

    #[test]
    fn a_word_of_our_own_is_read_through_the_process() {
        let word = 0x1234_5678_9abc_def0_u64;
        let process = crate::LiveProcess::open(ourselves()).expect("ourselves");
        assert_eq!(process.read_word(Avma(&raw const word as u64)), Some(word));
        assert_eq!(process.read_word(Avma(8)), None);
    }

    proptest! {
        #[test]
        fn bytes_are_given_to_requests_in_order(lengths in prop::collection::vec(0usize..20, 0..20), bytes in 0usize..300) {
            let mut buffers: Vec<Vec<u8>> = lengths.iter().map(|&length| vec![0; length]).collect();
            let mut batch: Vec<ReadRequest<'_>> =
                buffers.iter_mut().map(|buffer| ReadRequest::new(Avma(0), buffer)).collect();
            let whole = mark_done(&mut batch, bytes);
            let filled: usize = lengths[..whole].iter().sum();
            prop_assert!(filled <= bytes);
            prop_assert!(whole == lengths.len() || filled + lengths[whole] > bytes);
            prop_assert!(batch.iter().enumerate().all(|(index, request)| request.done == (index < whole)));
        }
    }
}
