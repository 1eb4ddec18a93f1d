//! The first command of the README.

use anyhow::Result;
use awaitscope_tests::Profiler;
use std::fs;

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
    Ok(())
}
