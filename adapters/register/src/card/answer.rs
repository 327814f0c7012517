//! The signed answer about a card: a JSON Web Signature in its compact form (RFC 7515 §3.1) with
//! Ed25519 (RFC 8037 §3.1), as long for a yes as for a no.
//!
//! It says which card, which question, yes or no, for whom, until when, and repeats the asker's
//! nonce. Its header is one fixed text for a key, so that no other algorithm can be put in.

use ring::signature::{ED25519, UnparsedPublicKey};
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::encoding::{base64url, from_base64url};
use schemas::identifier::ClientId;
use schemas::limits::{CARD_ANSWER_LIFETIME, CLOCK_SKEW};
use serde::{Deserialize, Serialize};

use super::{Pseudonym, Question};
use crate::redact::redact;

/// Bytes of an asker's nonce.
const NONCE_BYTES: usize = 16;

/// The asker's nonce: 16 bytes as 22 characters of base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

/// The text is not a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the nonce is 16 random bytes as 22 characters of base64url; make a new one")]
pub struct NotANonce;

impl TryFrom<String> for Nonce {
    type Error = NotANonce;

    fn try_from(text: String) -> Result<Self, NotANonce> {
        let good = from_base64url(&text).is_some_and(|bytes| bytes.len() == NONCE_BYTES);
        if good { Ok(Self(text)) } else { Err(NotANonce) }
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        nonce.0
    }
}

/// What an asker asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusRequest {
    /// The card's pseudonym.
    pub card: Pseudonym,
    /// The question.
    pub question: Question,
    /// The asker's nonce.
    pub nonce: Nonce,
}
redact!(StatusRequest);

/// What is signed. `entitled` is a digit, so that yes and no have one length.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: ClientId,
    aud: ClientId,
    card: Pseudonym,
    question: Question,
    entitled: u8,
    iat: u64,
    exp: u64,
    nonce: Nonce,
}

/// Who answers whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The register's subsystem.
    pub issuer: ClientId,
    /// The asker's subsystem.
    pub audience: ClientId,
}

/// An answer that awaits its signature.
pub struct Unsigned(String);

/// The answer could not be written; a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("register: the answer about a card cannot be written as JSON; report this as a defect")]
pub struct NotWritten(#[source] serde_json::Error);

impl Unsigned {
    /// The answer `entitled` to `request`, good from `now` on for [`CARD_ANSWER_LIFETIME`].
    ///
    /// # Errors
    /// [`NotWritten`] never in practice.
    pub fn new(
        request: &StatusRequest,
        entitled: bool,
        parties: &Parties,
        public_key: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Self, NotWritten> {
        let claims = Claims {
            iss: parties.issuer.clone(),
            aud: parties.audience.clone(),
            card: request.card,
            question: request.question,
            entitled: u8::from(entitled),
            iat: now.seconds(),
            exp: now.plus(CARD_ANSWER_LIFETIME).seconds(),
            nonce: request.nonce.clone(),
        };
        let claims = serde_json::to_vec(&claims).map_err(NotWritten)?;
        Ok(Self(format!("{}.{}", header(public_key), base64url(&claims))))
    }

    /// What is signed (RFC 7515 §5.1).
    #[must_use]
    pub fn signing_input(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The signed answer.
    #[must_use]
    pub fn signed(self, signature: &[u8]) -> String {
        format!("{}.{}", self.0, base64url(signature))
    }
}

/// The key's identifier: SHA-256 of the 32 bytes, as base64url.
#[must_use]
pub fn key_id(public_key: &[u8; 32]) -> String {
    base64url(Sha256::of(public_key).as_bytes())
}

fn header(public_key: &[u8; 32]) -> String {
    let kid = key_id(public_key);
    let json = format!("{{\"alg\":\"EdDSA\",\"kid\":\"{kid}\",\"typ\":\"koprik-card+jwt\"}}");
    base64url(json.as_bytes())
}

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// Not three parts, another header, or another key.
    #[error("the answer is not one of the register's under this key; fetch the register's key")]
    Form,
    /// The signature is wrong.
    #[error("the signature of the answer is wrong; do not use it and ask again")]
    Signature,
    /// It answers another question.
    #[error("the answer is about another card, question or asker; ask again with a new nonce")]
    Other,
    /// It has expired or is not valid yet.
    #[error("the answer is not valid now; check the clock and ask again")]
    Time,
}

/// Reads the answer to one's own `request`: whether the holder is entitled, or why it is not
/// believed. For shops, pharmacies and buses; needs the register's 32-byte key and a clock.
///
/// # Errors
/// [`Unbelievable`]; such an answer is neither a yes nor a no.
pub fn verify(
    answer: &str,
    public_key: &[u8; 32],
    request: &StatusRequest,
    parties: &Parties,
    now: UnixMillis,
) -> Result<bool, Unbelievable> {
    let (signed, signature) = answer.rsplit_once('.').ok_or(Unbelievable::Form)?;
    let (head, claims) = signed.split_once('.').ok_or(Unbelievable::Form)?;
    if head != header(public_key) {
        return Err(Unbelievable::Form);
    }
    let signature = from_base64url(signature).ok_or(Unbelievable::Form)?;
    let key = UnparsedPublicKey::new(&ED25519, public_key);
    key.verify(signed.as_bytes(), &signature).map_err(|_| Unbelievable::Signature)?;
    let claims = from_base64url(claims).ok_or(Unbelievable::Form)?;
    let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Unbelievable::Form)?;
    let asked = (&claims.card, claims.question, &claims.nonce);
    let between = (&claims.iss, &claims.aud);
    if asked != (&request.card, request.question, &request.nonce)
        || between != (&parties.issuer, &parties.audience)
    {
        return Err(Unbelievable::Other);
    }
    let issued = UnixMillis::from_seconds(claims.iat);
    let expires = UnixMillis::from_seconds(claims.exp);
    let short = expires.since(issued) <= CARD_ANSWER_LIFETIME;
    if !short || issued > now.plus(CLOCK_SKEW) || expires <= now {
        return Err(Unbelievable::Time);
    }
    match claims.entitled {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Unbelievable::Form),
    }
}
