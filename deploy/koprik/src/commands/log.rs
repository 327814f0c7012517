//! `koprik log show|prove|alarms`: a hub's message log through its admin listener; `koprik log check`: its
//! directory, offline; `koprik log erase`: a year's key destroyed.

mod check;
mod erase;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{receipt, split_view};
use crate::ask::Admin;
use crate::output;

/// The message log of a hub.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Log {
    /// List records, newest first.
    Show(Show),
    /// Write the evidence file of an exchange, or the inclusion proof or receipt of a record.
    Prove(Prove),
    /// List split views that this hub has seen: logs that showed two histories.
    Alarms(Alarms),
    /// Check a log's directory offline: every record, the tree, the checkpoint, the published files.
    Check(check::Check),
    /// Destroy a year's key: the evidence that it sealed, or the links to people that it made, are gone
    /// for good. Records and proofs stay.
    Erase(erase::Erase),
}

/// Which alarms.
#[derive(Debug, clap::Args)]
pub(crate) struct Alarms {
    /// The hub's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A folder to which each split view is written, to be verified offline.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Which records.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The hub's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this exchange.
    #[arg(long, value_name = "ID")]
    exchange: Option<String>,
    /// Only exchanges about this person; the identifier is turned into its pseudonym by the hub.
    #[arg(long, value_name = "PINFL")]
    subject: Option<String>,
    /// Only exchanges of this `X-Road-Id`, which the caller chose.
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Only exchanges for this purpose, by its code.
    #[arg(long, value_name = "CODE")]
    purpose: Option<String>,
    /// Only this client.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only this service.
    #[arg(long, value_name = "ID")]
    service: Option<String>,
    /// Only this outcome: `ok`, a problem code, or an act.
    #[arg(long)]
    outcome: Option<String>,
    /// Not before this moment, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Not after this moment, RFC 3339.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only records before this place: to go on where a search ended.
    #[arg(long, value_name = "INDEX")]
    before: Option<u64>,
    /// At most so many, the newest. Where an exchange's other record says whom it was about, or why, that comes along.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

/// What to prove.
#[derive(Debug, clap::Args)]
pub(crate) struct Prove {
    /// The hub's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The exchange whose evidence file is written.
    #[arg(long, value_name = "ID", required_unless_present = "index")]
    exchange: Option<String>,
    /// Where the evidence file goes; standard output when left out.
    #[arg(long, short, value_name = "FILE", requires = "exchange")]
    output: Option<PathBuf>,
    /// The record whose inclusion proof is printed; with an exchange's id that was used again, the record of the
    /// exchange that is meant.
    #[arg(long)]
    index: Option<u64>,
    /// Where a receipt of that record is written instead (C2SP tlog-proof): the record, its place and
    /// the checkpoint, to be verified with the log's key alone.
    #[arg(long, value_name = "FILE", requires = "index", conflicts_with = "exchange")]
    tlog_proof: Option<PathBuf>,
}

impl Log {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        match self {
            Self::Alarms(alarms) => alarms.run(json).await?,
            Self::Show(show) => show.run(json).await?,
            Self::Prove(prove) => prove.run(json).await?,
            Self::Erase(erase) => erase.run(json).await?,
            Self::Check(check) => return Ok(check.run(json)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self, json: bool) -> anyhow::Result<()> {
        let admin = Admin::of(&self.config)?;
        let mut query = format!("/v1/records?limit={}", self.limit);
        let filters = [
            ("exchange", self.exchange),
            ("message", self.message),
            ("subject", self.subject),
            ("purpose", self.purpose),
            ("client", self.client),
            ("service", self.service),
            ("outcome", self.outcome),
            ("from", self.from),
            ("to", self.to),
            ("before", self.before.map(|index| index.to_string())),
        ];
        for (name, value) in filters {
            if let Some(value) = value {
                query.push_str(&format!(
                    "&{name}={}",
                    schemas::identifier::encode_segment(&value)
                        .replace('&', "%26")
                        .replace('+', "%2B")
                ));
            }
        }
        let found = admin.json(&query).await?;
        output::print(json, &found, || {
            let records = found.get("records").and_then(Value::as_array);
            let mut lines: Vec<String> = records.into_iter().flatten().map(line).collect();
            if let Some(next) = found.get("next").and_then(Value::as_u64) {
                lines.push(format!("there may be more: the same with --before {next}"));
            }
            if lines.is_empty() { "no records".to_owned() } else { lines.join("\n") }
        })?;
        Ok(())
    }
}

/// A record on one line.
pub(crate) fn line(found: &Value) -> String {
    let record = found.get("record");
    let text = |name: &str| {
        let text = record.and_then(|record| record.get(name)).and_then(Value::as_str);
        output::shown(text.unwrap_or("-"))
    };
    format!(
        "{:>8}  {}  {:8} {:8} {}  {} → {}  {}  {}",
        found.get("index").and_then(Value::as_u64).unwrap_or_default(),
        found.get("at").and_then(Value::as_str).unwrap_or("-"),
        text("side"),
        text("kind"),
        text("outcome"),
        text("client"),
        text("service"),
        text("endpoint"),
        text("exchange"),
    )
}

impl Alarms {
    async fn run(self, json: bool) -> anyhow::Result<()> {
        let found = Admin::of(&self.config)?.json("/v1/alarms").await?;
        let list = found.get("alarms").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut lines = Vec::new();
        for (nth, alarm) in list.iter().enumerate() {
            lines.push(split_view::alarm_text(alarm));
            if let Some(dir) = &self.output {
                let file = dir.join(format!("split-view-{}.json", nth + 1));
                split_view::write(alarm, &file)?;
                lines.push(format!("  written to {}", file.display()));
            }
        }
        output::print(json, &found, || {
            if lines.is_empty() { "no alarms".to_owned() } else { lines.join("\n") }
        })?;
        Ok(())
    }
}

impl Prove {
    async fn run(self, json: bool) -> anyhow::Result<()> {
        let admin = Admin::of(&self.config)?;
        if let (None, Some(index)) = (&self.exchange, self.index) {
            let proof = admin.json(&format!("/v1/proof/inclusion?index={index}")).await?;
            if let Some(path) = self.tlog_proof {
                std::fs::write(&path, receipt::make(&proof)?.to_string())
                    .with_context(|| format!("cannot write {}", path.display()))?;
                let shown = path.display().to_string();
                let value = json!({ "index": index, "file": shown });
                output::print(json, &value, || format!("receipt written to {shown}"))?;
                return Ok(());
            }
            output::print(json, &proof, || {
                let checkpoint = proof.get("checkpoint").and_then(Value::as_str).unwrap_or("-");
                let hashes = proof.get("proof").and_then(Value::as_array);
                let lines: Vec<&str> =
                    hashes.into_iter().flatten().filter_map(Value::as_str).collect();
                format!("{checkpoint}\ninclusion proof of record {index}\n{}", lines.join("\n"))
            })?;
            return Ok(());
        }
        let exchange = self.exchange.unwrap_or_default();
        let index = self.index.map(|index| format!("?index={index}")).unwrap_or_default();
        let file = admin.bytes(&format!("/v1/evidence/{exchange}{index}")).await?;
        match self.output {
            None => output::bytes(&file)?,
            Some(path) => {
                std::fs::write(&path, &file)?;
                let shown = path.display().to_string();
                let value = json!({ "exchange": exchange, "file": shown });
                output::print(json, &value, || format!("evidence written to {shown}"))?;
            }
        }
        Ok(())
    }
}
