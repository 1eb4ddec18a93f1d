//! What samples refer to by number: strings, functions, locations.

use super::proto::{Function, Line, Location};
use crate::fold::Part;
use crate::printable::printable;
use crate::profile::{FrameId, Profile, StackId, StringId};
use crate::view::RuntimeFrames;
use awaitscope_symbolizer::FrameKind;
use std::collections::HashMap;

/// The tables, filled as samples need them.
pub(super) struct Tables<'a> {
    profile: &'a Profile,
    runtime_frames: RuntimeFrames,
    strings: Vec<String>,
    string_ids: HashMap<String, i64>,
    functions: Vec<Function>,
    function_ids: HashMap<(StringId, Option<StringId>), u64>,
    locations: Vec<Location>,
    location_ids: HashMap<FrameId, u64>,
    stand_ins: HashMap<&'static str, u64>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(profile: &'a Profile, runtime_frames: RuntimeFrames) -> Self {
        Self {
            profile,
            runtime_frames,
            strings: vec![String::new()],
            string_ids: HashMap::from([(String::new(), 0)]),
            functions: Vec::new(),
            function_ids: HashMap::new(),
            locations: Vec::new(),
            location_ids: HashMap::new(),
            stand_ins: HashMap::new(),
        }
    }

    pub(super) fn string(&mut self, string: &str) -> i64 {
        let string = printable(string);
        if let Some(&id) = self.string_ids.get(&*string) {
            return id;
        }
        let id = self.strings.len() as i64;
        self.strings.push(string.clone().into_owned());
        self.string_ids.insert(string.into_owned(), id);
        id
    }

    /// The locations of a stack, from its leaf to its root.
    pub(super) fn stack(&mut self, stack: Option<StackId>, part: Part) -> Vec<u64> {
        let Some(stack) = stack else {
            return vec![self.stand_in("[no stack]")];
        };
        let profile = self.profile;
        let mut ids = Vec::new();
        let (mut outermost, mut has_machinery) = (None, false);
        let mut next = Some(stack);
        while let Some(stack) = next {
            let entry = profile.stacks[stack.index()];
            let kind = profile.frames[entry.frame.index()].kind;
            next = entry.parent;
            match kind {
                FrameKind::Runtime if self.runtime_frames == RuntimeFrames::Folded => {
                    has_machinery = true;
                    continue;
                }
                // A ready task waits for that no more.
                FrameKind::Leaf if part == Part::Ready => continue,
                _ => {}
            }
            outermost = Some(kind);
            ids.push(self.location(entry.frame));
        }
        // The kernel at work for the executor, or nothing but machinery.
        if has_machinery && outermost.is_none_or(|kind| kind == FrameKind::Kernel) {
            ids.push(self.stand_in("[runtime]"));
        }
        ids
    }

    fn location(&mut self, frame: FrameId) -> u64 {
        if let Some(&id) = self.location_ids.get(&frame) {
            return id;
        }
        let entry = self.profile.frames[frame.index()];
        let key = (entry.function, entry.file);
        let function_id = match self.function_ids.get(&key) {
            Some(&id) => id,
            None => {
                let view = self.profile.frame(frame);
                let id = self.function(view.function, view.file.unwrap_or(""));
                self.function_ids.insert(key, id);
                id
            }
        };
        let id = self.push(function_id, entry.line.map_or(0, i64::from));
        self.location_ids.insert(frame, id);
        id
    }

    /// The location of what has no function of its own.
    fn stand_in(&mut self, name: &'static str) -> u64 {
        if let Some(&id) = self.stand_ins.get(name) {
            return id;
        }
        let function_id = self.function(name, "");
        let id = self.push(function_id, 0);
        self.stand_ins.insert(name, id);
        id
    }

    fn function(&mut self, name: &str, file: &str) -> u64 {
        let name = self.string(name);
        let id = self.functions.len() as u64 + 1;
        let function = Function {
            id,
            name,
            system_name: name,
            filename: self.string(file),
        };
        self.functions.push(function);
        id
    }

    fn push(&mut self, function_id: u64, line: i64) -> u64 {
        let id = self.locations.len() as u64 + 1;
        self.locations.push(Location {
            id,
            line: vec![Line { function_id, line }],
        });
        id
    }

    pub(super) fn finish(self) -> (Vec<String>, Vec<Function>, Vec<Location>) {
        (self.strings, self.functions, self.locations)
    }
}
