//! The stacks that were seen, each kept once.

use crate::module::{ModuleId, Svma};
use std::collections::HashMap;

/// The most nodes, at some eighty bytes each.
const MOST: usize = 450_000;

/// So many more are kept for roots.
const ROOTS: usize = 1 << 10;

/// A stack: its innermost address, and through it all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackId(pub(crate) u32);

/// One address of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// In a module of the process; for a return address, the call before it.
    Module(ModuleId, Svma),
    /// In the process, but in no module: generated code.
    Unknown(u64),
    /// In the kernel.
    Kernel(u64),
    /// Not an address: from here outwards the stack could not be read.
    Truncated,
}

/// Stacks as a prefix tree: two stacks share what their outer frames share.
#[derive(Debug, Default)]
pub struct StackTable {
    nodes: Vec<(Option<StackId>, Address)>,
    known: HashMap<(Option<StackId>, Address), StackId>,
}

impl StackTable {
    /// The stack that is `address` inside of `outer`. When there is no room for
    /// another, that is `outer`.
    pub fn push(&mut self, outer: Option<StackId>, address: Address) -> Option<StackId> {
        if let Some(known) = self.known.get(&(outer, address)) {
            return Some(*known);
        }
        let room = if outer.is_some() { MOST } else { MOST + ROOTS };
        if self.nodes.len() >= room {
            return outer;
        }
        let id = StackId(u32::try_from(self.nodes.len()).ok()?);
        self.nodes.push((outer, address));
        self.known.insert((outer, address), id);
        Some(id)
    }

    /// The stack that called the innermost address of `stack`.
    #[must_use]
    pub fn outer(&self, stack: StackId) -> Option<StackId> {
        self.nodes.get(stack.0 as usize)?.0
    }

    /// Whether stacks were cut for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.nodes.len() >= MOST
    }

    /// The addresses of a stack, outermost first.
    #[must_use]
    pub fn addresses(&self, stack: StackId) -> Vec<Address> {
        let mut out = Vec::new();
        let mut at = Some(stack);
        while let Some((outer, address)) = at.and_then(|id| self.nodes.get(id.0 as usize)) {
            out.push(*address);
            at = *outer;
        }
        out.reverse();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_share_their_outer_frames() {
        let mut table = StackTable::default();
        let main = table.push(None, Address::Unknown(1));
        let one = table.push(main, Address::Unknown(2));
        let two = table.push(main, Address::Unknown(3));
        assert_ne!(one, two);
        assert_eq!(table.push(main, Address::Unknown(2)), one);
        assert_eq!(
            table.addresses(two.expect("there is room")),
            [Address::Unknown(1), Address::Unknown(3)]
        );
    }
}
