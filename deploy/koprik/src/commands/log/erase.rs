//! `koprik log erase`: destroys a year's key through the hub, which records it before and after.

use std::path::PathBuf;

use anyhow::bail;
use hub_messagelog::vault::{Class, KeyName};
use serde_json::Value;

use crate::ask::Admin;
use crate::output;

/// An erasure.
#[derive(Debug, clap::Args)]
pub(crate) struct Erase {
    /// The hub's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The calendar year of the records (UTC).
    #[arg(long)]
    year: i16,
    /// The retention class whose evidence is erased; the usual one when left out.
    #[arg(long, default_value_t = Class::default())]
    class: Class,
    /// Erase the links between people and records of that year instead of evidence.
    #[arg(long, conflicts_with = "class")]
    pseudonyms: bool,
    /// The name of the key, which the command prints without it: it cannot be undone.
    #[arg(long, value_name = "KEY")]
    confirm: Option<String>,
}

impl Erase {
    pub(super) async fn run(self, json: bool) -> anyhow::Result<()> {
        let key = match self.pseudonyms {
            true => KeyName::pseudonym(self.year),
            false => KeyName::evidence(&self.class, self.year),
        };
        let key = key.to_string();
        if self.confirm.as_deref() != Some(key.as_str()) {
            bail!(
                "nothing was erased: destroying {key} cannot be undone; destroy it in the backups \
                 too, then add --confirm {key}"
            );
        }
        let path = format!("/v1/erase?key={key}&confirm={key}");
        let erased = Admin::of(&self.config)?.post(&path).await?;
        output::print(json, &erased, || {
            let key = erased.get("erased").and_then(Value::as_str).unwrap_or("-");
            format!("{key} was destroyed on this machine; destroy it in the backups too")
        })?;
        Ok(())
    }
}
