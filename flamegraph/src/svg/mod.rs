//! The flamegraph as an SVG, laid out by inferno.
//!
//! It hangs from the top: what an async stack says first is which kind of task
//! it belongs to, and that is then in view whatever the depth; reading goes down
//! from the root to the leaf, as in a backtrace or a call tree.

mod header;
mod label;
pub use label::fitting;
mod layout;
pub(crate) mod palette;
mod rewrite;

use crate::error::Error;
use crate::fold::{self, Node};
use crate::printable::duration;
use crate::profile::Profile;
use crate::view::{Grouping, RuntimeFrames, View};
use inferno::flamegraph::{Direction, Options, from_lines};
use label::Scale;
pub(crate) use label::{said_of, shorter};
use layout::Layout;
pub(crate) use rewrite::Paint;
use rewrite::Picture;

const FONT_SIZE: usize = 12;
const FRAME_HEIGHT: usize = 19;
/// Of the usual monospaced fonts, in parts of their size.
const LETTER_WIDTH: f64 = 0.602;
/// The width of the boxes before a script fits them to the window: what inferno
/// starts with, less its margins.
const WIDTH: f64 = 1180.0;
/// What inferno leaves free above a picture that hangs from the top
/// (`Options::ypad1`: four lines and four pixels).
const INFERNO_HEAD: usize = FONT_SIZE * 4 + 4;

/// How a flamegraph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlamegraphOptions {
    /// What the width of a box means.
    pub view: View,
    /// What the first rows are.
    pub grouping: Grouping,
    /// What becomes of the runtime's frames.
    pub runtime_frames: RuntimeFrames,
}

/// Draws a profile as an SVG that can be searched and zoomed.
///
/// # Errors
/// The profile does not hold what the view shows.
pub fn flamegraph(profile: &Profile, options: FlamegraphOptions) -> Result<String, Error> {
    let nodes = fold::fold(
        profile,
        options.view,
        options.grouping,
        options.runtime_frames,
    )?;
    let total_ns = nodes.first().map_or(0, |root| root.total_ns);
    if total_ns == 0 {
        return nothing(profile, options.view);
    }
    let layout = Layout::of(&nodes);
    let svg = lay_out(&layout)?;
    let covered = Some(header::covered(profile));
    let (whole, covered) = match options.view {
        View::Cpu => ("the CPU time", None),
        View::Stall => ("the time workers were held", None),
        View::Wait => ("the waiting time", covered),
        View::Wall => ("the life of tasks", covered),
    };
    let scale = Scale { whole, covered };
    let paint = |index: usize| {
        let node: &Node = &nodes[index];
        Paint {
            class: palette::class(node.sort),
            color: palette::color(node.sort, &node.name),
            tooltip: label::tooltip(profile, node, total_ns, scale),
        }
    };
    let picture = Picture {
        nodes: &nodes,
        boxes: &layout.boxes,
        texts: header::texts(profile, options.view, total_ns),
        legend: header::legend(
            options.view,
            options.grouping,
            options.runtime_frames,
            |sort| layout.boxes.iter().any(|&index| nodes[index].sort == sort),
        ),
        paint: &paint,
        shift: (header::HEIGHT as i64) - (INFERNO_HEAD + FRAME_HEIGHT) as i64,
        letters: WIDTH / (FONT_SIZE as f64 * LETTER_WIDTH),
    };
    picture.finish(&svg)
}

/// A picture of boxes that somebody else knows.
pub(crate) struct Drawing<'a> {
    /// Parents first; the first is all of it.
    pub(crate) nodes: &'a [Node],
    /// The three lines above the picture.
    pub(crate) lines: [String; 3],
    /// Colours, and what they mean.
    pub(crate) legend: Vec<(String, &'a str)>,
    pub(crate) paint: &'a dyn Fn(usize) -> Paint,
}

