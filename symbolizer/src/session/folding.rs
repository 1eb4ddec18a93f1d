//! Makes one of stacks that read the same.
//!
//! Hardly two samples have all addresses in common: the innermost differs by a few
//! instructions. In an hour that would be millions of stacks that people cannot tell
//! apart. Names are known only some time after the sample, so stacks are kept by
//! their addresses first, and folded when they have become many.

use super::groups;
use super::name_pool::NamePool;
use super::stacks::{self, Address};
use crate::module::AddressSpace;
use crate::names::{Function, SourceFile, SourceFrame};
use awaitscope_sampler::Process;
use std::collections::HashMap;
use std::sync::Arc;

/// Folds when three quarters of the room for stacks or sums are used, and a fifth of
/// it since the last time.
fn is_full(now: usize, last: usize, most: usize) -> bool {
    now >= most / 4 * 3 && now - last >= most / 5
}

/// When to fold.
#[derive(Debug, Default)]
pub(super) struct Folding {
    stacks: Used,
    sums: Used,
}

/// The least that was used of some room since it was last folded.
#[derive(Debug, Default)]
struct Used(usize);

impl Used {
    fn is_due(&mut self, now: usize, most: usize) -> bool {
        self.0 = self.0.min(now);
        is_full(now, self.0, most)
    }
}

impl Folding {
    /// Whether it is time, with so many stacks and sums.
    pub fn is_due(&mut self, stacks: usize, sums: usize) -> bool {
        // Both are to be noted.
        self.stacks.is_due(stacks, stacks::MOST) | self.sums.is_due(sums, groups::MOST)
    }

    /// It was done, and left so many.
    pub fn done(&mut self, stacks: usize, sums: usize) {
        self.stacks = Used(stacks);
        self.sums = Used(sums);
    }
}

/// What people read at an address: functions and files by where their names stand,
/// which is one place for each.
type Reading = Vec<(*const Function, Option<*const SourceFile>, Option<u32>)>;

/// Finds, for every address, the first that reads the same.
pub(super) struct Readings<'a> {
    pub space: &'a AddressSpace,
    pub names: &'a NamePool,
    pub process: &'a dyn Process,
    known: HashMap<Address, Address>,
    code: HashMap<Reading, Address>,
    kernel: HashMap<String, Address>,
}

impl<'a> Readings<'a> {
    pub fn new(space: &'a AddressSpace, names: &'a NamePool, process: &'a dyn Process) -> Self {
        Self {
            space,
            names,
            process,
            known: HashMap::new(),
            code: HashMap::new(),
            kernel: HashMap::new(),
        }
    }

    pub fn first(&mut self, address: Address) -> Address {
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        let first = match address {
            Address::Module(module, svma) => {
                let file = self.space.module(module);
                let found = file.map(|file| self.names.get(file, (module, svma)));
                match found.filter(|found| !found.is_empty()) {
                    Some(found) => {
                        let reading = found.iter().map(reading).collect();
                        *self.code.entry(reading).or_insert(address)
                    }
                    None => address,
                }
            }
            Address::Kernel(at) => match self.process.kernel_function(at) {
                Some(name) => *self.kernel.entry(name).or_insert(address),
                None => address,
            },
            Address::Script(_) | Address::Unknown(_) | Address::Truncated => address,
        };
        self.known.insert(address, first);
        first
    }
}

fn reading(frame: &SourceFrame) -> (*const Function, Option<*const SourceFile>, Option<u32>) {
    let file = frame.file.as_ref().map(Arc::as_ptr);
    (Arc::as_ptr(&frame.function), file, frame.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_when_there_is_much_and_much_of_it_new() {
        let mut folding = Folding::default();
        assert!(!folding.is_due(stacks::MOST / 2, groups::MOST / 2));
        assert!(folding.is_due(stacks::MOST / 2, groups::MOST * 4 / 5));
        folding.done(stacks::MOST / 2, groups::MOST * 4 / 5);
        assert!(!folding.is_due(stacks::MOST / 2, groups::MOST * 9 / 10));
        assert!(folding.is_due(stacks::MOST / 2, groups::MOST));
        folding.done(stacks::MOST / 2, groups::MOST);
        // Room was made otherwise since.
        assert!(!folding.is_due(stacks::MOST / 2, groups::MOST / 2));
        assert!(folding.is_due(stacks::MOST / 2, groups::MOST * 4 / 5));
    }
}
