//! The report as a page, in a browser.

use anyhow::{Context as _, Result};
use awaitscope_flamegraph::{
    Cause, KindClass, Profile, ProfileBuilder, RecordingOptions, Report, RuntimeInfo, StackId,
    Stall, State, Target, ThreadRole, WeightKey, html,
};
use awaitscope_symbolizer::{Frame, FrameKind, Origin};
use awaitscope_tests::{Browser, OnTerminal, Profiler};
use serde_json::Value;
use std::fs;
use std::ops::Range;
use tempfile::TempDir;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
const KINDS: [&str; 3] = ["app::orders", "app::thumbnails", "app::metrics"];

/// How long a kind computes in a second.
fn busy_ms(kind: usize, second: u64) -> u64 {
    [300 + 20 * second, 150, 10 * (second % 4)][kind]
}

/// What the made-up service is called, and what its functions are.
struct Names<'a> {
    target: &'a str,
    kinds: [&'a str; 3],
    function: &'a str,
    file: &'a str,
}

const PLAIN: Names<'_> = Names {
    target: "app",
    kinds: KINDS,
    function: "app::parse",
    file: "src/parse.rs",
};

/// Some seconds of a service in which three kinds of tasks compute, and the first
/// blocks its worker for 30 ms in every second.
fn service(names: &Names<'_>, seconds: Range<u64>) -> Profile {
    let target = Target {
        pid: 4711,
        name: names.target.into(),
        exe: "/srv/app".into(),
        ..Target::default()
    };
    let options = RecordingOptions {
        rate_hz: 99,
        stall_threshold_ns: 10 * MS,
        ..RecordingOptions::default()
    };
    let mut builder = ProfileBuilder::new(target, options, 1_767_225_600 * SECOND);
    builder.set_runtimes(vec![RuntimeInfo {
        index: 0,
        name: "tokio".into(),
        version: Some("1.54.1".into()),
        flavor: "multi_thread".into(),
        workers: 1,
    }]);
    let thread = builder.thread(12, "worker", ThreadRole::Worker { runtime: 0 });
    for second in seconds.clone() {
        let at = (second - seconds.start) * SECOND;
        for (index, name) in names.kinds.iter().enumerate() {
            let kind = builder.kind(name, KindClass::Async, Some(0));
            let own = [(*name, FrameKind::Async), (names.function, FrameKind::Sync)];
            let stack = stack(&mut builder, &own, names.file);
            let task = builder.task(&(10 + index).to_string(), kind);
            let key = WeightKey {
                thread: Some(thread),
                state: State::OnCpu,
                kind: Some(kind),
                task,
                stack,
            };
            let ms = busy_ms(index, second);
            builder.add_weight(key, at, ms * MS, ms as u32 / 10);
            if index == 0 {
                let sleep = [own[0], ("std::thread::sleep", FrameKind::Sync)];
                let stack = self::stack(&mut builder, &sleep, names.file);
                builder.add_stall(Stall {
                    start_ns: at + 500 * MS,
                    duration_ns: 30 * MS,
                    uncertainty_ns: 0,
                    kind: Some(kind),
                    task,
                    thread,
                    cause: Cause::Syscall,
                    syscall: Some("clock_nanosleep".into()),
                    stacks: vec![(stack, 30 * MS)],
                });
            }
        }
    }
    builder.finish((seconds.end - seconds.start) * SECOND)
}

fn stack(builder: &mut ProfileBuilder, frames: &[(&str, FrameKind)], file: &str) -> StackId {
    let mut parent = None;
    for (line, &(function, kind)) in (40..).zip(frames) {
        let frame = builder.frame(&Frame {
            function: function.into(),
            file: Some(file.into()),
            line: Some(line),
            kind,
            origin: Origin::User,
        });
        parent = Some(builder.stack(parent, frame));
    }
    parent.expect("there are frames")
}

/// A page that a browser has opened from disk.
struct Opened {
    browser: Browser,
    _folder: TempDir,
}

