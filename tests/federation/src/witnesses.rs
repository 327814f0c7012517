//! Witnesses of a federation: every security server and the central server.

use std::time::Duration;

use anyhow::Context as _;
use hub_server::RunningHub;
use pki::signer::{self, NoteKey};
use pki::trust::Algorithm;
use schemas::clock::Stopwatch;
use schemas::configuration::Witness;
use schemas::tlog::policy::own_witness_name;
use schemas::tlog::witness::OWN_PREFIX;
use schemas::tlog::{NoteSigner as _, WitnessVerifier};
use serde_json::Value;

use crate::agencies::INSTANCE;
use crate::layout::Layout;
use crate::operator::Operator;

/// The verifier key of a witness's cosignatures.
pub(crate) fn cosigner_key(key: &NoteKey) -> anyhow::Result<String> {
    Ok(WitnessVerifier::new(key.name(), key.public_key())?.to_string())
}

/// Makes the central server's witness key, and lists all witnesses unless the quorum is 0.
pub(crate) fn list(
    layout: &Layout,
    mut witnesses: Vec<Witness>,
    quorum: usize,
) -> anyhow::Result<()> {
    let file = layout.dir.join("central/witness.key");
    let name = own_witness_name(&format!("koprik/{INSTANCE}/central"));
    let key = NoteKey::new(&name, signer::generate(Algorithm::Ed25519, &file)?)?;
    if quorum == 0 {
        return Ok(());
    }
    let url = Some(format!("http://{}{OWN_PREFIX}", layout.central.1));
    witnesses.push(Witness { key: cosigner_key(&key)?, server: None, url });
    let mut content = layout.read_content()?;
    (content.witnesses, content.witness_quorum) = (witnesses, quorum);
    layout.write_content(&content)
}

/// A metric of a hub without labels.
///
/// # Errors
/// When the hub does not answer or has no such metric.
pub async fn gauge(hub: &RunningHub, name: &str) -> anyhow::Result<u64> {
    let text = Operator::of(hub).get("/metrics").await?.body;
    let text = String::from_utf8_lossy(&text).into_owned();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("there is no metric {name}"))?.parse()?)
}

/// Waits until a quorum of witnesses has cosigned all that is in a hub's log now; gives the size.
///
/// # Errors
/// When it has not within ten seconds; the text has the hub's warnings.
pub async fn cosigned(hub: &RunningHub, watch: &Stopwatch) -> anyhow::Result<u64> {
    let (begin, records) = (watch.elapsed(), hub.log().size());
    loop {
        let size = gauge(hub, "koprik_cosigned_records").await?;
        if size >= records {
            return Ok(size);
        }
        if watch.elapsed() > begin + Duration::from_secs(10) {
            anyhow::bail!("{records} records are not cosigned: {:?}", warnings(hub).await?);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a hub's `/health` warns of.
///
/// # Errors
/// When it does not answer.
pub async fn warnings(hub: &RunningHub) -> anyhow::Result<Vec<String>> {
    let health = Operator::of(hub).get("/health").await?.json()?;
    let list = health.get("warnings").and_then(Value::as_array).context("no warnings")?;
    Ok(list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}

/// The alarms of a hub as its operator sees them.
///
/// # Errors
/// When it does not answer.
pub async fn alarms(hub: &RunningHub) -> anyhow::Result<Vec<Value>> {
    let answer = Operator::of(hub).get("/v1/alarms").await?.json()?;
    Ok(answer.get("alarms").and_then(Value::as_array).context("no alarms")?.clone())
}
