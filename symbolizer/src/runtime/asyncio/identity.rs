//! By which number a task is known.

use super::objects::{Heap, flag};
use crate::runtime::TaskId;
use awaitscope_sampler::Avma;

/// What asyncio calls a task that nobody named: `Task-17` (`asyncio/tasks.py`).
const DEFAULT_NAME: &str = "Task-";

/// The number in the name that asyncio gave the task, which no other task of the process has. A
/// task with a name of its own has only its address, as `id(task)` gives it: another may have that
/// after it.
pub(in crate::runtime::asyncio) fn task_id(heap: &Heap<'_>, task: Avma) -> Option<TaskId> {
    let name = heap.pointer(task, heap.layout.task.name)?;
    Some(number_of(heap, name).unwrap_or(TaskId(task.0)))
}

/// The number of a default name: a `str`, or from 3.13 an `int` while nobody has asked for
/// the name.
pub(in crate::runtime::asyncio) fn number_of(heap: &Heap<'_>, name: Avma) -> Option<TaskId> {
    if heap.type_flags(name)? & flag::STR == 0 {
        return u64::try_from(heap.int(name)?).ok().map(TaskId);
    }
    let text = heap.text(name)?;
    let number = text.strip_prefix(DEFAULT_NAME)?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| number.parse().ok().map(TaskId)).flatten()
}
