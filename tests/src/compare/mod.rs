//! Holding what the profiler found against what the service knows.

mod shares;
mod stacks;
mod stalls;
mod waits;

pub use shares::{OUTSIDE, ShareError, share_errors};
pub use stacks::stack_mismatch;
pub use stalls::{FoundStall, StallScore, culprit_at, every_culprit_leads, score_stalls};
pub use waits::wait_mismatches;
