//! Living tasks, ready tasks and lag over time, for longer than a window tells.

use awaitscope_flamegraph::Window;
use std::collections::BTreeMap;

/// So many seconds are kept: no terminal is wider.
const MOST: usize = 600;

/// What has a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// Living tasks.
    Live,
    /// Ready tasks.
    Ready,
    /// Milliseconds that ready tasks waited.
    Lag,
}

/// Values second by second.
#[derive(Debug, Default)]
pub struct Trends {
    seconds: BTreeMap<u64, [Option<f64>; 3]>,
}

impl Trends {
    /// Takes over what a window tells. What it begins with may be cut off, and was told before.
    pub fn see(&mut self, window: &Window) {
        let start = window.start_s.max(0.0) as u64;
        let length = window.series.iter().map(Vec::len).max().unwrap_or(0);
        for index in 0..length.min(MOST) {
            let values = [0, 1, 2].map(|series| {
                let series: &Vec<Option<f64>> = &window.series[series];
                series.get(index).copied().flatten()
            });
            let known = self.seconds.entry(start + index as u64);
            if index > 0 {
                *known.or_default() = values;
            } else {
                known.or_insert(values);
            }
        }
        while self.seconds.len() > MOST {
            self.seconds.pop_first();
        }
    }

    /// The last values, the newest last; a second of which nothing is known is `None`.
    pub fn last(&self, trend: Trend, count: usize) -> Vec<Option<f64>> {
        let Some((newest, _)) = self.seconds.last_key_value() else {
            return Vec::new();
        };
        let oldest = self
            .seconds
            .first_key_value()
            .map_or(*newest, |(at, _)| *at);
        let count = count.min(MOST) as u64;
        let from = (newest + 1).saturating_sub(count).max(oldest);
        let value = |second| self.seconds.get(&second).and_then(|of| of[trend as usize]);
        (from..=*newest).map(value).collect()
    }
}
