//! What a view draws: times, each with what the task or thread did meanwhile.

use crate::error::Error;
use crate::profile::{Cause, KindId, Profile, StackId, State, TaskId, ThreadId, Weight};
use crate::view::{Grouping, View};

/// Time to be drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn {
    pub(crate) thread: Option<ThreadId>,
    pub(crate) kind: Option<KindId>,
    pub(crate) task: Option<TaskId>,
    /// `None` where the stack is not known.
    pub(crate) stack: Option<StackId>,
    pub(crate) part: Part,
    /// The bucket it began in; `None` where that is not known.
    pub(crate) bucket: Option<u32>,
    pub(crate) ns: u64,
}

/// What the task or thread did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What the view is about: nothing is to be told apart.
    Only,
    /// It ran on a CPU, where other parts are in the picture too.
    OnCpu,
    /// It held its worker without running.
    Blocked,
    /// It waited for a worker.
    Ready,
    /// It waited for something else.
    Waiting,
}

/// All that `view` draws.
pub(crate) fn drawn(
    profile: &Profile,
    view: View,
    grouping: Grouping,
) -> Result<Vec<Drawn>, Error> {
    let has_snapshots = profile.waiting.is_some() && profile.quality.snapshots > 0;
    match view {
        View::Wait | View::Wall if !has_snapshots => Err(Error::NoSnapshots { view }),
        View::Wait if matches!(grouping, Grouping::Thread | Grouping::Task) => {
            Err(Error::NotGrouped { view, grouping })
        }
        View::Cpu => Ok(of_state(profile, State::OnCpu, Part::Only).collect()),
        View::Stall => Ok(stalls(profile, Part::Only, |_| true)),
        View::Wait => Ok(of_state(profile, State::Waiting, Part::Waiting).collect()),
        View::Wall => Ok(wall(profile)),
    }
}

fn of_state(profile: &Profile, state: State, part: Part) -> impl Iterator<Item = Drawn> {
    let of_state = move |weight: &&Weight| weight.key.state == state;
    profile.buckets.iter().flat_map(move |bucket| {
        bucket
            .weights
            .iter()
            .filter(of_state)
            .map(move |weight| Drawn {
                thread: weight.key.thread,
                kind: weight.key.kind,
                task: weight.key.task,
                stack: Some(weight.key.stack),
                part,
                bucket: Some(bucket.number),
                ns: weight.ns,
            })
    })
}

/// The whole life of tasks. What runs outside any is no part of it.
fn wall(profile: &Profile) -> Vec<Drawn> {
    let mut drawn: Vec<Drawn> = of_state(profile, State::OnCpu, Part::OnCpu).collect();
    let known = drawn.len();
    drawn.extend(of_state(profile, State::Blocked, Part::Blocked));
    if drawn.len() == known {
        // Where not every sleep inside a poll is recorded, the long ones are known.
        drawn.extend(stalls(profile, Part::Blocked, |cause| cause != Cause::Cpu));
    }
    drawn.extend(of_state(profile, State::Ready, Part::Ready));
    drawn.extend(of_state(profile, State::Waiting, Part::Waiting));
    drawn.retain(|drawn| drawn.kind.is_some());
    drawn
}

fn stalls(profile: &Profile, part: Part, shown: impl Fn(Cause) -> bool) -> Vec<Drawn> {
    let mut all = Vec::new();
    for stall in profile.stalls.iter().filter(|stall| shown(stall.cause)) {
        let bucket = u32::try_from(stall.start_ns / profile.bucket_ns).ok();
        let drawn = |stack, ns| Drawn {
            thread: Some(stall.thread),
            kind: stall.kind,
            task: stall.task,
            stack,
            part,
            bucket,
            ns,
        };
        let mut left = stall.duration_ns;
        for &(stack, ns) in &stall.stacks {
            let ns = ns.min(left);
            left -= ns;
            all.push(drawn(Some(stack), ns));
        }
        all.push(drawn(None, left));
    }
    for sum in profile.stall_sums.iter().filter(|sum| shown(sum.cause)) {
        all.push(Drawn {
            thread: Some(sum.thread),
            kind: sum.kind,
            task: None,
            stack: sum.stack,
            part,
            bucket: None,
            ns: sum.total_ns,
        });
    }
    all
}
