//! One record of the message log: what the log's tree commits to.
//!
//! Canonical JSON (RFC 8785), under 64 KiB, without personal data: people are keyed pseudonyms,
//! the path is the endpoint's template. The fields are declared in the order of their names and
//! hold only integers, strings and lists, so that plain serialisation is already canonical; a
//! test holds that. The evidence beside a record (signature bases, bodies) is sealed and can be
//! erased; the record stays.

mod plain;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::digest::{Pseudonym, Sha256};
use crate::problem::ProblemCode;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A request that was signed (consumer) or accepted (provider).
    Request,
    /// An answer that was signed (provider) or verified (consumer).
    Answer,
    /// A refusal, with its reason in `outcome`.
    Refusal,
    /// An act of an officer or administrator, or of the server itself (start, configuration).
    Act,
}

/// On which side of an exchange the recording hub stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The caller's hub.
    Consumer,
    /// The service's hub.
    Provider,
    /// No exchange: an act.
    Hub,
}

/// One record. Absent fields are left out of the JSON; an answer's record leaves to its request's what that
/// one says of the call ([`Record::leaving_to_request`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// SHA-256 of the message's body; left out for an empty one ([`Record::body_digest`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Sha256>,
    /// Bytes in the message's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// The retention class whose key seals the evidence; absent for the class `exchange`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The consumer, `INSTANCE/CLASS/MEMBER/SUBSYSTEM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Version of the global configuration in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<u64>,
    /// Microseconds from the arrival of the request at this hub to this record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Method and path template, `GET /persons/{pinfl}/income`; never the path itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// SHA-256 of the sealed evidence beside the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Sha256>,
    /// The exchange: `X-Road-Request-Id`, a UUID made by the consumer's hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
    /// The grant that permitted the exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// What the record is about.
    pub kind: Kind,
    /// The legal basis that the grant rests on for the purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<String>,
    /// Pseudonym of `X-Road-Id`, which the caller chose and which may say anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Pseudonym>,
    /// `ok`, a problem code, or the name of the act.
    pub outcome: String,
    /// The security server on the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The purpose's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The service asked, `INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// On which side this hub stood.
    pub side: Side,
    /// The message as it was signed: [`signed`] of its signature base and its signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<Sha256>,
    /// HTTP status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The people asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Pseudonym>,
    /// When the record was made.
    pub time: UnixMillis,
    /// Pseudonym of `X-Road-UserId`; the identity itself stands in the sealed evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Pseudonym>,
    /// Version of the record's form: 1.
    pub version: u32,
}

impl Record {
    /// A record with the fields that every record has.
    #[must_use]
    pub fn new(kind: Kind, side: Side, time: UnixMillis, outcome: impl Into<String>) -> Self {
        Self {
            body: None,
            body_bytes: None,
            class: None,
            client: None,
            configuration: None,
            duration_us: None,
            endpoint: None,
            evidence: None,
            exchange: None,
            grant: None,
            kind,
            legal_basis: None,
            message: None,
            outcome: outcome.into(),
            peer: None,
            purpose: None,
            service: None,
            side,
            signed: None,
            status: None,
            subjects: Vec::new(),
            time,
            user: None,
            version: 1,
        }
    }

    /// Makes it the exchange's next record: what was said of the last message is cleared.
    pub fn turn_into(&mut self, kind: Kind, time: UnixMillis) {
        (self.kind, self.time) = (kind, time);
        (self.signed, self.evidence, self.class) = (None, None, None);
        (self.body, self.body_bytes) = (None, None);
        (self.duration_us, self.status) = (None, None);
    }

    /// Sets what the record says of the body.
    pub fn set_body(&mut self, digest: &Sha256, bytes: u64) {
        self.body = (bytes > 0).then_some(*digest);
        self.body_bytes = Some(bytes);
    }

    /// SHA-256 of the body; `None` where the record says nothing of it.
    #[must_use]
    pub fn body_digest(&self) -> Option<Sha256> {
        self.body.or_else(|| (self.body_bytes == Some(0)).then(|| Sha256::of(b"")))
    }

    /// An answer's record as it is logged: without what it leaves to its request's, which is what the call was,
    /// as far as this side knew it when the request was recorded.
    #[must_use]
    pub fn leaving_to_request(&self) -> Self {
        let mut left = self.clone();
        (left.message, left.user) = (None, None);
        // The consumer's hub hears of the decision with the answer only.
        if left.side == Side::Provider {
            (left.endpoint, left.grant, left.legal_basis) = (None, None, None);
            (left.peer, left.purpose) = (None, None);
            left.subjects.clear();
        }
        left
    }

