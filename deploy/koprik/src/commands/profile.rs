//! `koprik profile PINFL`: a household profile from the register, for a person to read,
//! as a letter, and with the evidence of every field.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use register::letter::{Language, letter};
use schemas::pinfl::Pinfl;
use serde_json::{Value, json};

use super::proof::{Origin, Proof, Stamped};
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
    /// Income that the applicant declares: a JSON list of
    /// {"member", "month", "amount_soum", "what", "declared_by"}.
    #[arg(long, value_name = "FILE")]
    declared: Option<PathBuf>,
    /// Print the letter to the applicant instead, in Uzbek, Russian or English.
    #[arg(long, value_name = "uz|ru|en")]
    letter: Option<Language>,
    /// Write the profile and the evidence of every exchange it rests on into this folder, each verified.
    #[arg(long, value_name = "DIR", requires = "hub_config", requires = "anchor")]
    proof: Option<PathBuf>,
    /// Configuration file of the register's own hub, which holds the evidence.
    #[arg(long, value_name = "FILE")]
    hub_config: Option<PathBuf>,
    /// The configuration anchor, to verify the evidence with.
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

impl Profile {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let declared = self.declared.as_deref().map(read_declared).transpose()?;
        let answer = fetch(&self.register, self.pinfl, self.date.as_deref(), declared).await?;
        let profile = read(&answer)?;
        let sealed = profile.seal()?;
        let said = answer.get("hash").and_then(Value::as_str);
        if said != Some(sealed.hash().to_string().as_str()) {
            bail!("the profile is not what its hash is of; ask the register again, and report it");
        }
        let mut text = match self.letter {
            Some(language) => letter(&profile, language)?,
            None => register::render::text(&profile),
        };
        if let (Some(dir), Some(hub_config), Some(anchor)) =
            (&self.proof, &self.hub_config, &self.anchor)
        {
            let stamped = Stamped::NotAwaited;
            let proof = Proof::collect(
                Origin { hub_config, anchor, stamped },
                &dir.join("evidence"),
                &answer,
            )
            .await?;
            let file = dir.join("profile.json");
            std::fs::write(&file, sealed.bytes())
                .with_context(|| format!("cannot write {}", file.display()))?;
            text.push_str(&proof.as_text(anchor));
            output::print(json, &answer, || text)?;
            anyhow::ensure!(proof.verified(), "an evidence file does not verify; see above");
            return Ok(());
        }
        output::print(json, &answer, || text)?;
        Ok(())
    }
}

fn read_declared(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}; check the path", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// Asks the register: `{hash, profile}`.
pub(crate) async fn fetch(
    register: &str,
    applicant: Pinfl,
    date: Option<&str>,
    declared: Option<Value>,
) -> anyhow::Result<Value> {
    let mut question = json!({ "pinfl": applicant });
    let brought = [("application_date", date.map(|date| json!(date))), ("declared", declared)];
    for (name, value) in brought {
        if let (Some(value), Some(question)) = (value, question.as_object_mut()) {
            question.insert(name.into(), value);
        }
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
