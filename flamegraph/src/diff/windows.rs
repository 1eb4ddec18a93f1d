//! The stretches of time that a recording is divided into to be compared.
//!
//! What is recorded within a moment belongs together: samples come in bursts, and a
//! test that takes them for independent calls every second unchanged function
//! changed. Windows of time, each a whole part of the recording, are nearly
//! independent of each other, the more so the longer they are; how they vary tells
//! how far a mean over all of them may be off. So there are as few of them as such a
//! test needs, and they are as long as can be.

use crate::profile::Profile;

/// So many windows are needed on each side.
pub(super) const ENOUGH: usize = 20;
/// No recording gives more than these: a hostile one could claim any length.
const MOST: usize = 2 * ENOUGH;

/// The windows of one recording.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    /// Buckets of the profile that make one.
    per_window: u32,
    /// How long each is.
    pub(super) lengths_ns: Vec<u64>,
}

impl Windows {
    pub(super) fn of(profile: &Profile) -> Self {
        let bucket_ns = profile.bucket_ns.max(1);
        let duration_ns = profile.duration_ns.max(1);
        let whole = duration_ns / bucket_ns;
        // A rest of less than half a bucket goes to the last whole one.
        let rest = u64::from((duration_ns % bucket_ns) * 2 >= bucket_ns);
        let buckets = (whole + rest).max(1);
        let per_window = (buckets / ENOUGH as u64).max(1);
        let count = ((buckets / per_window) as usize).min(MOST);
        let length = per_window.saturating_mul(bucket_ns);
        let mut lengths_ns = vec![length; count];
        let before = length.saturating_mul(count as u64 - 1);
        lengths_ns[count - 1] = duration_ns.saturating_sub(before).max(1);
        Self {
            per_window: u32::try_from(per_window).unwrap_or(u32::MAX),
            lengths_ns,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.lengths_ns.len()
    }

    /// The window of a bucket.
    pub(super) fn at(&self, bucket: u32) -> usize {
        ((bucket / self.per_window) as usize).min(self.count() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn windows(bucket_ms: u64, duration_ms: u64) -> Windows {
        let mut profile = sample::builder().finish(duration_ms * 1_000_000);
        profile.bucket_ns = bucket_ms * 1_000_000;
        Windows::of(&profile)
    }

    #[test]
    fn a_recording_has_twenty_to_thirty_nine_windows_if_it_has_the_buckets() {
        for (bucket_ms, duration_ms, count) in [
            (1000, 5_000, 5),
            (1000, 20_000, 20),
            (1000, 39_000, 39),
            (1000, 40_000, 20),
            (1000, 3_600_000, 20),
            (250, 5_000, 20),
            (250, 5_100, 20),
            (250, 5_130, 21),
            (1000, 0, 1),
        ] {
            let windows = windows(bucket_ms, duration_ms);
            assert_eq!(windows.count(), count, "{bucket_ms} {duration_ms}");
            let sum: u64 = windows.lengths_ns.iter().sum();
            assert_eq!(sum, (duration_ms * 1_000_000).max(1));
            assert_eq!(windows.at(0), 0);
            assert_eq!(windows.at(u32::MAX), count - 1);
        }
    }

    #[test]
    fn a_made_up_length_has_windows_too() {
        let mut profile = sample::builder().finish(1);
        for (bucket_ns, duration_ns) in [(1, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, 1)] {
            (profile.bucket_ns, profile.duration_ns) = (bucket_ns, duration_ns);
            assert!(Windows::of(&profile).count() <= MOST);
        }
    }
}
