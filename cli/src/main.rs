//! The `awaitscope` command.

mod about;
mod args;
mod audience;
mod capture;
mod commands;
mod demo;
mod live;
mod naming;
mod output;
mod recording;
mod snapshot;
mod snapshots;
mod status;
mod stop;
mod target;
mod top;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Diff(args) => return ended(commands::diff::run(&args)),
        Command::Record(args) => commands::record::run(args),
        Command::Tasks(args) => commands::tasks::run(&args),
        Command::Flamegraph(args) => commands::flamegraph::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Export(args) => commands::export::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Merge(args) => commands::merge::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
        Command::DemoService => demo::service::run(),
    };
    ended(done.map(|()| ExitCode::SUCCESS))
}

fn ended(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        output::error(&error);
        ExitCode::FAILURE
    })
}
