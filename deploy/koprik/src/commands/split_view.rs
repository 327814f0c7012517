//! Split views: what witnesses have seen of a log that shows two histories, listed, written and verified.

use std::path::Path;

use anyhow::{Context as _, ensure};
use schemas::limits::EVIDENCE_FILE_MAX_BYTES;
use schemas::tlog::{NoteVerifier, SplitView};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::output;

/// What a split view that convicts does not prove, in words.
const NOT_PROVED: [&str; 3] = [
    "that the log key is a hub's: compare it with the log key in the global configuration",
    "who did it: the log's operator, somebody with a copy of its key, or a restored old copy of its disk",
    "what stands in either history: compare the records in which the two copies differ",
];

/// What stays open when the two checkpoints contradict nothing.
const NOT_SHOWN: &str = "both checkpoints are the log's own, and the proof in the file does not join them: that is \
     what an honest log's checkpoints look like with a wrong proof. Ask the log for the consistency proof between the \
     two sizes; if it gives none that holds, it did not only grow";

/// Whether a file is meant as a split view: the beginning of its one spelling.
pub(crate) fn is_one(path: &Path) -> bool {
    use std::io::Read as _;
    const BEGIN: &[u8] = b"{\"cosigned\":";
    let mut first = [0; BEGIN.len()];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok()
        && first == *BEGIN
}

/// `koprik verify FILE --log-key KEY`.
pub(crate) fn verify(path: &Path, key: &str, json: bool) -> anyhow::Result<bool> {
    let key: NoteVerifier = key.parse().context("--log-key")?;
    let cannot = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(cannot)?.len();
    ensure!(size <= EVIDENCE_FILE_MAX_BYTES, "{} has {size} bytes", path.display());
    let bytes = std::fs::read(path).with_context(cannot)?;
    let text = String::from_utf8_lossy(&bytes);
    let (contradiction, [first, second]) =
        match SplitView::from_text(&text).and_then(|split_view| split_view.verify(&key)) {
            Ok(verified) => verified,
            Err(reason) => {
                let reason = reason.to_string();
                let value = json!({ "verified": false, "step": "SplitView", "reason": reason });
                output::print(json, &value, || format!("NOT VERIFIED: {reason}"))?;
                return Ok(false);
            }
        };
    let proved = contradiction.proved();
    let not_proved: &[&str] = if proved { &NOT_PROVED } else { &[NOT_SHOWN] };
    let value = json!({
        "verified": proved,
        "log": key.name(),
        "shown": contradiction.words(),
        "proved": proved,
        "cosigned": { "size": first.size, "root": first.root },
        "offered": { "size": second.size, "root": second.root },
        "not_proved": not_proved,
    });
    output::print(json, &value, || {
        let title = if proved { "VERIFIED: a split view of" } else { "NOT PROVED: a doubt about" };
        let lines: Vec<String> = not_proved.iter().map(|line| format!("  – {line}\n")).collect();
        let not_proved = lines.concat();
        format!(
            "{title} {}\n\n{}\n  first   {} records, root {}\n  second  \
             {} records, root {}\n\nnot proved by this file\n{not_proved}",
            key.name(),
            contradiction.words(),
            first.size,
            first.root,
            second.size,
            second.root
        )
    })?;
    Ok(proved)
}

/// An alarm as the hub gives it, in words, both checkpoints named.
pub(crate) fn alarm_text(alarm: &Value) -> String {
    let text = |pointer: &str| match alarm.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "-".to_owned(),
    };
    format!(
        "{}  {}: {}\n  cosigned before  {} records, root {}\n  then offered     {} records, root {}",
        text("/at"),
        text("/log"),
        text("/shown"),
        text("/cosigned/size"),
        text("/cosigned/root"),
        text("/offered/size"),
        text("/offered/root"),
    )
}

/// Writes the split view of an alarm, in its one spelling.
pub(crate) fn write(alarm: &Value, file: &Path) -> anyhow::Result<()> {
    let split_view = alarm.get("split_view").context("the hub's alarm has no split view")?;
    let split_view = SplitView::deserialize(split_view).context("the hub's alarm is malformed")?;
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let cannot = || format!("cannot write {}", file.display());
    std::fs::write(file, split_view.to_text()).with_context(cannot)
}
