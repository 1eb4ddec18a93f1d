//! Comments in a service's source that say what the profiler should find.
//!
//! `//~ culprit KIND CAUSE SYSCALL FUNCTION` stands on the line that blocks the
//! worker in every poll of that kind: `FUNCTION` is the one around the line, and
//! `SYSCALL` is `-` when there is none.
//!
//! `//~ frame SHAPE,… DEPTH async|sync FUNCTION` stands on the line that is
//! awaited or run in the frame at that depth (0 is the root). `*` behind the depth:
//! the frame stands there several times in a row. `?`: it may be missing, because
//! it is a wrapper. Only the frames of the service itself are told.

use crate::json::{Object, array};

/// The source files that have markers: their names as a debugger shows them, and
/// their texts.
pub type Sources = &'static [(&'static str, &'static str)];

/// Where a marker stands.
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: u64,
}

/// Writes what the markers in `sources` say.
pub(crate) fn describe(sources: Sources, into: &mut Object) {
    into.raw("planted", &array(markers(sources, "culprit").map(culprit)))
        .raw("frames", &array(markers(sources, "frame").flat_map(frames)));
}

/// The markers of one sort: the place and the words of each.
pub(crate) fn markers(
    sources: Sources,
    sort: &'static str,
) -> impl Iterator<Item = (Place, &'static str)> {
    sources.iter().flat_map(move |&(file, text)| {
        (1..).zip(text.lines()).flat_map(move |(line, text)| {
            text.split("//~ ").skip(1).filter_map(move |marker| {
                let words = marker.strip_prefix(sort)?.trim();
                Some((Place { file, line }, words))
            })
        })
    })
}

fn culprit((place, text): (Place, &str)) -> String {
    let mut words = text.splitn(4, ' ');
    let mut next = || words.next().unwrap_or_default();
    let mut object = Object::new();
    object
        .text("kind", next())
        .text("cause", next())
        .text("syscall", next())
        .text("function", next())
        .text("file", place.file)
        .number("line", place.line);
    object.end()
}

fn frames((place, text): (Place, &'static str)) -> impl Iterator<Item = String> {
    let mut words = text.splitn(4, ' ');
    let mut next = move || words.next().unwrap_or_default();
    let shapes = next();
    let depth = next();
    let kind = next();
    let function = next();
    shapes.split(',').map(move |shape| {
        let mut object = Object::new();
        object
            .text("shape", shape)
            .raw("depth", depth.trim_end_matches(['*', '?']))
            .raw("repeated", &depth.ends_with('*').to_string())
            .raw("optional", &depth.ends_with('?').to_string())
            .text("kind", kind)
            .text("function", function)
            .text("file", place.file)
            .number("line", place.line);
        object.end()
    })
}
