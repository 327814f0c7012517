//! Configuration of treasury and bank: one TOML file, unknown keys refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use register::payment::message::Role;
use schemas::identifier::{ClientId, ServiceId};
use serde::{Deserialize, Serialize};

use crate::sender::Pauses;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("payments: cannot read the configuration {path}; check the path and its permissions", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The text is not a configuration.
    #[error("payments: the configuration is not valid TOML of a treasury or bank: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A value is not allowed.
    #[error("payments: the configuration key `{key}` is refused: {repair}")]
    Value {
        /// The key.
        key: &'static str,
        /// What to do.
        repair: &'static str,
    },
}

/// Configuration of a treasury or a bank.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentPartyConfig {
    /// Address to listen on for the own hub and the operator, loopback only.
    pub listen: SocketAddr,
    /// The database; a relative path counts from this file.
    pub database: PathBuf,
    /// The own hub's listener without TLS, loopback only.
    pub hub: SocketAddr,
    /// The own subsystem, as `X-Road-Client`.
    pub client: ClientId,
    /// Code of the purpose of every call.
    pub purpose: String,
    /// Milliseconds between two looks of a bank whether lines can be paid.
    #[serde(default = "default_pay_every_ms")]
    pub pay_every_ms: u64,
    /// The services of the other parties: `register`, `treasury`, `bank`.
    pub services: BTreeMap<Role, ServiceId>,
    /// How long to wait before a message is sent again.
    #[serde(default)]
    pub pauses: Pauses,
}

fn default_pay_every_ms() -> u64 {
    60_000
}

impl PaymentPartyConfig {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] says which key to change and how.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause| ConfigError::Unreadable { path: path.to_owned(), cause };
        let mut config = Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?)?;
        config.database = path.parent().unwrap_or(Path::new("")).join(&config.database);
        Ok(config)
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// As [`PaymentPartyConfig::load`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        let require = |holds: bool, key, repair| {
            if holds { Ok(()) } else { Err(ConfigError::Value { key, repair }) }
        };
        require(config.listen.ip().is_loopback(), "listen", "use a loopback address")?;
        require(config.hub.ip().is_loopback(), "hub", "use the hub's listener on loopback")?;
        let pauses = config.pauses.first_ms > 0 && config.pay_every_ms > 0;
        require(pauses, "pauses.first_ms, pay_every_ms", "choose at least 1")?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
listen = "127.0.0.1:0"
database = "bank.db"
hub = "127.0.0.1:8080"
client = "UZ/BANK/AGROBANK/accounts"
purpose = "social-payment"

[services]
register = "UZ/GOV/NASP/register/payments"
treasury = "UZ/GOV/TREASURY/treasury/treasury"
"#;

    #[test]
    fn sample_is_read_and_what_is_wrong_is_named() {
        assert_eq!(PaymentPartyConfig::parse(GOOD).unwrap().services.len(), 2);
        for (good, bad, key) in [
            ("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"", "listen"),
            ("127.0.0.1:8080", "192.0.2.1:8080", "hub"),
            ("purpose", "pay_every_ms = 0\npurpose", "pauses.first_ms, pay_every_ms"),
        ] {
            match PaymentPartyConfig::parse(&GOOD.replace(good, bad)) {
                Err(ConfigError::Value { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{bad}: {other:?}"),
            }
        }
        let unknown = format!("colour = 1\n{GOOD}");
        assert!(matches!(PaymentPartyConfig::parse(&unknown), Err(ConfigError::Syntax(_))));
    }
}
