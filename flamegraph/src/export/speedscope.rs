//! speedscope's JSON, as its file format schema has it.
//!
//! One profile for each kind of task (or thread, as it is grouped), the heaviest first. Within a
//! profile the axis is *not* time of day: of the order of things within a second nothing is
//! known. Equal stacks lie together, the heaviest first, and the names of the profiles say so.
//! They are written as frames that open and close, so that a file is as long as there are boxes.

use super::tree::{Step, Tree};
use super::{ExportOptions, Exporter};
use crate::error::Error;
use crate::fold::{Node, Sort};
use crate::printable::printable;
use crate::profile::Profile;
use crate::view::{Grouping, View};
use serde::Serialize as Derive;
use serde::ser::{Serialize, SerializeSeq, Serializer};
use std::collections::HashMap;
use std::io::{self, Write};

/// A view, divided into profiles.
pub(super) struct Speedscope<'a> {
    profile: &'a Profile,
    view: View,
    grouping: Grouping,
    tree: Tree,
    frames: Frames,
}

impl<'a> Speedscope<'a> {
    pub(super) fn of(profile: &'a Profile, options: &ExportOptions) -> Result<Self, Error> {
        let view = options.view.unwrap_or_default();
        let grouping = options.grouping.unwrap_or_default();
        let tree = Tree::of(profile, view, grouping, options.runtime_frames)?;
        Ok(Self {
            profile,
            view,
            grouping,
            frames: Frames::of(profile, &tree.nodes),
            tree,
        })
    }

    fn file(&self) -> File<'_> {
        let roots = match self.grouping {
            Grouping::None => &[0][..],
            _ => self.tree.first_row(),
        };
        let what = match self.view {
            View::Cpu => "CPU time",
            View::Wait => "task × time waiting",
            View::Wall => "task × time of life",
            View::Stall => "time workers were held",
        };
        let target = &self.profile.target;
        File {
            schema: "https://www.speedscope.app/file-format-schema.json",
            name: printable(&format!("{} ({}): {what}", target.name, target.process()))
                .into_owned(),
            exporter: concat!("awaitscope ", env!("CARGO_PKG_VERSION")),
            active_profile_index: 0,
            shared: Shared {
                frames: &self.frames.list,
            },
            profiles: roots
                .iter()
                .map(|&root| self.profile_below(root, what))
                .collect(),
        }
    }

    fn profile_below(&self, root: usize, what: &str) -> Evented<'_> {
        let name = printable(&self.tree.nodes[root].name);
        Evented {
            r#type: "evented",
            name: format!("{name}: {what}, sorted by weight (not in order of time)"),
            unit: "nanoseconds",
            start_value: 0,
            end_value: self.tree.nodes[root].total_ns,
            events: Events { of: self, root },
        }
    }
}

impl Exporter for Speedscope<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, &self.file())?;
        out.write_all(b"\n")
    }
}

#[derive(Derive)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    name: String,
    exporter: &'static str,
    active_profile_index: usize,
    shared: Shared<'a>,
    profiles: Vec<Evented<'a>>,
}

#[derive(Derive)]
struct Shared<'a> {
    frames: &'a [Frame],
}

#[derive(Derive)]
#[serde(rename_all = "camelCase")]
struct Evented<'a> {
    r#type: &'static str,
    name: String,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    events: Events<'a>,
}

/// The boxes below a node, opened and closed in turn.
struct Events<'a> {
    of: &'a Speedscope<'a>,
    root: usize,
}

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (tree, frames) = (&self.of.tree, &self.of.frames);
        let mut events = serializer.serialize_seq(None)?;
        let mut at = 0;
        // A box's own time comes before that of the boxes in it, so that both ends fit.
        for step in tree.below(self.root) {
            let (r#type, node) = match step {
                Step::Enter(node) => ("O", node),
                Step::Leave(node) => ("C", node),
            };
            let frame = frames.of_node[node];
            events.serialize_element(&Event { r#type, frame, at })?;
            if let Step::Enter(node) = step {
                at += tree.nodes[node].own_ns;
            }
        }
        events.end()
    }
}

#[derive(Derive)]
struct Event {
    r#type: &'static str,
    frame: u32,
    at: u64,
}

