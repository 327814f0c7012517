//! A source: how it is asked, in which wave, and how long it may take.

use std::time::Duration;

use http::Uri;
use register::source::{SourceKind, SourceName};
use schemas::identifier::ServiceId;
use serde::Deserialize;

use super::ConfigError;
use super::check::{TIME_MAX_MS, require};

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
    pub(super) fn check(&self, key: &str) -> Result<(), ConfigError> {
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
