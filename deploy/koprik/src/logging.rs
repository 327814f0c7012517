//! The program log: lower case texts, identifiers as fields, no personal data.

use tracing_subscriber::EnvFilter;

/// The program log.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogOptions {
    /// Log level or filter, such as `info` or `hub_server=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// Log as JSON lines.
    #[arg(long, global = true)]
    log_json: bool,
}

/// Sets up the log of this process, on standard error.
pub(crate) fn start(options: &LogOptions, quiet: bool) {
    let level = options.log.clone().unwrap_or_else(|| if quiet { "error" } else { "info" }.into());
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process keeps the first log.
    let _ = if options.log_json {
        builder.json().try_init()
    } else {
        builder.with_target(false).try_init()
    };
}