fn open_at(profile: &Profile, width: u32) -> Result<Opened> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("report.html");
    fs::write(&path, html(profile)?)?;
    let mut browser = Browser::start(width, 900)?;
    browser.open(&path)?;
    Ok(Opened {
        browser,
        _folder: folder,
    })
}

fn open(profile: &Profile) -> Result<Opened> {
    open_at(profile, 1400)
}

impl Opened {
    /// The cells of a column of a section's table, from the top.
    fn column(&mut self, section: &str, title: &str) -> Result<Vec<String>> {
        let browser = &mut self.browser;
        let heads = browser.texts(&format!("#{section} thead th"))?;
        let index = heads.iter().position(|head| head == title);
        let index = index.with_context(|| format!("no column {title}: {heads:?}"))? + 1;
        browser.texts(&format!("#{section} tbody tr.row td:nth-child({index})"))
    }

    /// Drags over the timeline, from the middle of one second to that of another.
    fn brush(&mut self, from: u64, to: u64, all: u64) -> Result<()> {
        let [left, top, width, _] = self.browser.bounds("#timeline .plot")?;
        let x = |second: u64| left + width * (second as f64 + 0.5) / all as f64;
        self.browser
            .drag((x(from), top + 30.0), (x(to), top + 30.0))
    }

    /// Clicks on a box of the flamegraph: in that row, at that part of its width.
    fn click_box(&mut self, row: u32, part: f64) -> Result<()> {
        let [left, top, width, _] = self.browser.bounds("#flame")?;
        let y = top + f64::from(row) * 19.0 + 9.0;
        self.browser.click_at(left + width * part, y)
    }

    /// The colour of a box of the flamegraph, near its left edge.
    fn color(&mut self, row: u32, part: f64) -> Result<[u8; 3]> {
        let [red, green, blue, _]: [u8; 4] = self.browser.value(&format!(
            "(() => {{ const flame = document.querySelector('#flame');
               const copy = new OffscreenCanvas(1, 1).getContext('2d', {{ willReadFrequently: true }});
               copy.drawImage(flame, flame.width * {part}, {row} * 19 + 3, 1, 1, 0, 0, 1, 1);
               return [...copy.getImageData(0, 0, 1, 1).data]; }})()"
        ))?;
        Ok([red, green, blue])
    }

    fn crumbs(&mut self) -> Result<Vec<String>> {
        self.browser.texts("#crumbs li")
    }

    fn without_complaints(&self) {
        let complaints = self.browser.complaints();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}

/// The CPU time of a kind in these seconds, as the page writes it.
fn written(kind: usize, seconds: Range<u64>) -> String {
    let ms: u64 = seconds.map(|second| busy_ms(kind, second)).sum();
    match ms {
        0 => "0".to_owned(),
        1000.. => format!("{:.2} s", ms as f64 / 1e3),
        100.. => format!("{ms} ms"),
        _ => format!("{ms}.0 ms"),
    }
}

#[test]
fn the_page_opens_from_disk_without_a_complaint_and_says_what_the_report_says() -> Result<()> {
    let profile = service(&PLAIN, 0..12);
    let mut page = open(&profile)?;
    let head = page.browser.text("#head")?;
    assert_eq!(head, "app (pid 4711)  12.0 s recorded, 6.90 s on CPU");
    let findings = page.browser.texts("#findings .text")?;
    assert!(findings[0].contains("app::orders held its worker 12 times for 360 ms in all"));
    let report: Value = serde_json::from_str(&Report::of(&profile).to_json())?;
    for (index, kind) in KINDS.iter().enumerate() {
        assert_eq!(report["kinds"][index]["kind"], **kind);
        assert_eq!(page.column("kinds", "cpu")?[index], written(index, 0..12));
    }
    let culprit = page.browser.text("#stalls tbody td.grow")?;
    assert!(
        culprit.contains("in clock_nanosleep: std::thread::sleep")
            && culprit.contains("at src/parse.rs:41, polling app::orders")
            && culprit.contains("use tokio::time::sleep"),
        "{culprit}"
    );
    page.without_complaints();
    Ok(())
}

