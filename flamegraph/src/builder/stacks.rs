//! Strings, frames and stacks, each once.

use crate::profile::{FrameEntry, FrameId, StackEntry, StackId, StringId, limits};
use awaitscope_symbolizer::{Frame, FrameKind, Origin};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Stacks {
    strings: Vec<Arc<str>>,
    string_ids: HashMap<Arc<str>, StringId>,
    frames: Vec<FrameEntry>,
    frame_ids: HashMap<FrameEntry, FrameId>,
    stacks: Vec<StackEntry>,
    stack_ids: HashMap<StackEntry, StackId>,
    depths: Vec<u16>,
    cut_frames: u64,
    cut_stacks: u64,
}

impl Stacks {
    pub(super) fn frame(&mut self, frame: &Frame) -> FrameId {
        // One place is kept free for the frame that stands for all others.
        if self.frames.len() + 1 >= limits::FRAMES {
            return self.frame_past_limit(frame);
        }
        let entry = FrameEntry {
            function: self.string(&frame.function),
            file: frame.file.as_ref().map(|file| self.string(file)),
            line: frame.line,
            kind: frame.kind,
            origin: frame.origin,
        };
        self.insert(entry)
    }

    fn frame_past_limit(&mut self, frame: &Frame) -> FrameId {
        if let Some(&id) = self
            .known(frame)
            .and_then(|entry| self.frame_ids.get(&entry))
        {
            return id;
        }
        self.cut_frames += 1;
        self.other_frame()
    }

    /// The frame that stands for all others.
    fn other_frame(&mut self) -> FrameId {
        let function = self.string(&Arc::from("[more functions than can be told apart]"));
        self.insert(FrameEntry {
            function,
            file: None,
            line: None,
            kind: FrameKind::Sync,
            origin: Origin::Unknown,
        })
    }

    /// The frame as an entry, if all its strings are known.
    fn known(&self, frame: &Frame) -> Option<FrameEntry> {
        let file = match &frame.file {
            Some(file) => Some(*self.string_ids.get(file)?),
            None => None,
        };
        Some(FrameEntry {
            function: *self.string_ids.get(&frame.function)?,
            file,
            line: frame.line,
            kind: frame.kind,
            origin: frame.origin,
        })
    }

    fn insert(&mut self, entry: FrameEntry) -> FrameId {
        let frames = &mut self.frames;
        *self.frame_ids.entry(entry).or_insert_with(|| {
            frames.push(entry);
            FrameId::at(frames.len() - 1)
        })
    }

    fn string(&mut self, string: &Arc<str>) -> StringId {
        if let Some(&id) = self.string_ids.get(string) {
            return id;
        }
        self.strings.push(Arc::clone(string));
        let id = StringId::at(self.strings.len() - 1);
        self.string_ids.insert(Arc::clone(string), id);
        id
    }

    pub(super) fn stack(&mut self, parent: Option<StackId>, frame: FrameId) -> StackId {
        let entry = StackEntry { parent, frame };
        if let Some(&id) = self.stack_ids.get(&entry) {
            return id;
        }
        let above = parent.map_or(0, |parent| self.depths[parent.index()]);
        match parent {
            Some(parent) if usize::from(above) >= limits::DEPTH || self.is_full() => {
                self.cut_stacks += 1;
                return parent;
            }
            None if self.stacks.len() + 1 >= limits::STACKS => {
                self.cut_stacks += 1;
                return self.root_past_limit();
            }
            _ => {}
        }
        self.push(entry, above + 1)
    }

    /// The root that stands for all others: one place is kept free for it.
    fn root_past_limit(&mut self) -> StackId {
        let frame = self.other_frame();
        let entry = StackEntry {
            parent: None,
            frame,
        };
        match self.stack_ids.get(&entry) {
            Some(&id) => id,
            None => self.push(entry, 1),
        }
    }

    fn push(&mut self, entry: StackEntry, depth: u16) -> StackId {
        self.stacks.push(entry);
        self.depths.push(depth);
        let id = StackId::at(self.stacks.len() - 1);
        self.stack_ids.insert(entry, id);
        id
    }

    /// Roots are taken in for longer: their time has no caller to go to.
    fn is_full(&self) -> bool {
        self.stacks.len() >= limits::STACKS - limits::ROOTS
    }

    pub(super) fn remark(&self, notes: &mut Vec<String>) {
        if self.cut_stacks > 0 {
            notes.push(format!(
                "{} times a stack was too deep, or one too many, to be kept apart: \
                 its time went to its caller",
                self.cut_stacks
            ));
        }
        if self.cut_frames > 0 {
            notes.push(format!(
                "{} times a function was one too many to be kept apart",
                self.cut_frames
            ));
        }
    }

    pub(super) fn finish(self) -> (Vec<Arc<str>>, Vec<FrameEntry>, Vec<StackEntry>) {
        (self.strings, self.frames, self.stacks)
    }
}
