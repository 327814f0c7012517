//! The commands. Each file is one command, or a family of them.

mod applications;
mod audit;
mod call;
mod demo;
mod explain;
mod key;
mod log;
mod payments;
mod population;
mod profile;
mod proof;
mod receipt;
mod register;
mod serve;
mod split_view;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::logging::{self, LogOptions};
use crate::output;

/// Koʻprik: a data-exchange hub between public authorities, and the social register that runs on it.
#[derive(Debug, Parser)]
#[command(name = "koprik", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    log: LogOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole federation with synthetic people and show one verified household profile.
    Demo(demo::Demo),
    /// Run a security server.
    Hub(serve::Serve),
    /// Run the central server.
    Central(serve::Serve),
    /// Run a small timestamp authority (RFC 3161), for an exchange that has no other.
    TimestampAuthority(serve::Serve),
    /// Run the social register, work with its applications, or replay and simulate its stored decisions.
    Register(register::Register),
    /// Run an agency's adapter.
    Adapter(serve::Serve),
    /// Run the treasury's side of the payments.
    Treasury(serve::Serve),
    /// Run a bank's side of the payments.
    Bank(serve::Serve),
    /// Call a service through a hub, as an agency's system would.
    Call(call::Call),
    /// Ask the register for a household profile.
    Profile(profile::Profile),
    /// Close a month of payments at the register, or show how far it is.
    #[command(subcommand)]
    Payments(payments::Payments),
    /// Verify an evidence file offline with the configuration anchor alone, or a receipt with the log's key.
    ///
    /// Exit code 0: everything holds; 1: a step does not hold; 2: it could not be verified, as a file or a
    /// key cannot be read.
    Verify(verify::Verify),
    /// Look into a hub's message log.
    #[command(subcommand)]
    Log(log::Log),
    /// Compare what both sides of exchanges recorded.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Say what happened to an exchange, on which side, and what to do.
    Explain(explain::Explain),
    /// Make a key file.
    Key(key::Key),
    /// Write a synthetic population into databases of the agencies.
    Population(population::PopulationCommand),
    /// Print a shell completion script.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs a command; the exit code is the command's.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let serves = matches!(
        cli.command,
        Command::Hub(_)
            | Command::Central(_)
            | Command::TimestampAuthority(_)
            | Command::Register(register::Register { command: None, .. })
            | Command::Adapter(_)
            | Command::Treasury(_)
            | Command::Bank(_)
    );
    logging::start(&cli.log, !serves);
    let json = cli.json;
    match cli.command {
        Command::Demo(demo) => demo.run(json).await?,
        Command::Hub(serve) => serve.hub(json).await?,
        Command::Central(serve) => serve.central(json).await?,
        Command::TimestampAuthority(serve) => serve.timestamp_authority(json).await?,
        Command::Register(register) => return register.run(json).await,
        Command::Adapter(serve) => serve.adapter(json).await?,
        Command::Treasury(serve) => serve.treasury(json).await?,
        Command::Bank(serve) => serve.bank(json).await?,
        Command::Call(call) => return call.run(json).await,
        Command::Profile(profile) => profile.run(json).await?,
        Command::Payments(payments) => payments.run(json).await?,
        Command::Verify(verify) => return Ok(verify.run(json)),
        Command::Log(log) => return log.run(json).await,
        Command::Audit(audit) => return audit.run(json).await,
        Command::Explain(explain) => explain.run(json).await?,
        Command::Key(key) => key.run(json)?,
        Command::Population(population) => population.run(json).await?,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "koprik", &mut script);
            output::bytes(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
