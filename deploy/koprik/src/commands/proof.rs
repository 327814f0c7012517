//! The evidence of a profile: one file per exchange that a field came from, each verified.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::ask::Admin;
use crate::commands::verify;

/// Tries of 50 ms each until the records have been seen by the witnesses, and until they have a timestamp.
const TRIES: u32 = 100;

/// Evidence files with what the verifier says of each.
pub(crate) struct Proof {
    files: Vec<Evidence>,
}

/// Where evidence is taken and what it is verified with.
pub(crate) struct Origin<'a> {
    /// Configuration file of the register's own hub, beside whose data its admin token is.
    pub(crate) hub_config: &'a Path,
    /// The configuration anchor.
    pub(crate) anchor: &'a Path,
    pub(crate) stamped: Stamped,
}

/// Whether to wait for a timestamp on the records before their evidence is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamped {
    Awaited,
    NotAwaited,
}

struct Evidence {
    exchange: String,
    file: PathBuf,
    service: String,
    refused: Option<String>,
    /// Enough witnesses have cosigned its checkpoint.
    witnessed: bool,
}

impl Proof {
    /// Takes the evidence of every exchange that the profile names from the hub with this configuration file, writes
    /// it to `dir` and verifies it with the anchor alone.
    pub(crate) async fn collect(
        Origin { hub_config, anchor, stamped }: Origin<'_>,
        dir: &Path,
        profile: &Value,
    ) -> anyhow::Result<Self> {
        let admin = Admin::of(hub_config)?;
        let anchor = verify::read_anchor(anchor)?;
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut exchanges = BTreeSet::new();
        find_exchanges(profile, &mut exchanges);
        wait_for(&admin, "koprik_cosigned_records").await?;
        if stamped == Stamped::Awaited {
            wait_for(&admin, "koprik_timestamp_tree_size").await?;
        }
        let mut files = Vec::with_capacity(exchanges.len());
        for exchange in exchanges {
            let file = dir.join(format!("{exchange}.json"));
            std::fs::write(&file, admin.bytes(&format!("/v1/evidence/{exchange}")).await?)?;
            let (service, refused, witnessed) = match verify::file(&file, &anchor)? {
                Err(refused) => (String::new(), Some(refused.to_string()), false),
                Ok(proved) => {
                    let witnessed = proved.cosigned.reached();
                    let first = proved.records.into_iter().next();
                    let service = first.and_then(|(_, record)| record.service);
                    (service.unwrap_or_default(), None, witnessed)
                }
            };
            files.push(Evidence { exchange, file, service, refused, witnessed });
        }
        files.sort_by(|a, b| a.service.cmp(&b.service));
        Ok(Self { files })
    }

    /// Whether there is evidence and all of it verifies.
    pub(crate) fn verified(&self) -> bool {
        !self.files.is_empty() && self.files.iter().all(|evidence| evidence.refused.is_none())
    }

    /// How many of them enough witnesses have seen.
    pub(crate) fn witnessed_count(&self) -> usize {
        self.files.iter().filter(|evidence| evidence.witnessed).count()
    }

    pub(crate) fn as_json(&self) -> Value {
        self.files
            .iter()
            .map(|evidence| json!({ "exchange": evidence.exchange, "file": evidence.file }))
            .collect()
    }

    pub(crate) fn as_text(&self, anchor: &Path) -> String {
        let good = self.files.iter().filter(|evidence| evidence.refused.is_none()).count();
        let mut text = format!(
            "\nevidence: {good} of {} exchanges verified offline with the anchor alone, {} of them seen by \
             enough witnesses\n",
            self.files.len(),
            self.witnessed_count()
        );
        let mut services: Vec<(&str, usize)> = Vec::new();
        for evidence in &self.files {
            if let Some(reason) = &evidence.refused {
                text.push_str(&format!("  NOT VERIFIED {}: {reason}\n", evidence.file.display()));
            }
            match services.last_mut() {
                Some((service, count)) if *service == evidence.service => *count += 1,
                _ => services.push((&evidence.service, 1)),
            }
        }
        for (service, count) in services {
            text.push_str(&format!("  {count} × {service}\n"));
        }
        if let Some(first) = self.files.first() {
            text.push_str(&format!(
                "  koprik verify {} --anchor {}\n",
                first.file.display(),
                anchor.display()
            ));
        }
        text
    }
}

/// Waits until what is in the log now is in the checkpoint that this gauge names: a cosigned one, a stamped one.
/// Evidence without it verifies too, so that the demo goes on when none comes.
async fn wait_for(admin: &Admin, covering: &str) -> anyhow::Result<()> {
    let records = gauge(admin, "koprik_log_records").await?;
    for _ in 0..TRIES {
        if gauge(admin, covering).await? >= records {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn gauge(admin: &Admin, name: &str) -> anyhow::Result<u64> {
    let text = admin.bytes("/metrics").await?;
    let text = String::from_utf8_lossy(&text);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("the hub has no metric {name}"))?.parse()?)
}

/// Every `exchange` that stands anywhere in the profile.
fn find_exchanges(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(exchange)) = fields.get("exchange") {
                found.insert(exchange.clone());
            }
            fields.values().for_each(|value| find_exchanges(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| find_exchanges(value, found)),
        _ => {}
    }
}
