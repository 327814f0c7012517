//! The journal of a hub: records into the message log, evidence sealed beside them, people as pseudonyms.

use std::borrow::Cow;

use bytes::Bytes;
use hub_core::signature::Base;
use hub_core::signature::kept::{self, Context, Signed};
use hub_messagelog::vault::{Class, Vault, VaultError};
use hub_messagelog::{Entry, IndexKeys, IndexKind, LogReceipt, MessageLog, PendingReceipt};
use schemas::clock::{Clock, UnixMillis};
use schemas::digest::{Pseudonym, Sha256};
use schemas::encoding::{base64, from_base64};
use schemas::evidence::SignedMessage;
use schemas::limits::SUBJECTS_MAX_COUNT;
use schemas::record::{self, Kind, Record, Side};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::retention::Retention;

/// The message log with the keys that seal evidence and make pseudonyms.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) log: MessageLog,
    pub(crate) vault: Vault,
    pub(crate) retention: Retention,
    /// Held while a key is destroyed, with the records before and after.
    pub(crate) erasing: Mutex<()>,
    clock: Clock,
    keep_bodies_bytes: usize,
}

/// A message to keep as evidence, and the request where it is an answer. What is sealed: a byte that says whether the
/// body follows, the message ([`kept`]), the body.
pub(crate) struct Kept<'a> {
    pub(crate) message: Signed<'a>,
    pub(crate) request: Option<Signed<'a>>,
    pub(crate) body: Option<&'a Bytes>,
}

impl Journal {
    pub(crate) fn new(
        log: MessageLog,
        vault: Vault,
        retention: Retention,
        clock: Clock,
        keep_bodies_bytes: usize,
    ) -> Self {
        Self { log, vault, retention, erasing: Mutex::new(()), clock, keep_bodies_bytes }
    }

    /// The pseudonym of a person or text this year; `None` when the year's key has been destroyed.
    pub(crate) fn pseudonym(&self, at: UnixMillis, text: &str) -> Option<Pseudonym> {
        self.vault.pseudonym(at.year(), text).ok()
    }

    /// The pseudonym of `X-Road-Id`; `None` when the consumer's hub made it from the exchange's id, which
    /// the record has anyway.
    pub(crate) fn message(&self, at: UnixMillis, id: &str, exchange: &str) -> Option<Pseudonym> {
        if made_from(id) == Some(exchange) { None } else { self.pseudonym(at, id) }
    }

    /// The pseudonyms of the people of a call, at most [`SUBJECTS_MAX_COUNT`].
    pub(crate) fn pseudonyms(&self, at: UnixMillis, subjects: &[String]) -> Vec<Pseudonym> {
        let subjects = subjects.iter().take(SUBJECTS_MAX_COUNT);
        subjects.filter_map(|subject| self.pseudonym(at, subject)).collect()
    }

    /// Submits a record with its evidence; it is durable when the receipt resolves.
    ///
    /// The record's commitments to message and evidence are filled in here. What an answer's record leaves to its
    /// request's is not logged.
    pub(crate) fn submit(&self, record: &mut Record, kept: Option<Kept<'_>>) -> PendingReceipt {
        self.log.submit(self.entry(record, kept))
    }

    /// Submits a record that becomes durable with the next one; see [`MessageLog::submit_soon`].
    pub(crate) fn submit_soon(
        &self,
        record: &mut Record,
        kept: Option<Kept<'_>>,
    ) -> PendingReceipt {
        self.log.submit_soon(self.entry(record, kept))
    }

    fn entry(&self, record: &mut Record, kept: Option<Kept<'_>>) -> Entry {
        let mut attachment = Bytes::new();
        if let Some(kept) = kept {
            let Signed { base, signature } = kept.message;
            record.signed = Some(record::signed(base.leaf(), signature));
            let body = kept.body.filter(|body| body.len() <= self.keep_bodies_bytes);
            let exchange = record.exchange.as_deref().unwrap_or_default().as_bytes();
            let message = kept::write(kept.message, &Context::new(record, kept.request));
            let has_body = [u8::from(body.is_some())];
            let plain: [&[u8]; 3] = [&has_body, &message, body.map_or(&[], |body| body)];
            let class = self.retention.class_of(record.service.as_deref());
            // Without this year's key there is nothing to seal with: the record stands alone.
            if let Ok(sealed) = self.vault.seal(class, record.time.year(), exchange, &plain) {
                record.class = (!class.is_usual()).then(|| class.to_string());
                record.evidence = Some(Sha256::of(&sealed));
                attachment = sealed.into();
            }
        }
        // The caller keeps the whole record: should the log refuse it, the refusal's says all.
        let leaf = match record.kind {
            Kind::Answer => record.leaving_to_request().to_leaf(),
            _ => record.to_leaf(),
        };
        Entry { leaf: leaf.into(), attachment }
    }

