//! Watches a process for some seconds and tells what came, and what it cost us.
//!
//!     cargo run -p awaitscope-sampler --example watch -- PID SECONDS [RATE]
//!     cargo run -p awaitscope-sampler --example watch -- - SECONDS RATE COMMAND ARGS…

use awaitscope_sampler::{Attachment, Event, Options, Pid, SampleSource};
use nix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let who = arguments.next().ok_or("which process?")?;
    let seconds: f64 = arguments.next().map_or(Ok(5.0), |text| text.parse())?;
    let rate_hz = arguments.next().map_or(Ok(99), |text| text.parse())?;
    let options = Options {
        rate_hz,
        ..Options::default()
    };
    let began = Instant::now();
    let (mut attachment, child) = if who == "-" {
        let mut command = Command::new(arguments.next().ok_or("which command?")?);
        command.args(arguments);
        let (attachment, child) = Attachment::launch(command, &options)?;
        (attachment, Some(child))
    } else {
        (Attachment::attach(Pid(who.parse()?), &options)?, None)
    };
    println!(
        "attached in {:?}: {:?}",
        began.elapsed(),
        attachment.footprint()
    );
    println!("{:?}", attachment.abilities());

    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut bytes = 0;
    let mut last = None;
    let mut out_of_order = 0;
    let mut tell = |event: Event| {
        let time = event.time();
        out_of_order += u64::from(last.is_some_and(|last| time < last));
        last = Some(time);
        let name = match event {
            Event::Sample(sample) => {
                bytes += sample.stack.bytes.len();
                "samples"
            }
            Event::SwitchOut {
                registers: Some(_), ..
            } => "switches out, with registers",
            Event::SwitchOut { .. } => "switches out, without registers",
            Event::SwitchIn { .. } => "switches in",
            Event::ThreadStart { .. } => "thread starts",
            Event::ThreadExit { .. } => "thread exits",
            Event::ThreadName { .. } => "names",
            Event::Exec { .. } => "execs",
            Event::Mapped { .. } => "mappings",
            Event::Lost { count, .. } => {
                *counts.entry("lost records").or_default() += count;
                "losses"
            }
            Event::Throttled { .. } => "throttled",
        };
        *counts.entry(name).or_default() += 1;
    };
    let cpu_before = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < seconds {
        std::thread::sleep(Duration::from_millis(5));
        attachment.drain(&mut tell)?;
    }
    attachment.finish(&mut tell)?;
    let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)? - cpu_before;
    for (name, count) in counts {
        println!("{count:9} {name}");
    }
    println!("{bytes:9} bytes of stack");
    println!("{out_of_order:9} events out of order");
    println!(
        "our own CPU: {:.2} % of a core",
        Duration::from(cpu).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0
    );
    let began = Instant::now();
    drop(attachment);
    println!("let go in {:?}", began.elapsed());
    if let Some(mut child) = child {
        println!("{}", child.wait()?);
    }
    Ok(())
}