    /// Whether it is of an answer to this request. Of several such requests in a log, as a peer could bring about that
    /// uses an id again, an answer's is the nearest before it.
    #[must_use]
    pub fn answers(&self, request: &Self) -> bool {
        self.kind == Kind::Answer && request.kind == Kind::Request && self.is_same_call(request)
    }

    /// Whether it ended the exchange of this request, as its answer or its refusal.
    #[must_use]
    pub fn ends(&self, request: &Self) -> bool {
        let refuses = self.kind == Kind::Refusal && !self.is_replay();
        let same_message = self.signed.is_some() && self.signed == request.signed;
        let of_request = request.kind == Kind::Request && self.side == request.side;
        self.answers(request) || (refuses && same_message && of_request)
    }

    /// Whether the provider's hub refused a message that it had already seen; that ends no exchange.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        let refused = self.kind == Kind::Refusal && self.side == Side::Provider;
        refused && self.outcome == ProblemCode::Replayed.as_str()
    }

    /// Whether both are of one side, exchange, client and service.
    #[must_use]
    pub fn is_same_call(&self, other: &Self) -> bool {
        self.call() == other.call()
    }

    fn call(&self) -> (Side, [Option<&str>; 3]) {
        (self.side, [&self.exchange, &self.client, &self.service].map(Option::as_deref))
    }

    /// An answer's record with what it leaves to `request`, the record of its request in the same log; `None` when
    /// that is another's.
    #[must_use]
    pub fn completed_by(&self, request: &Self) -> Option<Self> {
        if !self.answers(request) {
            return None;
        }
        let (mut whole, asked) = (self.clone(), request.clone());
        whole.endpoint = whole.endpoint.or(asked.endpoint);
        whole.grant = whole.grant.or(asked.grant);
        whole.legal_basis = whole.legal_basis.or(asked.legal_basis);
        whole.message = whole.message.or(asked.message);
        whole.peer = whole.peer.or(asked.peer);
        whole.purpose = whole.purpose.or(asked.purpose);
        whole.user = whole.user.or(asked.user);
        if whole.subjects.is_empty() {
            whole.subjects = asked.subjects;
        }
        Some(whole)
    }

    /// The canonical JSON that becomes the leaf.
    #[must_use]
    pub fn to_leaf(&self) -> Vec<u8> {
        // Safe because: a struct of integers, strings and lists always serialises.
        let mut leaf = Vec::with_capacity(1024);
        serde_json::to_writer(&mut leaf, self).map(|()| leaf).unwrap_or_default()
    }

    /// Reads a leaf; refuses any other spelling of the same record.
    ///
    /// # Errors
    /// When the bytes are not a record of version 1 in canonical form.
    pub fn from_leaf(leaf: &[u8]) -> Result<Self, NotARecord> {
        let record: Self = serde_json::from_slice(leaf).map_err(|_| NotARecord)?;
        if record.version != 1 || record.to_leaf() != leaf {
            return Err(NotARecord);
        }
        Ok(record)
    }

    /// The evidence that a leaf commits to. A quarter of the cost of [`Record::from_leaf`], for the check of
    /// a whole log.
    ///
    /// # Errors
    /// Those of [`Record::from_leaf`].
    pub fn evidence_of(leaf: &[u8]) -> Result<Option<Sha256>, NotARecord> {
        match plain::evidence(leaf) {
            Some(evidence) => Ok(evidence),
            None => Self::from_leaf(leaf).map(|record| record.evidence),
        }
    }
}

/// What a record says of a signed message: SHA-256 over the Merkle leaf hash of its signature base (SHA-256 of
/// 0x00 and the base, as a batch signature has it) and the signature's bytes.
#[must_use]
pub fn signed(leaf: Sha256, signature: &[u8]) -> Sha256 {
    Sha256::of_parts(&[leaf.as_bytes(), signature])
}

