//! From numbers in the table of a snapshotter to what can be handed on without it.

use super::places::Spot;
use super::stays::StaysAt;
use super::waiting::{WaitPlace, WaitedOn, WaitingKind};
use crate::frame::Frame;
use crate::snapshot::{AwaitTable, KindId};
use awaitscope_sampler::Nanos;
use std::collections::HashMap;
use std::sync::Arc;

/// The kinds and frames that are used.
pub(super) struct Naming<'a> {
    table: &'a AwaitTable,
    pub kinds: Vec<WaitingKind>,
    kind_of: HashMap<KindId, u32>,
    pub frames: Vec<Frame>,
    frame_of: HashMap<u32, u32>,
}

impl<'a> Naming<'a> {
    pub fn new(table: &'a AwaitTable) -> Self {
        Self {
            table,
            kinds: Vec::new(),
            kind_of: HashMap::new(),
            frames: Vec::new(),
            frame_of: HashMap::new(),
        }
    }

    /// The kinds, in the order of their numbers.
    pub fn name_kinds(&mut self, alive: &HashMap<KindId, Nanos>, seen: &HashMap<KindId, u64>) {
        let mut kinds: Vec<KindId> = alive.keys().copied().collect();
        kinds.sort_unstable();
        for kind in kinds {
            let Some(named) = self.table.kinds().get(kind.0 as usize) else {
                continue;
            };
            let Ok(number) = u32::try_from(self.kinds.len()) else {
                return;
            };
            self.kind_of.insert(kind, number);
            self.kinds.push(WaitingKind {
                kind: named.clone(),
                alive: alive.get(&kind).copied().unwrap_or_default(),
                tasks: seen.get(&kind).copied().unwrap_or(0),
            });
        }
    }

    /// A place with its names.
    pub fn place(&mut self, spot: Spot, stays: Option<&StaysAt>) -> WaitPlace {
        let point = spot
            .point
            .and_then(|point| self.table.points().get(point.0 as usize));
        let frames = point.map_or_else(Vec::new, |point| self.table.frames_of(point.stack));
        WaitPlace {
            kind: spot.kind.and_then(|kind| self.kind_of.get(&kind).copied()),
            frames: frames.into_iter().filter_map(|f| self.frame(f)).collect(),
            on: point.map(|point| WaitedOn {
                what: point.what,
                type_name: Arc::clone(&point.type_name),
            }),
            stays: stays.map_or_else(Vec::new, StaysAt::counts),
            longest: stays.map_or(Nanos::ZERO, |stays| stays.longest),
            unmoved: stays.map_or(0, |stays| stays.unmoved),
            unmoved_tasks: stays.map_or_else(Vec::new, |stays| stays.unmoved_tasks.clone()),
            first: 0,
            last: 0,
        }
    }

    fn frame(&mut self, frame: u32) -> Option<u32> {
        if let Some(known) = self.frame_of.get(&frame) {
            return Some(*known);
        }
        let named = self.table.frames().get(frame as usize)?;
        let number = u32::try_from(self.frames.len()).ok()?;
        self.frames.push(named.clone());
        self.frame_of.insert(frame, number);
        Some(number)
    }
}
