//! Configuration of the register: one TOML file, unknown keys refused.

mod check;
mod source;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use register::access::{Officer, Officers};
use register::life_event::EventKind;
use register::source::SourceName;
use register_store::StoreConfig;
use schemas::identifier::ClientId;
use serde::Deserialize;
use spdci::SpdciConfig;

use crate::pages::Site;
use crate::payments::PaymentsConfig;
use crate::watch::BreakerLimits;

pub(crate) use self::source::Filling;
pub use self::source::{Method, SourceConfig, Wave};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("register: cannot read the configuration {path}; check the path and its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The text is not a configuration.
    #[error("register: the configuration is not valid TOML of a register: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A value is not allowed.
    #[error("register: the configuration key `{key}` is refused: {repair}")]
    Value {
        /// The key.
        key: String,
        /// What to do.
        repair: &'static str,
    },
}

/// Files for https to the hub, all PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Authorities that the hub's certificate is checked against.
    pub authorities_file: PathBuf,
    /// The register's client certificate, with its chain.
    pub certificate_file: PathBuf,
    /// The key of the client certificate.
    pub key_file: PathBuf,
}

/// The caseworker's pages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesConfig {
    /// Where browsers find the register, such as `https://register.example`, when something that
    /// lets officers in stands in front of it; it passes `Host` on as it is. The register's own
    /// address when left out.
    pub origin: Option<String>,
}

impl PagesConfig {
    /// The site that `origin` names.
    pub(crate) fn site(&self) -> Option<Site> {
        self.origin.as_deref().and_then(Site::parse)
    }
}

/// Configuration of a register.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterConfig {
    /// Address to listen on, loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The register's own hub: `https://host:port`, or `http://` on loopback.
    pub hub_url: String,
    /// Files for https.
    pub tls: Option<TlsFiles>,
    /// The register's own subsystem, as `X-Road-Client`.
    pub client: ClientId,
    /// Code of the purpose of every call.
    pub purpose: String,
    /// Time for a whole profile, in milliseconds.
    #[serde(default = "default_deadline_ms")]
    pub deadline_ms: u64,
    /// Calls under way at once for one profile.
    #[serde(default = "default_calls")]
    pub concurrent_calls_count: usize,
    /// Profiles under way at once; further callers are told to come again.
    #[serde(default = "default_profiles")]
    pub concurrent_profiles_count: usize,
    /// Payments; left out when this register makes none.
    pub payments: Option<PaymentsConfig>,
    /// The caseworker's pages; none when left out.
    pub pages: Option<PagesConfig>,
    /// Families rated at once by monthly monitoring.
    #[serde(default = "default_monitored")]
    pub concurrent_monitored_count: usize,
    /// Where applications, cases, cards and life events are kept; without it the register gives
    /// profiles only.
    pub store: Option<StoreConfig>,
    /// Questions in a row that a source leaves unanswered before it is left alone.
    #[serde(default = "default_breaker_failures")]
    pub breaker_failures_count: u32,
    /// How long a source is left alone, in milliseconds.
    #[serde(default = "default_breaker_rest_ms")]
    pub breaker_rest_ms: u64,
    /// The sources.
    pub sources: Vec<SourceConfig>,
    /// The register's SPDCI interface; it keeps what it remembers in the register's store.
    pub spdci: Option<SpdciConfig>,
    /// The officers and what they may do; nobody else may anything.
    #[serde(default)]
    officers: Vec<Officer>,
    /// The signing of answers about Social Cards; without it none are given.
    pub card: Option<CardConfig>,
    /// Who may tell life events; nobody else may.
    #[serde(default)]
    pub event_sources: Vec<EventSource>,
}

/// The signing of answers about Social Cards.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardConfig {
    /// An Ed25519 key, PKCS#8 PEM, mode 0600.
    pub key_file: PathBuf,
}

/// A system that tells life events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSource {
    /// The subsystem, as its exchanges name it in `X-Road-Client`.
    pub client: ClientId,
    /// The register's name for it.
    pub name: SourceName,
    /// The kinds of events that it may tell.
    pub kinds: Vec<EventKind>,
}

/// Two families of five: fewer, and one unlucky profile would silence a source for all.
fn default_breaker_failures() -> u32 {
    10
}

fn default_breaker_rest_ms() -> u64 {
    5_000
}

fn default_deadline_ms() -> u64 {
    2_000
}

fn default_calls() -> usize {
    64
}

fn default_profiles() -> usize {
    32
}

fn default_monitored() -> usize {
    4
}

impl RegisterConfig {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] says which key to change and how.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause| ConfigError::Unreadable { path: path.to_owned(), cause };
        Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// As [`RegisterConfig::load`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// The table of officers.
    pub(crate) fn officers(&self) -> Result<Officers, ConfigError> {
        let refused = |repair| ConfigError::Value { key: "officers".to_owned(), repair };
        Officers::new(self.officers.clone()).map_err(refused)
    }

    /// Where the hub is; `None` when `hub_url` is not allowed.
    pub(crate) fn hub(&self) -> Option<HubAddress> {
        let uri: Uri = self.hub_url.parse().ok()?;
        let encrypted = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let bare = uri.path() == "/" && uri.query().is_none();
        let port = uri.port_u16()?;
        let authority = uri.authority()?.to_string();
        let allowed = bare && (encrypted || loopback) && !authority.contains('@');
        allowed.then_some(HubAddress { encrypted, host, port, authority })
    }

    /// When a source is left alone, and for how long.
    pub(crate) fn breaker(&self) -> BreakerLimits {
        let rest = Duration::from_millis(self.breaker_rest_ms);
        BreakerLimits { failures_count: self.breaker_failures_count, rest }
    }

    /// Time for a whole profile.
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}

/// Where the hub is.
#[derive(Clone, Debug)]
pub(crate) struct HubAddress {
    pub(crate) encrypted: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: String,
}

#[cfg(test)]
mod tests;
