//! The stacks that were seen, each kept once.

use super::scripts::ScriptId;
use crate::module::{ModuleId, Svma};
use std::collections::HashMap;

/// The most nodes, at some eighty bytes each.
pub(super) const MOST: usize = 450_000;

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
    /// A frame of an interpreter.
    Script(ScriptId),
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

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Makes one of all stacks whose addresses `same` takes for the same. Returns what
    /// has become of each stack, by its former number.
    pub fn fold(&mut self, mut same: impl FnMut(Address) -> Address) -> Vec<StackId> {
        let before = std::mem::take(self);
        let mut become_of: Vec<StackId> = Vec::with_capacity(before.nodes.len());
        for (outer, address) in before.nodes {
            // An outer stack stands before what it called.
            let outer = outer.and_then(|outer| become_of.get(outer.0 as usize).copied());
            let folded = self.push(outer, same(address));
            // There is room: these are no more than before.
            become_of.push(folded.unwrap_or(StackId(0)));
        }
        become_of
    }

    /// Forgets all stacks but these and those that called them. Returns what has become
    /// of each of them, by its former number; of the others that says nothing.
    pub fn keep(&mut self, used: impl IntoIterator<Item = StackId>) -> Vec<StackId> {
        let mut is_used = vec![false; self.nodes.len()];
        for stack in used {
            let mut next = Some(stack);
            while let Some(id) = next {
                // Whoever is known is known with its callers.
                let Some(known) = is_used.get_mut(id.0 as usize) else {
                    break;
                };
                if std::mem::replace(known, true) {
                    break;
                }
                next = self.outer(id);
            }
        }
        let before = std::mem::take(self);
        let mut become_of = vec![StackId(0); before.nodes.len()];
        for (index, (outer, address)) in before.nodes.into_iter().enumerate() {
            if is_used[index] {
                // An outer stack stands before what it called.
                let outer = outer.map(|outer| become_of[outer.0 as usize]);
                become_of[index] = self.push(outer, address).unwrap_or(StackId(0));
            }
        }
        become_of
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

    #[test]
    fn what_is_kept_keeps_its_callers_and_the_rest_is_gone() {
        let mut table = StackTable::default();
        let main = table.push(None, Address::Unknown(1));
        table.push(main, Address::Unknown(2));
        let kept = table.push(main, Address::Unknown(3)).expect("room");
        table.push(Some(kept), Address::Unknown(4));
        let become_of = table.keep([kept]);
        assert_eq!(table.len(), 2);
        assert_eq!(
            table.addresses(become_of[kept.0 as usize]),
            [Address::Unknown(1), Address::Unknown(3)]
        );
    }

    #[test]
    fn folded_stacks_are_one_where_their_addresses_are() {
        let mut table = StackTable::default();
        let main = table.push(None, Address::Unknown(10));
        let one = table.push(main, Address::Unknown(21));
        let two = table.push(main, Address::Unknown(22));
        let three = table.push(two, Address::Unknown(30));
        let become_of = table.fold(|address| match address {
            Address::Unknown(address) => Address::Unknown(address / 10),
            other => other,
        });
        let now = |stack: Option<StackId>| become_of[stack.expect("there is room").0 as usize];
        assert_eq!(now(one), now(two));
        assert_eq!(table.len(), 3);
        assert_eq!(table.addresses(now(three)), [1, 2, 3].map(Address::Unknown));
    }
}
