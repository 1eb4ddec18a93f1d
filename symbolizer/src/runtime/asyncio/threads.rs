//! The interpreters of a process and their threads.

use super::objects::Heap;
use awaitscope_sampler::Avma;

/// No process has more interpreters, and none more threads in one.
const MOST_INTERPRETERS: usize = 256;
const MOST_THREADS: usize = 1 << 15;

/// A thread as an interpreter knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime::asyncio) struct ThreadState {
    /// Where its `PyThreadState` stands.
    pub address: Avma,
    /// Its interpreter.
    pub interpreter: Avma,
    /// `pthread_self()`: its thread pointer.
    pub thread_id: u64,
    /// `gettid()` in its own PID namespace (from 3.11).
    pub native_id: Option<u64>,
}

/// The interpreters of a runtime, of which there is none while it starts.
pub(in crate::runtime::asyncio) fn interpreters(heap: &Heap<'_>, runtime: Avma) -> Vec<Avma> {
    let mut found = Vec::new();
    let mut next = heap.pointer(runtime, heap.layout.runtime.interpreters_head);
    while let Some(interpreter) = next {
        if found.len() >= MOST_INTERPRETERS || found.contains(&interpreter) {
            break;
        }
        found.push(interpreter);
        next = heap.pointer(interpreter, heap.layout.interpreter.next);
    }
    found
}

/// The threads of an interpreter.
pub(in crate::runtime::asyncio) fn threads(heap: &Heap<'_>, interpreter: Avma) -> Vec<ThreadState> {
    let layout = &heap.layout.thread;
    let mut found = Vec::new();
    let mut next = heap.pointer(interpreter, heap.layout.interpreter.threads_head);
    while let Some(address) = next {
        let belongs = heap.pointer(address, layout.interp) == Some(interpreter);
        if !belongs || found.len() >= MOST_THREADS {
            break;
        }
        let Some(thread_id) = heap.word(address, layout.thread_id) else {
            break;
        };
        found.push(ThreadState {
            address,
            interpreter,
            thread_id,
            native_id: layout
                .native_thread_id
                .and_then(|offset| heap.word(address, offset)),
        });
        next = heap.pointer(address, layout.next);
    }
    found
}
