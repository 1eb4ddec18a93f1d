use super::*;
use crate::top::keys::press;
use crate::top::sample::{model, seen, window};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

fn drawn(model: &Model, ink: Ink, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it cannot fail");
    terminal
        .draw(|frame| all(model, ink, frame))
        .expect("it cannot fail");
    terminal.backend().buffer().clone()
}

/// The screen as lines of text.
fn lines(model: &Model, width: u16, height: u16) -> Vec<String> {
    let buffer = drawn(model, Ink::Colored, width, height);
    let row = |row: u16| (0..width).map(move |column| (column, row));
    let text = |row| row_text(&buffer, row);
    (0..height).map(|y| text(row(y).collect())).collect()
}

fn row_text(buffer: &Buffer, cells: Vec<(u16, u16)>) -> String {
    let text: String = cells.iter().map(|cell| buffer[*cell].symbol()).collect();
    text.trim_end().to_owned()
}

fn type_keys(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            letter => KeyCode::Char(letter),
        };
        press(model, KeyEvent::new(code, KeyModifiers::NONE));
    }
}

fn line_with<'a>(lines: &'a [String], text: &str) -> &'a str {
    let found = lines.iter().find(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("no {text:?} in:\n{}", lines.join("\n")))
}

#[test]
fn a_usual_screen_shows_all_panels() {
    let lines = lines(&model(), 120, 36);
    assert!(
        lines[0].contains("app (pid 4711)  last 10 s  tokio 1.54.1"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains("50.0 % of a core · 495 samples · lost 0 · cut 3"),
        "{}",
        lines[1]
    );
    assert!(line_with(&lines, "app::serve").contains("60.0 %  48–72  300 ms   120"));
    assert!(line_with(&lines, "app::scale").contains("now"));
    assert!(line_with(&lines, "src/login.rs:21").contains("4.2 s"));
    assert!(line_with(&lines, "spawn_blocking").contains("app::thumbnail → move it"));
    assert!(line_with(&lines, "src/net.rs:12").contains("+110"));
    assert!(line_with(&lines, "101").contains("90 % busy  40 % held"));
    assert!(line_with(&lines, " live ").contains("120"));
    assert!(line_with(&lines, " lag ").contains("1.50 ms"));
}

#[test]
fn kinds_stand_in_the_order_of_their_cpu() {
    let lines = lines(&model(), 100, 30);
    let row = |name: &str| lines.iter().position(|line| line.ends_with(name));
    let rows = [
        "app::serve",
        "app::thumbnail",
        "[outside tasks]",
        "app::sweep",
    ]
    .map(row);
    assert!(
        rows.iter().all(Option::is_some) && rows.is_sorted(),
        "{rows:?}"
    );
}

#[test]
fn a_small_screen_shows_the_focused_panel() {
    let mut model = model();
    let first = lines(&model, 40, 10);
    line_with(&first, "app::serve");
    assert!(!first.iter().any(|line| line.contains("STALLS")));
    type_keys(&mut model, "2");
    let second = lines(&model, 40, 10);
    line_with(&second, "src/image.rs:70");
    assert!(!second.iter().any(|line| line.contains("KINDS")));
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let mut models = [model(), model(), model(), Model::new("x")];
    type_keys(&mut models[1], "\n");
    type_keys(&mut models[2], "?");
    for model in &models {
        for (width, height) in [
            (1, 1),
            (3, 2),
            (5, 3),
            (10, 4),
            (20, 8),
            (40, 10),
            (80, 24),
            (300, 100),
        ] {
            drawn(model, Ink::Colored, width, height);
        }
    }
}

#[test]
fn without_a_sample_no_share_is_shown() {
    let mut window = window();
    window.quality.samples = 0;
    window.cpu_ms = 0.0;
    for kind in &mut window.kinds {
        kind.share = None;
        kind.cpu_ms = 0.0;
    }
    let mut model = Model::new("app");
    model.see(seen(window));
    let lines = lines(&model, 100, 30);
    line_with(&lines, "no sample: nothing ran");
    assert!(
        line_with(&lines, "app::serve")
            .trim_start()
            .starts_with('-')
    );
}

#[test]
fn a_share_that_is_hardly_known_is_dim() {
    let mut window = window();
    window.kinds[1].share = Some([0.02, 0.0, 0.2]);
    let mut model = Model::new("app");
    model.see(seen(window));
    let buffer = drawn(&model, Ink::Colored, 100, 30);
    let texts = lines(&model, 100, 30);
    let row = texts
        .iter()
        .position(|line| line.ends_with("app::thumbnail"));
    let row = u16::try_from(row.expect("it is there")).expect("it is small");
    assert!(
        buffer[(7, row)]
            .modifier
            .contains(ratatui::style::Modifier::DIM)
    );
}

#[test]
fn a_name_cannot_drive_the_terminal() {
    let mut window = window();
    window.kinds[0].name = "evil\x1b[2J\u{202e}".into();
    let mut model = Model::new("app");
    model.see(seen(window));
    model.note("\x1b]0;owned\x07");
    model.filter("\x1b*".into());
    model.filter(String::new());
    for line in lines(&model, 120, 36) {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn without_colours_nothing_has_one() {
    for keys in ["", "\n", "?"] {
        let mut model = model();
        type_keys(&mut model, keys);
        let buffer = drawn(&model, Ink::Plain, 120, 36);
        let plain =
            |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
        assert!(buffer.content().iter().all(plain));
    }
}

#[test]
fn enter_shows_the_stacks_of_the_selected_kind() {
    let mut model = model();
    type_keys(&mut model, "\n");
    let lines = lines(&model, 100, 24);
    line_with(&lines, "on CPU, by stack");
    assert!(line_with(&lines, "app::parse").contains("33.3 %"));
    assert!(line_with(&lines, "app::parse").contains("src/main.rs:30"));
}

#[test]
fn what_is_typed_filters_all_panels() {
    let mut model = model();
    type_keys(&mut model, "/thumb");
    let typed = lines(&model, 100, 30);
    assert!(typed[29].contains("filter: thumb"), "{}", typed[29]);
    assert!(!typed.iter().any(|line| line.ends_with("app::serve")));
    line_with(&typed, "app::scale");
    line_with(&typed, "none with this");
}

#[test]
fn what_is_wrong_with_the_recording_is_said_below() {
    let mut window = window();
    window.quality.notes = vec!["time in the kernel is not sampled".into()];
    let mut model = Model::new("app");
    model.see(seen(window));
    let large = lines(&model, 100, 30);
    assert!(large[28].contains("time in the kernel"), "{}", large[28]);
    assert!(large[29].contains("leave"), "{}", large[29]);
    let small = lines(&model, 40, 10);
    assert!(small[9].contains("time in the kernel"), "{}", small[9]);
}
