//! What is read at the moment of a sample.

use super::walk::walk;
use crate::runtime::asyncio::detect::Detected;
use crate::runtime::asyncio::identity::task_id;
use crate::runtime::asyncio::objects::Heap;
use crate::runtime::asyncio::recorder::{Range, Recorder};
use crate::runtime::asyncio::threads::{ThreadState, interpreters, threads};
use awaitscope_sampler::{
    AtSample, Avma, MemoryCopy, Nanos, Process, ReadMemory, Tid, is_thread_block,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Threads are listed again for one that is not known, but not more often.
const LISTED_AFTER: Nanos = Nanos::from_millis(50);

/// The most threads that are remembered.
const MOST_THREADS: usize = 1 << 15;

/// Reads what a thread runs.
#[derive(Debug)]
pub(in crate::runtime::asyncio) struct AtMoment {
    detected: Arc<Detected>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    threads: HashMap<Tid, KnownThread>,
    listed: Nanos,
    /// `_asyncio._current_tasks` of each interpreter, up to 3.13.
    current_tasks: HashMap<Avma, Avma>,
}

#[derive(Debug, Clone)]
struct KnownThread {
    /// Nothing for a thread that runs no Python.
    state: Option<ThreadState>,
    /// What was read of it the last time.
    foreseen: Vec<Range>,
}

impl AtMoment {
    pub fn new(detected: &Arc<Detected>) -> Self {
        Self {
            detected: Arc::clone(detected),
            known: Mutex::default(),
        }
    }

    /// Where the current tasks of an interpreter are told. Finding it out takes too long
    /// for the moment of a sample.
    pub fn tell_current_tasks(&self, interpreter: Avma, tasks: Avma) {
        self.lock().current_tasks.insert(interpreter, tasks);
    }

    /// Where they are told.
    pub fn current_tasks(&self, interpreter: Avma) -> Option<Avma> {
        self.lock().current_tasks.get(&interpreter).copied()
    }

    /// What Python knows a thread by.
    pub fn thread(&self, tid: Tid) -> Option<ThreadState> {
        self.lock().threads.get(&tid)?.state
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heap<'a>(&'a self, memory: &'a dyn ReadMemory) -> Heap<'a> {
        Heap {
            memory,
            layout: &self.detected.layout,
        }
    }

    /// The thread, listed anew if it is not known.
    fn find(&self, tid: Tid, process: &dyn Process) -> Option<KnownThread> {
        let mut known = self.lock();
        if let Some(thread) = known.threads.get(&tid)
            && (thread.state.is_some() || Nanos::now().since(known.listed) < LISTED_AFTER)
        {
            return Some(thread.clone());
        }
        let now = Nanos::now();
        if now.since(known.listed) < LISTED_AFTER {
            return None;
        }
        known.listed = now;
        if known.threads.len() >= MOST_THREADS {
            known.threads.clear();
        }
        let number = process.own_number(tid);
        let heap = self.heap(process);
        let all = interpreters(&heap, self.detected.runtime).into_iter();
        let state = all
            .flat_map(|interpreter| threads(&heap, interpreter))
            .find(|thread| number.is_some_and(|number| is_number(&heap, *thread, number)));
        let thread = KnownThread {
            state,
            foreseen: Vec::new(),
        };
        known.threads.insert(tid, thread.clone());
        Some(thread)
    }
}

/// Whether a thread has this number.
fn is_number(heap: &Heap<'_>, thread: ThreadState, number: u32) -> bool {
    match thread.native_id {
        Some(id) => id == u64::from(number),
        None => is_thread_block(heap.memory, Avma(thread.thread_id), number),
    }
}

impl AtSample for AtMoment {
    fn copy(&self, tid: Tid, process: &dyn Process) -> Option<MemoryCopy> {
        let thread = self.find(tid, process)?;
        let state = thread.state?;
        let recorder = Recorder::new(process, &thread.foreseen);
        let heap = self.heap(&recorder);
        // Another thread can have its place by now.
        let layout = &heap.layout.thread;
        if heap.word(state.address, layout.thread_id) != Some(state.thread_id) {
            self.lock().threads.remove(&tid);
            return None;
        }
        let walked = walk(&heap, state, self.current_tasks(state.interpreter));
        if let Some(task) = walked.task {
            let _ = task_id(&heap, task.address);
        }
        let (copy, foreseen) = recorder.finish();
        if let Some(known) = self.lock().threads.get_mut(&tid) {
            known.foreseen = foreseen;
        }
        Some(copy)
    }
}
