//! The rules of addresses that were met before.

use super::rule::{FullRule, PlainRule, Rule, Saved};

/// A direct-mapped cache of 4096 addresses: the hot code of a large service has a
/// few hundred.
const SLOTS: usize = 1 << 12;

/// Rare rules are kept beside the cache; when there are this many, all begins anew.
const MOST_FULL_RULES: usize = 4096;

#[derive(Debug)]
pub(crate) struct RuleCache {
    slots: Box<[Slot]>,
    full: Vec<FullRule>,
}

/// 32 bytes: two to a cache line.
#[derive(Debug, Clone, Copy)]
struct Slot {
    address: u64,
    entry: Entry,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    Plain(PlainRule),
    /// Which of the full rules.
    Full(u32),
}

/// A rule in the cache.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cached<'a> {
    Plain(&'a PlainRule),
    Full(&'a FullRule),
}

impl RuleCache {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![Slot::EMPTY; SLOTS].into_boxed_slice(),
            full: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.fill(Slot::EMPTY);
        self.full.clear();
    }

    #[inline]
    pub(crate) fn get(&self, address: u64) -> Option<Cached<'_>> {
        let slot = &self.slots[index_of(address)];
        if slot.address != address {
            return None;
        }
        match &slot.entry {
            Entry::Plain(rule) => Some(Cached::Plain(rule)),
            Entry::Full(index) => self.full.get(*index as usize).map(Cached::Full),
        }
    }

    pub(crate) fn insert(&mut self, address: u64, rule: Rule) {
        let entry = match rule {
            Rule::Plain(rule) => Entry::Plain(rule),
            Rule::Full(rule) => {
                if self.full.len() == MOST_FULL_RULES {
                    self.clear();
                }
                self.full.push(*rule);
                Entry::Full((self.full.len() - 1) as u32)
            }
        };
        self.slots[index_of(address)] = Slot { address, entry };
    }
}

impl Slot {
    /// No code is at the last address.
    const EMPTY: Self = Self {
        address: u64::MAX,
        entry: Entry::Plain(PlainRule {
            cfa_offset: 0,
            saved: [Saved::LOST; 6],
            cfa_from_rbp: false,
            outermost: true,
        }),
    };
}

/// Fibonacci hashing: neighbours spread over the whole table.
#[inline]
fn index_of(address: u64) -> usize {
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.trailing_zeros())) as usize
}

const _: () = assert!(size_of::<Slot>() == 32);
