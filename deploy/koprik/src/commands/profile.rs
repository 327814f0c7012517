//! `koprik profile PINFL`: a household profile from the register, for a person to read.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use schemas::pinfl::Pinfl;
use serde_json::{Value, json};

use crate::http_client::{self, TlsFiles};
use crate::output;

/// A question to the register.
#[derive(Debug, clap::Args)]
pub(crate) struct Profile {
    /// The applicant.
    pinfl: Pinfl,
    /// The register, `http://host:port`.
    #[arg(long, value_name = "URL")]
    register: String,
    /// Date of the application, YYYY-MM-DD; today when left out.
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

impl Profile {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let answer = fetch(&self.register, self.pinfl, self.date.as_deref()).await?;
        let profile = read(&answer)?;
        output::print(json, &answer, || register::render::text(&profile))?;
        Ok(())
    }
}

/// Asks the register: `{hash, profile}`.
pub(crate) async fn fetch(
    register: &str,
    applicant: Pinfl,
    date: Option<&str>,
) -> anyhow::Result<Value> {
    let mut question = json!({ "pinfl": applicant });
    if let (Some(date), Some(question)) = (date, question.as_object_mut()) {
        question.insert("application_date".into(), json!(date));
    }
    let request = Request::post(format!("{}/profiles", register.trim_end_matches('/')))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(question.to_string())))?;
    let answer = http_client::send(request, &TlsFiles::default()).await?;
    let value: Value =
        serde_json::from_slice(&answer.body).context("the register's answer is not JSON")?;
    if answer.status != 200 {
        let reason = value.get("message").and_then(Value::as_str).unwrap_or("no reason given");
        bail!("the register answers {}: {reason}", answer.status);
    }
    Ok(value)
}

/// The profile in a register's answer.
pub(crate) fn read(answer: &Value) -> anyhow::Result<register::profile::Profile> {
    let profile = answer.get("profile").context("the register's answer holds no profile")?;
    serde_json::from_value(profile.clone()).context("the profile is of another release")
}
