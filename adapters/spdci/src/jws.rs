//! Compact JWS (RFC 7515) with RS256 (RFC 7518 §3.3) and EdDSA (RFC 8037), and the keys they need as
//! JWK (RFC 7517).
//!
//! The algorithm is the key's: a token cannot choose another (RFC 8725 §3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::signer::SigningKey;
use ring::signature::{
    ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use schemas::digest::Sha256;
use serde::{Deserialize, Serialize};

/// A partner's public key as JWK: Ed25519 or RSA of 2048 to 8192 bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum Jwk {
    /// Ed25519 (RFC 8037 §2).
    #[serde(rename = "OKP")]
    Okp {
        /// `Ed25519`.
        crv: String,
        /// The 32 bytes, base64url.
        x: String,
        /// Its name; its thumbprint when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kid: Option<String>,
    },
    /// RSA (RFC 7518 §6.3).
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus, base64url.
        n: String,
        /// The exponent, base64url.
        e: String,
        /// Its name; its thumbprint when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kid: Option<String>,
    },
}

impl Jwk {
    /// The JWK of an Ed25519 key.
    #[must_use]
    pub fn ed25519(raw: &[u8]) -> Self {
        Self::Okp { crv: "Ed25519".to_owned(), x: encode(raw), kid: None }
    }

    /// The thumbprint, RFC 7638: SHA-256 over the required members in their order, base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let text = match self {
            Self::Okp { crv, x, .. } => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
            Self::Rsa { n, e, .. } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        encode(Sha256::of(text.as_bytes()).as_bytes())
    }

    /// Its name: `kid`, else the thumbprint.
    #[must_use]
    pub fn id(&self) -> String {
        let (Self::Okp { kid, .. } | Self::Rsa { kid, .. }) = self;
        kid.clone().unwrap_or_else(|| self.thumbprint())
    }

    /// Whether the key can be used at all.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match self {
            Self::Okp { crv, x, .. } => {
                crv == "Ed25519" && decode(x).is_some_and(|raw| raw.len() == 32)
            }
            Self::Rsa { n, e, .. } => {
                decode(n).is_some_and(|n| n.len() >= 256) && decode(e).is_some()
            }
        }
    }

    /// Whether this key made a signature; by Ed25519, or RSA PKCS#1 v1.5 with SHA-256.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let held = match self {
            Self::Okp { x, .. } => decode(x)
                .map(|raw| UnparsedPublicKey::new(&ED25519, raw).verify(message, signature)),
            Self::Rsa { n, e, .. } => decode(n).zip(decode(e)).map(|(n, e)| {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }),
        };
        matches!(held, Some(Ok(())))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Okp { .. } => "EdDSA",
            Self::Rsa { .. } => "RS256",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

/// Signs a payload with EdDSA; `None` when the key cannot sign.
#[must_use]
pub fn sign(key: &SigningKey, payload: &[u8]) -> Option<String> {
    let kid = Some(Jwk::ed25519(key.public_key().raw()).id());
    let header = serde_json::to_vec(&Header { alg: "EdDSA".to_owned(), kid, crit: None }).ok()?;
    let input = format!("{}.{}", encode(&header), encode(payload));
    let signature = key.sign(input.as_bytes()).ok()?;
    Some(format!("{input}.{}", encode(&signature)))
}

/// The payload of a token that one of the keys has signed; `None` for everything else. The key is
/// chosen by `kid`; without `kid` each is tried.
#[must_use]
pub fn verified(token: &str, keys: &[Jwk]) -> Option<Vec<u8>> {
    let (input, signature) = token.rsplit_once('.')?;
    let (header, payload) = input.split_once('.')?;
    let head: Header = serde_json::from_slice(&decode(header)?).ok()?;
    let signature = decode(signature)?;
    // RFC 7515 §4.1.11: what must be understood and is not refuses the token.
    if head.crit.is_some() {
        return None;
    }
    let named = |key: &&Jwk| head.kid.as_ref().is_none_or(|kid| *kid == key.id());
    let signs =
        |key: &Jwk| head.alg == key.algorithm() && key.verifies(input.as_bytes(), &signature);
    keys.iter().filter(named).any(signs).then(|| decode(payload)).flatten()
}

/// base64url without padding (RFC 7515 §2).
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_of_rfc_8037_verifies_and_one_changed_letter_does_not() {
        // RFC 8037 appendix A.4 and A.5; its thumbprint is A.3.
        let key = Jwk::Okp {
            crv: "Ed25519".to_owned(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
            kid: None,
        };
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
            hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let keys = [key];
        assert_eq!(verified(token, &keys).unwrap(), b"Example of Ed25519 signing");
        assert_eq!(verified(&token.replace("RXhh", "RXhi"), &keys), None);
        assert_eq!(verified(token, &[]), None);
        let none = format!("{}.RXhhbXBsZQ.", encode(br#"{"alg":"none"}"#));
        assert_eq!(verified(&none, &keys), None);
    }

    #[test]
    fn example_of_rfc_7515_with_rs256_verifies_and_no_other_algorithm_is_taken_for_the_key() {
        // RFC 7515 appendix A.2.
        let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
        let key = Jwk::Rsa { n: n.to_owned(), e: "AQAB".to_owned(), kid: None };
        assert!(key.is_usable());
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let keys = [key];
        assert!(verified(token, &keys).unwrap().starts_with(br#"{"iss":"joe""#));
        let (_, rest) = token.split_once('.').unwrap();
        let other = format!("{}.{rest}", encode(br#"{"alg":"HS256"}"#));
        assert_eq!(verified(&other, &keys), None);
    }

    #[test]
    fn own_tokens_verify_under_the_own_key_only() {
        let key = || SigningKey::ephemeral(pki::trust::Algorithm::Ed25519).unwrap();
        let (own, other) = (key(), key());
        let token = sign(&own, b"{}").unwrap();
        let of = |key: &SigningKey| [Jwk::ed25519(key.public_key().raw())];
        assert_eq!(verified(&token, &of(&own)).unwrap(), b"{}");
        assert_eq!(verified(&token, &of(&other)), None);
    }
}