    /// The evidence beside a record; an answer's needs that of its request.
    ///
    /// # Errors
    /// It was never kept, has been erased, does not open, or is not of this record and request.
    pub(crate) fn open_evidence(
        &self,
        record: &Record,
        sealed: &[u8],
        request: Option<(&Record, &SignedMessage)>,
    ) -> Result<SignedMessage, Absent> {
        if record.evidence.is_none() {
            return Err(Absent::NeverKept);
        }
        let class = record.class.as_deref().map_or(Ok(Class::default()), str::parse);
        let class = class.map_err(|_| Absent::Unreadable)?;
        let exchange = record.exchange.as_deref().unwrap_or_default().as_bytes();
        let plain = self.vault.open_sealed(&class, record.time.year(), exchange, sealed)?;
        read_evidence(&plain, record, request).ok_or(Absent::Unreadable)
    }

    /// Records an act of the hub or its operator. Not awaited: the log says loudly when it fails.
    pub(crate) fn act(&self, what: &str) -> PendingReceipt {
        self.submit(&mut Record::new(Kind::Act, Side::Hub, self.clock.now(), what), None)
    }
}

/// The exchange's id in an `X-Road-Id` of the form that a hub makes, `INSTANCE-EXCHANGE`.
pub(crate) fn made_from(id: &str) -> Option<&str> {
    const UUID_BYTES: usize = 36;
    let (instance, exchange) = id.split_at_checked(id.len().checked_sub(UUID_BYTES)?)?;
    instance.ends_with('-').then_some(exchange)
}

/// Why there is no evidence beside a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Absent {
    /// None was kept.
    #[error(
        "own hub: no evidence of this exchange was kept: its message had no valid signature, or the year's key could not be made; its record can be proved with `koprik log prove --config FILE --index N --tlog-proof FILE`"
    )]
    NeverKept,
    /// It is not what was sealed.
    #[error(
        "own hub: the evidence of this exchange cannot be read; run `koprik log check` on a copy"
    )]
    Unreadable,
    /// Its key was destroyed, or does not open it.
    #[error("{0}")]
    Vault(#[from] VaultError),
}

impl Absent {
    /// Whether its key was destroyed.
    pub(crate) fn is_erased(&self) -> bool {
        matches!(self, Self::Vault(VaultError::Erased { .. }))
    }
}

/// Reads evidence back; `None` when it is not what [`Journal::submit`] sealed beside this record.
fn read_evidence(
    plain: &[u8],
    record: &Record,
    request: Option<(&Record, &SignedMessage)>,
) -> Option<SignedMessage> {
    let (has_body, kept) = plain.split_first()?;
    let (base, signature, body) = match request {
        None => kept::read(kept, &Context::new(record, None))?,
        Some((asked, request)) => {
            let signature = from_base64(&request.signature)?;
            let base = Base::new(request.base.clone());
            let request = Signed { base: &base, signature: &signature };
            kept::read(kept, &Context::new(&record.completed_by(asked)?, Some(request)))?
        }
    };
    // The base is made of several pieces: the record tells whether it is the one that was signed.
    if record.signed != Some(record::signed(base.leaf(), signature)) {
        return None;
    }
    let body = (*has_body == 1).then(|| base64(body));
    Some(SignedMessage { base: base.to_string(), body, signature: base64(signature) })
}

/// `Koprik-Receipt`: which log, which place, which exchange.
pub(crate) fn receipt_value(receipt: &LogReceipt, exchange: &str) -> String {
    format!("log=\"{}\"; index={}; exchange=\"{exchange}\"", receipt.origin(), receipt.index())
}

/// What a record is found by. The log's own leaves are canonical, so the rest is not read, and texts without
/// escapes stay where they are.
#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    client: Option<Text<'a>>,
    #[serde(borrow)]
    exchange: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    outcome: Text<'a>,
    #[serde(borrow)]
    purpose: Option<Text<'a>>,
    #[serde(borrow)]
    service: Option<Text<'a>>,
    #[serde(borrow, default)]
    subjects: Vec<Text<'a>>,
    time: UnixMillis,
}

/// serde borrows a `Cow` only where it is the field itself.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The index keys of a record, for live indexing and for rebuilds. Public for the bench of the log.
#[must_use]
pub fn index_keys(leaf: &[u8]) -> IndexKeys {
    let Ok(record) = serde_json::from_slice::<Found<'_>>(leaf) else { return IndexKeys::default() };
    let single = [
        (IndexKind::Exchange, &record.exchange),
        (IndexKind::Request, &record.message),
        (IndexKind::Client, &record.client),
        (IndexKind::Service, &record.service),
        (IndexKind::Purpose, &record.purpose),
        (IndexKind::Outcome, &Some(record.outcome)),
    ];
    let mut keys = IndexKeys::at(record.time);
    for (kind, text) in single {
        if let Some(Text(text)) = text {
            keys.add(kind, text);
        }
    }
    for Text(subject) in &record.subjects {
        keys.add(IndexKind::Subject, subject);
    }
    keys
}

#[cfg(test)]
pub(crate) mod tests;
