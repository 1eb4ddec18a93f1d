//! Holds a list that was read from a file to what one that was made promises.

use super::TaskList;
use crate::error::Error;
use crate::profile::limits;

/// Schedulers in one process.
pub(super) const SCHEDULERS: usize = limits::RUNTIMES;
/// Kinds of tasks.
pub(super) const KINDS: usize = limits::FRAMES;
/// Distinct frames.
pub(super) const FRAMES: usize = limits::FRAMES;
/// Distinct await points.
pub(super) const POINTS: usize = limits::STACKS;
/// Frames of a stack. Async functions nest as deep as the source is written, but
/// recursion through boxes has no end.
pub(super) const DEPTH: usize = 1024;

impl TaskList {
    /// Whether every number stands for something.
    ///
    /// # Errors
    /// [`Error::Damaged`]: one does not.
    pub fn validate(&self) -> Result<(), Error> {
        let within = |what: &str, index: u32, length: usize| {
            if (index as usize) < length {
                return Ok(());
            }
            Err(Error::Damaged(format!(
                "{what} of a task is {index}, and must be below {length}"
            )))
        };
        for point in &self.points {
            for frame in &point.stack {
                within("a frame", *frame, self.frames.len())?;
            }
        }
        for task in &self.tasks {
            within("the kind", task.kind, self.kinds.len())?;
            for wait in &task.waits {
                within("an await point", wait.point, self.points.len())?;
            }
        }
        for omitted in &self.omitted {
            within("the kind", omitted.kind, self.kinds.len())?;
            if let Some(like) = omitted.like {
                within("the likeness", like, self.tasks.len())?;
            }
        }
        Ok(())
    }
}
