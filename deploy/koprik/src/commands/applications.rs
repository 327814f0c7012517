//! `koprik register file|show|overdue|monitoring`: what an administrator asks a running register about its
//! applications.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use register::application::{Application, Outcome};
use register::month::Month;
use schemas::pinfl::Pinfl;
use serde_json::{Value, json};

use crate::http_client::{self, TlsFiles};
use crate::output;

/// A running register.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The register, `http://host:port`.
    #[arg(long, value_name = "URL")]
    register: String,
    /// Who asks, as the exchanges are to name it (X-Road-UserId).
    #[arg(long, value_name = "ID")]
    officer: Option<String>,
}

/// Files an application of today.
#[derive(Debug, clap::Args)]
pub(crate) struct File {
    /// The applicant.
    pinfl: Pinfl,
    /// Income that the applicant declares: a JSON list of
    /// {"member", "month", "amount_soum", "what", "declared_by"}.
    #[arg(long, value_name = "FILE")]
    declared: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Shows an application.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Identifier of the application, as filing it gave.
    application: String,
    #[command(flatten)]
    place: Place,
}

/// Lists what is overdue.
#[derive(Debug, clap::Args)]
pub(crate) struct Overdue {
    /// List what is due by this day, YYYY-MM-DD; what was due before today when left out.
    #[arg(long, value_name = "DATE")]
    by: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// The monthly monitoring of all registered families.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Monitoring {
    /// Begin the monitoring of this month or the next one, or go on with one that was stopped.
    Begin(OfMonth),
    /// Show how far a month's monitoring is, and which applications it stopped.
    Progress(OfMonth),
    /// Stop a month's monitoring after the families under way; `begin` goes on with it.
    Stop(OfMonth),
}

/// A month at a register.
#[derive(Debug, clap::Args)]
pub(crate) struct OfMonth {
    /// The month, YYYY-MM.
    month: Month,
    #[command(flatten)]
    place: Place,
}

impl File {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let mut body = json!({ "pinfl": self.pinfl });
        if let (Some(file), Some(body)) = (&self.declared, body.as_object_mut()) {
            body.insert("declared".to_owned(), read(file)?);
        }
        let answer = self.place.post("applications", &body).await?;
        output::print(json, &answer, || application_text(&answer))
    }
}

impl Show {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if self.application.is_empty() || !self.application.bytes().all(plain) {
            bail!(
                "an application's identifier has letters, digits and hyphens only; copy it whole"
            );
        }
        let answer = self.place.get(&format!("applications/{}", self.application)).await?;
        output::print(json, &answer, || application_text(&answer))
    }
}

impl Overdue {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let query = match &self.by {
            None => String::new(),
            Some(day) if day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                format!("?by={day}")
            }
            Some(_) => bail!("--by is a date YYYY-MM-DD; correct it"),
        };
        let answer = self.place.get(&format!("overdue{query}")).await?;
        output::print(json, &answer, || overdue_text(&answer))
    }
}

impl Monitoring {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let answer = match self {
            Self::Begin(OfMonth { month, place }) => {
                place.post("monitoring", &json!({ "month": month })).await?
            }
            Self::Progress(OfMonth { month, place }) => {
                place.get(&format!("monitoring/{month}")).await?
            }
            Self::Stop(OfMonth { month, place }) => {
                place.post(&format!("monitoring/{month}/stop"), &json!({})).await?
            }
        };
        output::print(json, &answer, || monitoring_text(&answer))
    }
}

impl Place {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Request::get(self.url(path)), Bytes::new()).await
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::post(self.url(path)).header("content-type", "application/json");
        self.send(request, Bytes::from(body.to_string())).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.register.trim_end_matches('/'))
    }

    async fn send(
        &self,
        mut request: http::request::Builder,
        body: Bytes,
    ) -> anyhow::Result<Value> {
        if let Some(officer) = &self.officer {
            request = request.header("X-Road-UserId", officer);
        }
        let request = request.body(Full::new(body)).context(
            "--register is http://host:port, and --officer printable characters; correct them",
        )?;
        let answer = http_client::send(request, &TlsFiles::default()).await?;
        let value: Value = serde_json::from_slice(&answer.body)
            .context("the answer is not a register's; check the address in --register")?;
        if answer.status != 200 {
            let text = |name: &str| value.get(name).and_then(Value::as_str);
            let (problem, reason) = (text("type"), text("message").unwrap_or("no reason given"));
            let problem = problem.map(|problem| format!(" ({problem})")).unwrap_or_default();
            bail!("the register answers {}{problem}: {reason}", answer.status);
        }
        Ok(value)
    }
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}; check the path", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// An application without its people.
fn application_text(answer: &Value) -> String {
    let application = answer.get("application").cloned().unwrap_or_default();
    let Ok(application) = serde_json::from_value::<Application>(application) else {
        return "the application is of another release; use --json".to_owned();
    };
    let mut text = format!("application {}: {}\n", application.id(), application.state().word());
    // Safe because: writing to a String cannot fail.
    let (filed, month) = (application.filed_on(), application.counts_for());
    let _ = writeln!(text, "filed {filed}, counts for {month}");
    for rating in application.ratings() {
        let stage = serde_json::to_value(rating.stage).unwrap_or_default();
        let stage = stage.as_str().unwrap_or("monitoring").to_owned();
        let outcome = match &rating.outcome {
            Outcome::Eligible(support) => {
                format!("eligible, {} soum a month", support.monthly_soum)
            }
            Outcome::NotEligible => "not eligible".to_owned(),
            Outcome::Pending => "pending: a source that matters has not answered".to_owned(),
        };
        let _ = writeln!(text, "{} {stage} rating: {outcome}", rating.on);
    }
    let _ = writeln!(text, "{}", next_text(answer.get("next")));
    text
}

fn next_text(next: Option<&Value>) -> String {
    let field = |name: &str| next.and_then(|next| next.get(name)).and_then(Value::as_str);
    match (field("duty"), field("due")) {
        (Some(duty), Some(due)) => format!("next: {duty}, due {due}"),
        _ => "next: nothing".to_owned(),
    }
}

fn overdue_text(answer: &Value) -> String {
    let lines =
        answer.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if lines.is_empty() {
        return "nothing is due".to_owned();
    }
    let mut text = String::new();
    for line in lines {
        let field = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or("?");
        let next = next_text(line.get("next"));
        let _ = writeln!(text, "{}  {}  {next}", field("application"), field("state"));
    }
    if answer.get("more") == Some(&Value::Bool(true)) {
        text.push_str("and more: work on these, then ask again\n");
    }
    text
}

fn monitoring_text(answer: &Value) -> String {
    let monitoring = answer.get("monitoring").unwrap_or(answer);
    let field = |name: &str| monitoring.get(name).and_then(Value::as_str).unwrap_or("?");
    let mut text = format!("monitoring of {}: {}\n", field("month"), field("progress"));
    for (name, words) in [
        ("looked_at", "families looked at"),
        ("unchanged", "as before"),
        ("stopped", "stopped: a notice is due"),
        ("pending", "a source that matters was absent; support goes on"),
        ("not_due", "not supported in the month"),
        ("failed", "could not be rated; the register's log says why"),
    ] {
        let count = monitoring.get("counts").and_then(|counts| counts.get(name));
        let count = count.and_then(Value::as_u64).unwrap_or_default();
        let _ = writeln!(text, "{count:>8}  {words}");
    }
    for stopped in answer.get("stopped").and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(text, "stopped: application {}", stopped.as_str().unwrap_or("?"));
    }
    text
}
