//! Configuration of the register: one TOML file, unknown keys refused.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use register::access::{Officer, Officers};
use register::life_event::EventKind;
use register::source::{SourceKind, SourceName};
use register_store::StoreConfig;
use schemas::identifier::{ClientId, ServiceId};
use schemas::limits::CODE_MAX_BYTES;
use serde::Deserialize;
use spdci::SpdciConfig;

use crate::pages::Site;
use crate::payments::PaymentsConfig;
use crate::watch::BreakerLimits;

/// Sources that a register asks; Türkiye's comparable system asks 22.
const SOURCES_MAX_COUNT: usize = 64;
/// Families that monitoring rates at once; each makes dozens of calls.
const MONITORED_MAX_COUNT: usize = 64;
/// The longest time that a deadline or a source may be given: a caller waits for it.
const TIME_MAX_MS: u64 = 60_000;

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

/// The wave in which a source is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub enum Wave {
    /// The civil registry, which says who the family is.
    Composition,
    /// Every member's other sources.
    Members,
}

impl TryFrom<u8> for Wave {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::Composition),
            2 => Ok(Self::Members),
            _ => Err("a wave is 1 (civil registry) or 2 (every other source)"),
        }
    }
}

/// The method of a source's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Without body.
    Get,
    /// With the body template.
    Post,
}

/// A source and how to ask it. Templates know `{pinfl}`, `{from}` and `{to}` (first and last month
/// of the income window, `YYYY-MM`) and `{threshold_soum}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The register's name for it, which decisions and profiles show.
    pub name: SourceName,
    /// The service, `INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE`.
    pub service: ServiceId,
    /// The contract that its answers follow.
    pub kind: SourceKind,
    /// The wave in which it is asked.
    pub wave: Wave,
    /// Method; GET when left out.
    #[serde(default = "get")]
    pub method: Method,
    /// Template of path and query.
    pub path: String,
    /// Template of the JSON body of a POST.
    pub body: Option<String>,
    /// Time for one answer, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Time after which a question is asked a second time, in milliseconds, until enough answers
    /// were observed to take their 85th percentile; 0 means never.
    #[serde(default = "default_second_request_ms")]
    pub second_request_ms: u64,
    /// Age at which an answer is too old to decide on, in seconds (its `Age` header, RFC 9111).
    #[serde(default = "default_max_age_s")]
    pub max_age_s: u64,
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
    /// The register's SPDCI interface; families are registered for it when their profile is assembled.
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

fn get() -> Method {
    Method::Get
}

fn default_timeout_ms() -> u64 {
    1_500
}

fn default_second_request_ms() -> u64 {
    500
}

