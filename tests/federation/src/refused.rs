//! What every refusal must be (promise P3): X-Road's error to the caller, a record in the right logs with
//! the same reason, and a reference that finds it.

use anyhow::{Context as _, ensure};
use schemas::problem::{ErrorBody, ProblemCode};
use serde_json::Value;

use crate::Answer;
use crate::operator::Operator;
use crate::stage::{CONSUMER, PROVIDER, Stage};

/// Whose message log holds the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The consumer's hub alone: the provider never heard of the exchange, or answered it well.
    AtConsumer,
    /// The provider's hub alone: the other side was a rogue.
    AtProvider,
    /// Both.
    AtBoth,
}

impl Stage {
    /// Checks that an answer is a refusal with this code in X-Road's form, recorded with its reason where it
    /// should be and nowhere else, and explained there. Gives the message for the caller.
    ///
    /// # Errors
    /// What is not as it should be.
    pub async fn refused(
        &self,
        answer: &Answer,
        code: ProblemCode,
        recorded: Recorded,
    ) -> anyhow::Result<String> {
        let body = error_body(answer, code)?;
        let expected = match recorded {
            Recorded::AtConsumer => [(CONSUMER, "consumer", true), (PROVIDER, "provider", false)],
            Recorded::AtProvider => [(CONSUMER, "consumer", false), (PROVIDER, "provider", true)],
            Recorded::AtBoth => [(CONSUMER, "consumer", true), (PROVIDER, "provider", true)],
        };
        for (hub, side, there) in expected {
            let Some(hub) = self.federation.hubs.get(hub) else {
                ensure!(!there, "hub {hub} should hold the refusal and does not run");
                continue;
            };
            let steps = Operator::of(hub).explain(&body.detail).await?;
            let refusals: Vec<&Value> =
                steps.iter().filter(|step| kind(step) == "refusal").collect();
            if !there {
                ensure!(refusals.is_empty(), "the {side} should hold no refusal: {refusals:?}");
                continue;
            }
            let [refusal] = refusals.as_slice() else {
                anyhow::bail!("the {side} should hold one refusal with {code}: {steps:?}");
            };
            let field = |name| refusal.get("record").and_then(|record| record.get(name));
            ensure!(field("outcome") == Some(&code.as_str().into()), "outcome: {refusal}");
            ensure!(field("side") == Some(&side.into()), "side: {refusal}");
            let text = |name| refusal.get(name).and_then(Value::as_str).unwrap_or_default();
            ensure!(text("action") == code.action(), "action: {refusal}");
            ensure!(text("failed_side") == format!("{:?}", code.side()), "side: {refusal}");
            let last = steps.last().context("steps")?;
            ensure!(kind(last) == "refusal", "nothing follows a refusal: {steps:?}");
        }
        Ok(body.message)
    }
}

fn kind(step: &Value) -> &str {
    step.pointer("/record/kind").and_then(Value::as_str).unwrap_or_default()
}

/// Checks the form of X-Road's error: status, `X-Road-Error`, `type`, `message` and `detail` and nothing else,
/// with what to do now, without a receipt and without a person in it (promise P6).
///
/// # Errors
/// What is not as it should be.
pub fn error_body(answer: &Answer, code: ProblemCode) -> anyhow::Result<ErrorBody> {
    let shown = String::from_utf8_lossy(&answer.body);
    ensure!(answer.header("x-road-error") == Some(code.as_str()), "not {code}: {answer:?}");
    ensure!(answer.status == code.status(), "status {} for {code}", answer.status);
    ensure!(answer.header("koprik-receipt").is_none(), "a refusal has no receipt");
    let media_type = Some("application/json;charset=utf-8");
    ensure!(answer.header("content-type") == media_type, "{:?}", answer.headers);
    let object = answer.json()?;
    let names: Vec<_> = object.as_object().context("no object")?.keys().cloned().collect();
    ensure!(names == ["detail", "message", "type"], "fields of the error object: {shown}");
    let body = answer.problem().context("no error object")?;
    ensure!(body.kind == code.as_str(), "type: {shown}");
    ensure!(body.message.ends_with(code.action()), "what to do now is missing: {shown}");
    let digits = body.message.split(|c: char| !c.is_ascii_digit());
    ensure!(!digits.into_iter().any(|run| run.len() == 14), "a person in the message: {shown}");
    Ok(body)
}
