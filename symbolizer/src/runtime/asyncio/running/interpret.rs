//! Puts Python frames in the place of the native ones that run them.

use super::anchor::{called_back, runs_loop, step, submitted};
use super::at_moment::AtMoment;
use super::native::{NativeKind, Natives};
use super::walk::{Walked, walk};
use crate::names::SourceFrame;
use crate::runtime::asyncio::code::{Codes, Roots};
use crate::runtime::asyncio::detect::Detected;
use crate::runtime::asyncio::identity::task_id;
use crate::runtime::asyncio::objects::Heap;
use crate::runtime::asyncio::progress::CurrentTasks;
use crate::runtime::asyncio::threads::interpreters;
use crate::runtime::{Interpreted, Polled, SeenStack, Step, TaskClass, TaskId};
use awaitscope_sampler::{Avma, MemoryCopy, Nanos, ReadMemory};
use std::sync::Arc;

/// So long a code object is believed to be what it was: reading all anew for each sample would
/// cost more than the rest.
const ROUND: Nanos = Nanos::from_millis(100);

/// Reads the stacks of an interpreter.
#[derive(Debug)]
pub(in crate::runtime::asyncio) struct Interpreter {
    detected: Arc<Detected>,
    at_moment: Arc<AtMoment>,
    natives: Natives,
    codes: Codes,
    step: SourceFrame,
    not_read: SourceFrame,
    current_tasks: CurrentTasks,
    /// When the round of `codes` began.
    round: Nanos,
}

/// What a thread ran.
#[derive(Default)]
struct Ran {
    /// As in [`Walked::runs`], with the frames of each from the outermost inwards.
    runs: Vec<Vec<SourceFrame>>,
    whole: bool,
    task: Option<TaskId>,
}

impl Interpreter {
    pub fn new(detected: &Arc<Detected>, memory: &dyn ReadMemory) -> Self {
        let mut interpreter = Self::empty(detected);
        let heap = Heap {
            memory,
            layout: &detected.layout,
        };
        for known in interpreters(&heap, detected.runtime) {
            interpreter.prepare(memory, known);
        }
        interpreter
    }

    fn empty(detected: &Arc<Detected>) -> Self {
        Self {
            detected: Arc::clone(detected),
            at_moment: Arc::new(AtMoment::new(detected)),
            natives: Natives::new(detected.module),
            codes: Codes::default(),
            step: step(),
            not_read: SourceFrame::nameless("[Python, not read]".to_owned()),
            current_tasks: CurrentTasks::default(),
            round: Nanos::ZERO,
        }
    }

    /// What reads at the moments of samples.
    pub fn at_moment(&self) -> &Arc<AtMoment> {
        &self.at_moment
    }

    /// The stack with Python frames in it, if there are any.
    pub fn interpret(
        &mut self,
        seen: &SeenStack<'_>,
        copy: Option<&MemoryCopy>,
    ) -> Option<Interpreted> {
        let frames = seen.frames.iter();
        let natives: Vec<NativeKind> = frames.map(|frame| self.natives.kind(frame, seen)).collect();
        let evaluates = |native: &NativeKind| matches!(native, NativeKind::Evaluates(_));
        let evaluating = natives.iter().any(evaluates);
        let ran = copy.and_then(|copy| self.ran(seen, copy));
        let Some(ran) = ran else {
            return evaluating.then(|| self.not_read(&natives));
        };
        if ran.runs.is_empty() && !evaluating {
            return None;
        }
        let mut merged = merge(&natives, ran, seen.whole);
        if !merged.complete {
            // What was read is right, but it does not begin where it seems to.
            let missing = Step::Script(self.not_read.clone());
            merged.steps.insert(0, missing);
        }
        Some(merged)
    }

    fn ran(&mut self, seen: &SeenStack<'_>, copy: &MemoryCopy) -> Option<Ran> {
        let thread = self.at_moment.thread(seen.tid)?;
        self.prepare(seen.memory, thread.interpreter);
        let layout = self.detected.layout;
        let then = Heap {
            memory: copy,
            layout: &layout,
        };
        let current_tasks = self.at_moment.current_tasks(thread.interpreter);
        let walked = walk(&then, thread, current_tasks);
        let task = walked.task.and_then(|task| task_id(&then, task.address));
        let overlaid = Overlaid {
            then: copy,
            now: seen.memory,
        };
        let heap = Heap {
            memory: &overlaid,
            layout: &layout,
        };
        Some(self.name(&walked, task, &heap))
    }

    fn name(&mut self, walked: &Walked, task: Option<TaskId>, heap: &Heap<'_>) -> Ran {
        let now = Nanos::now();
        if now.since(self.round) >= ROUND {
            self.round = now;
            self.codes.begin_round();
        }
        let root = walked.task.map(|task| task.frame);
        let mut runs = Vec::with_capacity(walked.runs.len());
        for run in &walked.runs {
            let mut named = Vec::with_capacity(run.len() + 1);
            for frame in run.iter().rev() {
                if Some(frame.address) == root {
                    named.push(self.step.clone());
                }
                let found = self.codes.frame(frame.place, heap);
                named.push(found.map_or_else(
                    || SourceFrame::nameless("[a Python function]".to_owned()),
                    |found| found.source(),
                ));
            }
            runs.push(named);
        }
        Ran {
            runs,
            whole: walked.whole,
            task,
        }
    }

