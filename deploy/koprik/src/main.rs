//! `koprik`: every process of the exchange and every tool of its users, in one binary.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "printing has one home, `output`")]

mod ask;
mod commands;
mod http_client;
mod logging;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use crate::commands::Cli;

/// An exchange allocates some hundred small pieces on each hub; this allocator takes less time for them than
/// the system's, and gives memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match hub_server::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(format_args!("the runtime cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => {
            output::complain(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
