//! `awaitscope demo`.

use crate::args::{DemoArgs, WatchArgs};
use crate::demo::DemoService;
use crate::output;
use crate::recording::{Looking, Recording};
use anyhow::{Context, Result};
use awaitscope_flamegraph::{Color, FlamegraphOptions, Report, View, flamegraph, html};
use awaitscope_sampler::Pid;
use std::path::Path;
use std::time::Duration;

const DURATION: Duration = Duration::from_secs(5);

/// Records a service of our own and leaves everything there is to look at.
pub fn run(args: &DemoArgs) -> Result<()> {
    let folder = &args.output;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let service = DemoService::start()?;
    output::note(&format!(
        "a small shop runs as process {}; watching it for {} s",
        service.pid(),
        DURATION.as_secs()
    ));
    let watch = WatchArgs::lasting(DURATION);
    let profile = Recording::attach(Pid(service.pid()), &watch, Looking::Closely)?.run()?;
    drop(service);

    let cpu = flamegraph(&profile, FlamegraphOptions::default())?;
    let options = FlamegraphOptions {
        view: View::Stall,
        ..FlamegraphOptions::default()
    };
    let stalls = flamegraph(&profile, options)?;
    let report = Report::of(&profile);
    output::write(&folder.join("flamegraph.svg"), cpu.as_bytes())?;
    output::write(&folder.join("stalls.svg"), stalls.as_bytes())?;
    output::write(
        &folder.join("report.txt"),
        report.to_text(None, Color::Never).as_bytes(),
    )?;
    output::write(&folder.join("report.html"), html(&profile)?.as_bytes())?;
    profile.save(&folder.join("demo.awaitscope"))?;

    println!("{}", report.to_text(None, output::color(Path::new("-"))));
    println!("What to look at, in {}:", folder.display());
    println!("  report.html      everything, to click through (open it in a browser)");
    println!("  flamegraph.svg   who uses the CPU: `price_everything` computes most");
    println!(
        "  stalls.svg       who holds the workers: `sign_in` sleeps on one, see the line in its tooltip"
    );
    println!("  report.txt       the text above");
    println!(
        "  demo.awaitscope  the profile: `awaitscope report` and `awaitscope flamegraph` read it"
    );
    println!("Then try your own service: awaitscope flamegraph -p PID -d 10s");
    Ok(())
}
