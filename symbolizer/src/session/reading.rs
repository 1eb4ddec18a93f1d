//! From a stack as it was taken to what is kept of it: unwound, with what an interpreter ran in
//! it, and what it polls.

use super::Session;
use super::name_pool::NamePool;
use super::stacks::{Address, StackId};
use crate::module::AddressSpace;
use crate::runtime::{Interpreted, Polled, SeenStack, Step, ThreadBase};
use crate::unwind::{PhysicalFrame, ReadStack, StackReader, UnwindEnd};
use awaitscope_sampler::{Avma, MemoryCopy, Nanos, Registers, Sample, Tid, thread_pointer};
use std::cell::RefCell;
use std::sync::Arc;

/// How often a thread's thread pointer is looked for before it is given up.
const MOST_TLS_TRIES: u32 = 5;

/// What was found on a stack.
pub(super) struct Read {
    pub stack: Option<StackId>,
    pub polled: Polled,
    pub whole: Whole,
    /// How far it was followed.
    pub end: UnwindEnd,
}

/// How far a stack is known that is not all native.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// As far as its native frames.
    AsNative,
    /// To where the thread begins.
    Interpreted,
    /// Without the frames of the interpreter: the thread had run on.
    Moved,
}

impl Whole {
    fn of(interpreted: &Interpreted) -> Self {
        match (interpreted.moved, interpreted.complete) {
            (true, _) => Self::Moved,
            (false, true) => Self::Interpreted,
            (false, false) => Self::AsNative,
        }
    }
}

impl Session {
    /// Unwinds the stack of a sample. One that is deeper than its copy is read on
    /// from memory, which is later by milliseconds: the thread may have returned and
    /// called something else by then, and what lies dead below can look just as it
    /// did. Only the worker's progress proves that it is still in the same poll.
    pub(super) fn read_sample(&mut self, sample: &Sample) -> Read {
        let process = Arc::clone(&self.process);
        let mut reader = StackReader::continued(&sample.stack, &*process);
        let mut end = self.unwind(&sample.registers, &mut reader);
        let copied = sample.stack.end();
        let beyond = |frame: &PhysicalFrame| frame.registers.sp() > copied;
        if self.frames.iter().any(beyond) && !self.is_in_same_poll(sample.tid, sample.time) {
            reader = StackReader::new(&sample.stack);
            self.unwind(&sample.registers, &mut reader);
            end = UnwindEnd::Moved;
        }
        let copy = self.copies.take(sample.tid, sample.time);
        let mut read = self.read_frames(
            sample.tid,
            sample.registers.sp(),
            end,
            reader,
            copy.as_ref(),
        );
        read.end = match read.whole {
            Whole::Interpreted => UnwindEnd::Complete,
            Whole::Moved => UnwindEnd::Moved,
            Whole::AsNative => end,
        };
        read
    }

    /// Whether a worker is still in the poll that it was in at `time`.
    fn is_in_same_poll(&mut self, tid: Tid, time: Nanos) -> bool {
        let before = self.pulses.get(&tid);
        let Some(before) = before.filter(|pulse| pulse.time <= time).copied() else {
            return false;
        };
        let Some(tls_base) = self.targets().bases.get(&tid).copied() else {
            return false;
        };
        let thread = [ThreadBase { tid, tls_base }];
        let mut now = self
            .readers
            .iter_mut()
            .flat_map(|reader| reader.read(&thread, &*self.process));
        now.any(|(_, progress)| progress == before.progress)
    }

    /// Has the names of the frames looked up, and finds out what they poll.
    pub(super) fn read_frames(
        &mut self,
        tid: Tid,
        sp: Avma,
        end: UnwindEnd,
        reader: StackReader<'_>,
        copy: Option<&MemoryCopy>,
    ) -> Read {
        let process = Arc::clone(&self.process);
        let reader = RefCell::new(reader);
        self.find_base(tid, sp);
        let names = &self.names;
        let space = &self.space;
        let seen = SeenStack {
            tid,
            whole: end.is_complete(),
            space,
            frames: &self.frames,
            stack: &|address| reader.borrow_mut().word(address),
            memory: &*process,
            names: &|module, svma| match space.module(module) {
                Some(file) => names.get(file, (module, svma)),
                None => Arc::from([]),
            },
        };
        let runtimes = &mut self.runtimes;
        let interpreted = runtimes
            .iter_mut()
            .find_map(|runtime| runtime.interpret(&seen, copy));
        let told = interpreted.as_ref().map(|interpreted| interpreted.polled);
        let others = runtimes
            .iter_mut()
            .map(|runtime| runtime.polled(&seen))
            .find(|polled| *polled != Polled::Nothing);
        let polled = told.filter(|polled| *polled != Polled::Nothing).or(others);
        let whole = interpreted.as_ref().map_or(Whole::AsNative, Whole::of);
        let stack = match interpreted {
            Some(interpreted) => self.keep_interpreted(end, interpreted),
            None => self.keep_stack(end),
        };
        Read {
            stack,
            polled: polled.unwrap_or(Polled::Nothing),
            whole,
            end,
        }
    }

    pub(super) fn unwind(
        &mut self,
        registers: &Registers,
        stack: &mut StackReader<'_>,
    ) -> UnwindEnd {
        if self.stale {
            self.refresh();
        }
        let mut frames = std::mem::take(&mut self.frames);
        let end = self
            .unwinder
            .unwind(&self.space, registers, stack, &mut frames);
        self.frames = frames;
        end
    }

    fn keep_stack(&mut self, end: UnwindEnd) -> Option<StackId> {
        let mut stack = self.root(end.is_complete());
        for frame in self.frames.iter().rev() {
            let address = native(&self.space, &mut self.names, frame);
            stack = self.seen.table.push(stack, address);
        }
        stack
    }

    fn keep_interpreted(&mut self, end: UnwindEnd, interpreted: Interpreted) -> Option<StackId> {
        let mut stack = self.root(interpreted.complete || end.is_complete());
        for step in interpreted.steps {
            let address = match step {
                Step::Native(index) => match self.frames.get(index) {
                    Some(frame) => native(&self.space, &mut self.names, frame),
                    None => continue,
                },
                Step::Script(frame) => match self.scripts.number(frame) {
                    Some(id) => Address::Script(id),
                    None => continue,
                },
            };
            stack = self.seen.table.push(stack, address);
        }
        stack
    }

    /// What stands outside of all frames.
    fn root(&mut self, complete: bool) -> Option<StackId> {
        match complete {
            true => None,
            false => self.seen.table.push(None, Address::Truncated),
        }
    }

    pub(super) fn find_base(&mut self, tid: Tid, sp: Avma) {
        let tries = self.tls_tries.entry(tid).or_default();
        if *tries >= MOST_TLS_TRIES || self.runtimes.is_empty() {
            return;
        }
        *tries += 1;
        if let Some(base) = thread_pointer(&*self.process, &self.mappings, tid, sp) {
            *tries = MOST_TLS_TRIES;
            self.targets().bases.insert(tid, base);
        }
    }
}

/// The address of a native frame, whose name is looked up meanwhile.
fn native(space: &AddressSpace, names: &mut NamePool, frame: &PhysicalFrame) -> Address {
    match space.lookup(frame.lookup) {
        Some((module, svma)) => {
            if let Some(file) = space.module(module) {
                names.want(file, (module, svma));
            }
            Address::Module(module, svma)
        }
        None => Address::Unknown(frame.lookup.0),
    }
}