/// A function. Its line is told where all its time is at that one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Derive)]
struct Frame {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

/// The functions of all boxes.
struct Frames {
    list: Vec<Frame>,
    /// For each node.
    of_node: Vec<u32>,
}

impl Frames {
    fn of(profile: &Profile, nodes: &[Node]) -> Self {
        let mut frames = Self {
            list: Vec::new(),
            of_node: Vec::with_capacity(nodes.len()),
        };
        let mut known: HashMap<(String, Option<String>), u32> = HashMap::new();
        for node in nodes {
            let heaviest = node.lines.first();
            let file = heaviest.and_then(|line| line.file);
            let file = file.map(|file| printable(&profile.strings[file.index()]).into_owned());
            let line = match node.lines.as_slice() {
                [only] => only.line,
                _ => None,
            };
            let key = (printable(&node.name).into_owned(), file);
            // Tables are held far below 2³² entries.
            let next = frames.list.len() as u32;
            let index = *known.entry(key).or_insert(next);
            match frames.list.get_mut(index as usize) {
                Some(frame) if frame.line != line => frame.line = None,
                Some(_) => {}
                None => frames.list.push(frame(node, profile, line)),
            }
            frames.of_node.push(index);
        }
        frames
    }
}

fn frame(node: &Node, profile: &Profile, line: Option<u32>) -> Frame {
    let file = node.lines.first().and_then(|line| line.file);
    Frame {
        name: printable(&node.name).into_owned(),
        file: match node.sort {
            Sort::All | Sort::Group => None,
            _ => file.map(|file| printable(&profile.strings[file.index()]).into_owned()),
        },
        line,
    }
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::sample::{self, waits};
    use crate::{Format, State};
    use proptest::prelude::*;
    use serde_json::Value;

    fn exported(profile: &Profile, view: View, grouping: Grouping) -> Value {
        let options = ExportOptions {
            view: Some(view),
            grouping: Some(grouping),
            ..ExportOptions::default()
        };
        serde_json::from_slice(&written(profile, Format::Speedscope, &options)).unwrap()
    }

    /// Reads the events of a profile as speedscope does: frames close in the order they
    /// opened, time does not go back. The time of each function by itself.
    fn read(file: &Value, profile: &Value) -> HashMap<String, u64> {
        let frames = file["shared"]["frames"].as_array().unwrap();
        let mut open: Vec<u64> = Vec::new();
        let (mut own, mut last) = (HashMap::new(), 0);
        for event in profile["events"].as_array().unwrap() {
            let at = event["at"].as_u64().unwrap();
            assert!(at >= last, "time goes back at {event}");
            if let Some(&frame) = open.last() {
                let name = frames[frame as usize]["name"].as_str().unwrap();
                *own.entry(name.to_owned()).or_default() += at - last;
            }
            last = at;
            let frame = event["frame"].as_u64().unwrap();
            match event["type"].as_str().unwrap() {
                "O" => open.push(frame),
                _ => assert_eq!(open.pop(), Some(frame)),
            }
        }
        assert!(open.is_empty());
        assert_eq!(last, profile["endValue"].as_u64().unwrap());
        own
    }

    fn total(file: &Value) -> u64 {
        let profiles = file["profiles"].as_array().unwrap();
        let of_each = profiles
            .iter()
            .flat_map(|profile| read(file, profile).into_values());
        of_each.sum()
    }

    fn expected(profile: &Profile, state: State) -> u64 {
        let weights = profile.weights().filter(|weight| weight.key.state == state);
        weights.map(|weight| weight.ns).sum()
    }

    #[test]
    fn every_nanosecond_is_in_one_of_the_profiles() {
        let profile = sample::service();
        for grouping in [
            Grouping::None,
            Grouping::Kind,
            Grouping::Task,
            Grouping::Thread,
        ] {
            let file = exported(&profile, View::Cpu, grouping);
            assert_eq!(total(&file), expected(&profile, State::OnCpu), "{grouping}");
        }
        let profile = waits::service();
        let file = exported(&profile, View::Wait, Grouping::Kind);
        assert_eq!(total(&file), expected(&profile, State::Waiting));
    }

    #[test]
    fn kinds_are_profiles_and_the_heaviest_is_the_first() {
        let file = exported(&sample::service(), View::Cpu, Grouping::Kind);
        let name = file["profiles"][0]["name"].as_str().unwrap();
        assert_eq!(
            name,
            "app::serve: CPU time, sorted by weight (not in order of time)"
        );
        let weights = |index: usize| file["profiles"][index]["endValue"].as_u64().unwrap();
        assert!(weights(0) > weights(1));
    }

    #[test]
    fn a_function_has_its_file_and_a_line_only_where_there_is_one() {
        let file = exported(&sample::service(), View::Cpu, Grouping::Kind);
        let frames = file["shared"]["frames"].as_array().unwrap();
        let frame = |name: &str| frames.iter().find(|frame| frame["name"] == name).unwrap();
        assert_eq!(frame("app::decrypt")["line"], 90);
        let parse = frame("app::parse_body");
        assert_eq!(parse["file"], "src/body.rs");
        assert!(parse.get("line").is_none(), "it is at two lines: {parse}");
    }

    #[test]
    fn recursion_without_end_is_walked_without_recursion() {
        let lines: Vec<&str> = std::iter::repeat_n("sync user f", 4000).collect();
        let profile = sample::one_stack(&lines, 7);
        let file = exported(&profile, View::Cpu, Grouping::None);
        assert_eq!(total(&file), 7);
    }

    proptest! {
        #[test]
        fn no_name_breaks_the_json(name in "\\PC{0,12}|[\u{0}-\u{1f}\u{202a}-\u{202e}]{0,6}") {
            let line = format!("sync user {name}");
            let profile = sample::one_stack(&[&line], 7);
            let file = exported(&profile, View::Cpu, Grouping::Thread);
            prop_assert_eq!(total(&file), 7);
        }
    }
}
