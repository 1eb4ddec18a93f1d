//! Which locks a suspended task holds: those whose `async with` it is in.

use super::chain::Chain;
use super::look::Look;
use super::waits::Found;
use crate::snapshot::Detail;
use awaitscope_sampler::Avma;

/// Nobody holds more.
const MOST: usize = 64;

/// Locks that one can be in.
const LOCKS: &[&str] = &[
    "asyncio.locks.Lock",
    "asyncio.locks.Semaphore",
    "asyncio.locks.Condition",
];

impl Look<'_> {
    /// The locks that the functions of a chain are in, but for those they wait for: while a
    /// lock is taken its `__aexit__` is on the stack already, and who waits on a condition
    /// has given its lock back.
    pub fn holds(&mut self, chain: &Chain, waits: &[Found]) -> Vec<u64> {
        let mut held = Vec::new();
        for function in &chain.functions {
            for value in self.stack(function) {
                let Some(lock) = self.exits(value) else {
                    continue;
                };
                let awaited = waits.iter().any(|w| w.detail == Detail::Object(lock.0));
                let Some(lock) = (!awaited).then(|| self.lock_of(lock)).flatten() else {
                    continue;
                };
                let awaited = waits.iter().any(|w| w.detail == Detail::Object(lock.0));
                if !awaited && held.len() < MOST && !held.contains(&lock.0) {
                    held.push(lock.0);
                }
            }
        }
        held
    }

    /// The lock whose `__aexit__` a value is.
    fn exits(&mut self, value: Avma) -> Option<Avma> {
        /// `PyMethodObject`.
        const IM_FUNC: u64 = 16;
        let class = self.class(value)?;
        if &*class.name != "method" {
            // From 3.14 on the lock itself is there, and its function below it.
            let newer = self.heap.layout.minor >= 14;
            return (newer && LOCKS.iter().any(|lock| class.is_a(lock))).then_some(value);
        }
        let lock = self.bound_to(value)?;
        let class = self.class(lock)?;
        let function = self.heap.pointer(value, IM_FUNC)?;
        let exits = LOCKS.iter().any(|lock| class.is_a(lock))
            && self.function_name(function).as_deref() == Some("__aexit__");
        exits.then_some(lock)
    }

    /// What a condition guards is its lock.
    fn lock_of(&mut self, lock: Avma) -> Option<Avma> {
        let class = self.class(lock)?;
        match class.is_a("asyncio.locks.Condition") {
            true => self.get(lock, "_lock"),
            false => Some(lock),
        }
    }
}