#[test]
fn what_snapshots_would_tell_is_said_to_be_unknown_without_them() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..5))?;
    let waits = page.browser.text("#waits")?;
    assert!(waits.contains("not known: this recording took no snapshots"));
    let timeline = page.browser.text("#timeline")?;
    assert!(timeline.contains("not known: no snapshots were taken"));
    let disabled = page.browser.texts("#view button:disabled")?;
    assert_eq!(disabled, ["wait", "wall"]);
    Ok(())
}

#[test]
fn a_search_highlights_what_matches_and_says_how_much_time_that_is() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    page.browser.write("#search", "THUMBNAILS")?;
    // 12 × 150 of 6,900 ms: a kind and the function it is named for are one.
    let said = page.browser.text("#search-said")?;
    assert_eq!(said, "1 function matches: 26.1 % of the CPU time");
    assert_eq!(page.color(2, 0.8)?, [255, 95, 210], "the function");
    assert_ne!(page.color(2, 0.3)?, [255, 95, 210], "another function");
    page.browser.press("Escape")?;
    assert_eq!(page.browser.text("#search-said")?, "");
    assert_ne!(page.color(2, 0.8)?, [255, 95, 210]);
    page.without_complaints();
    Ok(())
}

#[test]
fn a_click_zooms_and_crumbs_and_escape_lead_back() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    assert_eq!(page.crumbs()?, [""; 0]);
    page.click_box(3, 0.8)?;
    let thumbnails = KINDS[1];
    let parse = ["all", "thumbnails", "thumbnails", "app::parse"];
    assert_eq!(page.crumbs()?, parse);
    page.browser.click("#crumbs li:nth-child(2) button")?;
    assert_eq!(page.crumbs()?, ["all", thumbnails]);
    page.browser.press("Escape")?;
    assert_eq!(page.crumbs()?, [""; 0]);
    page.without_complaints();
    Ok(())
}

#[test]
fn the_flamegraph_is_walked_and_zoomed_by_keys() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    let _: Value = page
        .browser
        .value("document.querySelector('#flame').focus()?.toString() ?? null")?;
    page.browser.press("ArrowDown")?;
    page.browser.press("ArrowRight")?;
    let told = page.browser.text("#box")?;
    assert!(
        told.starts_with("app::thumbnails · 1.80 s · 26.1 % of the CPU time"),
        "{told}"
    );
    page.browser.press("Enter")?;
    assert_eq!(page.crumbs()?, ["all", "app::thumbnails"]);
    page.browser.press("Escape")?;
    assert_eq!(page.crumbs()?, [""; 0]);
    Ok(())
}

#[test]
fn a_tooltip_tells_name_line_time_and_share() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    let [left, top, width, _] = page.browser.bounds("#flame")?;
    page.browser
        .point(left + width * 0.8, top + 3.0 * 19.0 + 9.0)?;
    assert_eq!(
        page.browser.texts("#tip div")?,
        [
            "app::parse",
            "src/parse.rs:41",
            "1.80 s · 26.1 % of the CPU time · function"
        ]
    );
    Ok(())
}

#[test]
fn views_and_groupings_switch() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    assert_eq!(
        page.browser.text("#flame-about")?,
        "CPU time by async stack · 6.90 s on CPU"
    );
    page.browser.click("#view [data-value=stall]")?;
    assert_eq!(
        page.browser.text("#flame-about")?,
        "stalls by the stack that held the worker · workers held 360 ms in polls of 10.0 ms or more"
    );
    page.click_box(3, 0.5)?;
    assert_eq!(
        page.crumbs()?,
        ["all", "orders", "orders", "std::thread::sleep"]
    );
    page.browser.click("#group [data-value=none]")?;
    page.click_box(2, 0.5)?;
    assert_eq!(page.crumbs()?, ["all", "orders", "std::thread::sleep"]);
    page.without_complaints();
    Ok(())
}

