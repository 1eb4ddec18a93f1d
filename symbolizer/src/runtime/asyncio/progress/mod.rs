//! What tells one step of a task, or one callback, from the next.
//!
//! A loop takes what it has to run out of a deque, `_ready`. That counts its own changes in
//! `state`: one for each that is put in, and one for each that is taken out (`deque_append_internal`,
//! `deque_popleft_impl` of `Modules/_collectionsmodule.c`). Its length is the difference of the two. So
//! half of `state` without the length is how many were ever taken out, exactly: what a long step puts
//! in does not change it.

mod loops;

use super::detect::Detected;
use super::identity::task_id;
use super::objects::Heap;
use super::recorder::{Range, Recorder};
use super::threads::{ThreadState, interpreters, threads};
use crate::runtime::{Progress, ProgressReader, TaskId, ThreadBase};
use awaitscope_sampler::{Avma, Nanos, ReadMemory, Tid};
pub(super) use loops::CurrentTasks;
use loops::{Loop, Loops};
use std::collections::HashMap;
use std::sync::Arc;

/// Threads are listed again, and their loops looked for, but not more often: most threads
/// have none.
const LISTED_AFTER: Nanos = Nanos::from_millis(200);

/// `dequeobject.ob_size` and `state` (up to the size of the words between).
const SIZE: u64 = 16;
const STATE: u64 = 56;

/// Reads how far the loops of a process are.
#[derive(Debug)]
pub(super) struct Turns {
    detected: Arc<Detected>,
    loops: Loops,
    current_tasks: CurrentTasks,
    threads: HashMap<Tid, Option<Turning>>,
    listed: Nanos,
}

/// A thread with a loop.
#[derive(Debug)]
struct Turning {
    thread: ThreadState,
    event_loop: Loop,
    /// What was read the last time.
    foreseen: Vec<Range>,
}

impl Turns {
    pub fn new(detected: &Arc<Detected>) -> Self {
        Self {
            detected: Arc::clone(detected),
            loops: Loops::default(),
            current_tasks: CurrentTasks::default(),
            threads: HashMap::new(),
            listed: Nanos::ZERO,
        }
    }

    /// Looks for the loops of threads that are not known to have one.
    fn list(&mut self, wanted: &[ThreadBase], memory: &dyn ReadMemory) {
        let now = Nanos::now();
        let unknown = |base: &&ThreadBase| !matches!(self.threads.get(&base.tid), Some(Some(_)));
        let news: Vec<ThreadBase> = wanted.iter().filter(unknown).copied().collect();
        if news.is_empty() || now.since(self.listed) < LISTED_AFTER {
            return;
        }
        self.listed = now;
        let layout = self.detected.layout;
        let heap = Heap {
            memory,
            layout: &layout,
        };
        let known: HashMap<u64, ThreadState> = interpreters(&heap, self.detected.runtime)
            .into_iter()
            .flat_map(|interpreter| threads(&heap, interpreter))
            .map(|thread| (thread.thread_id, thread))
            .collect();
        self.loops.begin_round();
        for base in news {
            let thread = known.get(&base.tls_base.0).copied();
            let turning = thread.and_then(|thread| {
                Some(Turning {
                    event_loop: self.loops.of_thread(&heap, thread)?,
                    thread,
                    foreseen: Vec::new(),
                })
            });
            self.threads.insert(base.tid, turning);
        }
    }
}

impl ProgressReader for Turns {
    fn read(&mut self, wanted: &[ThreadBase], memory: &dyn ReadMemory) -> Vec<(Tid, Progress)> {
        self.list(wanted, memory);
        let layout = self.detected.layout;
        let mut all = Vec::new();
        for base in wanted {
            let Some(Some(turning)) = self.threads.get_mut(&base.tid) else {
                continue;
            };
            let recorder = Recorder::new(memory, &turning.foreseen);
            let heap = Heap {
                memory: &recorder,
                layout: &layout,
            };
            let tasks = self
                .current_tasks
                .of(turning.thread.interpreter, memory, &layout);
            let progress = progress(&heap, turning, tasks);
            turning.foreseen = recorder.finish().1;
            match progress {
                Some(progress) => all.push((base.tid, progress)),
                // The loop was closed, or the thread is another: it is looked for anew.
                None => {
                    self.threads.remove(&base.tid);
                }
            }
        }
        all
    }
}

fn progress(heap: &Heap<'_>, turning: &Turning, current_tasks: Option<Avma>) -> Option<Progress> {
    let Turning {
        thread, event_loop, ..
    } = turning;
    let heap_layout = &heap.layout.thread;
    if heap.word(thread.address, heap_layout.thread_id) != Some(thread.thread_id)
        || heap.type_of(event_loop.ready) != Some(event_loop.ready_type)
    {
        return None;
    }
    let size = heap.word(event_loop.ready, SIZE)?;
    let changes = heap.word(event_loop.ready, STATE)?;
    // What is put in at this very moment may be counted in one of the two only.
    let taken = changes.checked_sub(size)? / 2;
    Some(Progress {
        task: current_task(heap, *thread, event_loop.address, current_tasks),
        epoch: taken,
    })
}

/// The task that a loop runs.
fn current_task(
    heap: &Heap<'_>,
    thread: ThreadState,
    event_loop: Avma,
    current_tasks: Option<Avma>,
) -> Option<TaskId> {
    let task = match heap.layout.thread.running_task {
        Some(offset) => heap.pointer(thread.address, offset)?,
        None => loops::task_of(heap, current_tasks?, event_loop)?,
    };
    task_id(heap, task)
}
