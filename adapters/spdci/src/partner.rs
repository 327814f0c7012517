//! The systems that may use the interface, and what is known of each.

use schemas::digest::Sha256;
use serde::Deserialize;

use crate::codes::{ErrorCode, Refusal};
use crate::jws::Jwk;
use crate::limits::NAME_MAX_CHARS;
use crate::signature::Form;

/// A system that may use the interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// `sender_id` of its messages and `client_id` when it asks for a token.
    pub id: String,
    /// SHA-256 of its client secret, hexadecimal. The secret is random and long, so a plain hash
    /// suffices.
    pub secret_sha256: String,
    /// Its public keys as JWK. Without keys it is a test sender: its messages are taken unsigned,
    /// which has to be said with `unsigned`.
    #[serde(default)]
    pub keys: Vec<Jwk>,
    /// Takes unsigned messages; refused in production.
    #[serde(default)]
    pub unsigned: bool,
    /// What its callback addresses begin with, each ending in `/`; callbacks go nowhere else.
    #[serde(default)]
    pub callbacks: Vec<String>,
    /// `X-Road-Client` of callbacks that go through a hub.
    pub callback_client: Option<String>,
    /// The form in which answers to it are signed.
    #[serde(default)]
    pub signature_form: Form,
}

impl Partner {
    /// What is wrong with it, to be repaired in the configuration.
    ///
    /// # Errors
    /// A text that says what to write.
    pub fn check(&self) -> Result<(), &'static str> {
        let named = (1..=NAME_MAX_CHARS).contains(&self.id.len())
            && self.id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'|');
        let rules = [
            (named, "write an id of printable characters without blank and |"),
            (self.secret_sha256.parse::<Sha256>().is_ok(), "write secret_sha256 as 64 hex digits"),
            (self.keys.iter().all(Jwk::is_usable), "give Ed25519 or RSA keys as JWK"),
            (!self.keys.is_empty() || self.unsigned, "give keys, or say `unsigned = true`"),
            (
                self.callbacks.iter().all(|prefix| is_prefix(prefix)),
                "write callbacks as https:// (http:// on loopback) addresses that end in /",
            ),
        ];
        rules.into_iter().try_for_each(|(holds, repair)| if holds { Ok(()) } else { Err(repair) })
    }

    /// Whether this is the partner's secret. Hashes are compared, so the time that it takes says
    /// nothing about the secret.
    #[must_use]
    pub fn knows(&self, secret: &str) -> bool {
        self.secret_sha256.parse() == Ok(Sha256::of(secret.as_bytes()))
    }

    /// The address when the partner may be called back there.
    ///
    /// # Errors
    /// [`Refusal`] with `err.sender_uri.invalid`: so nobody can make the registry call others.
    pub fn callback(&self, uri: Option<&str>) -> Result<String, Refusal> {
        let refused = || {
            let text = "sender: sender_uri is missing or not an address agreed for callbacks; \
                        have it registered with the registry";
            Refusal::new(ErrorCode::SenderUri, text)
        };
        let uri = uri.ok_or_else(refused)?;
        let parsed: http::Uri = uri.parse().map_err(|_| refused())?;
        let odd = uri.contains(['\\', '#', '@']) || uri.contains("..") || uri.contains("%2");
        let odd = odd || parsed.query().is_some();
        let agreed = self.callbacks.iter().any(|prefix| uri.starts_with(prefix.as_str()));
        if agreed && !odd { Ok(uri.to_owned()) } else { Err(refused()) }
    }
}

/// https, or http on loopback, with a path that ends in `/`, so that no host or path can be made
/// longer behind it.
fn is_prefix(prefix: &str) -> bool {
    let Ok(uri) = prefix.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let scheme =
        uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && loopback);
    scheme && !host.is_empty() && prefix.ends_with('/') && !prefix.contains('@')
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn partner(id: &str, secret: &str) -> Partner {
        Partner {
            id: id.to_owned(),
            secret_sha256: Sha256::of(secret.as_bytes()).to_string(),
            keys: Vec::new(),
            unsigned: true,
            callbacks: vec!["https://partner.example/spdci/".to_owned()],
            callback_client: None,
            signature_form: Form::default(),
        }
    }

    #[test]
    fn callbacks_go_to_agreed_addresses_only() {
        let partner = partner("p", "s");
        assert_eq!(partner.check(), Ok(()));
        let good = "https://partner.example/spdci/registry/on-search";
        assert_eq!(partner.callback(Some(good)).unwrap(), good);
        for bad in [
            None,
            Some("https://other.example/spdci/on-search"),
            Some("http://partner.example/spdci/on-search"),
            Some("https://partner.example/spdci/../admin"),
            Some("https://partner.example/spdci/%2e%2e/admin"),
            Some("https://partner.example.evil/spdci/"),
            Some("https://user@partner.example/spdci/x"),
            Some("not a uri"),
        ] {
            let refused = partner.callback(bad).unwrap_err();
            assert_eq!(refused.code, ErrorCode::SenderUri, "{bad:?}");
        }
    }

    #[test]
    fn faulty_partners_are_refused_with_their_repair() {
        let good = partner("p", "s");
        let with = |change: &dyn Fn(&mut Partner)| {
            let mut partner = good.clone();
            change(&mut partner);
            partner.check().unwrap_err()
        };
        assert!(with(&|p| p.unsigned = false).contains("keys"));
        assert!(with(&|p| p.id = "a|b".to_owned()).contains("id"));
        assert!(with(&|p| p.secret_sha256 = "s".to_owned()).contains("secret_sha256"));
        for bad in ["https://partner.example", "http://partner.example/", "ftp://a/"] {
            assert!(with(&|p| p.callbacks = vec![bad.to_owned()]).contains("callbacks"), "{bad}");
        }
        assert!(good.knows("s") && !good.knows("t"));
    }
}
