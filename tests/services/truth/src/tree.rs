//! The trees of awaits that the markers in a service's source draw.

use crate::json::{Object, array};
use crate::marker::{Place, Sources, markers};

/// One end of a task's tree, with all frames from the task's root to it.
pub(crate) struct Leaf {
    /// `TASK`, or `TASK.BRANCH` where the task waits on several things.
    pub(crate) name: &'static str,
    frames: Vec<(u64, String)>,
    what: &'static str,
    least: u64,
    most: u64,
}

impl Leaf {
    /// The task that it belongs to.
    pub(crate) fn task(&self) -> &'static str {
        self.name
            .split_once('.')
            .map_or(self.name, |(task, _)| task)
    }

    /// Everything the markers say of it, for more to be added.
    pub(crate) fn object(&self) -> Object {
        let mut object = Object::new();
        let what = self.what.split('/').filter(|what| !what.is_empty());
        object
            .text("leaf", self.name)
            .number("least", self.least)
            .number("most", self.most)
            .raw("what", &array(what.map(|what| format!("\"{what}\""))))
            .raw(
                "frames",
                &array(self.frames.iter().map(|(_, frame)| frame.clone())),
            );
        object
    }
}

/// Reads all markers of the sort `await`:
///
/// `LEAF,… DEPTH FUNCTION [| WHAT [COUNT]]`
///
/// A leaf without `WHAT` is one that waits for nothing any more. Behind DEPTH, `*N`: the
/// frame stands there N times in a row; `~`: its line may be unknown, because a macro of
/// a library wrote the `.await`; `?`: it may be missing, because it is a wrapper.
/// Several possible WHATs are divided by `/`. COUNT is `xN` or `xN-M`: so many leaves of
/// the task look like this.
pub(crate) fn leaves(sources: Sources) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = Vec::new();
    for (place, words) in markers(sources, "await") {
        let (words, end) = match words.split_once('|') {
            Some((words, end)) => (words.trim(), end.trim()),
            None => (words, ""),
        };
        let mut parts = words.splitn(3, ' ');
        let mut next = || parts.next().unwrap_or_default();
        let (names, depth, function) = (next(), next(), next());
        let (depth, frame) = frame(&place, depth, function);
        for name in names.split(',') {
            let at = leaves.iter().position(|leaf| leaf.name == name);
            let at = at.unwrap_or_else(|| {
                leaves.push(Leaf {
                    name,
                    frames: Vec::new(),
                    what: "",
                    least: 1,
                    most: 1,
                });
                leaves.len() - 1
            });
            let leaf = &mut leaves[at];
            leaf.frames.push((depth, frame.clone()));
            if !end.is_empty() {
                leaf.ends(end);
            }
        }
    }
    for leaf in &mut leaves {
        leaf.frames.sort_by_key(|&(depth, _)| depth);
    }
    leaves
}

impl Leaf {
    fn ends(&mut self, end: &'static str) {
        let (what, count) = end.split_once(" x").unwrap_or((end, "1"));
        let (least, most) = count.split_once('-').unwrap_or((count, count));
        self.what = what;
        self.least = least.parse().expect("a count in a marker");
        self.most = most.parse().expect("a count in a marker");
    }
}

fn frame(place: &Place, depth: &str, function: &str) -> (u64, String) {
    let digits = depth.trim_end_matches(['~', '?']);
    let (depth_only, times) = digits.split_once('*').unwrap_or((digits, "1"));
    let number = |text: &str| -> u64 { text.parse().expect("a depth in a marker") };
    let mut object = Object::new();
    object
        .text("function", function)
        .text("file", place.file)
        .number("line", place.line)
        .number("times", number(times))
        .raw("line_free", &depth.contains('~').to_string())
        .raw("optional", &depth.contains('?').to_string());
    (number(depth_only), object.end())
}
