//! Access tokens: issued for a client secret (RFC 6749 §4.4), signed, short-lived, without memory.
//!
//! A token is a JWS under the registry's key with issuer, partner and end; it is refused when it is
//! another registry's, over, or of a partner that is no longer listed.

use pki::signer::SigningKey;
use schemas::clock::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::codes::{ErrorCode, Refusal};
use crate::jws::{self, Jwk};
use crate::limits::TOKEN_LIFETIME;
use crate::partner::Partner;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: u64,
}

/// What signs and checks tokens.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// The registry's key.
    pub key: &'a SigningKey,
    /// The registry's id.
    pub registry: &'a str,
}

impl Tokens<'_> {
    /// A token for a partner; `None` when the key cannot sign.
    #[must_use]
    pub fn issue(&self, partner: &Partner, now: UnixMillis) -> Option<String> {
        let claims = Claims {
            iss: self.registry.to_owned(),
            aud: format!("{}/registry", self.registry),
            sub: partner.id.clone(),
            exp: now.plus(TOKEN_LIFETIME).seconds(),
        };
        jws::sign(self.key, &serde_json::to_vec(&claims).ok()?)
    }

    /// The partner whose token stands in an `Authorization` header.
    ///
    /// # Errors
    /// [`Refusal`] with `err.request.unauthorized`; it does not say which check failed.
    pub fn partner<'p>(
        &self,
        authorization: Option<&str>,
        partners: &'p [Partner],
        now: UnixMillis,
    ) -> Result<&'p Partner, Refusal> {
        let refused = || {
            let text = "sender: no valid access token; ask /oauth2/client/token for one and send \
                        it as `Authorization: Bearer …`";
            Refusal::new(ErrorCode::Unauthorized, text)
        };
        let (scheme, token) =
            authorization.and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
        let keys = [Jwk::ed25519(self.key.public_key().raw())];
        let payload = jws::verified(token.trim(), &keys).ok_or_else(refused)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| refused())?;
        let own =
            claims.iss == self.registry && claims.aud == format!("{}/registry", self.registry);
        if !scheme.eq_ignore_ascii_case("bearer") || !own || claims.exp <= now.seconds() {
            return Err(refused());
        }
        partners.iter().find(|partner| partner.id == claims.sub).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner::tests::partner;

    #[test]
    fn tokens_are_taken_from_listed_partners_until_they_end() {
        let now = UnixMillis(1_780_272_000_000);
        let key = || SigningKey::ephemeral(pki::trust::Algorithm::Ed25519).unwrap();
        let (own, other) = (key(), key());
        let tokens = Tokens { key: &own, registry: "sr" };
        let partners = [partner("a", "s"), partner("b", "s")];
        let bearer = format!("Bearer {}", tokens.issue(&partners[1], now).unwrap());
        let taken =
            |text: Option<&str>, at| tokens.partner(text, &partners, at).map(|p| p.id.as_str());
        assert_eq!(taken(Some(&bearer), now), Ok("b"));
        assert!(taken(Some(&bearer), now.plus(TOKEN_LIFETIME)).is_err(), "over");
        let strange = Tokens { key: &other, registry: "sr" }.issue(&partners[0], now).unwrap();
        let elsewhere = Tokens { key: &own, registry: "crvs" }.issue(&partners[0], now).unwrap();
        let unknown = tokens.issue(&partner("c", "s"), now).unwrap();
        for bad in [
            None,
            Some(""),
            Some("Bearer "),
            Some("Bearer a.b.c"),
            Some(bearer.trim_start_matches("Bearer ")),
            Some(&format!("Basic {}", &bearer[7..])),
            Some(&format!("Bearer {strange}")),
            Some(&format!("Bearer {elsewhere}")),
            Some(&format!("Bearer {unknown}")),
        ] {
            assert_eq!(taken(bad, now).unwrap_err().code, ErrorCode::Unauthorized, "{bad:?}");
        }
    }
}
