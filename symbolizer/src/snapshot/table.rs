//! What the tasks of many snapshots have in common.

use super::WaitsOn;
use crate::frame::Frame;
use crate::session::TaskKind;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// The most entries of each sort. A service has thousands; memory that is read while it
/// changes must not make it more than can be kept.
const MOST: usize = 1 << 20;

/// A kind of task, by its number in an [`AwaitTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KindId(pub u32);

/// A stack of suspended functions, by the number of its innermost frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StackNode(pub u32);

/// An await point, by its number in an [`AwaitTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PointId(pub u32);

/// Where tasks wait, and on what sort of thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AwaitPoint {
    /// The frames from the root function to the leaf, which is the last.
    pub stack: StackNode,
    /// What sort of thing.
    pub what: WaitsOn,
    /// The type of the leaf: `tokio::time::sleep::Sleep`.
    pub type_name: Arc<str>,
}

/// Kinds, frames, stacks and await points, each once.
#[derive(Debug, Clone, Default)]
pub struct AwaitTable {
    kinds: Interned<TaskKind>,
    frames: Interned<Frame>,
    nodes: Interned<(Option<StackNode>, u32)>,
    points: Interned<AwaitPoint>,
}

impl AwaitTable {
    /// The number of a kind; `None` when there is no more room.
    pub fn kind(&mut self, kind: TaskKind) -> Option<KindId> {
        self.kinds.intern(kind).map(KindId)
    }

    /// The number of the stack `frame` that `parent` awaits.
    pub fn push(&mut self, parent: Option<StackNode>, frame: Frame) -> Option<StackNode> {
        let frame = self.frames.intern(frame)?;
        self.nodes.intern((parent, frame)).map(StackNode)
    }

    /// The number of an await point.
    pub fn point(&mut self, point: AwaitPoint) -> Option<PointId> {
        self.points.intern(point).map(PointId)
    }

    /// Every kind, by number.
    #[must_use]
    pub fn kinds(&self) -> &[TaskKind] {
        &self.kinds.values
    }

    /// Every await point, by number.
    #[must_use]
    pub fn points(&self) -> &[AwaitPoint] {
        &self.points.values
    }

    /// Every frame of every stack, by the numbers that [`frames_of`](Self::frames_of)
    /// gives.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames.values
    }

    /// The frames of a stack, from the root to the leaf, by number.
    #[must_use]
    pub fn frames_of(&self, stack: StackNode) -> Vec<u32> {
        let mut frames = Vec::new();
        let mut next = Some(stack);
        // A parent is always older than its child, so this ends.
        while let Some((parent, frame)) =
            next.and_then(|node| self.nodes.values.get(node.0 as usize))
        {
            frames.push(*frame);
            next = *parent;
        }
        frames.reverse();
        frames
    }
}

/// Values, each once, by number.
#[derive(Debug, Clone)]
struct Interned<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn intern(&mut self, value: T) -> Option<u32> {
        if let Some(number) = self.numbers.get(&value) {
            return Some(*number);
        }
        if self.values.len() >= MOST {
            return None;
        }
        let number = u32::try_from(self.values.len()).ok()?;
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameKind, Origin};

    fn frame(function: &str) -> Frame {
        Frame {
            function: function.into(),
            file: None,
            line: None,
            kind: FrameKind::Async,
            origin: Origin::User,
        }
    }

    #[test]
    fn stacks_with_the_same_root_share_it() {
        let mut table = AwaitTable::default();
        let root = table.push(None, frame("app::main"));
        let left = table.push(root, frame("app::left")).expect("room");
        let right = table.push(root, frame("app::right")).expect("room");
        assert_ne!(left, right);
        assert_eq!(table.push(root, frame("app::left")), Some(left));
        let names: Vec<&str> = table
            .frames_of(right)
            .iter()
            .map(|frame| &*table.frames()[*frame as usize].function)
            .collect();
        assert_eq!(names, ["app::main", "app::right"]);
    }
}
