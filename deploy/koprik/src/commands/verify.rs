//! `koprik verify FILE --anchor ANCHOR`: offline, step by step, in words. With `--log-key KEY` the
//! file is a receipt, or a split view that a witness has seen. Exit code 0: everything holds; 1: a step does
//! not hold; 2: it could not be verified, as a file cannot be read.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use hub_core::evidence::{self, EvidenceRefusal, Proved};
use hub_core::report;
use schemas::configuration::Anchor;
use schemas::limits::EVIDENCE_FILE_MAX_BYTES;
use schemas::record::Record;
use schemas::tlog::Cosigned;
use serde_json::json;

use super::{receipt, split_view};
use crate::output::{self, shown};

/// A verification.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The evidence file, a receipt (C2SP tlog-proof), or a split view.
    file: PathBuf,
    /// The configuration anchor of the instance; for an evidence file.
    #[arg(long, value_name = "FILE", required_unless_present = "log_key")]
    anchor: Option<PathBuf>,
    /// The verifier key of the log, `name+id+base64`; for a receipt or a split view. A receipt proves that
    /// the record stands in the log, not what the messages said.
    #[arg(long, value_name = "KEY", conflicts_with = "anchor")]
    log_key: Option<String>,
}

impl Verify {
    pub(crate) fn run(self, json: bool) -> ExitCode {
        output::judged("not verified", self.verify(json))
    }

    fn verify(self, json: bool) -> anyhow::Result<bool> {
        match (&self.anchor, &self.log_key) {
            (_, Some(key)) if split_view::is_one(&self.file) => {
                split_view::verify(&self.file, key, json)
            }
            (_, Some(key)) => self.receipt(key, json),
            (Some(anchor), None) => self.evidence(anchor, json),
            (None, None) => bail!("give --anchor for an evidence file, --log-key for a receipt"),
        }
    }

    fn receipt(&self, key: &str, json: bool) -> anyhow::Result<bool> {
        match receipt::verify(&self.file, key)? {
            Ok(proved) => {
                output::print(json, &proved.as_json(), || proved.as_text())?;
                Ok(true)
            }
            Err(refused) => {
                let reason = format!("{refused:#}");
                let value = json!({ "verified": false, "step": "Receipt", "reason": reason });
                output::print(json, &value, || format!("NOT VERIFIED: {reason}"))?;
                Ok(false)
            }
        }
    }

    fn evidence(&self, anchor: &Path, json: bool) -> anyhow::Result<bool> {
        let result = file(&self.file, &read_anchor(anchor)?)?;
        output::print(json, &report::of(&result), || match &result {
            Ok(proved) => as_text(proved),
            Err(EvidenceRefusal { step, reason }) => {
                let claim = step.words();
                format!("NOT VERIFIED: this step does not hold: {claim}\nreason: {reason}")
            }
        })?;
        Ok(result.is_ok())
    }
}

/// Verifies a file.
pub(crate) fn file(
    path: &Path,
    anchor: &Anchor,
) -> anyhow::Result<Result<Proved, EvidenceRefusal>> {
    let cannot = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(cannot)?.len();
    if size > EVIDENCE_FILE_MAX_BYTES {
        bail!("{} has {size} bytes, more than any evidence file", path.display());
    }
    Ok(evidence::verify(&std::fs::read(path).with_context(cannot)?, anchor))
}

/// Reads an anchor.
pub(crate) fn read_anchor(path: &Path) -> anyhow::Result<Anchor> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the anchor {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no anchor", path.display()))
}

fn as_text(proved: &Proved) -> String {
    let mut text = format!(
        "VERIFIED: {} record(s) of {} at {}\n\nproved\n",
        proved.records.len(),
        proved.server,
        proved.origin
    );
    for step in &proved.steps {
        text.push_str(&format!("  ✓ {}\n", step.words()));
    }
    text.push_str(&format!("\nwitnesses: {}\n", witnesses_text(&proved.cosigned)));
    text.push_str(&match &proved.timestamp {
        Some(stamped) => format!(
            "\ntime: existed before {}, says the timestamp authority {}\n",
            stamped.time, stamped.authority
        ),
        None => "\ntime: no timestamp\n".to_owned(),
    });
    for (index, record) in &proved.records {
        text.push_str(&record_text(*index, proved.tree_size, record));
    }
    text.push_str("\nnot proved by this file\n");
    for line in &proved.not_proved {
        text.push_str(&format!("  – {line}\n"));
    }
    text
}

/// Who has seen the checkpoint, in words.
fn witnesses_text(cosigned: &Cosigned) -> String {
    let Cosigned { by, of, quorum } = cosigned;
    if *of == 0 {
        return "the configuration lists none for this log".to_owned();
    }
    let enough = if cosigned.reached() { "enough" } else { "too few" };
    let names: Vec<String> = by.iter().map(|(name, at)| format!("\n  {name} at {at}")).collect();
    let count = by.len();
    format!("seen by {count} of {of}, {enough} where {quorum} are needed{}", names.concat())
}

/// A record in words, with its place in a log of `tree_size`.
pub(super) fn record_text(index: u64, tree_size: u64, record: &Record) -> String {
    let Record { kind, time, .. } = record;
    let outcome = shown(&record.outcome);
    let mut text =
        format!("\nrecord {index} of {tree_size}  {kind:?} at {time}  outcome {outcome}\n");
    // An answer's record leaves to its request's what that one says.
    let said = [
        ("client  ", &record.client),
        ("service ", &record.service),
        ("endpoint", &record.endpoint),
        ("purpose ", &record.purpose),
        ("basis   ", &record.legal_basis),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            text.push_str(&format!("  {name} {}\n", shown(value)));
        }
    }
    text
}
