//! Message signatures in the two forms that are in the field.
//!
//! The specification says only that header and message are signed. A **header-like** signature is
//! `namespace="spdci", kidId="sender|key|ed25519", algorithm="ed25519", created="N", expires="N",
//! headers="(created) (expires) digest", signature="BASE64"` with Ed25519 over
//! `(created): N\n(expires): N\ndigest: BASE64(SHA-256(canonical {header,message}))`, as OpenSPP signs.
//! A **JWS** is compact with the JSON of `{header,message}` as payload, as OpenCRVS signs. Both are
//! accepted from every partner; each partner is answered in the form it is configured for. Canonical
//! is RFC 8785: keys sorted, no blanks.

use std::collections::BTreeMap;

use pki::signer::SigningKey;
use schemas::clock::UnixMillis;
use schemas::digest::Sha256;
use schemas::encoding::{base64, from_base64};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::codes::{ErrorCode, Refusal};
use crate::jws::{self, Jwk};
use crate::limits::{SIGNATURE_LIFETIME, SKEW};

/// The form of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The header-like text.
    HeaderLike,
    /// Compact JWS.
    #[default]
    Jws,
}

/// The sender of a message and the keys that it signs with.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// The sender's id.
    pub id: &'a str,
    /// Its keys.
    pub keys: &'a [Jwk],
}

/// Checks the signature of a message against the keys of its sender.
///
/// # Errors
/// [`Refusal`] with `err.signature.invalid` when it does not hold or its time is over.
pub fn verify(
    signature: &str,
    signed: &Json,
    signer: Signer<'_>,
    now: UnixMillis,
) -> Result<(), Refusal> {
    let text = signature.trim();
    let text = text.strip_prefix("Signature:").unwrap_or(text).trim();
    if text.contains('=') && text.contains("kidId") {
        return verify_header_like(text, signed, signer, now);
    }
    let payload = jws::verified(text, signer.keys)
        .ok_or_else(|| invalid("no key of the sender verifies it; sign with a registered key"))?;
    let payload: Json = serde_json::from_slice(&payload)
        .map_err(|_| invalid("the payload of the JWS is not JSON; sign {header,message}"))?;
    if payload == *signed {
        return Ok(());
    }
    Err(invalid("the JWS signs another message; sign the {header,message} that is sent"))
}

fn verify_header_like(
    text: &str,
    signed: &Json,
    signer: Signer<'_>,
    now: UnixMillis,
) -> Result<(), Refusal> {
    let fields = fields(text).ok_or_else(|| invalid("it is not a list of name=\"value\""))?;
    let field =
        |name: &str| fields.get(name).copied().ok_or_else(|| invalid("a field of it is missing"));
    if field("algorithm")? != "ed25519" || field("headers")? != "(created) (expires) digest" {
        return Err(invalid("sign with ed25519 over (created) (expires) digest"));
    }
    let mut key_name = field("kidId")?.split('|');
    let (sender, key, algorithm) = (key_name.next(), key_name.next(), key_name.next());
    if sender != Some(signer.id) || algorithm != Some("ed25519") || key_name.next().is_some() {
        return Err(invalid("kidId is sender|key|ed25519 with the sender's own id"));
    }
    let (created, expires) = (field("created")?, field("expires")?);
    check_times(created, expires, now)?;
    let base = base(created, expires, signed)?;
    let signature = from_base64(field("signature")?).ok_or_else(|| invalid("it is not base64"))?;
    let named = |jwk: &&Jwk| matches!(jwk, Jwk::Okp { .. }) && Some(jwk.id().as_str()) == key;
    if signer.keys.iter().filter(named).any(|jwk| jwk.verifies(base.as_bytes(), &signature)) {
        return Ok(());
    }
    Err(invalid("the named key of the sender does not verify it; sign with a registered key"))
}

fn check_times(created: &str, expires: &str, now: UnixMillis) -> Result<(), Refusal> {
    let seconds = |text: &str| text.parse().ok().map(UnixMillis::from_seconds);
    let (created, expires) = seconds(created)
        .zip(seconds(expires))
        .ok_or_else(|| invalid("created and expires are seconds since 1970"))?;
    let lives = expires > created && expires.since(created) <= SIGNATURE_LIFETIME;
    if !lives || created > now.plus(SKEW) || expires.plus(SKEW) < now {
        return Err(invalid("its time is over or too long; sign anew, for at most 300 s"));
    }
    Ok(())
}