#[test]
fn the_brush_filters_every_table_and_the_flamegraph() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    page.brush(3, 8, 12)?;
    assert_eq!(
        page.browser.text("#range-text")?,
        "From 3 s to 9 s of 12 s: 6.00 s"
    );
    let of_kinds: Vec<String> = (0..3).map(|kind| written(kind, 3..9)).collect();
    assert_eq!(page.column("kinds", "cpu")?, of_kinds);
    assert_eq!(page.column("kinds", "stalls")?, ["6", "0", "0"]);
    assert_eq!(page.column("stalls", "count")?, ["6"]);
    assert_eq!(page.column("stalls", "total")?, ["180 ms"]);
    assert_eq!(page.column("tasks", "cpu")?, of_kinds);
    let all: u64 = (0..3)
        .flat_map(|kind| (3..9).map(move |second| busy_ms(kind, second)))
        .sum();
    let about = page.browser.text("#flame-about")?;
    assert!(about.ends_with(&format!("{:.2} s on CPU", all as f64 / 1e3)));
    assert_eq!(
        page.column("functions", "cpu")?,
        [format!("{:.2} s", all as f64 / 1e3)]
    );

    page.browser.click("#range-reset")?;
    let of_kinds: Vec<String> = (0..3).map(|kind| written(kind, 0..12)).collect();
    assert_eq!(page.column("kinds", "cpu")?, of_kinds);
    page.without_complaints();
    Ok(())
}

#[test]
fn shares_and_intervals_of_a_part_are_those_of_a_recording_of_that_part() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    for (from, to) in [(2, 9), (5, 6)] {
        page.brush(from, to, 12)?;
        let alone = Report::of(&service(&PLAIN, from..to + 1)).to_json();
        let alone: Value = serde_json::from_str(&alone)?;
        let bound = |row: usize, index: usize| {
            alone["kinds"][row]["cpu_share_ci95"][index]
                .as_f64()
                .unwrap_or(f64::NAN)
                * 100.0
        };
        let expected: Vec<String> = (0..3)
            .map(|row| format!("{:.1} to {:.1}", bound(row, 0), bound(row, 1)))
            .collect();
        assert_eq!(
            page.column("kinds", "interval")?,
            expected,
            "{from} to {to}"
        );
        page.browser.click("#range-reset")?;
    }
    Ok(())
}

#[test]
fn the_selected_time_is_moved_by_keys() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    let focus = |page: &mut Opened, which: u32| -> Result<Value> {
        page.browser.value(&format!(
            "document.querySelectorAll('#timeline [role=slider]')[{which}].focus()?.toString() ?? null"
        ))
    };
    focus(&mut page, 0)?;
    page.browser.press("ArrowRight")?;
    page.browser.press("ArrowRight")?;
    focus(&mut page, 1)?;
    page.browser.press("ArrowLeft")?;
    assert_eq!(
        page.browser.text("#range-text")?,
        "From 2 s to 11 s of 12 s: 9.00 s"
    );
    assert_eq!(page.column("kinds", "cpu")?[1], written(1, 2..11));
    page.browser.press("Escape")?;
    assert_eq!(
        page.browser.text("#range-text")?,
        "The whole recording, 12.0 s"
    );
    Ok(())
}

#[test]
fn the_table_of_kinds_sorts_and_filters() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    let by_name = "#kinds thead th:last-child button";
    page.browser.click(by_name)?;
    assert_eq!(
        page.column("kinds", "kind")?,
        ["app::metrics", "app::orders", "app::thumbnails"]
    );
    page.browser.click(by_name)?;
    assert_eq!(page.column("kinds", "kind")?[0], "app::thumbnails");
    page.browser.click("#kinds thead th:first-child button")?;
    assert_eq!(page.column("kinds", "kind")?[0], "app::orders");
    page.browser.write("#kinds input[type=search]", "metr")?;
    assert_eq!(page.column("kinds", "kind")?, ["app::metrics"]);
    assert_eq!(page.browser.text("#kinds .said")?, "1 of 3");
    page.without_complaints();
    Ok(())
}

