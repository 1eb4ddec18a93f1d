//! The `awaitscope` command.

mod about;
mod args;
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
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
