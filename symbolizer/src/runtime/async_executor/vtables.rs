//! What stands behind the vtables of tasks.

use super::detect::Detected;
use super::layout::{Layout, Vtable};
use crate::module::AddressSpace;
use awaitscope_sampler::{Avma, ReadMemory};
use std::collections::HashMap;
use std::sync::Arc;

/// Reads the vtables of tasks, each once.
#[derive(Debug)]
pub(super) struct Vtables {
    detected: Arc<Detected>,
    layout: Layout,
    known: HashMap<Avma, Vtable>,
}

impl Vtables {
    /// `None` where there are no types.
    pub fn new(detected: &Arc<Detected>) -> Option<Self> {
        Some(Self {
            layout: detected.layout?,
            detected: Arc::clone(detected),
            known: HashMap::new(),
        })
    }

    /// Where things stand in a task.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What the vtable at `address` tells, if one stands there.
    pub fn get(
        &mut self,
        address: Avma,
        space: &AddressSpace,
        memory: &dyn ReadMemory,
    ) -> Option<Vtable> {
        if let Some(known) = self.known.get(&address) {
            return Some(*known);
        }
        let vtable = self.layout.vtable(address, memory)?;
        let (module, svma) = space.lookup(vtable.run)?;
        let is_ours = module == self.detected.module && self.detected.runs.contains(&svma);
        // Only what is a vtable is remembered: there is no end of what is none.
        is_ours.then(|| *self.known.entry(address).or_insert(vtable))
    }
}
