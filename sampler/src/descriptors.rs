//! How many file descriptors we may have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;

/// Descriptors left to everything else: debug files, sockets, standard streams.
const OTHERS: u64 = 256;

/// Sees to it that `wanted` more descriptors can be opened.
///
/// # Errors
/// How many there can be, if not that many.
pub(crate) fn make_room(wanted: u64) -> Result<(), u64> {
    let used = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    let needed = wanted + used + OTHERS;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        // Cannot fail on Linux; if it does, opening will tell.
        return Ok(());
    };
    if soft >= needed {
        return Ok(());
    }
    if hard >= needed && setrlimit(Resource::RLIMIT_NOFILE, needed, hard).is_ok() {
        return Ok(());
    }
    // Only with CAP_SYS_RESOURCE, and not beyond fs.nr_open.
    if setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).is_ok() {
        return Ok(());
    }
    // What can be had may still do for a smaller wish.
    let best = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        hard
    } else {
        soft
    };
    Err(best.saturating_sub(used + OTHERS))
}
