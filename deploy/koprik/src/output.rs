//! What commands print: text for people, one JSON object with `--json`. Nothing else here writes to
//! standard output or standard error.
//!
//! A reader that has gone away (`koprik … | head`) ends the printing and not the command, whose exit
//! code goes on to say what was found. Any other failure to print is an error: a result that is cut off
//! on a full disk would be taken for a whole one.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

/// Exit code of a command that judges, when it could not: 0 is good, 1 is not good.
const NOT_JUDGED: u8 = 2;

/// Prints a JSON value on one line, or the text.
///
/// # Errors
/// When standard output fails, but for a reader that has gone away.
pub(crate) fn print(
    json: bool,
    value: &Value,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let text = if json { value.to_string() } else { text() };
    bytes(format!("{}\n", text.trim_end()).as_bytes())
}

/// Prints bytes as they are.
///
/// # Errors
/// As [`print()`].
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("own side: standard output cannot be written; check where it goes")
        }
        _ => Ok(()),
    }
}

/// Says on standard error why a command fails; where nobody can be told, its exit code is all there is.
pub(crate) fn complain(reason: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "koprik: {reason}");
}

/// The exit code of a judgement, or of none with the reason: `what` is `not verified` and the like.
pub(crate) fn judged(what: &str, result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(format_args!("{what}: {error:#}"));
            ExitCode::from(NOT_JUDGED)
        }
    }
}
