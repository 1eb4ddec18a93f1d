//! Keeps the registers of switches from costing more than they are worth.
//!
//! Taking them adds about 0.6 µs to a switch (and the switch record 0.9 µs; measured on a virtual
//! machine, Linux 6.18), and 200 bytes to the ring. A process that switches a few thousand times a second
//! does not notice. One that hands every message to another thread can switch a hundred times
//! as often, and would lose throughput to it, and us the samples that find the ring full. A loaded HTTP
//! service with 14,000 switches a second kept 93.5 % of its throughput with registers and 96.3 % without
//! (medians of six pairs, two CPUs filled). Such switches are so short that nobody wants their stacks; so above
//! a rate they go without registers, until it has calmed down. The stack of a thread that does sleep is then
//! unwound from its instruction and stack pointers.

use crate::ids::Nanos;

/// Whether switches come with registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SwitchDetail {
    WithRegisters,
    TimesOnly,
}

/// Decides it by the rate of switches.
#[derive(Debug)]
pub(crate) struct Guard {
    detail: SwitchDetail,
    since: Nanos,
    switches: u64,
    most: u64,
}

impl Guard {
    /// The rate is taken over so long.
    const WINDOW: Nanos = Nanos::from_millis(250);

    /// Registers are given up above `most` switches a second, of all threads together, and
    /// taken again below half of that.
    pub(crate) fn new(now: Nanos, most: u32) -> Self {
        Self {
            most: most.into(),
            detail: SwitchDetail::WithRegisters,
            since: now,
            switches: 0,
        }
    }

    pub(crate) fn detail(&self) -> SwitchDetail {
        self.detail
    }

    pub(crate) fn count_switch(&mut self) {
        self.switches += 1;
    }

    /// What to change to, if anything is to be changed now.
    pub(crate) fn decide(&mut self, now: Nanos) -> Option<SwitchDetail> {
        let time = now.since(self.since);
        if time < Self::WINDOW {
            return None;
        }
        let rate = self.switches.saturating_mul(1_000_000_000) / time.0;
        self.since = now;
        self.switches = 0;
        let detail = match self.detail {
            SwitchDetail::WithRegisters if rate > self.most => SwitchDetail::TimesOnly,
            SwitchDetail::TimesOnly if rate < self.most / 2 => SwitchDetail::WithRegisters,
            _ => return None,
        };
        self.detail = detail;
        Some(detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(guard: &mut Guard, millis: u64, switches: u64) -> Option<SwitchDetail> {
        (0..switches).for_each(|_| guard.count_switch());
        guard.decide(Nanos::from_millis(millis))
    }

    #[test]
    fn registers_are_given_up_in_a_storm_and_taken_up_again_after_it() {
        let mut guard = Guard::new(Nanos::ZERO, 50_000);
        assert_eq!(decide(&mut guard, 100, 20_000), None, "not yet known");
        assert_eq!(decide(&mut guard, 250, 0), Some(SwitchDetail::TimesOnly));
        assert_eq!(
            decide(&mut guard, 500, 10_000),
            None,
            "40,000 a second are not calm"
        );
        assert_eq!(
            decide(&mut guard, 750, 5_000),
            Some(SwitchDetail::WithRegisters)
        );
        assert_eq!(
            decide(&mut guard, 1000, 10_000),
            None,
            "nor are they a storm"
        );
        assert_eq!(guard.detail(), SwitchDetail::WithRegisters);
    }
}