/// The bytes that a header-like signature signs.
fn base(created: &str, expires: &str, signed: &Json) -> Result<String, Refusal> {
    let canonical = serde_json_canonicalizer::to_vec(signed)
        .map_err(|_| invalid("the message has no canonical form; send I-JSON numbers"))?;
    let digest = base64(Sha256::of(&canonical).as_bytes());
    Ok(format!("(created): {created}\n(expires): {expires}\ndigest: {digest}"))
}

/// `name="value"` separated by commas; values hold no quotation marks.
fn fields(text: &str) -> Option<BTreeMap<&str, &str>> {
    let mut fields = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if fields.insert(name.trim(), value).is_some() {
            return None;
        }
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(fields)
}

fn invalid(reason: &str) -> Refusal {
    Refusal::new(ErrorCode::SignatureInvalid, format!("sender: the signature is refused: {reason}"))
}

/// Signs `{header,message}` in a form; `None` when the key cannot sign.
#[must_use]
pub fn sign(
    form: Form,
    key: &SigningKey,
    sender: &str,
    signed: &Json,
    now: UnixMillis,
) -> Option<String> {
    match form {
        Form::Jws => jws::sign(key, &serde_json_canonicalizer::to_vec(signed).ok()?),
        Form::HeaderLike => {
            let id = Jwk::ed25519(key.public_key().raw()).id();
            let created = now.seconds().to_string();
            let expires = now.plus(SIGNATURE_LIFETIME).seconds().to_string();
            let base = base(&created, &expires, signed).ok()?;
            let signature = base64(&key.sign(base.as_bytes()).ok()?);
            Some(format!(
                "Signature: namespace=\"spdci\", kidId=\"{sender}|{id}|ed25519\", \
                 algorithm=\"ed25519\", created=\"{created}\", expires=\"{expires}\", \
                 headers=\"(created) (expires) digest\", signature=\"{signature}\""
            ))
        }
    }
}

/// What is signed: header and message as one object.
#[must_use]
pub fn signed(header: &Json, message: &Json) -> Json {
    json!({"header": header, "message": message})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_780_272_000_000);

    fn key() -> SigningKey {
        SigningKey::ephemeral(pki::trust::Algorithm::Ed25519).unwrap()
    }

    #[test]
    fn both_forms_hold_for_their_message_sender_and_key_only() {
        let (own, other) = (key(), key());
        let message = signed(&json!({"message_id": "1"}), &json!({"ўзбек": [1, 2.5, null]}));
        let keys = [Jwk::ed25519(own.public_key().raw())];
        let theirs = [Jwk::ed25519(other.public_key().raw())];
        let sender = Signer { id: "partner", keys: &keys };
        for form in [Form::HeaderLike, Form::Jws] {
            let text = sign(form, &own, "partner", &message, NOW).unwrap();
            assert_eq!(verify(&text, &message, sender, NOW), Ok(()), "{form:?}");
            let refused = |changed: &Json, by: Signer<'_>| {
                verify(&text, changed, by, NOW).unwrap_err().code == ErrorCode::SignatureInvalid
            };
            let changed = signed(&json!({"message_id": "2"}), &json!({"ўзбек": [1, 2.5, null]}));
            assert!(refused(&changed, sender), "{form:?}");
            assert!(refused(&message, Signer { keys: &theirs, ..sender }), "{form:?}");
        }
        let text = sign(Form::HeaderLike, &own, "partner", &message, NOW).unwrap();
        assert!(verify(&text, &message, Signer { id: "else", ..sender }, NOW).is_err());
    }

    #[test]
    fn header_like_signatures_end_and_cannot_be_stretched() {
        let own = key();
        let keys = [Jwk::ed25519(own.public_key().raw())];
        let sender = Signer { id: "p", keys: &keys };
        let message = signed(&json!({}), &json!({}));
        let text = sign(Form::HeaderLike, &own, "p", &message, NOW).unwrap();
        let at = |seconds: u64| {
            verify(&text, &message, sender, NOW.plus(Duration::from_secs(seconds))).is_ok()
        };
        assert_eq!([0, 300, 360, 361].map(at), [true, true, true, false]);
        let earlier = NOW.minus(Duration::from_secs(61));
        assert!(verify(&text, &message, sender, earlier).is_err(), "from the future");
        let expires = NOW.plus(SIGNATURE_LIFETIME).seconds().to_string();
        let later = text.replace(&expires, &(NOW.seconds() + 900).to_string());
        assert!(verify(&later, &message, sender, NOW).is_err());
        for broken in ["", "unsigned-stub", "a.b", "kidId=", "kidId=\"p|x|ed25519\""] {
            assert!(verify(broken, &message, sender, NOW).is_err(), "{broken}");
        }
    }
}
