//! A real message log in a folder, which grows as a test says and publishes when it is told to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hub_messagelog::{Entry, IndexKeys, LogLimits, LogOptions, MessageLog};
use pki::signer::NoteKey;
use schemas::clock::{Clock, UnixMillis};
use schemas::record::{Kind, Record, Side};

/// The origin of the log and name of its key.
pub const ORIGIN: &str = "koprik/UZ/GOV/TAX/hub-1";
/// The moment of the first record, 2026-06-01T00:00:00Z.
const START: UnixMillis = UnixMillis(1_780_272_000_000);
/// Records handed to the log at once; its queue takes 4096.
const AT_ONCE_COUNT: u64 = 2_000;

/// The leaf of record `n`: a record as hubs write it. Every 97th is short, and one in 1009 as long
/// as a record can be, so that bundles have entries of all sizes.
#[must_use]
pub fn leaf(n: u64) -> Vec<u8> {
    let time = UnixMillis(START.0 + n);
    let mut record = Record::new(Kind::Request, Side::Consumer, time, "ok");
    if !n.is_multiple_of(97) {
        record.exchange = Some(format!("00000000-0000-4000-8000-{n:012}"));
        record.client = Some("UZ/GOV/NASP/register".to_owned());
        record.service = Some("UZ/GOV/TAX/tax/tax".to_owned());
        record.configuration = Some(1);
    }
    if n % 1009 == 101 {
        record.legal_basis = Some("§".to_owned());
        let left = schemas::limits::RECORD_MAX_BYTES - record.to_leaf().len();
        record.legal_basis = Some(format!("§{}", "x".repeat(left)));
    }
    record.to_leaf()
}

/// A new log key.
///
/// # Errors
/// When the machine gives no randomness.
pub fn log_key() -> anyhow::Result<Arc<NoteKey>> {
    Ok(Arc::new(NoteKey::ephemeral(ORIGIN).context("making the log key")?))
}

/// A log in `dir`. It publishes only when a checkpoint is asked for.
///
/// # Errors
/// When the log cannot be made.
pub fn open(dir: &Path, key: Arc<NoteKey>) -> anyhow::Result<MessageLog> {
    let checkpoint_interval = Duration::from_secs(3_600);
    let options = LogOptions {
        dir: dir.to_owned(),
        origin: ORIGIN.to_owned(),
        key,
        clock: Clock::manual(START),
        index_keys: |_| IndexKeys::at(START),
        limits: LogLimits { checkpoint_interval, ..LogLimits::default() },
    };
    Ok(MessageLog::open(options)?)
}

/// Lets the log grow to `size` records and publish; gives the checkpoint, a signed note.
///
/// # Errors
/// Those of the log.
pub async fn grow(log: &MessageLog, size: u64) -> anyhow::Result<String> {
    while log.size() < size {
        let until = size.min(log.size() + AT_ONCE_COUNT);
        let submit = |n| log.submit(Entry { leaf: leaf(n).into(), attachment: Bytes::new() });
        let pending: Vec<_> = (log.size()..until).map(submit).collect();
        for receipt in pending {
            receipt.await?;
        }
    }
    match size.checked_sub(1) {
        Some(last) => Ok(log.checkpoint_covering(last).await?),
        None => Ok(log.latest_checkpoint()),
    }
}
