//! What one hub says of its exchanges with another member, for a comparison of both sides' logs.
//!
//! Canonical JSON lines (RFC 8785): a [`Header`], a [`Line`] for each record in the log's order, an
//! [`End`]. Exchange ids stand as their SHA-256; bodies as a commitment that includes the id, so that
//! who holds an export cannot try likely bodies. People are not in it, not even as pseudonyms.

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::digest::Sha256;
use crate::identifier::{ClientId, MemberId, ServiceId};
use crate::limits::{CLOCK_SKEW, MESSAGE_LIFETIME, PEER_TIMEOUT};
use crate::record::{Kind, Record, Side};

/// The form of exports that this release writes and reads.
pub const FORM: &str = "koprik-reconcile/1";

/// How far before and after its period an export goes: an exchange that begins within the period
/// has all its records within this time, on both sides.
#[must_use]
pub fn margin() -> std::time::Duration {
    MESSAGE_LIFETIME + PEER_TIMEOUT + CLOCK_SKEW + CLOCK_SKEW
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORM`].
    pub form: String,
    /// First moment of the period, inclusive.
    pub from: UnixMillis,
    /// The log's origin.
    pub log: String,
    /// When the export was made.
    pub made: UnixMillis,
    /// The member whose exchanges these are.
    pub member: MemberId,
    /// The member on the other side.
    pub peer: MemberId,
    /// End of the period, exclusive.
    pub to: UnixMillis,
}

/// The last line: without it the export is cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Lines between header and end.
    pub lines: u64,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// A request was signed (consumer) or accepted (provider).
    Request,
    /// An answer was signed (provider) or verified (consumer).
    Answer,
    /// A refusal.
    Refusal,
    /// The hub started.
    Start,
}

/// One record. Absent fields are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// For a start: the time of the record before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<UnixMillis>,
    /// Commitment to the exchange's id and the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Sha256>,
    /// The member that asked; absent where the sender was not proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<MemberId>,
    /// SHA-256 of the exchange's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Sha256>,
    /// The record's place in its log.
    pub index: u64,
    /// `ok`, or the problem code of a refusal.
    pub outcome: String,
    /// What the line is about.
    pub said: Said,
    /// The service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// On which side the hub stood.
    pub side: Side,
    /// The message as it was signed, as in the record: the request of a request or refusal, the answer of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<Sha256>,
    /// When the record was made, by the hub's clock.
    pub time: UnixMillis,
}

/// Between whom the exchanges of an export were.
#[derive(Clone, Debug)]
pub struct Between {
    /// The member whose hub exports.
    pub member: MemberId,
    /// The member on the other side.
    pub peer: MemberId,
}

impl Line {
    /// The line of a record; `None` when it is not of an exchange between the two, or nothing was sent.
    /// `before` is the time of the record before it in the log.
    #[must_use]
    pub fn of(record: &Record, index: u64, before: UnixMillis, between: &Between) -> Option<Self> {
        let said = match record.kind {
            Kind::Request => Said::Request,
            Kind::Answer => Said::Answer,
            Kind::Refusal => Said::Refusal,
            Kind::Act if record.outcome == "start" => Said::Start,
            Kind::Act => return None,
        };
        let mut line = Self {
            before: (said == Said::Start).then_some(before),
            body: None,
            consumer: None,
            exchange: None,
            index,
            outcome: record.outcome.clone(),
            said,
            service: None,
            side: record.side,
            signed: record.signed,
            time: record.time,
        };
        if said == Said::Start {
            return Some(line);
        }
        line.service = record.service.as_deref().and_then(|service| service.parse().ok());
        let client: Option<ClientId> = record.client.as_deref().and_then(|id| id.parse().ok());
        line.consumer = client.map(|client| client.member());
        let provider = line.service.as_ref().map(|service| service.subsystem().member());
        let (member, peer) = (Some(&between.member), Some(&between.peer));
        let ours = match record.side {
            // A refusal without signature was made before anything was sent.
            Side::Consumer => {
                line.consumer.as_ref() == member
                    && provider.as_ref() == peer
                    && record.signed.is_some()
            }
            Side::Provider => {
                let proven = line.consumer.is_some();
                (provider.as_ref() == member || (provider.is_none() && !proven))
                    && (line.consumer.as_ref() == peer || !proven)
            }
            Side::Hub => false,
        };
        let id = record.exchange.as_deref().filter(|_| ours)?;
        line.exchange = Some(Sha256::of(id.as_bytes()));
        line.body = record.body_digest().map(|body| commitment(id, &body));
        Some(line)
    }
}

/// SHA-256 over a label, the exchange's id and the body's SHA-256.
fn commitment(exchange: &str, body: &Sha256) -> Sha256 {
    let label = b"koprik-reconcile/1 body\n";
    Sha256::of_parts(&[label, exchange.as_bytes(), b"\n", body.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(member: &str, peer: &str) -> Between {
        Between { member: member.parse().unwrap(), peer: peer.parse().unwrap() }
    }

    fn record(side: Side) -> Record {
        let mut record = Record::new(Kind::Request, side, UnixMillis(5), "ok");
        record.exchange = Some("c3d7cf19-97b8-4a52-8ef6-5b7cf3f5d5b9".into());
        record.client = Some("UZ/GOV/NASP/register".into());
        record.service = Some("UZ/GOV/TAX/tax/income".into());
        record.signed = Some(Sha256::of(b"signed"));
        record.body = Some(Sha256::of(b"30101851234567"));
        record
    }

    fn line(record: &Record, between: &Between) -> Option<Line> {
        Line::of(record, 7, UnixMillis(4), between)
    }

    #[test]
    fn both_sides_say_the_same_and_name_nobody() {
        let (consumer, provider) =
            (between("UZ/GOV/NASP", "UZ/GOV/TAX"), between("UZ/GOV/TAX", "UZ/GOV/NASP"));
        let sent = line(&record(Side::Consumer), &consumer).unwrap();
        let received = line(&record(Side::Provider), &provider).unwrap();
        assert_eq!(sent.exchange, received.exchange);
        assert_eq!((sent.body, sent.signed), (received.body, received.signed));
        let text = serde_json::to_string(&sent).unwrap();
        for hidden in ["c3d7cf19", "register", &Sha256::of(b"30101851234567").to_string()] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        assert_eq!(text.as_bytes(), serde_json_canonicalizer::to_vec(&sent).unwrap());
        // The other direction, and other members, are no business of this export.
        assert_eq!(line(&record(Side::Consumer), &provider), None);
        assert_eq!(line(&record(Side::Provider), &between("UZ/GOV/TAX", "UZ/GOV/X")), None);
    }

    #[test]
    fn what_was_never_sent_is_left_out_and_what_nobody_proved_is_kept() {
        let consumer = between("UZ/GOV/NASP", "UZ/GOV/TAX");
        let mut unsent = record(Side::Consumer);
        (unsent.kind, unsent.signed) = (Kind::Refusal, None);
        assert_eq!(line(&unsent, &consumer), None);
        let mut claimed = record(Side::Provider);
        (claimed.kind, claimed.client, claimed.signed) = (Kind::Refusal, None, None);
        let claimed = line(&claimed, &between("UZ/GOV/TAX", "UZ/GOV/NASP")).unwrap();
        assert_eq!(claimed.consumer, None);
    }
}
