//! Finds out what many tasks wait for, while they move on.

use crate::futures::{GUARDED, Ground, Job, ShapeId, Shapes, Tree, Walked, Walker};
use crate::snapshot::AwaitTable;
use awaitscope_sampler::{Avma, ReadRequest};

/// How often a task is tried that runs when it is read and waits when it is looked at.
const ATTEMPTS: u32 = 3;

/// Where a future stands in its task.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct FuturePlace {
    /// Bytes of a task.
    pub size: u64,
    /// Bytes from its start to the future.
    pub offset: u64,
    pub shape: ShapeId,
}

impl FuturePlace {
    /// The future of the task at `address`, to be walked.
    pub fn job(&self, address: u64) -> Job {
        Job {
            address,
            size: self.size,
            offset: self.offset,
            shape: self.shape,
        }
    }
}

/// A task that waited when it was listed.
pub(in crate::runtime) trait Waits {
    /// Its future, to be walked.
    fn job(&self) -> Job;

    /// The bits of its header that must stay while it is walked, if it is still the task
    /// that was listed, and waits.
    fn guard(&self, bytes: &[u8]) -> Option<u64>;

    /// What it does now, by the first bytes of its memory.
    fn look(&mut self, bytes: &[u8]) -> Now;
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum Now {
    /// It waits again.
    Waits,
    /// It runs, or is done.
    Moved,
    /// It is not there any more.
    Gone,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::runtime) struct Settled<T> {
    /// Tasks with what they wait for, and what their guards said all the while.
    pub waiting: Vec<(T, Tree, u64)>,
    /// Tasks that wait no more, as they are now; and all, where there are no types.
    pub others: Vec<T>,
    /// Tasks that ran whenever they were read, and not when they were looked at, or that
    /// moved each time.
    pub torn: u32,
}

/// Walks the futures of tasks that wait.
pub(in crate::runtime) fn settle<T: Waits>(
    mut waiting: Vec<T>,
    walker: &mut Walker,
    ground: &Ground<'_>,
    shapes: &mut Shapes,
    table: &mut AwaitTable,
) -> Settled<T> {
    let mut settled = Settled {
        waiting: Vec::with_capacity(waiting.len()),
        others: Vec::new(),
        torn: 0,
    };
    for _ in 0..ATTEMPTS {
        let jobs: Vec<Job> = waiting.iter().map(Waits::job).collect();
        let guard = |job: usize, bytes: &[u8]| waiting[job].guard(bytes);
        let walked = walker.walk(&jobs, ground, shapes, table, &guard);
        let mut refused = Vec::new();
        for (task, walked) in waiting.into_iter().zip(walked) {
            match walked {
                Walked::Tree(tree, guard) => settled.waiting.push((task, tree, guard)),
                Walked::Refused => refused.push(task),
                Walked::Torn => settled.torn = settled.torn.saturating_add(1),
            }
        }
        waiting = look_again(refused, ground, &mut settled.others);
        if waiting.is_empty() {
            break;
        }
    }
    let left = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
    settled.torn = settled.torn.saturating_add(left);
    settled
}

/// Those of the tasks that wait again. Those that ended are nowhere any more.
fn look_again<T: Waits>(tasks: Vec<T>, ground: &Ground<'_>, others: &mut Vec<T>) -> Vec<T> {
    let mut headers = vec![[0; GUARDED]; tasks.len()];
    let mut requests: Vec<ReadRequest<'_>> = tasks
        .iter()
        .zip(&mut headers)
        .map(|(task, into)| {
            let job = task.job();
            let length = into.len().min(job.size as usize);
            ReadRequest::new(Avma(job.address), &mut into[..length])
        })
        .collect();
    ground.memory.read_many(&mut requests);
    let read: Vec<bool> = requests.iter().map(|request| request.done).collect();
    let mut still = Vec::new();
    for ((mut task, bytes), read) in tasks.into_iter().zip(headers).zip(read) {
        match task.look(&bytes) {
            Now::Waits if read => still.push(task),
            Now::Moved if read => others.push(task),
            _ => {}
        }
    }
    still
}