fn default_max_age_s() -> u64 {
    24 * 3_600
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

    /// Checks the values, as [`RegisterConfig::parse`] does.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first key with a value that is not allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        let loopback = self.listen.ip().is_loopback();
        require(loopback, "listen", "use a loopback address: callers are not authenticated")?;
        self.check_hub()?;
        let origin = self.pages.as_ref().is_none_or(|p| p.origin.is_none() || p.site().is_some());
        require(origin, "pages.origin", "write https://host or http://host:port and nothing more")?;
        let purpose = (1..=CODE_MAX_BYTES).contains(&self.purpose.len())
            && self.purpose.bytes().all(|byte| byte.is_ascii_graphic());
        require(purpose, "purpose", "write a code of the purpose catalogue")?;
        let in_time = |ms: u64| (1..=TIME_MAX_MS).contains(&ms);
        require(in_time(self.deadline_ms), "deadline_ms", "choose 1 to 60000")?;
        let counts = self.concurrent_calls_count > 0 && self.concurrent_profiles_count > 0;
        require(counts, "concurrent_calls_count, concurrent_profiles_count", "choose at least 1")?;
        let monitored = (1..=MONITORED_MAX_COUNT).contains(&self.concurrent_monitored_count);
        require(monitored, "concurrent_monitored_count", "choose 1 to 64")?;
        if let Some(store) = &self.store {
            let repair = "give one of directory and postgres, and a key_file with postgres";
            require(store.check().is_ok(), "store", repair)?;
        }
        let rests = self.breaker_failures_count > 0 && in_time(self.breaker_rest_ms);
        let repair = "choose at least 1 failure and a rest of 1 to 60000 ms";
        require(rests, "breaker_failures_count, breaker_rest_ms", repair)?;
        let few = self.sources.len() <= SOURCES_MAX_COUNT;
        require(few, "sources", "list at most 64 sources")?;
        for (at, source) in self.sources.iter().enumerate() {
            source.check(&format!("sources[{at}]"))?;
            let earlier = self.sources.iter().take(at).any(|other| other.name == source.name);
            require(!earlier, &format!("sources[{at}].name"), "give every source its own name")?;
        }
        let of_kind = |kind| self.sources.iter().filter(|source| source.kind == kind).count();
        let registries = of_kind(SourceKind::CivilRegistry);
        require(registries == 1, "sources", "list exactly one source of kind civil-registry")?;
        let populations = of_kind(SourceKind::Population);
        require(populations <= 1, "sources", "list at most one source of kind population")?;
        self.check_desk()
    }

    fn check_desk(&self) -> Result<(), ConfigError> {
        let needed = self.card.is_some() || !self.officers.is_empty();
        let kept = self.store.is_some() || (!needed && self.event_sources.is_empty());
        require(kept, "store", "say where to keep cases, cards and life events")?;
        let books = self.payments.is_none() || self.store.is_some();
        require(books, "store", "say where to keep the books of the payments")?;
        if let Some(Err(_)) = self.store.as_ref().map(StoreConfig::check) {
            let repair = "give exactly one of directory and postgres, and a key_file to postgres";
            require(false, "store", repair)?;
        }
        let sources = &self.event_sources;
        let twice = |at: usize, source: &EventSource| {
            let same =
                |other: &EventSource| other.client == source.client || other.name == source.name;
            sources.iter().take(at).any(same)
        };
        let unique = !sources.iter().enumerate().any(|(at, source)| twice(at, source));
        require(unique, "event_sources", "list every client and every name once")?;
        self.officers().map(drop)
    }

    /// The table of officers.
    pub(crate) fn officers(&self) -> Result<Officers, ConfigError> {
        let refused = |repair| ConfigError::Value { key: "officers".to_owned(), repair };
        Officers::new(self.officers.clone()).map_err(refused)
    }

    fn check_hub(&self) -> Result<(), ConfigError> {
        let hub = self.hub();
        require(hub.is_some(), "hub_url", "write https://host:port or http://127.0.0.1:port")?;
        let encrypted = hub.is_some_and(|hub| hub.encrypted);
        let files = encrypted == self.tls.is_some();
        require(files, "tls", "give the files for https, and none for http")
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

/// What fills a source's templates.
pub(crate) struct Filling<'a> {
    pub(crate) pinfl: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) threshold_soum: &'a str,
}

impl Filling<'_> {
    /// The template with its placeholders filled. Values are digits and hyphens, which need no
    /// encoding in a path, a query or a JSON text.
    pub(crate) fn fill(&self, template: &str) -> String {
        template
            .replace("{pinfl}", self.pinfl)
            .replace("{from}", self.from)
            .replace("{to}", self.to)
            .replace("{threshold_soum}", self.threshold_soum)
    }
}

impl SourceConfig {
    fn check(&self, key: &str) -> Result<(), ConfigError> {
        let sample = Filling { pinfl: "1", from: "2", to: "3", threshold_soum: "4" };
        let path = sample.fill(&self.path);
        let is_path = path.starts_with('/') && !path.contains('{') && path.parse::<Uri>().is_ok();
        let repair = "write a path with {pinfl}, {from}, {to}, {threshold_soum} only";
        require(is_path, &format!("{key}.path"), repair)?;
        let body = match (self.method, &self.body) {
            (Method::Get, None) => true,
            (Method::Post, Some(body)) => {
                serde_json::from_str::<serde_json::Value>(&sample.fill(body)).is_ok()
            }
            (Method::Get, Some(_)) | (Method::Post, None) => false,
        };
        require(body, &format!("{key}.body"), "give a JSON template to POST, and none to GET")?;
        let first = self.kind == SourceKind::CivilRegistry;
        let wave = first == (self.wave == Wave::Composition);
        require(wave, &format!("{key}.wave"), "wave 1 is the civil registry and nothing else")?;
        let time = (1..=TIME_MAX_MS).contains(&self.timeout_ms);
        require(time, &format!("{key}.timeout_ms"), "choose 1 to 60000")
    }