    /// Finds out what takes too long at the moment of a sample.
    fn prepare(&mut self, memory: &dyn ReadMemory, interpreter: Avma) {
        let heap = Heap {
            memory,
            layout: &self.detected.layout,
        };
        if !self.codes.has_roots()
            && let Some(roots) = Roots::read(&heap, interpreter)
        {
            self.codes.set_roots(roots);
        }
        let layout = &self.detected.layout;
        if let Some(tasks) = self.current_tasks.of(interpreter, memory, layout) {
            self.at_moment.tell_current_tasks(interpreter, tasks);
        }
    }

    /// A stack whose Python frames are not known: the thread had run on.
    fn not_read(&self, natives: &[NativeKind]) -> Interpreted {
        let innermost = natives
            .iter()
            .position(|native| matches!(native, NativeKind::Evaluates(_)));
        let steps = natives.iter().enumerate().rev();
        let steps = steps.map(|(index, native)| match native {
            NativeKind::Evaluates(_) if Some(index) == innermost => {
                Step::Script(self.not_read.clone())
            }
            native => own(index, native),
        });
        Interpreted {
            steps: steps.collect(),
            complete: false,
            moved: true,
            polled: Polled::Nothing,
        }
    }
}

/// Memory as it was, and, for what does not change, as it is.
struct Overlaid<'a> {
    then: &'a MemoryCopy,
    now: &'a dyn ReadMemory,
}

impl ReadMemory for Overlaid<'_> {
    fn read_many(&self, requests: &mut [awaitscope_sampler::ReadRequest<'_>]) {
        self.then.read_many(requests);
        for request in requests.iter_mut().filter(|request| !request.done) {
            request.done = self.now.read(request.address, request.into);
        }
    }
}

/// Puts the runs of Python frames in the place of the native frames that run them.
fn merge(natives: &[NativeKind], ran: Ran, natives_whole: bool) -> Interpreted {
    let Ran { runs, whole, task } = ran;
    let evaluating: Vec<usize> = natives
        .iter()
        .enumerate()
        .filter(|(_, native)| matches!(native, NativeKind::Evaluates(_)))
        .map(|(index, _)| index)
        .collect();
    let mut steps = Vec::new();
    let matching = whole && natives_whole && evaluating.len() >= runs.len();
    if matching || !natives_whole && !evaluating.is_empty() {
        // Where both are known to the end, the outermost of both belong together: the innermost
        // native frame may just be entered or left, and run nothing. Else the innermost do.
        let spare = match matching {
            true => evaluating.len() - runs.len(),
            false => 0,
        };
        let paired = evaluating.len() - spare;
        // What was called outside of all native frames that are known.
        let outside = runs.iter().skip(paired).rev().flatten();
        steps.extend(outside.cloned().map(Step::Script));
        for (index, native) in natives.iter().enumerate().rev() {
            let of_run = evaluating.binary_search(&index).ok();
            let run = of_run
                .and_then(|number| number.checked_sub(spare))
                .and_then(|number| runs.get(number));
            match run {
                Some(run) => steps.extend(run.iter().cloned().map(Step::Script)),
                None => steps.push(own(index, native)),
            }
        }
    } else {
        // The native frames do not tell which runs which: Python's own order is known all the same,
        // and what stands inside of all Python code.
        steps.extend(runs.iter().rev().flatten().cloned().map(Step::Script));
        let inside = evaluating.first().copied().unwrap_or(0);
        let inside = natives[..inside].iter().enumerate().rev();
        steps.extend(inside.map(|(index, native)| own(index, native)));
    }
    Interpreted {
        complete: whole,
        moved: false,
        polled: polled(&steps, task),
        steps,
    }
}

/// A native frame that stays, or what is read in its place.
fn own(index: usize, native: &NativeKind) -> Step {
    match native {
        NativeKind::Evaluates(frame) | NativeKind::Machinery(frame) => Step::Script(frame.clone()),
        NativeKind::Other => Step::Native(index),
    }
}

fn polled(steps: &[Step], task: Option<TaskId>) -> Polled {
    if task.is_some() {
        return Polled::Task {
            class: TaskClass::Async,
            id: task,
        };
    }
    let frames: Vec<&SourceFrame> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Script(frame) => Some(frame),
            Step::Native(_) => None,
        })
        .collect();
    if submitted(&frames).is_some() {
        return Polled::Task {
            class: TaskClass::Blocking,
            id: None,
        };
    }
    if called_back(&frames).is_some() {
        return Polled::Task {
            class: TaskClass::Callback,
            id: None,
        };
    }
    match frames.iter().any(|frame| runs_loop(frame)) {
        true => Polled::Worker { shows: None },
        false => Polled::Nothing,
    }
}
