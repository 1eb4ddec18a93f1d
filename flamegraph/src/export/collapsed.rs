//! Collapsed stacks: a line for each, its functions from the root on and its nanoseconds.
//!
//! `flamegraph.pl`, inferno, flamelens, speedscope and many others read them. The format has no
//! quoting: `;` parts functions and the last word is the number, so what would be taken for
//! either is replaced.

use super::tree::{Step, Tree};
use super::{ExportOptions, Exporter};
use crate::error::Error;
use crate::printable::printable;
use crate::profile::Profile;
use std::io::{self, Write};

/// The stacks of one view.
pub(super) struct Collapsed {
    tree: Tree,
}

impl Collapsed {
    pub(super) fn of(profile: &Profile, options: &ExportOptions) -> Result<Self, Error> {
        let tree = Tree::of(
            profile,
            options.view.unwrap_or_default(),
            options.grouping.unwrap_or_default(),
            options.runtime_frames,
        )?;
        Ok(Self { tree })
    }
}

impl Exporter for Collapsed {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut path = String::new();
        let mut above = Vec::new();
        for step in self.tree.below(0) {
            match step {
                Step::Enter(index) => {
                    let node = &self.tree.nodes[index];
                    above.push(path.len());
                    if !path.is_empty() {
                        path.push(';');
                    }
                    path.push_str(&name(&node.name));
                    if node.own_ns > 0 {
                        writeln!(out, "{path} {}", node.own_ns)?;
                    }
                }
                Step::Leave(_) => path.truncate(above.pop().unwrap_or(0)),
            }
        }
        Ok(())
    }
}

/// A name that is one function, whatever is in it.
fn name(name: &str) -> String {
    // As `stackcollapse-perf.pl` does it.
    let name = printable(name).replace(';', ":");
    let name = name.trim();
    match name.rsplit_once(' ') {
        _ if name.is_empty() => "[no name]".to_owned(),
        // inferno would take a number at the end for a second weight.
        Some((rest, last)) if is_number(last) => format!("{rest}\u{a0}{last}"),
        _ if is_number(name) => format!("[{name}]"),
        _ => name.to_owned(),
    }
}

fn is_number(word: &str) -> bool {
    word.bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::sample::{self, waits};
    use crate::view::{Grouping, RuntimeFrames, View};
    use crate::{Format, State};
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn collapsed(profile: &Profile, view: View, grouping: Grouping) -> String {
        let options = ExportOptions {
            view: Some(view),
            grouping: Some(grouping),
            ..ExportOptions::default()
        };
        String::from_utf8(written(profile, Format::Collapsed, &options)).unwrap()
    }

    /// What inferno, as the reader, takes it for: each function with its time, and all of it.
    fn read(lines: &str) -> (HashMap<String, u64>, u64) {
        let mut options = inferno::flamegraph::Options::default();
        options.min_width = 0.0;
        options.deterministic = true;
        let mut svg = Vec::new();
        inferno::flamegraph::from_lines(&mut options, lines.lines(), &mut svg).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        let mut times: HashMap<String, u64> = HashMap::new();
        for title in svg.split("<title>").skip(1) {
            let title = title.split("</title>").next().unwrap();
            let (name, rest) = title.rsplit_once(" (").unwrap();
            let ns = rest.split(" samples").next().unwrap().replace(',', "");
            *times.entry(name.to_owned()).or_default() += ns.parse::<u64>().unwrap();
        }
        let all = times.remove("all").unwrap();
        (times, all)
    }

    fn total(profile: &Profile, state: State) -> u64 {
        let weights = profile.weights().filter(|weight| weight.key.state == state);
        weights.map(|weight| weight.ns).sum()
    }

    #[test]
    fn inferno_reads_every_nanosecond_of_the_cpu_time() {
        let profile = sample::service();
        for grouping in [
            Grouping::None,
            Grouping::Kind,
            Grouping::Task,
            Grouping::Thread,
        ] {
            let lines = collapsed(&profile, View::Cpu, grouping);
            assert_eq!(read(&lines).1, total(&profile, State::OnCpu), "{grouping}");
        }
    }

    #[test]
    fn a_kind_stands_above_its_functions() {
        let lines = collapsed(&sample::service(), View::Cpu, Grouping::Kind);
        let line = lines.lines().next().unwrap();
        assert!(
            line.starts_with("app::serve;app::serve;app::handler;app::parse_body;"),
            "{line}"
        );
        let (functions, _) = read(&lines);
        let thumbnail = &functions["app::thumbnail::{async block#0}"];
        assert!(*thumbnail > 0);
    }

    #[test]
    fn stalls_and_waits_are_lines_too() {
        let profile = sample::service();
        let stalled: u64 = profile.stalls.iter().map(|stall| stall.duration_ns).sum();
        let lines = collapsed(&profile, View::Stall, Grouping::Kind);
        assert_eq!(read(&lines).1, stalled);
        let profile = waits::service();
        let lines = collapsed(&profile, View::Wait, Grouping::Kind);
        assert_eq!(read(&lines).1, total(&profile, State::Waiting));
    }

    #[test]
    fn machinery_is_there_when_it_is_asked_for() {
        let profile = sample::service();
        let options = ExportOptions {
            runtime_frames: RuntimeFrames::Shown,
            ..ExportOptions::default()
        };
        let bytes = written(&profile, Format::Collapsed, &options);
        assert!(String::from_utf8(bytes).unwrap().contains("poll_future;"));
    }

    #[test]
    fn a_service_without_stalls_has_no_lines() {
        let quiet = sample::builder().finish(1_000_000_000);
        assert_eq!(collapsed(&quiet, View::Stall, Grouping::Kind), "");
    }

    #[test]
    fn names_cannot_be_taken_for_anything_else() {
        assert_eq!(name("<[u8; 4] as app::T>::f"), "<[u8: 4] as app::T>::f");
        assert_eq!(name("a\nb 7"), "a\\u{a}b\u{a0}7");
        assert_eq!(name(" 12 "), "[12]");
        assert_eq!(name("\u{202e}"), "\\u{202e}");
        assert_eq!(name(""), "[no name]");
    }

    proptest! {
        #[test]
        fn a_hostile_name_is_one_function_to_inferno(name in "[ -~\n\t;é]{0,12}", ns in 1..u64::from(u32::MAX)) {
            let frames = ["sync user root".to_owned(), format!("sync user {name}")];
            let lines: Vec<&str> = frames.iter().map(String::as_str).collect();
            let profile = sample::one_stack(&lines, ns);
            let lines = collapsed(&profile, View::Cpu, Grouping::None);
            prop_assert_eq!(lines.lines().count(), 1);
            prop_assert_eq!(lines.matches(';').count(), 1);
            prop_assert_eq!(read(&lines).1, ns);
        }
    }
}
