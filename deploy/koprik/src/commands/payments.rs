//! `koprik payments close|show MONTH`: the register's payments of a month.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use register::month::Month;
use register::payment::office::Summary;
use serde_json::Value;

use crate::http_client::{self, TlsFiles};
use crate::output;

/// The payments of a month.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Payments {
    /// Close a month: every family that a stored decision supports is paid to the account that it has declared. The
    /// accounts are checked, then the statement goes to the bank and the order to the treasury. Closing again changes
    /// nothing.
    Close {
        /// The month, YYYY-MM. Months are closed once, in order, from the 26th on.
        month: Month,
        /// Lines that no stored decision says: JSON file `{"corrections": [{"family", "benefit", "recipient",
        /// "account", "amount_soum", "ground", "branch"}, …]}`.
        #[arg(long, value_name = "FILE")]
        corrections: Option<PathBuf>,
        /// The register, `http://host:port`.
        #[arg(long, value_name = "URL")]
        register: String,
    },
    /// Show how far a month is: lines and sums by state, and why families get nothing.
    Show {
        /// The month, YYYY-MM.
        month: Month,
        /// The register, `http://host:port`.
        #[arg(long, value_name = "URL")]
        register: String,
    },
}

impl Payments {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let answer = match self {
            Self::Close { month, corrections, register } => {
                let body = match &corrections {
                    None => Vec::new(),
                    Some(file) => std::fs::read(file)
                        .with_context(|| format!("cannot read {}", file.display()))?,
                };
                let request = Request::post(url(&register, &format!("{month}/close")))
                    .header("content-type", "application/json");
                ask(request, body).await?
            }
            Self::Show { month, register } => {
                ask(Request::get(url(&register, &month.to_string())), Vec::new()).await?
            }
        };
        let summary = answer.get("summary").context("the register's answer holds no summary")?;
        let summary: Summary = serde_json::from_value(summary.clone())?;
        let unanswered = answer.get("unanswered_count").and_then(Value::as_u64).unwrap_or(0);
        output::print(json, &answer, || text(&summary, unanswered))
    }
}

fn url(register: &str, path: &str) -> String {
    format!("{}/payments/{path}", register.trim_end_matches('/'))
}

async fn ask(request: http::request::Builder, body: Vec<u8>) -> anyhow::Result<Value> {
    let request = request.body(Full::new(Bytes::from(body)))?;
    let answer = http_client::send(request, &TlsFiles::default()).await?;
    let value: Value =
        serde_json::from_slice(&answer.body).context("the register's answer is not JSON")?;
    if answer.status != 200 {
        let reason = value.get("message").and_then(Value::as_str).unwrap_or("no reason given");
        bail!("the register answers {}: {reason}", answer.status);
    }
    Ok(value)
}

fn text(summary: &Summary, unanswered: u64) -> String {
    let statement = match summary.statement_soum {
        Some(sum) => format!("statement {sum} soum"),
        None => "accounts are being checked".to_owned(),
    };
    let financed = if summary.financed { "financed" } else { "not financed" };
    let mut text = format!("{statement}, {financed}, {unanswered} messages unanswered\n");
    for (state, sum) in &summary.states {
        let soum = register::money::grouped(sum.sum_soum.into());
        text.push_str(&format!("{state:>12} {:>8} lines {soum:>20} soum\n", sum.lines_count));
    }
    text.push_str(&format!(
        "{} lines rolled over from earlier months\n",
        summary.rolled_over_count
    ));
    let families = &summary.families;
    text.push_str(&format!(
        "when it was closed: {} families entitled, {} lines by correction",
        families.entitled_count, families.corrections_count
    ));
    for (reason, count) in &families.left_out {
        text.push_str(&format!("\n  {count:>8} left out: {reason}"));
    }
    text
}
