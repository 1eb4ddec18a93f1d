//! The `awaitscope` command.

mod args;
mod commands;
mod naming;
mod output;
mod recording;
mod status;
mod target;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Record(args) => commands::record::run(args),
        Command::Flamegraph(args) => commands::flamegraph::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