#[test]
fn a_stall_opens_its_stack_and_a_finding_leads_to_it() -> Result<()> {
    let mut page = open(&service(&PLAIN, 0..12))?;
    page.browser.click("#findings button")?;
    assert_eq!(
        page.browser.texts("#stalls .stack li")?,
        [
            "app::orderssrc/parse.rs:40",
            "std::thread::sleepsrc/parse.rs:41"
        ]
    );
    page.browser.click("#stalls .expand")?;
    assert_eq!(page.browser.texts("#stalls .stack li")?, [""; 0]);
    Ok(())
}

#[test]
fn a_long_stall_holds_its_worker_through_several_seconds() -> Result<()> {
    let mut profile = service(&PLAIN, 0..6);
    profile.stalls.truncate(1);
    // From 0.5 s to 3.5 s.
    profile.stalls[0].duration_ns = 3 * SECOND;
    let mut page = open(&profile)?;
    let [left, top, width, _] = page.browser.bounds("#timeline .plot")?;
    let mut held = Vec::new();
    for second in 0..5 {
        let x = left + width * (f64::from(second) + 0.5) / 6.0;
        page.browser.point(x, top + 20.0)?;
        held.extend(page.browser.texts("#timeline .lane-value")?.pop());
    }
    assert_eq!(held, ["500 ms", "1.00 s", "1.00 s", "500 ms", "0"]);
    Ok(())
}

#[test]
fn a_page_is_not_written_to_a_terminal() -> Result<()> {
    let report = ["report", "app.awaitscope", "--format", "html"];
    let terminal = OnTerminal::start(Profiler::get()?.command(&report), 100, 30)?;
    terminal.wait_for("-o report.html")?;
    Ok(())
}

#[test]
fn names_of_the_target_stay_text() -> Result<()> {
    let hostile = Names {
        target: "</title><script>window.caught = 1</script>",
        kinds: [
            "</script><script>window.caught = 2</script>",
            "<img src=x onerror=\"window.caught = 3\">\u{202e}\u{1b}[2J",
            "<!--<script>&lt;\u{2028}';window.caught=4;//",
        ],
        function: "\"><svg onload=alert(1)>${window.caught = 5}",
        file: "javascript:alert(1)",
    };
    let mut page = open(&service(&hostile, 0..6))?;
    let elements: usize = page
        .browser
        .value("document.querySelectorAll('img, iframe, svg[onload], [onerror]').length")?;
    assert_eq!(elements, 0);
    let scripts: usize = page.browser.value("document.scripts.length")?;
    assert_eq!(scripts, 2, "the data and the script");
    page.browser.write("#search", "<svg onload")?;
    page.click_box(3, 0.3)?;
    page.brush(1, 3, 6)?;
    let kinds = page.column("kinds", "kind")?;
    assert_eq!(kinds[0], hostile.kinds[0]);
    assert!(kinds[1].contains("\\u{202e}\\u{1b}[2J"), "{}", kinds[1]);
    let caught: bool = page.browser.value("'caught' in window")?;
    assert!(!caught);
    page.without_complaints();
    Ok(())
}

#[test]
fn it_fits_a_narrow_window_and_a_wide_one_in_light_and_dark() -> Result<()> {
    let mut page = open_at(&service(&PLAIN, 0..12), 800)?;
    let light: String = page
        .browser
        .value("getComputedStyle(document.body).backgroundColor")?;
    page.browser.click("#theme")?;
    page.browser.click("#theme")?;
    assert_eq!(page.browser.text("#theme")?, "theme: dark");
    let dark: String = page
        .browser
        .value("getComputedStyle(document.body).backgroundColor")?;
    assert_ne!(light, dark);
    for width in [800, 1600] {
        page.browser.resize(width, 900)?;
        page.browser.settle()?;
        let [all, seen, flame]: [u32; 3] = page.browser.value(
            "(() => { const page = document.documentElement;
               return [page.scrollWidth, page.clientWidth, document.querySelector('#flame').width]; })()",
        )?;
        assert_eq!(all, seen, "nothing sticks out");
        assert!(flame > width - 120, "{flame} of {width}");
    }
    page.without_complaints();
    Ok(())
}
