//! Checks a profile that was read, so that nothing later can panic or loop.

use super::limits;
use super::{Profile, Stall};
use crate::error::Error;
use crate::tasks::TaskList;

impl Profile {
    /// Holds what [`Profile`] promises, or says what does not.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.check_stacks()?;
        self.check_tasks()?;
        self.check_stalls()?;
        self.check_buckets()?;
        self.check_series()?;
        self.check_waiting()?;
        self.last_tasks.iter().try_for_each(TaskList::validate)?;
        self.check_times()
    }

    fn check_stacks(&self) -> Result<(), Error> {
        for frame in &self.frames {
            within(
                "a function name",
                frame.function.index(),
                self.strings.len(),
            )?;
            if let Some(file) = frame.file {
                within("a file name", file.index(), self.strings.len())?;
            }
        }
        let mut depths: Vec<u16> = Vec::with_capacity(self.stacks.len());
        for (index, stack) in self.stacks.iter().enumerate() {
            within("a frame", stack.frame.index(), self.frames.len())?;
            let depth = match stack.parent {
                None => 1,
                Some(parent) => {
                    within("a parent of a stack", parent.index(), index)?;
                    depths[parent.index()] + 1
                }
            };
            if usize::from(depth) > limits::DEPTH {
                return Err(damaged(format!(
                    "a stack of more than {} frames",
                    limits::DEPTH
                )));
            }
            depths.push(depth);
        }
        Ok(())
    }

    fn check_tasks(&self) -> Result<(), Error> {
        self.tasks
            .iter()
            .try_for_each(|task| within("a kind", task.kind.index(), self.kinds.len()))
    }

    fn check_stalls(&self) -> Result<(), Error> {
        for stall in &self.stalls {
            self.check_stall(stall)?;
        }
        for sum in &self.stall_sums {
            within("a thread", sum.thread.index(), self.threads.len())?;
            if let Some(kind) = sum.kind {
                within("a kind", kind.index(), self.kinds.len())?;
            }
            if let Some(stack) = sum.stack {
                within("a stack", stack.index(), self.stacks.len())?;
            }
        }
        Ok(())
    }

    fn check_stall(&self, stall: &Stall) -> Result<(), Error> {
        let longest = stall.start_ns.max(stall.uncertainty_ns);
        if longest > limits::TIME {
            return Err(damaged("a stall past all time".to_owned()));
        }
        within("a thread", stall.thread.index(), self.threads.len())?;
        if let Some(kind) = stall.kind {
            within("a kind", kind.index(), self.kinds.len())?;
        }
        if let Some(task) = stall.task {
            within("a task", task.index(), self.tasks.len())?;
        }
        stall
            .stacks
            .iter()
            .try_for_each(|(stack, _)| within("a stack", stack.index(), self.stacks.len()))
    }

    fn check_buckets(&self) -> Result<(), Error> {
        if self.bucket_ns == 0 {
            return Err(damaged("buckets of no length".to_owned()));
        }
        let mut after = 0;
        let mut entries = 0;
        for bucket in &self.buckets {
            if bucket.number < after || bucket.number as usize >= limits::BUCKETS {
                return Err(damaged("buckets out of order".to_owned()));
            }
            after = bucket.number + 1;
            entries += bucket.len();
            for weight in &bucket.weights {
                within("a stack", weight.key.stack.index(), self.stacks.len())?;
                if let Some(thread) = weight.key.thread {
                    within("a thread", thread.index(), self.threads.len())?;
                }
                if let Some(kind) = weight.key.kind {
                    within("a kind", kind.index(), self.kinds.len())?;
                }
                if let Some(task) = weight.key.task {
                    within("a task", task.index(), self.tasks.len())?;
                }
            }
            for time in &bucket.threads {
                within("a thread", time.thread.index(), self.threads.len())?;
            }
        }
        within("a number of weights", entries, 2 * limits::WEIGHTS)
    }

    fn check_series(&self) -> Result<(), Error> {
        for point in self.series.iter().flat_map(|series| &series.points) {
            within("a bucket", point.bucket as usize, limits::BUCKETS)?;
            if point.count == 0 {
                return Err(damaged("a point of a series without a value".to_owned()));
            }
        }
        Ok(())
    }

    fn check_waiting(&self) -> Result<(), Error> {
        let Some(waiting) = &self.waiting else {
            return Ok(());
        };
        for life in &waiting.kinds {
            within("a kind", life.kind.index(), self.kinds.len())?;
        }
        for wait in &waiting.waits {
            within("a stack", wait.stack.index(), self.stacks.len())?;
            if let Some(kind) = wait.kind {
                within("a kind", kind.index(), self.kinds.len())?;
            }
        }
        let locks = waiting.locks.iter();
        let at = locks.flat_map(|lock| lock.waited_at.iter().chain(&lock.held_at));
        let at = at.map(|(wait, _)| *wait);
        let links = waiting.circles.iter().flat_map(|circle| &circle.links);
        for wait in at.chain(links.map(|link| link.wait)) {
            within("an await point", wait as usize, waiting.waits.len())?;
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), Error> {
        let buckets = self.buckets.iter().flat_map(|bucket| {
            let weights = bucket.weights.iter().map(|weight| weight.ns);
            weights.chain(bucket.threads.iter().flat_map(|t| [t.on_cpu_ns, t.off_ns]))
        });
        let stalls = self.stalls.iter().flat_map(|stall| {
            let shares = stall.stacks.iter().map(|&(_, ns)| ns);
            shares.chain([stall.duration_ns])
        });
        let sums = self
            .stall_sums
            .iter()
            .flat_map(|sum| [sum.total_ns, sum.count]);
        let tasks = self.kinds.iter().map(|kind| kind.tasks_unlisted);
        let counts = [
            self.duration_ns,
            self.quality.samples,
            self.quality.lost,
            self.quality.truncated,
            self.quality.unsymbolized_samples,
        ];
        let total = buckets
            .chain(stalls)
            .chain(sums)
            .chain(tasks)
            .chain(counts)
            .try_fold(0_u64, u64::checked_add);
        match total {
            Some(total) if total <= 4 * limits::TIME => Ok(()),
            _ => Err(damaged("times past all measure".to_owned())),
        }
    }
}

fn within(what: &str, index: usize, length: usize) -> Result<(), Error> {
    if index < length {
        return Ok(());
    }
    Err(damaged(format!(
        "{what} is {index}, and must be below {length}"
    )))
}

fn damaged(why: String) -> Error {
    Error::Damaged(why)
}
