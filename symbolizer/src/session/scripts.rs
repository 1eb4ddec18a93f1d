//! The frames of interpreters that were seen, each kept once.

use crate::names::SourceFrame;
use std::collections::HashMap;
use std::sync::Arc;

/// The most that are kept.
const MOST: usize = 1 << 19;

/// A frame of an interpreter, by its number in [`Scripts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptId(pub(crate) u32);

/// What people read: a function, a file and a line, by where their names stand.
type Key = (usize, usize, Option<u32>);

/// Frames by number.
#[derive(Default)]
pub(super) struct Scripts {
    /// They keep alive what the keys point to.
    frames: Vec<SourceFrame>,
    known: HashMap<Key, ScriptId>,
}

impl Scripts {
    /// The number of a frame; `None` when there is no more room.
    pub fn number(&mut self, frame: SourceFrame) -> Option<ScriptId> {
        let key = (
            Arc::as_ptr(&frame.function).addr(),
            frame
                .file
                .as_ref()
                .map_or(0, |file| Arc::as_ptr(file).addr()),
            frame.line,
        );
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        if self.frames.len() >= MOST {
            return None;
        }
        let id = ScriptId(u32::try_from(self.frames.len()).ok()?);
        self.frames.push(frame);
        self.known.insert(key, id);
        Some(id)
    }

    pub fn frame(&self, id: ScriptId) -> Option<&SourceFrame> {
        self.frames.get(id.0 as usize)
    }
}
