//! Reading tasks, many at a time.

use super::vtables::Vtables;
use super::{Candidate, FoundHeader, word};
use crate::runtime::TaskId;
use crate::runtime::tokio::layout::{Header, Vtable};
use awaitscope_sampler::{Avma, ReadMemory, ReadRequest};

/// So many are read at once.
const BATCH: usize = 4096;

/// A read begins with the header, and goes on to the id where that is near.
const HEAD: usize = 64;

/// Where a task was seen, and its vtable.
pub(super) type Place = (u64, Avma, Vtable);

/// The tasks at `addresses`, as far as there are any.
pub(super) fn places(addresses: &[u64], vtables: &Vtables, memory: &dyn ReadMemory) -> Vec<Place> {
    let mut out = Vec::with_capacity(addresses.len());
    for addresses in addresses.chunks(BATCH) {
        let mut headers = vec![[0; Header::SIZE]; addresses.len()];
        let mut requests: Vec<ReadRequest<'_>> = addresses
            .iter()
            .zip(&mut headers)
            .map(|(at, into)| ReadRequest::new(Avma(*at), into))
            .collect();
        memory.read_many(&mut requests);
        let done: Vec<bool> = requests.iter().map(|request| request.done).collect();
        let read = addresses.iter().zip(&headers).zip(done);
        let read = read.filter(|(_, done)| *done).map(|(read, _)| read);
        out.extend(read.filter_map(|(at, header)| {
            let (vtable, members) = vtables.begins_task(header)?;
            Some((*at, vtable, members))
        }));
    }
    out
}

/// The tasks at `places`, as far as they are still there: the neighbours of each and,
/// after that, its header and id.
pub(super) fn tasks(
    places: &[Place],
    vtables: &Vtables,
    memory: &dyn ReadMemory,
) -> Vec<Candidate> {
    let mut out = Vec::with_capacity(places.len());
    for places in places.chunks(BATCH) {
        let mut read = vec![([0u8; 16], [0u8; HEAD], [0u8; 8]); places.len()];
        let mut requests = Vec::with_capacity(places.len() * 2);
        let mut needs = Vec::with_capacity(places.len());
        for ((at, _, vtable), (links, head, id)) in places.iter().zip(&mut read) {
            let before = requests.len();
            let place = |offset: u64| Avma(at.wrapping_add(offset));
            requests.push(ReadRequest::new(place(vtable.trailer), links));
            if vtable.id > HEAD as u64 - 8 {
                requests.push(ReadRequest::new(place(vtable.id), id));
            }
            requests.push(ReadRequest::new(place(0), head));
            needs.push(before..requests.len());
        }
        memory.read_many(&mut requests);
        let done: Vec<bool> = needs
            .into_iter()
            .map(|needs| requests[needs].iter().all(|request| request.done))
            .collect();
        for ((place, (links, head, id)), done) in places.iter().zip(&read).zip(done) {
            if done {
                out.extend(candidate(place, links, head, id, vtables));
            }
        }
    }
    out
}

fn candidate(
    (at, vtable, members): &Place,
    links: &[u8],
    head: &[u8],
    id: &[u8],
    vtables: &Vtables,
) -> Option<Candidate> {
    let near = usize::try_from(members.id).ok();
    let near = near.and_then(|offset| head.get(offset..offset.checked_add(8)?));
    let id = word(near.unwrap_or(id), 0);
    let (still, _) = vtables.begins_task(head)?;
    (still == *vtable && id != 0).then(|| Candidate {
        found: FoundHeader {
            address: Avma(*at),
            vtable: *vtable,
            state: word(head, 0),
            owner: word(head, 3),
            id: TaskId(id),
        },
        prev: word(links, 0),
        next: word(links, 1),
    })
}