/// The bytes are not a record of version 1 in canonical JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record of version 1 in canonical JSON")]
pub struct NotARecord;

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn full() -> Record {
        let mut record =
            Record::new(Kind::Answer, Side::Provider, UnixMillis(1_772_446_500_250), "ok");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[1; 32]);
        record.body = Some(Sha256::of(b"body"));
        record.body_bytes = Some(4);
        record.class = Some("payment".into());
        record.client = Some("UZ/GOV/NASP/register".into());
        record.configuration = Some(7);
        record.duration_us = Some(900);
        record.endpoint = Some("GET /persons/{pinfl}".into());
        record.evidence = Some(Sha256::of(b"sealed"));
        record.exchange = Some("1bd6".into());
        record.grant = Some("tax-1".into());
        record.legal_basis = Some("CM res. 35 \u{7f}\u{1}\"quoted\"\\\n§".into());
        record.message = Some(Pseudonym::of("m", &key));
        record.peer = Some("UZ/GOV/NASP/hub-1".into());
        record.purpose = Some("assessment".into());
        record.service = Some("UZ/GOV/TAX/tax/tax".into());
        record.signed = Some(signed(crate::tlog::merkle::leaf_hash(b"base"), b"signature"));
        record.status = Some(200);
        record.subjects = vec![Pseudonym::of("s", &key)];
        record.user = Some(Pseudonym::of("u", &key));
        record
    }

    #[test]
    fn plain_serialisation_is_already_canonical() {
        let record = full();
        assert_eq!(record.to_leaf(), serde_json_canonicalizer::to_vec(&record).unwrap());
    }

    #[test]
    fn an_answers_record_leaves_out_what_its_requests_says_and_no_more() {
        for side in [Side::Consumer, Side::Provider] {
            let whole = Record { side, ..full() };
            let request = Record { kind: Kind::Request, ..whole.clone() };
            let answer = whole.leaving_to_request();
            assert!(answer.to_leaf().len() < whole.to_leaf().len());
            assert_eq!(answer.completed_by(&request), Some(whole.clone()));
            let unlike = Record { purpose: Some("another".into()), ..request };
            assert_eq!(whole.completed_by(&unlike), Some(whole), "what it says itself counts");
            assert_eq!(answer.subjects.is_empty(), side == Side::Provider);
            assert!(answer.client.is_some() && answer.service.is_some(), "who asked whom");
        }
    }

    #[test]
    fn another_calls_request_completes_no_answer() {
        let answer = full();
        let request = Record { kind: Kind::Request, ..full() };
        let others = [
            full(),
            Record { side: Side::Consumer, ..request.clone() },
            Record { exchange: None, ..request.clone() },
            Record { client: Some("UZ/GOV/NASP/other".into()), ..request.clone() },
            Record { service: None, ..request.clone() },
        ];
        assert!(answer.answers(&request));
        assert_eq!(others.map(|other| answer.completed_by(&other)), [const { None }; 5]);
        assert!(!request.answers(&request), "a request is no answer");
    }

    /// The vectors of `hub/docs/log.md`, over the messages of `hub/docs/batch-signatures.md`.
    #[test]
    fn what_a_record_says_of_a_message_is_what_the_document_says() {
        let (signatures, document) = (
            include_str!("../../hub/docs/batch-signatures.md"),
            include_str!("../../hub/docs/log.md"),
        );
        let mut rows = 0;
        for row in signatures.lines().filter(|line| line.starts_with("| `\"@method\": GET")) {
            let cells: Vec<&str> = row.split('`').collect();
            let leaf = crate::tlog::merkle::leaf_hash(cells[1].as_bytes());
            let signed = signed(leaf, &crate::encoding::from_hex(cells[3]).unwrap());
            assert!(document.contains(&format!("| `{}` | `{signed}` |", cells[1])), "{signed}");
            rows += 1;
        }
        assert_eq!(rows, 3);
    }

    #[test]
    fn an_empty_bodys_hash_is_left_out_and_known() {
        let mut record = full();
        record.set_body(&Sha256::of(b""), 0);
        assert_eq!((record.body, record.body_digest()), (None, Some(Sha256::of(b""))));
        record.set_body(&Sha256::of(b"{}"), 2);
        assert_eq!(record.body_digest(), Some(Sha256::of(b"{}")));
        (record.body, record.body_bytes) = (None, None);
        assert_eq!(record.body_digest(), None, "nothing was said");
    }

    #[test]
    fn leaf_round_trips_and_any_other_spelling_is_refused() {
        let leaf = full().to_leaf();
        assert_eq!(Record::from_leaf(&leaf), Ok(full()));
        let spaced = String::from_utf8(leaf).unwrap().replace(",\"kind\"", ", \"kind\"");
        assert_eq!(Record::from_leaf(spaced.as_bytes()), Err(NotARecord));
        assert_eq!(Record::evidence_of(&full().to_leaf()), Ok(full().evidence));
        assert_eq!(Record::evidence_of(spaced.as_bytes()), Err(NotARecord));
    }
}
