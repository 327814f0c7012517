//! What commands print: text for people, one JSON object with `--json`.

use serde_json::Value;

/// Prints a JSON value on one line, or the text.
pub(crate) fn print(json: bool, value: &Value, text: impl FnOnce() -> String) {
    if json {
        println!("{value}");
    } else {
        println!("{}", text().trim_end());
    }
}
