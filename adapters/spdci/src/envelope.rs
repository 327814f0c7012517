//! The envelope `{signature, header, message}`: reading and checking what comes, writing what goes.

use pki::signer::SigningKey;
use schemas::clock::UnixMillis;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::codes::{ErrorCode, Reason, Refusal};
use crate::limits::{MESSAGE_AGE_MAX, NAME_MAX_CHARS, SKEW};
use crate::moment::moment;
use crate::partner::Partner;
use crate::signature::{self, Signer};

/// The version that is spoken.
pub const VERSION: &str = "1.0.0";

#[derive(Deserialize)]
struct Envelope {
    signature: Option<String>,
    header: Json,
    message: Json,
}

/// The header of a request or a callback, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Header {
    /// Version; 1.0.0 when left out.
    pub version: Option<String>,
    /// Unique for the sender.
    pub message_id: String,
    /// When it was sent.
    pub message_ts: String,
    /// What is asked.
    pub action: String,
    /// Who sends.
    pub sender_id: Option<String>,
    /// Where callbacks go.
    pub sender_uri: Option<String>,
    /// For whom it is.
    pub receiver_id: Option<String>,
    /// Requests in the message.
    pub total_count: Option<u64>,
    /// Whether the message is encrypted.
    #[serde(default)]
    pub is_msg_encrypted: bool,
}

/// A message that came from a partner, checked but for its content.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its header.
    pub header: Header,
    /// Its content.
    pub message: Json,
    /// Header and message as one object, which its signature covers.
    pub signed: Json,
}

/// What a message is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The partner whose token came with it.
    pub partner: &'a Partner,
    /// The id of this registry.
    pub receiver: &'a str,
    /// The action of the path.
    pub action: &'a str,
    /// Whether it is a callback: then sender and count may be left out.
    pub callback: bool,
}

impl Expected<'_> {
    /// Reads a body and checks signature and header.
    ///
    /// # Errors
    /// [`Refusal`] for the first thing that does not hold.
    pub fn read(&self, body: &[u8], now: UnixMillis) -> Result<Received, Refusal> {
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| {
            Refusal::bad("sender: the body is not {signature, header, message}; correct it")
        })?;
        let header: Header = Deserialize::deserialize(&envelope.header).map_err(|_| {
            let text = "sender: the header lacks a required field or has one of a wrong type; \
                        send message_id, message_ts, action, sender_id, total_count";
            Refusal::bad(text)
        })?;
        let signed = signature::signed(&envelope.header, &envelope.message);
        self.check_sender(&header)?;
        self.check_signature(envelope.signature.as_deref(), &signed, now)?;
        self.check(&header, now)?;
        if header.is_msg_encrypted || envelope.message.get("ciphertext").is_some() {
            let text =
                "sender: encrypted messages are not read here; send the message plain over TLS";
            return Err(Refusal::new(ErrorCode::Encryption, text));
        }
        Ok(Received { header, message: envelope.message, signed })
    }

    fn check_sender(&self, header: &Header) -> Result<(), Refusal> {
        let sender = match &header.sender_id {
            None if self.callback => true,
            sender => sender.as_deref() == Some(self.partner.id.as_str()),
        };
        let text = "sender: sender_id is not the partner whose token came; send your own id";
        if sender { Ok(()) } else { Err(Refusal::new(ErrorCode::SenderId, text)) }
    }

    fn check_signature(
        &self,
        signature: Option<&str>,
        signed: &Json,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let signer = Signer { id: &self.partner.id, keys: &self.partner.keys };
        match signature.filter(|text| !text.is_empty()) {
            _ if self.partner.unsigned && self.partner.keys.is_empty() => {
                tracing::warn!(
                    partner = self.partner.id,
                    "unsigned message of a test sender taken"
                );
                Ok(())
            }
            Some(text) => signature::verify(text, signed, signer, now),
            None => {
                let text = "sender: the message has no signature; sign it with a registered key";
                Err(Refusal::new(ErrorCode::SignatureMissing, text))
            }
        }
    }

    fn check(&self, header: &Header, now: UnixMillis) -> Result<(), Refusal> {
        if header.version.as_deref().is_some_and(|version| version != VERSION) {
            let text = "sender: this registry speaks version 1.0.0; send that";
            return Err(Refusal::new(ErrorCode::Version, text));
        }
        if !(1..=NAME_MAX_CHARS).contains(&header.message_id.chars().count()) {
            return Err(Refusal::bad("sender: message_id has 1 to 255 characters; correct it"));
        }
        let sent = moment(&header.message_ts).ok_or_else(|| {
            let text = "sender: message_ts is not RFC 3339 with zone; correct it";
            Refusal::reason(Reason::MessageTs, text)
        })?;
        if sent > now.plus(SKEW) || sent.plus(MESSAGE_AGE_MAX) < now {
            let text = "sender: message_ts lies in the future or is older than a day; check the \
                        clock and send anew";
            return Err(Refusal::reason(Reason::MessageTs, text));
        }
        if header.action != self.action {
            let text = "sender: the action does not belong to this path; correct one of them";
            return Err(Refusal::reason(Reason::Action, text));
        }
        if header.receiver_id.as_deref().is_some_and(|receiver| receiver != self.receiver) {
            let text = "sender: receiver_id is not this registry; correct it or the address";
            return Err(Refusal::new(ErrorCode::ReceiverId, text));
        }
        if !self.callback && header.total_count.is_none_or(|count| count == 0) {
            let text = "sender: total_count is missing or 0; send the number of requests";
            return Err(Refusal::reason(Reason::TotalCount, text));
        }
        Ok(())
    }
}

/// The status of a message or of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// Received.
    #[serde(rename = "rcvd")]
    Received,
    /// Under way.
    #[serde(rename = "pdng")]
    Pending,
    /// Done.
    #[serde(rename = "succ")]
    Succeeded,
    /// Rejected.
    #[serde(rename = "rjct")]
    Rejected,
}

/// An answer or notice before it is signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing<'a> {
    /// The action, such as `on-search`.
    pub action: &'a str,
    /// The id of this registry.
    pub sender: &'a str,
    /// The status of the whole.
    pub status: Status,
    /// Requests in the message.
    pub count: usize,
    /// The content.
    pub message: &'a Json,
}

impl Outgoing<'_> {
    /// The header for a partner, with a new message id.
    #[must_use]
    pub fn header(&self, partner: &Partner, now: UnixMillis) -> Json {
        json!({
            "version": VERSION, "message_id": Uuid::new_v4().to_string(),
            "message_ts": now.to_rfc3339(), "action": self.action, "status": self.status,
            "total_count": self.count, "completed_count": self.count,
            "sender_id": self.sender, "receiver_id": partner.id, "is_msg_encrypted": false,
        })
    }

    /// The whole envelope, signed in the partner's form; `None` when the key cannot sign.
    #[must_use]
    pub fn seal(&self, key: &SigningKey, partner: &Partner, now: UnixMillis) -> Option<Json> {
        let header = self.header(partner, now);
        let signed = signature::signed(&header, self.message);
        let form = partner.signature_form;
        let signature = signature::sign(form, key, self.sender, &signed, now)?;
        Some(json!({"signature": signature, "header": header, "message": self.message}))
    }
}