impl Drawing<'_> {
    /// Draws it.
    ///
    /// # Errors
    /// There is no time in it.
    pub(crate) fn draw(self) -> Result<String, Error> {
        if self.nodes.first().is_none_or(|all| all.total_ns == 0) {
            return Err(Error::NoSamples);
        }
        let layout = Layout::of(self.nodes);
        let svg = lay_out(&layout)?;
        let picture = Picture {
            nodes: self.nodes,
            boxes: &layout.boxes,
            texts: header::lines(self.lines),
            legend: header::chips(&self.legend),
            paint: self.paint,
            shift: (header::HEIGHT as i64) - (INFERNO_HEAD + FRAME_HEIGHT) as i64,
            letters: WIDTH / (FONT_SIZE as f64 * LETTER_WIDTH),
        };
        picture.finish(&svg)
    }
}

fn lay_out(layout: &Layout) -> Result<String, Error> {
    let mut options = Options::default();
    options.direction = Direction::Inverted;
    options.font_size = FONT_SIZE;
    options.font_width = LETTER_WIDTH;
    options.frame_height = FRAME_HEIGHT;
    options.min_width = 0.0;
    options.name_type = String::new();
    options.no_sort = true;
    options.deterministic = true;
    options.search_color = "#ff5fd2".parse().map_err(Error::Drawing)?;
    let mut svg = Vec::new();
    from_lines(
        &mut options,
        layout.folded.iter().map(String::as_str),
        &mut svg,
    )
    .map_err(|error| Error::Drawing(error.to_string()))?;
    String::from_utf8(svg).map_err(|error| Error::Drawing(error.to_string()))
}

