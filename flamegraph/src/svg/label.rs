//! What is written on a box and in its tooltip.

use crate::fold::{Node, Sort};
use crate::path::segments;
use crate::printable::{duration, percent, printable, task_seconds, tasks};
use crate::profile::Profile;
use awaitscope_symbolizer::FrameKind;
use awaitscope_symbolizer::snapshot::WaitsOn;

/// What the widths of a picture stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale<'a> {
    /// What shares are shares of.
    pub(super) whole: &'a str,
    /// Widths are tasks × time, over so many nanoseconds.
    pub(super) covered: Option<u64>,
}

impl Scale<'_> {
    fn time(self, ns: u64) -> String {
        match self.covered {
            None => duration(ns),
            Some(_) => task_seconds(ns),
        }
    }
}

/// Lines of the source that a tooltip names.
const LINES: usize = 4;

/// The tooltip: the full name on the first line, then the places in the source,
/// and the numbers on the last. `frames.js` relies on that order.
pub(super) fn tooltip(profile: &Profile, node: &Node, total_ns: u64, scale: Scale<'_>) -> String {
    let mut tooltip = printable(&node.name).into_owned();
    let places = places(profile, node);
    for (place, ns) in places.iter().take(LINES) {
        tooltip.push('\n');
        tooltip.push_str(&printable(place));
        if places.len() > 1 {
            tooltip.push_str(&format!("  ({})", scale.time(*ns)));
        }
    }
    if places.len() > LINES {
        tooltip.push_str(&format!("\nand {} more lines", places.len() - LINES));
    }
    tooltip.push_str(&format!("\n{}", scale.time(node.total_ns)));
    if node.sort != Sort::All {
        let share = node.total_ns as f64 / total_ns.max(1) as f64;
        tooltip.push_str(&format!(" · {} of {}", percent(share), scale.whole));
    }
    if let Some(covered) = scale.covered {
        let mean = node.total_ns as f64 / covered.max(1) as f64;
        tooltip.push_str(&format!(" · {} on average", tasks(mean)));
    }
    if node.own_ns > 0 && node.own_ns < node.total_ns {
        tooltip.push_str(&format!(" · {} in itself", scale.time(node.own_ns)));
    }
    tooltip.push_str(said_of(node.sort));
    tooltip
}

/// What a tooltip says of a sort.
pub(crate) fn said_of(sort: Sort) -> &'static str {
    match sort {
        Sort::All | Sort::Group => "",
        Sort::Frame(FrameKind::Async) => " · async function",
        Sort::Frame(FrameKind::Sync) => " · function",
        Sort::Frame(FrameKind::Leaf) => " · waited for",
        Sort::Frame(FrameKind::Runtime) => " · runtime",
        Sort::Frame(FrameKind::Kernel) => " · kernel",
        Sort::OnCpu => " · on CPU",
        Sort::Blocked => " · holds its worker without running",
        Sort::Ready => " · ready, but no worker runs it",
        Sort::Waits(None) => " · waits",
        Sort::Waits(Some(WaitsOn::Timer)) => " · waits for a timer",
        Sort::Waits(Some(WaitsOn::Socket)) => " · waits for a socket",
        Sort::Waits(Some(WaitsOn::Lock)) => " · waits for a lock",
        Sort::Waits(Some(WaitsOn::Channel)) => " · waits for a channel",
        Sort::Waits(Some(WaitsOn::Task)) => " · waits for a task",
        Sort::Waits(Some(WaitsOn::Io)) => " · waits for input or output",
        Sort::Waits(Some(WaitsOn::Other)) => " · waits for something else",
    }
}

fn places(profile: &Profile, node: &Node) -> Vec<(String, u64)> {
    let mut places = Vec::new();
    for line in &node.lines {
        let file = line.file.map(|file| &*profile.strings[file.index()]);
        match (file, line.line) {
            (Some(file), Some(number)) => places.push((format!("{file}:{number}"), line.ns)),
            (Some(file), None) => places.push((file.to_owned(), line.ns)),
            (None, _) => {}
        }
    }
    places
}

/// Shorter names for boxes that have no room for all of it, longest first:
/// the function with what it belongs to, and the function alone.
///
/// `handler` for `app::handler`, `main::{async block#0}`, `Redis::get` and
/// `get` for `<app::Redis as app::Store>::get`.
pub(crate) fn shorter(name: &str) -> [String; 2] {
    let parts = segments(name);
    let last = parts.last().copied().unwrap_or("");
    let mut owner = parts.len().checked_sub(2).map_or("", |index| parts[index]);
    if let Some(implementor) = owner.strip_prefix('<') {
        let implementor = implementor.trim_end_matches('>');
        let implementor = implementor.split(" as ").next().unwrap_or("");
        owner = segments(implementor).last().copied().unwrap_or("");
    }
    let both = match owner {
        "" => last.to_owned(),
        owner => format!("{owner}::{last}"),
    };
    // A closure or block says nothing without its function.
    let alone = if last.starts_with('{') { &both } else { last };
    [both.clone(), alone.to_owned()]
}

/// As much of a name as fits into `room` letters. `frames.js` does the same
/// when the picture is resized.
#[must_use]
pub fn fitting(name: &str, room: usize) -> String {
    let name = printable(name);
    if name.chars().count() <= room {
        return name.into_owned();
    }
    let [longer, short] = shorter(&name);
    if longer.chars().count() <= room {
        return longer;
    }
    if short.chars().count() <= room {
        return short;
    }
    if room < 3 {
        return String::new();
    }
    short.chars().take(room - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_name_is_the_end_of_the_path() {
        let short = |name| shorter(name)[1].clone();
        assert_eq!(short("app::handler"), "handler");
        assert_eq!(short("app::main::{async block#0}"), "main::{async block#0}");
        assert_eq!(short("<app::Redis as app::Store>::get"), "get");
        assert_eq!(shorter("<app::Redis as app::Store>::get")[0], "Redis::get");
        assert_eq!(
            shorter("serde_json::de::Deserializer<R>::go")[0],
            "Deserializer<R>::go"
        );
        assert_eq!(
            short("app::run<alloc::vec::Vec<u8>>"),
            "run<alloc::vec::Vec<u8>>"
        );
        assert_eq!(short("app::call<fn(u8) -> app::T>::go"), "go");
        assert_eq!(short("main"), "main");
        for hostile in [
            "", "::", ":::::", ">>>::<<<", "<<<::>>>", "{::", "<>::", "é::ü", "<é as",
        ] {
            shorter(hostile);
        }
    }

    #[test]
    fn a_label_fits_its_box() {
        let name = "app::session::load_session";
        for room in 0..40 {
            assert!(fitting(name, room).chars().count() <= room);
        }
        assert_eq!(fitting(name, 21), "session::load_session");
        assert_eq!(fitting(name, 12), "load_session");
        assert_eq!(fitting(name, 6), "load_…");
    }
}
