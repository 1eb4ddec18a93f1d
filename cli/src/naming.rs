//! How files are called that were not given a name.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// `<name>-<pid>-<time>.awaitscope`, in the current folder.
pub fn profile_file(name: &str, pid: u32) -> PathBuf {
    let name = plain(name);
    PathBuf::from(format!("{name}-{pid}-{}.awaitscope", now()))
}

/// `<name>-<pid>.<ending>`, in the current folder.
pub fn export_file(name: &str, pid: u32, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}-{pid}.{ending}", plain(name)))
}

/// The name of a process as a part of a file name, which cannot leave the folder.
fn plain(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    name.trim_start_matches('.').to_owned()
}

/// The time as `20261124T062915Z`.
fn now() -> String {
    let text = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    text.chars().filter(|c| !"-:".contains(*c)).collect()
}

/// Nanoseconds since 1970.
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
