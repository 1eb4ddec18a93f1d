//! From a task's coroutine inwards: who awaits whom.

use super::look::{Doing, Look, Suspended};
use super::task::is_future;
use crate::frame::{Frame, FrameKind};
use awaitscope_sampler::Avma;

/// Python itself refuses deeper recursion long before (`sys.getrecursionlimit` is 1000).
const DEEPEST: usize = 250;

/// The coroutines of a task, from the outermost to the innermost.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub functions: Vec<Suspended>,
    /// The same as people read them, and between them those that Cython made.
    pub frames: Vec<Frame>,
    /// What the outermost does.
    pub doing: Doing,
    /// How it ends.
    pub end: End,
}

/// How a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At a future, or at a function that gives up its turn.
    Told,
    /// At an object that we cannot look into: a coroutine that was made in C.
    Opaque(Avma),
    /// It could not be read, or is too deep.
    Broken,
}

impl Chain {
    fn push(&mut self, suspended: Option<Suspended>) {
        let Some(suspended) = suspended else { return };
        let mut frame = suspended.frame.frame();
        // A generator in a chain of awaits is awaited like the others.
        if frame.kind == FrameKind::Sync {
            frame.kind = FrameKind::Async;
        }
        self.frames.push(frame);
        self.functions.push(suspended);
    }
}

impl Look<'_> {
    /// Walks the chain of a coroutine; `None` when not even that can be read.
    pub fn chain(&mut self, coro: Avma) -> Option<Chain> {
        let mut chain = Chain {
            functions: Vec::new(),
            frames: Vec::new(),
            doing: Doing::Suspended,
            end: End::Broken,
        };
        let mut next = coro;
        for depth in 0..DEEPEST {
            let Some(class) = self.class(next) else {
                break;
            };
            match &*class.name {
                "coroutine" | "generator" | "async_generator" => {
                    let Some(generator) = self.generator(next) else {
                        break;
                    };
                    if depth == 0 {
                        chain.doing = generator.doing;
                    }
                    chain.push(generator.suspended);
                    match generator.awaits {
                        Some(awaits) if !self.is_in(&chain, awaits) => next = awaits,
                        Some(_) => break,
                        None => {
                            chain.end = End::Told;
                            break;
                        }
                    }
                }
                // `PyCoroWrapper.cw_coroutine`, `PyAsyncGenASend.ags_gen`,
                // `PyAsyncGenAThrow.agt_gen`, `anextawaitableobject.wrapped`: whom they
                // pass on to.
                "coroutine_wrapper"
                | "async_generator_asend"
                | "async_generator_athrow"
                | "anext_awaitable" => match self.heap.pointer(next, 16) {
                    Some(inner) if inner != next => next = inner,
                    _ => break,
                },
                "_asyncio.FutureIter" | "FutureIter" => {
                    chain.end = End::Told;
                    break;
                }
                _ if is_future(&class) => {
                    chain.end = End::Told;
                    break;
                }
                name if name.starts_with("_cython_") && name.ends_with(".coroutine_wrapper") => {
                    match self.heap.pointer(next, 16) {
                        Some(inner) if inner != next => next = inner,
                        _ => break,
                    }
                }
                name => match self.cython(next, name) {
                    Some(cython) => {
                        chain.frames.push(cython.frame);
                        match cython.awaits {
                            Some(awaits) if awaits != next => next = awaits,
                            _ => {
                                chain.end = End::Told;
                                break;
                            }
                        }
                    }
                    None => {
                        chain.end = End::Opaque(next);
                        break;
                    }
                },
            }
        }
        (!chain.frames.is_empty() || chain.end != End::Broken).then_some(chain)
    }

    /// Whether an awaited coroutine is one of the chain: memory that moves can lead back.
    fn is_in(&self, chain: &Chain, awaited: Avma) -> bool {
        use super::super::layout::GeneratorFrame;
        let GeneratorFrame::Inside(offset) = self.heap.layout.generator.frame else {
            return false;
        };
        let frame = awaited.0.wrapping_add(offset);
        chain
            .functions
            .iter()
            .any(|function| function.address.0 == frame)
    }
}
