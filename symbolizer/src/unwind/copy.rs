//! Copies of stacks that lie still.

use awaitscope_sampler::{Avma, ReadMemory, ReadRequest, StackCopy};

/// How much of a stack is read at first.
const FIRST_PAGES: usize = 4;

const PAGE: u64 = 4096;

/// Copies a stack from `start` on, as far as there is room in `scratch`: page by page, because it
/// may end before the room does; and little by little, because it mostly does so soon, and each page
/// that is not there costs a call.
pub(crate) fn copy_stack(
    memory: &(impl ReadMemory + ?Sized),
    start: Avma,
    scratch: &mut [u8],
) -> StackCopy {
    let mut read = 0;
    let mut pages = FIRST_PAGES;
    while let Some(at) = start.0.checked_add(read as u64) {
        let mut requests = pieces(at, &mut scratch[read..], pages);
        let asked = requests.len();
        memory.read_many(&mut requests);
        let whole = requests.iter().take_while(|request| request.done);
        let (count, bytes) = whole.fold((0, 0), |(count, bytes), request| {
            (count + 1, bytes + request.into.len())
        });
        read += bytes;
        if count < asked || asked == 0 {
            break;
        }
        pages *= 2;
    }
    StackCopy {
        start,
        bytes: scratch[..read].to_vec(),
    }
}

/// Requests for up to `pages` pages of what lies at `at`, as far as there is room.
fn pieces(mut at: u64, mut rest: &mut [u8], pages: usize) -> Vec<ReadRequest<'_>> {
    let mut requests = Vec::with_capacity(pages);
    while requests.len() < pages && !rest.is_empty() {
        let to_page_end = PAGE - at % PAGE;
        let size = (to_page_end as usize).min(rest.len());
        let (piece, further) = rest.split_at_mut(size);
        requests.push(ReadRequest::new(Avma(at), piece));
        rest = further;
        let Some(next) = at.checked_add(size as u64) else {
            break;
        };
        at = next;
    }
    requests
}
