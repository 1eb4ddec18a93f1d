//! Puts names to stacks.

use super::name_pool::NamePool;
use super::scripts::Scripts;
use super::stacks::{Address, StackId, StackTable};
use crate::frame::Frame;
use crate::logical::{StackTask, logical_stack};
use crate::module::AddressSpace;
use crate::names::SourceFrame;
use crate::runtime::Runtime;
use awaitscope_sampler::Process;
use std::collections::HashMap;
use std::sync::Arc;

/// A stack as people read it. Thousands of stacks have most of their frames in
/// common, so it tells which of [`Outcome::frames`](super::Outcome::frames) they
/// are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedStack {
    /// Indices of its frames, from the outermost to the innermost.
    pub frames: Arc<[u32]>,
    /// The task it runs, if it runs one.
    pub task: Option<StackTask>,
}

/// What was named so far. Stacks that differ only in addresses, and not in what people
/// read, are one.
#[derive(Debug, Default)]
pub(super) struct Named {
    kernel: HashMap<u64, Arc<str>>,
    known: HashMap<StackId, usize>,
    indices: HashMap<Frame, u32>,
    same: HashMap<NamedStack, usize>,
    pub frames: Vec<Frame>,
    pub stacks: Vec<NamedStack>,
}

/// Frames, and the stacks of them.
pub(super) type Names = (Vec<Frame>, Vec<NamedStack>);

impl Named {
    /// Everything, when nothing more is to be named.
    pub fn taken(&mut self) -> Names {
        let all = std::mem::take(self);
        (all.frames, all.stacks)
    }

    /// Everything so far.
    pub fn copied(&mut self) -> Names {
        (self.frames.clone(), self.stacks.clone())
    }

    /// Stacks have become others.
    pub fn forget_ids(&mut self) {
        self.known.clear();
    }
}

/// Names stacks, each once.
pub(super) struct StackNamer<'a> {
    table: &'a StackTable,
    space: &'a AddressSpace,
    names: &'a NamePool,
    scripts: &'a Scripts,
    runtimes: &'a [Box<dyn Runtime>],
    process: &'a dyn Process,
    pub named: &'a mut Named,
}

impl<'a> StackNamer<'a> {
    pub fn new(
        table: &'a StackTable,
        space: &'a AddressSpace,
        names: &'a NamePool,
        scripts: &'a Scripts,
        runtimes: &'a [Box<dyn Runtime>],
        process: &'a dyn Process,
        named: &'a mut Named,
    ) -> Self {
        Self {
            table,
            space,
            names,
            scripts,
            runtimes,
            process,
            named,
        }
    }

    /// Index of the named stack.
    pub fn read(&mut self, id: StackId) -> usize {
        if let Some(known) = self.named.known.get(&id) {
            return *known;
        }
        let mut frames = Vec::new();
        let mut kernel = Vec::new();
        for address in self.table.addresses(id) {
            match address {
                Address::Kernel(address) => kernel.push(self.kernel_function(address)),
                other => self.add_frames(other, &mut frames),
            }
        }
        let logical = logical_stack(&frames, &kernel, self.runtimes);
        let frames = logical.frames.into_iter().map(|frame| self.frame(frame));
        let named = NamedStack {
            frames: frames.collect(),
            task: logical.task,
        };
        let all = &mut *self.named;
        let index = match all.same.get(&named) {
            Some(index) => *index,
            None => {
                all.stacks.push(named.clone());
                all.same.insert(named, all.stacks.len() - 1);
                all.stacks.len() - 1
            }
        };
        all.known.insert(id, index);
        index
    }

    fn add_frames(&self, address: Address, frames: &mut Vec<SourceFrame>) {
        match address {
            Address::Module(module, svma) => match self.space.module(module) {
                Some(file) => {
                    let found = self.names.get(file, (module, svma));
                    if found.is_empty() {
                        let place = format!("0x{:x} in {}", svma.0, file.name());
                        frames.push(SourceFrame::nameless(place));
                    }
                    frames.extend(found.iter().rev().cloned());
                }
                None => frames.push(SourceFrame::nameless(format!("0x{:x}", svma.0))),
            },
            Address::Script(id) => frames.extend(self.scripts.frame(id).cloned()),
            Address::Unknown(address) | Address::Kernel(address) => {
                frames.push(SourceFrame::nameless(format!("0x{address:x}")));
            }
            Address::Truncated => {
                frames.push(SourceFrame::nameless("[truncated stack]".to_owned()));
            }
        }
    }

    fn kernel_function(&mut self, address: u64) -> Arc<str> {
        let name = self.named.kernel.entry(address).or_insert_with(|| {
            let name = self.process.kernel_function(address);
            name.map_or_else(|| "[kernel]".into(), Into::into)
        });
        Arc::clone(name)
    }

    fn frame(&mut self, frame: Frame) -> u32 {
        let all = &mut *self.named;
        if let Some(index) = all.indices.get(&frame) {
            return *index;
        }
        // There are no more frames than places in the stack table, which are
        // counted in 32 bits, times the functions inlined there.
        let index = u32::try_from(all.frames.len()).unwrap_or(u32::MAX);
        all.frames.push(frame.clone());
        all.indices.insert(frame, index);
        index
    }
}
