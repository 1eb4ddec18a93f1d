//! Work that uses a known amount of CPU time.

use crate::clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static ROUNDS_PER_MS: AtomicU64 = AtomicU64::new(200_000);

/// Keeps the CPU busy for about `$time` of CPU time, without a call in it, and
/// with no two places alike (else the compiler would merge the functions around
/// them, and their names with them).
#[macro_export]
macro_rules! spin {
    ($time:expr) => {{
        let mut rounds = $crate::rounds($time);
        let mut x: u64 = 0x9e37_79b9_7f4a_7c15 ^ ((line!() as u64) << 32);
        while rounds != 0 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            rounds -= 1;
        }
        std::hint::black_box(x)
    }};
}

/// How many rounds of [`spin!`] take `time`.
pub fn rounds(time: Duration) -> u64 {
    let per_ms = ROUNDS_PER_MS.load(Ordering::Relaxed);
    time.as_nanos() as u64 * per_ms / 1_000_000
}

/// Finds out how fast this machine spins. The best of several tries: a
/// neighbour can only slow us down.
pub fn calibrate() {
    let best = (0..8).map(|_| rounds_per_ms()).max().unwrap_or(1);
    ROUNDS_PER_MS.store(best.max(1), Ordering::Relaxed);
}

fn rounds_per_ms() -> u64 {
    let time = Duration::from_millis(10);
    let rounds = rounds(time);
    let before = clock::thread_cpu();
    spin!(time);
    let took = clock::thread_cpu() - before;
    rounds.saturating_mul(1_000_000) / took.max(1)
}
