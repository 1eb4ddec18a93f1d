//! Stacks, as each track has its own.

use crate::error::Error;
use crate::fold::Part;
use crate::printable::printable;
use crate::profile::{FrameId, Profile, StackId};
use crate::view::RuntimeFrames;
use awaitscope_symbolizer::FrameKind;
use fx::{
    CategoryColor, CategoryHandle, Frame, FrameFlags, FrameHandle, FrameInfo, StackHandle,
    ThreadHandle,
};
use fxprof_processed_profile as fx;
use std::collections::HashMap;

/// Stacks times tracks that are taken on. Real profiles stay far below.
const PLACES: usize = 4 << 20;

/// The stacks of all tracks.
pub(super) struct Stacks<'a> {
    profile: &'a Profile,
    runtime_frames: RuntimeFrames,
    categories: Categories,
    frames: HashMap<(ThreadHandle, FrameId), FrameHandle>,
    /// `None` where nothing but machinery is in it.
    known: HashMap<(ThreadHandle, StackId), Option<StackHandle>>,
}

/// What frames are, by colour.
struct Categories {
    asynchronous: CategoryHandle,
    function: CategoryHandle,
    leaf: CategoryHandle,
    runtime: CategoryHandle,
    kernel: CategoryHandle,
    ready: CategoryHandle,
}

impl<'a> Stacks<'a> {
    pub(super) fn new(
        profile: &'a Profile,
        runtime_frames: RuntimeFrames,
        made: &mut fx::Profile,
    ) -> Self {
        let mut category = |name: &str, color| made.add_category(name, color);
        Self {
            profile,
            runtime_frames,
            categories: Categories {
                asynchronous: category("Async function", CategoryColor::Green),
                function: category("Function", CategoryColor::Blue),
                leaf: category("What is waited for", CategoryColor::Yellow),
                runtime: category("Runtime", CategoryColor::DarkGray),
                kernel: category("Kernel", CategoryColor::Orange),
                ready: category("Ready, no worker", CategoryColor::Magenta),
            },
            frames: HashMap::new(),
            known: HashMap::new(),
        }
    }

    /// The stack, in the track of `thread`.
    pub(super) fn get(
        &mut self,
        made: &mut fx::Profile,
        thread: ThreadHandle,
        stack: StackId,
        part: Part,
    ) -> Result<Option<StackHandle>, Error> {
        let entry = self.profile.stacks[stack.index()];
        let is_leaf = self.profile.frames[entry.frame.index()].kind == FrameKind::Leaf;
        let found = match (part, entry.parent) {
            // It waits for that no more.
            (Part::Ready, Some(parent)) if is_leaf => self.known(made, thread, parent)?,
            (Part::Ready, None) if is_leaf => None,
            _ => self.known(made, thread, stack)?,
        };
        Ok(Some(match (part, found) {
            (Part::Ready, above) => {
                let category = self.categories.ready;
                stand_in(made, thread, above, "[ready, waits for a worker]", category)
            }
            (_, Some(found)) => found,
            (_, None) => stand_in(made, thread, None, "[runtime]", self.categories.runtime),
        }))
    }

    fn known(
        &mut self,
        made: &mut fx::Profile,
        thread: ThreadHandle,
        stack: StackId,
    ) -> Result<Option<StackHandle>, Error> {
        let mut missing = Vec::new();
        let (mut next, mut above) = (Some(stack), None);
        while let Some(stack) = next {
            if let Some(&known) = self.known.get(&(thread, stack)) {
                above = known;
                break;
            }
            missing.push(stack);
            next = self.profile.stacks[stack.index()].parent;
        }
        if self.known.len() + missing.len() > PLACES {
            return Err(Error::TooManyBoxes);
        }
        for &stack in missing.iter().rev() {
            above = self.below(made, thread, above, stack);
            self.known.insert((thread, stack), above);
        }
        Ok(above)
    }

    /// A stack whose caller is known.
    fn below(
        &mut self,
        made: &mut fx::Profile,
        thread: ThreadHandle,
        above: Option<StackHandle>,
        stack: StackId,
    ) -> Option<StackHandle> {
        let entry = self.profile.stacks[stack.index()];
        let kind = self.profile.frames[entry.frame.index()].kind;
        if kind == FrameKind::Runtime && self.runtime_frames == RuntimeFrames::Folded {
            return above;
        }
        let above = match (above, kind) {
            // The kernel at work for the executor, not for a task.
            (None, FrameKind::Kernel) if entry.parent.is_some() => Some(stand_in(
                made,
                thread,
                None,
                "[runtime]",
                self.categories.runtime,
            )),
            (above, _) => above,
        };
        let frame = self.frame(made, thread, entry.frame);
        Some(made.intern_stack(thread, above, frame))
    }

    fn frame(&mut self, made: &mut fx::Profile, thread: ThreadHandle, id: FrameId) -> FrameHandle {
        if let Some(&known) = self.frames.get(&(thread, id)) {
            return known;
        }
        let view = self.profile.frame(id);
        let category = match view.kind {
            FrameKind::Async => self.categories.asynchronous,
            FrameKind::Leaf => self.categories.leaf,
            FrameKind::Runtime => self.categories.runtime,
            FrameKind::Kernel => self.categories.kernel,
            FrameKind::Sync => self.categories.function,
        };
        let frame = labelled(made, thread, view.function, category);
        self.frames.insert((thread, id), frame);
        frame
    }
}

fn stand_in(
    made: &mut fx::Profile,
    thread: ThreadHandle,
    above: Option<StackHandle>,
    name: &str,
    category: CategoryHandle,
) -> StackHandle {
    let frame = labelled(made, thread, name, category);
    made.intern_stack(thread, above, frame)
}

fn labelled(
    made: &mut fx::Profile,
    thread: ThreadHandle,
    name: &str,
    category: CategoryHandle,
) -> FrameHandle {
    let name = made.intern_string(&printable(name));
    made.intern_frame(
        thread,
        FrameInfo {
            frame: Frame::Label(name),
            category_pair: category.into(),
            flags: FrameFlags::empty(),
        },
    )
}
