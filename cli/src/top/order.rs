//! By what the rows of a panel are sorted.

use awaitscope_flamegraph::{KindNow, StallNow, WaitNow};
use std::cmp::Ordering;

/// The orders of a sort of rows, the first of which is the usual one.
pub trait Ordered {
    /// Their names, as the head of a column says them.
    const ORDERS: &'static [&'static str];

    /// The order of two rows, by the number of the order: what matters most first.
    fn compare(&self, other: &Self, order: usize) -> Ordering;
}

impl Ordered for KindNow {
    const ORDERS: &'static [&'static str] = &["cpu", "live", "ready", "stalls", "name"];

    fn compare(&self, other: &Self, order: usize) -> Ordering {
        let by_cpu = || other.cpu_ms.total_cmp(&self.cpu_ms);
        let number = |value: Option<f64>| value.unwrap_or(-1.0);
        let first = match Self::ORDERS.get(order) {
            Some(&"live") => number(other.live).total_cmp(&number(self.live)),
            Some(&"ready") => number(other.ready).total_cmp(&number(self.ready)),
            Some(&"stalls") => other.stalled_ms.total_cmp(&self.stalled_ms),
            Some(&"name") => self.name.cmp(&other.name),
            _ => by_cpu(),
        };
        first.then_with(by_cpu)
    }
}

impl Ordered for StallNow {
    const ORDERS: &'static [&'static str] = &["total", "longest", "count", "last"];

    fn compare(&self, other: &Self, order: usize) -> Ordering {
        let by_total = || other.total_ms.total_cmp(&self.total_ms);
        let first = match Self::ORDERS.get(order) {
            Some(&"longest") => other.max_ms.total_cmp(&self.max_ms),
            Some(&"count") => other.count.cmp(&self.count),
            Some(&"last") => self.ago_ms.total_cmp(&other.ago_ms),
            _ => by_total(),
        };
        first.then_with(by_total)
    }
}

impl Ordered for WaitNow {
    const ORDERS: &'static [&'static str] = &["tasks", "change", "ready", "place"];

    fn compare(&self, other: &Self, order: usize) -> Ordering {
        let by_tasks = || other.tasks.total_cmp(&self.tasks);
        let change = |row: &Self| (i64::from(row.last) - i64::from(row.first)).abs();
        let first = match Self::ORDERS.get(order) {
            Some(&"change") => change(other).cmp(&change(self)),
            Some(&"ready") => other.ready.total_cmp(&self.ready),
            Some(&"place") => self.place.cmp(&other.place),
            _ => by_tasks(),
        };
        first.then_with(by_tasks)
    }
}
