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

/// Text of others on one line, as it shows on any terminal: what would begin a line, or move or hide what stands
/// around it, comes as its number. Sources: ECMA-48 (control functions), UAX #9 (directional formatting).
pub(crate) fn shown(text: &str) -> String {
    let hidden = |sign: &char| {
        sign.is_control()
            || matches!(sign, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(sign, '\u{2066}'..='\u{2069}')
    };
    let spelled = |sign: char| match sign {
        sign if hidden(&sign) => sign.escape_unicode().to_string(),
        plain => plain.to_string(),
    };
    text.chars().map(spelled).collect()
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

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn text_of_others_stays_on_its_line_and_moves_nothing() {
        let odd = "GET /a\n\ntime: existed\u{1b}[8m\u{9b}1m\u{202e}\u{2028}\u{7f}";
        let expected =
            "GET /a\\u{a}\\u{a}time: existed\\u{1b}[8m\\u{9b}1m\\u{202e}\\u{2028}\\u{7f}";
        assert_eq!(shown(odd), expected);
        assert_eq!(shown("«Oʻzbekiston» § 5 → ok"), "«Oʻzbekiston» § 5 → ok");
    }
}