    /// Time for one answer.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Time to a second request while few answers were observed; `None` means never.
    pub(crate) fn second_request(&self) -> Option<Duration> {
        (self.second_request_ms > 0).then(|| Duration::from_millis(self.second_request_ms))
    }

    /// Age at which an answer is too old to decide on.
    pub(crate) fn max_age(&self) -> Duration {
        Duration::from_secs(self.max_age_s)
    }
}

fn require(holds: bool, key: &str, repair: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Value { key: key.to_owned(), repair }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
listen = "127.0.0.1:0"
hub_url = "http://127.0.0.1:8080"
client = "UZ/GOV/NASP/register"
purpose = "social-protection"

[pages]

[[sources]]
name = "civil-registry"
kind = "civil-registry"
service = "UZ/GOV/JUSTICE/civil-registry/civil-registry"
path = "/persons/{pinfl}/family"
wave = 1

[[sources]]
name = "bank"
kind = "accounts"
service = "UZ/BANK/AGROBANK/accounts/accounts"
method = "POST"
path = "/deposit-test"
body = '{"pinfl":"{pinfl}","threshold_soum":{threshold_soum}}'
wave = 2
"#;

    #[test]
    fn sample_is_read_with_its_defaults() {
        let config = RegisterConfig::parse(GOOD).unwrap();
        assert_eq!((config.deadline_ms, config.sources.len()), (2_000, 2));
        assert_eq!(config.hub().unwrap().port, 8080);
    }

    #[test]
    fn example_file_is_accepted_and_names_every_source() {
        let config =
            RegisterConfig::parse(include_str!("../../../deploy/config/register.toml")).unwrap();
        assert_eq!(config.sources.len(), 11);
    }

    #[test]
    fn each_wrong_value_is_refused_with_its_key() {
        let cases = [
            ("127.0.0.1:0", "0.0.0.0:0", "listen"),
            ("http://127.0.0.1:8080", "http://hub.example:8080", "hub_url"),
            ("http://127.0.0.1:8080", "https://hub.example:8080", "tls"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/r1", "hub_url"),
            ("wave = 1", "wave = 2", "sources[0].wave"),
            ("{pinfl}/family", "{person}/family", "sources[0].path"),
            ("method = \"POST\"\n", "", "sources[1].body"),
            ("name = \"bank\"", "name = \"civil-registry\"", "sources[1].name"),
            ("purpose = \"social-protection\"", "purpose = \"\"", "purpose"),
            ("[pages]", "[pages]\norigin = \"https://a.example/\"", "pages.origin"),
        ];
        for (good, bad, wanted) in cases {
            match RegisterConfig::parse(&GOOD.replace(good, bad)) {
                Err(ConfigError::Value { key, .. }) => assert_eq!(key, wanted, "{bad}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
        let desk = [
            ("[[officers]]\nid = \"a\"\nrole = \"officer\"", "store"),
            ("[card]\nkey_file = \"k\"", "store"),
            (
                "[payments]\npurpose = \"p\"\ntreasury = \"UZ/GOV/T/t/t\"\nbank = \"UZ/BANK/B/b/b\"",
                "store",
            ),
            ("[store]\nkey_file = \"k\"", "store"),
            (
                "[store]\ndirectory = \"s\"\n[[officers]]\nid = \"a\"\nrole = \"caseworker\"",
                "officers",
            ),
        ];
        for (more, wanted) in desk {
            match RegisterConfig::parse(&format!("{GOOD}\n{more}\n")) {
                Err(ConfigError::Value { key, .. }) => assert_eq!(key, wanted, "{more}"),
                other => panic!("{more}: {other:?}"),
            }
        }
        let unknown = format!("colour = 1\n{GOOD}");
        assert!(matches!(RegisterConfig::parse(&unknown), Err(ConfigError::Syntax(_))));
    }
}
