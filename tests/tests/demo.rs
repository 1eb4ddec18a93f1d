//! The first command of the README.

use anyhow::Result;
use awaitscope_tests::{Browser, Profiler};
use std::fs;
use std::path::Path;

#[test]
fn the_demo_leaves_all_there_is_to_look_at_and_says_what_is_wrong() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("demo");
    let output = Profiler::get()?.run(&["demo", "-o", &path.to_string_lossy()])?;
    let told = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for file in [
        "flamegraph.svg",
        "stalls.svg",
        "report.txt",
        "report.html",
        "demo.awaitscope",
    ] {
        assert!(
            fs::metadata(path.join(file))?.len() > 500,
            "{file} is empty"
        );
        assert!(told.contains(file), "{told}");
    }
    assert!(
        told.contains("awaitscope::demo::service::sign_in"),
        "{told}"
    );
    assert!(told.contains("tokio::time::sleep"), "{told}");
    assert!(
        told.contains("awaitscope::demo::service::price_everything"),
        "{told}"
    );
    the_page_opens(&path.join("report.html"))
}

/// A real recording has what made-up ones lack: snapshots, and threads of all sorts.
fn the_page_opens(page: &Path) -> Result<()> {
    let mut browser = Browser::start(1400, 900)?;
    browser.open(page)?;
    let waits = browser.texts("#waits tbody tr.row")?;
    assert!(
        waits.iter().any(|wait| wait.contains("demo::service")),
        "{waits:?}"
    );
    for view in ["wait", "wall", "stall", "cpu"] {
        browser.click(&format!("#view [data-value={view}]"))?;
        let drawn: bool = browser.value("!document.querySelector('#flame').hidden")?;
        assert!(drawn, "the {view} view is empty");
    }
    let cpu = browser.text("#flame-about")?;
    let [left, top, width, _] = browser.bounds("#timeline .plot")?;
    let x = |part: f64| left + width * part;
    browser.drag((x(0.3), top + 20.0), (x(0.5), top + 20.0))?;
    assert_ne!(
        browser.text("#flame-about")?,
        cpu,
        "a part is not the whole"
    );
    assert!(
        browser
            .text("#range-text")?
            .starts_with("From 1 s to 3 s of ")
    );
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}