/// No stalls is good news and worth a picture; no samples is no result.
fn nothing(profile: &Profile, view: View) -> Result<String, Error> {
    match view {
        View::Stall if profile.runtimes.is_empty() => return Err(Error::NoRuntime),
        View::Cpu => return Err(Error::NoSamples),
        View::Stall | View::Wait | View::Wall => {}
    }
    let texts = header::texts(profile, view, 0);
    let said = match view {
        View::Wait | View::Wall => "No task was seen in any snapshot.".to_owned(),
        View::Cpu | View::Stall => format!(
            "No poll held its worker for {} or more.",
            duration(profile.options.stall_threshold_ns)
        ),
    };
    rewrite::notice(texts, &said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{State, ThreadRole, WeightKey};
    use crate::sample::{self, waits};
    use quick_xml::Reader;
    use quick_xml::events::Event;

    /// Reads the whole picture as XML, and returns every text in it.
    fn texts(svg: &str) -> Vec<String> {
        let mut reader = Reader::from_str(svg);
        let (mut texts, mut text, mut open) = (Vec::new(), String::new(), 0);
        loop {
            match reader.read_event().expect("well-formed XML") {
                Event::Eof => break,
                Event::Start(_) => {
                    open += 1;
                    text.clear();
                }
                Event::End(_) => {
                    open -= 1;
                    texts.push(std::mem::take(&mut text));
                }
                Event::Text(part) => text.push_str(&part.xml10_content().unwrap()),
                Event::GeneralRef(part) => match &*part.xml10_content().unwrap() {
                    "lt" => text.push('<'),
                    "gt" => text.push('>'),
                    "amp" => text.push('&'),
                    "quot" => text.push('"'),
                    "apos" => text.push('\''),
                    other => panic!("an entity that is not escaped text: {other}"),
                },
                _ => {}
            }
        }
        assert_eq!(open, 0, "every element is closed");
        texts
    }

    fn draw(view: View, grouping: Grouping, runtime_frames: RuntimeFrames) -> String {
        let options = FlamegraphOptions {
            view,
            grouping,
            runtime_frames,
        };
        flamegraph(&sample::service(), options).unwrap()
    }

    /// The element that holds the box whose tooltip begins with `name`.
    fn element<'a>(svg: &'a str, name: &str) -> &'a str {
        let name = name.replace('<', "&lt;").replace('>', "&gt;");
        let at = svg
            .find(&format!("<title>{name}\n"))
            .unwrap_or_else(|| panic!("no box {name}"));
        let start = svg[..at].rfind("<g ").unwrap();
        let end = at + svg[at..].find("</g>").unwrap();
        &svg[start..end]
    }

    #[test]
    fn every_picture_is_well_formed_and_says_what_it_shows() {
        for view in [View::Cpu, View::Stall] {
            for grouping in [
                Grouping::None,
                Grouping::Thread,
                Grouping::Kind,
                Grouping::Task,
            ] {
                for frames in [RuntimeFrames::Folded, RuntimeFrames::Shown] {
                    let svg = draw(view, grouping, frames);
                    let texts = texts(&svg);
                    let says = |what: &str| texts.iter().any(|text| text.contains(what));
                    for what in ["app: ", "pid 4711", "10.0 s recorded", " samples at 99 Hz"] {
                        assert!(says(what), "{view} {grouping}: {what}");
                    }
                    for what in ["lost 2", "truncated stacks 3", "unsymbolized 5"] {
                        assert!(says(what), "{view} {grouping}: {what}");
                    }
                    for what in ["async function", "ordinary function", "kernel", "runtime"] {
                        assert!(says(what), "{view} {grouping}: {what}");
                    }
                    assert!(svg.contains("search_prompt"), "inferno's script is there");
                }
            }
        }
    }

    #[test]
    fn no_number_that_stood_for_a_name_is_left() {
        let svg = draw(View::Cpu, Grouping::Task, RuntimeFrames::Shown);
        assert!(
            texts(&svg).iter().all(|text| !text.starts_with("0000")),
            "{svg}"
        );
    }

    #[test]
    fn a_box_tells_its_full_name_lines_time_and_share() {
        let svg = draw(View::Cpu, Grouping::Kind, RuntimeFrames::Folded);
        let parse = element(&svg, "app::parse_body");
        assert!(parse.contains("class=\"async\""), "{parse}");
        let lines = ["src/body.rs:17  (", "src/body.rs:29  ("];
        assert!(lines.iter().all(|line| parse.contains(line)), "{parse}");
        assert!(
            parse.contains(" s · 31.7 % of the CPU time · async function"),
            "{parse}"
        );
        let get = element(&svg, "<app::Redis as app::Store>::get");
        assert!(
            get.contains("fg:longer=\"Redis::get\" fg:short=\"get\""),
            "{get}"
        );
    }

    #[test]
    fn the_colour_tells_what_a_frame_is() {
        let svg = draw(View::Cpu, Grouping::Kind, RuntimeFrames::Shown);
        for (name, class) in [
            ("app::handler", "async"),
            ("app::validate", "sync"),
            ("tcp_recvmsg", "kernel"),
            (
                "tokio::runtime::scheduler::multi_thread::worker::run",
                "runtime",
            ),
            ("[outside tasks]", "group"),
        ] {
            let found = element(&svg, name);
            assert!(found.contains(&format!("class=\"{class}\"")), "{found}");
        }
    }

    #[test]
    fn the_same_profile_gives_the_same_picture() {
        let draw = || draw(View::Cpu, Grouping::Kind, RuntimeFrames::Folded);
        assert_eq!(draw(), draw());
    }

    fn one_stack(frames: &[&str]) -> Profile {
        let mut builder = sample::builder();
        let thread = builder.thread(1, "]]><script>\u{0}", ThreadRole::Other);
        let stack = sample::stack(&mut builder, frames);
        let key = WeightKey {
            thread: Some(thread),
            state: State::OnCpu,
            kind: None,
            task: None,
            stack,
        };
        builder.add_weight(key, 0, 1_000_000, 1);
        builder.target_mut().name = "</svg><script>alert(1)</script>\u{1b}[2J".to_owned();
        builder.finish(1)
    }

    #[test]
    fn hostile_names_stay_names() {
        let frames = [
            "async user a;b 17",
            "sync user <script>alert(1)</script>",
            "sync user \u{1b}[31m\u{0}\n\u{fffe}\u{202e}x",
            "sync user ]]>&amp;\"'<!--",
            "sync user -",
            "sync user --",
            "sync user x_[k]",
            "sync user  leading and trailing ",
        ];
        let profile = one_stack(&frames);
        for grouping in [Grouping::None, Grouping::Thread] {
            let options = FlamegraphOptions {
                grouping,
                ..FlamegraphOptions::default()
            };
            let svg = flamegraph(&profile, options).unwrap();
            let texts = texts(&svg);
            assert!(texts.iter().any(|text| text.starts_with("a;b 17\n")));
            assert!(
                texts
                    .iter()
                    .any(|text| text.starts_with("<script>alert(1)</script>\n"))
            );
            assert!(texts.iter().any(|text| text.starts_with("x_[k]\n")));
            assert!(
                !svg.chars().any(|c| c.is_control() && c != '\n'),
                "no control characters"
            );
            assert_eq!(svg.matches("<script").count(), 2, "inferno's and ours");
        }
    }

    #[test]
    fn recursion_without_end_is_drawn_to_a_depth() {
        let frames: Vec<&str> = std::iter::repeat_n("sync user f", 3000).collect();
        let svg = flamegraph(&one_stack(&frames), FlamegraphOptions::default()).unwrap();
        let boxes = texts(&svg)
            .iter()
            .filter(|text| text.starts_with("f\n"))
            .count();
        assert!((900..=1000).contains(&boxes), "{boxes}");
    }

    #[test]
    fn no_samples_is_an_error_and_no_stalls_is_good_news() {
        let quiet = sample::builder().finish(1_000_000_000);
        let draw = |view| {
            let options = FlamegraphOptions {
                view,
                ..FlamegraphOptions::default()
            };
            flamegraph(&quiet, options)
        };
        assert!(matches!(draw(View::Cpu), Err(Error::NoSamples)));
        let svg = draw(View::Stall).unwrap();
        assert!(
            texts(&svg)
                .iter()
                .any(|text| text == "No poll held its worker for 10.0 ms or more.")
        );
    }

    fn draw_waits(view: View) -> String {
        let options = FlamegraphOptions {
            view,
            ..FlamegraphOptions::default()
        };
        flamegraph(&waits::service(), options).unwrap()
    }

    #[test]
    fn waiting_is_counted_in_task_seconds_and_coloured_by_what_is_waited_for() {
        let svg = draw_waits(View::Wait);
        let lines = texts(&svg);
        let says = |what: &str| lines.iter().any(|text| text.contains(what));
        for what in [
            "app: Where tasks wait",
            "task-seconds waiting: ",
            "101 snapshots",
            "torn tasks 0",
            "async function",
            "timer",
            "socket",
            "lock",
            "channel",
            "task",
        ] {
            assert!(says(what), "{what}");
        }
        assert!(!says("on CPU"), "nothing runs in this picture");
        let sleep = element(&svg, "tokio::time::sleep::Sleep");
        assert!(sleep.contains("class=\"waits\""), "{sleep}");
        assert!(
            sleep.contains("\n10.0 task-seconds · 1.0 % of the waiting time · 1.00 tasks on average · waits for a timer"),
            "{sleep}"
        );
    }

    #[test]
    fn the_wall_view_tells_running_blocked_ready_and_waiting_apart() {
        let svg = draw_waits(View::Wall);
        let lines = texts(&svg);
        for what in ["on CPU", "blocks its worker", "ready, no worker", "lock"] {
            assert!(lines.iter().any(|text| text == what), "{what}");
        }
        for (name, class) in [
            ("[ready, waits for a worker]", "ready"),
            ("std::fs::write", "blocked"),
            ("app::render", "sync"),
            ("[on CPU]", "on-cpu"),
        ] {
            let found = element(&svg, name);
            assert!(found.contains(&format!("class=\"{class}\"")), "{found}");
        }
        let chips: Vec<&str> = svg
            .split("<g id=\"legend\">")
            .nth(1)
            .unwrap()
            .split("</g>")
            .next()
            .unwrap()
            .split(" x=\"")
            .skip(1)
            .collect();
        let last = chips.last().unwrap().split('"').next().unwrap();
        assert!(
            last.parse::<f64>().unwrap() < 1100.0,
            "the legend fits: {last}"
        );
    }
}
