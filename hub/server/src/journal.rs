//! The journal of a hub: records into the message log, evidence sealed beside them, people as pseudonyms.

use bytes::Bytes;
use hub_messagelog::vault::Vault;
use hub_messagelog::{
    Entry, IndexKey, IndexKeys, IndexKind, LogReceipt, MessageLog, PendingReceipt,
};
use schemas::clock::{Clock, UnixMillis};
use schemas::digest::{Pseudonym, Sha256};
use schemas::encoding::base64;
use schemas::evidence::SignedMessage;
use schemas::limits::SUBJECTS_MAX_COUNT;
use schemas::record::{Kind, Record, Side};
use serde::Deserialize;

/// The message log with the keys that seal evidence and make pseudonyms.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) log: MessageLog,
    vault: Vault,
    clock: Clock,
    keep_bodies_bytes: usize,
}

/// A message to keep as evidence.
pub(crate) struct Kept<'a> {
    pub(crate) base: &'a str,
    pub(crate) signature: &'a [u8],
    pub(crate) body: Option<&'a Bytes>,
}

impl Journal {
    pub(crate) fn new(
        log: MessageLog,
        vault: Vault,
        clock: Clock,
        keep_bodies_bytes: usize,
    ) -> Self {
        Self { log, vault, clock, keep_bodies_bytes }
    }

    /// The pseudonym of a person or text this year; `None` when the year's key has been destroyed.
    pub(crate) fn pseudonym(&self, at: UnixMillis, text: &str) -> Option<Pseudonym> {
        self.vault.pseudonym(at.year(), text).ok()
    }

    /// The pseudonyms of the people of a call, at most [`SUBJECTS_MAX_COUNT`].
    pub(crate) fn pseudonyms(&self, at: UnixMillis, subjects: &[String]) -> Vec<Pseudonym> {
        let subjects = subjects.iter().take(SUBJECTS_MAX_COUNT);
        subjects.filter_map(|subject| self.pseudonym(at, subject)).collect()
    }

    /// Submits a record with its evidence; it is durable when the receipt resolves.
    ///
    /// The record's commitments to base, signature and evidence are filled in here.
    pub(crate) fn submit(&self, mut record: Record, kept: Option<Kept<'_>>) -> PendingReceipt {
        let mut attachment = Bytes::new();
        if let Some(kept) = kept {
            record.base = Some(Sha256::of(kept.base.as_bytes()));
            record.signature = Some(Sha256::of(kept.signature));
            let body = kept.body.filter(|body| body.len() <= self.keep_bodies_bytes);
            let message = SignedMessage {
                base: kept.base.to_owned(),
                body: body.map(|body| base64(body)),
                signature: base64(kept.signature),
            };
            let exchange = record.exchange.clone().unwrap_or_default();
            // Safe because: a struct of strings always serialises.
            let plain = serde_json::to_vec(&message).unwrap_or_default();
            // Without this year's key there is nothing to seal with: the record stands alone.
            if let Ok(sealed) = self.vault.seal(record.time.year(), exchange.as_bytes(), &plain) {
                record.evidence = Some(Sha256::of(&sealed));
                attachment = sealed.into();
            }
        }
        self.log.submit(Entry { leaf: record.to_leaf().into(), attachment })
    }

    /// The evidence beside a record; `None` when there is none or its key has been destroyed.
    pub(crate) fn open_evidence(&self, record: &Record, sealed: &[u8]) -> Option<SignedMessage> {
        let exchange = record.exchange.as_deref().unwrap_or_default();
        let plain = self.vault.open_sealed(record.time.year(), exchange.as_bytes(), sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// Records an act of the hub or its operator. Not awaited: the log says loudly when it fails.
    pub(crate) fn act(&self, what: &str) -> PendingReceipt {
        self.submit(Record::new(Kind::Act, Side::Hub, self.clock.now(), what), None)
    }
}

/// `Koprik-Receipt`: which log, which place, which exchange.
pub(crate) fn receipt_value(receipt: &LogReceipt, exchange: &str) -> String {
    format!("log=\"{}\"; index={}; exchange=\"{exchange}\"", receipt.origin(), receipt.index())
}

/// What a record is found by. The log's own leaves are canonical, so the rest is not read.
#[derive(Deserialize)]
struct Found {
    client: Option<String>,
    exchange: Option<String>,
    message: Option<String>,
    outcome: String,
    purpose: Option<String>,
    service: Option<String>,
    #[serde(default)]
    subjects: Vec<String>,
    time: UnixMillis,
}

/// The index keys of a record, for live indexing and for rebuilds.
pub(crate) fn index_keys(leaf: &[u8]) -> IndexKeys {
    let Ok(record) = serde_json::from_slice::<Found>(leaf) else { return IndexKeys::default() };
    let single = [
        (IndexKind::Exchange, record.exchange),
        (IndexKind::Request, record.message),
        (IndexKind::Client, record.client),
        (IndexKind::Service, record.service),
        (IndexKind::Purpose, record.purpose),
        (IndexKind::Outcome, Some(record.outcome)),
    ];
    let single = single.into_iter().filter_map(|(kind, value)| Some(IndexKey::new(kind, value?)));
    let subjects = record.subjects.into_iter();
    let subjects = subjects.map(|subject| IndexKey::new(IndexKind::Subject, subject));
    IndexKeys { time: record.time, keys: single.chain(subjects).collect() }
}
