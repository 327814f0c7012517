//! `koprik`: every process of the exchange and every tool of its users, in one binary.

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
            eprintln!("koprik: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("koprik: {error:#}");
            ExitCode::FAILURE
        }
    }
}
