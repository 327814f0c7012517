//! `koprik explain ID`: what happened to an exchange, on which side, and what to do.

use std::path::PathBuf;

use serde_json::Value;

use super::log::line;
use crate::ask::Admin;
use crate::output;

/// An explanation.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The `detail` of an error, an exchange's id, or the caller's own X-Road-Id.
    id: String,
    /// The hub's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Explain {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<()> {
        let id = schemas::identifier::encode_segment(&self.id);
        let found = Admin::of(&self.config)?.json(&format!("/v1/explain/{id}")).await?;
        output::print(json, &found, || {
            let server = found.get("server").and_then(Value::as_str).unwrap_or("-");
            let mut text = format!("exchange {} as {server} saw it\n", self.id);
            let steps = found.get("steps").and_then(Value::as_array);
            for step in steps.into_iter().flatten() {
                text.push_str(&line(step));
                text.push('\n');
                let said = |name: &str| step.get(name).and_then(Value::as_str);
                if let (Some(side), Some(retry), Some(action)) =
                    (said("failed_side"), said("retry"), said("action"))
                {
                    text.push_str(&format!(
                        "          whose side: {side}; retry: {retry}; what to do: {action}\n"
                    ));
                }
            }
            text
        })?;
        Ok(())
    }
}
