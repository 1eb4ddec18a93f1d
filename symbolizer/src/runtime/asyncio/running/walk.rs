//! What a Python thread runs: its frames, and the task that its loop runs.
//!
//! The same way is gone twice: at the moment of the sample through the memory of the
//! process, which is kept, and later through what was kept.

use crate::runtime::asyncio::code::CodePlace;
use crate::runtime::asyncio::layout::{FrameRoot, GeneratorFrame};
use crate::runtime::asyncio::objects::{Heap, at};
use crate::runtime::asyncio::threads::ThreadState;
use awaitscope_sampler::Avma;

/// No stack is followed further. Python's own limit is 1000, unless it is told otherwise.
const MOST_FRAMES: usize = 1024;

/// Owners of frames from here on are no functions of Python, but the entry of the C function that
/// runs them: `FRAME_OWNED_BY_CSTACK` (3.12, 3.13), `FRAME_OWNED_BY_INTERPRETER` (3.14)
/// (`enum _frameowner`, `pycore_frame.h`).
const FIRST_FOREIGN_OWNER: u8 = 3;

/// How many loops can run tasks at one time, one in each thread.
const MOST_LOOPS: usize = 512;

/// What a thread runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Walked {
    /// The frames, as the C function that runs Python code was entered for them: the runs from the
    /// innermost outwards, and so the frames of each.
    pub runs: Vec<Vec<WalkedFrame>>,
    /// The outermost frame was reached.
    pub whole: bool,
    /// The task.
    pub task: Option<RunningTask>,
}

/// A frame of a Python function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WalkedFrame {
    /// Where it stands.
    pub address: Avma,
    /// Where it is.
    pub place: CodePlace,
}

/// The task that a thread runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunningTask {
    /// Where it stands.
    pub address: Avma,
    /// The frame of its coroutine.
    pub frame: Avma,
}

/// Walks the frames of a thread.
pub(super) fn walk(heap: &Heap<'_>, thread: ThreadState, current_tasks: Option<Avma>) -> Walked {
    let mut walked = Walked::default();
    let mut run = Vec::new();
    let mut next = first_frame(heap, thread);
    let mut count = 0;
    while let Some(address) = next {
        if count == MOST_FRAMES {
            break;
        }
        count += 1;
        let Some(frame) = RawFrame::read(heap, address) else {
            break;
        };
        if frame.foreign {
            walked.runs.push(std::mem::take(&mut run));
        } else {
            run.push(WalkedFrame {
                address,
                place: frame.place,
            });
            if frame.entry {
                walked.runs.push(std::mem::take(&mut run));
            }
        }
        next = (frame.previous != 0).then_some(Avma(frame.previous));
        // A frame that was left, or not yet linked, while it was read has nothing before it
        // either; but below the outermost is always the entry of the C function.
        walked.whole = next.is_none() && (frame.entry || frame.foreign);
    }
    if !run.is_empty() {
        walked.runs.push(run);
    }
    if count > 0 {
        walked.task = running_task(heap, thread, current_tasks, &walked);
    }
    walked
}

fn first_frame(heap: &Heap<'_>, thread: ThreadState) -> Option<Avma> {
    match heap.layout.thread.frame {
        FrameRoot::Here(offset) => heap.pointer(thread.address, offset),
        FrameRoot::CFrame(cframe, frame) => {
            let cframe = heap.pointer(thread.address, cframe)?;
            heap.pointer(cframe, frame)
        }
    }
}

/// The members of a frame.
struct RawFrame {
    place: CodePlace,
    previous: u64,
    /// It is no function.
    foreign: bool,
    /// The C function was entered for it.
    entry: bool,
}

impl RawFrame {
    fn read(heap: &Heap<'_>, address: Avma) -> Option<Self> {
        let layout = &heap.layout.frame;
        let offsets = [
            layout.code,
            layout.previous,
            layout.globals,
            layout.instruction.offset(),
            layout.owner.unwrap_or(0),
            layout.is_entry.unwrap_or(0),
            layout.generator.unwrap_or(0),
        ];
        let size = offsets.into_iter().max()? + 8;
        let bytes = heap.block(address, size, 512)?;
        let word = |offset: u64| {
            let bytes = bytes.get(usize::try_from(offset).ok()?..)?.first_chunk()?;
            Some(u64::from_le_bytes(*bytes))
        };
        let byte = |offset: u64| bytes.get(usize::try_from(offset).ok()?).copied();
        let instruction = word(layout.instruction.offset())?;
        // Up to 3.10 every frame is one of a C function of its own.
        let entry = match (layout.is_entry, layout.owner) {
            (Some(offset), _) => byte(offset)? == 1,
            (None, Some(_)) => false,
            (None, None) => true,
        };
        let foreign = layout.is_entry.is_none()
            && match layout.owner {
                Some(offset) => byte(offset)? >= FIRST_FOREIGN_OWNER,
                None => false,
            };
        let qualname = layout.generator.and_then(|offset| {
            let generator = word(offset).filter(|word| *word != 0)?;
            heap.pointer(Avma(generator), heap.layout.generator.qualname)
        });
        Some(Self {
            place: CodePlace {
                // From 3.14 the lowest bits are marks.
                code: Avma(word(layout.code)? & !7),
                instruction,
                globals: word(layout.globals).filter(|word| *word != 0).map(Avma),
                qualname,
            },
            previous: word(layout.previous)?,
            foreign,
            entry,
        })
    }
}

/// The task whose coroutine is among the frames of the thread.
fn running_task(
    heap: &Heap<'_>,
    thread: ThreadState,
    current_tasks: Option<Avma>,
    walked: &Walked,
) -> Option<RunningTask> {
    if let Some(offset) = heap.layout.thread.running_task {
        let task = heap.pointer(thread.address, offset)?;
        return of_thread(heap, task, walked);
    }
    // Each loop has its current task, and each thread one loop.
    let loops = heap.dict(current_tasks?, MOST_LOOPS)?;
    loops
        .into_iter()
        .find_map(|(_, task)| of_thread(heap, task, walked))
}

fn of_thread(heap: &Heap<'_>, task: Avma, walked: &Walked) -> Option<RunningTask> {
    let coroutine = heap.pointer(task, heap.layout.task.coro)?;
    let frame = match heap.layout.generator.frame {
        GeneratorFrame::Pointer(offset) => heap.pointer(coroutine, offset)?,
        GeneratorFrame::Inside(offset) => at(coroutine, offset),
    };
    let mut frames = walked.runs.iter().flatten();
    frames
        .any(|known| known.address == frame)
        .then_some(RunningTask {
            address: task,
            frame,
        })
}
