//! What a source said about a person, or why it said nothing (promise P8).
//!
//! `value`, `no record`, `unavailable` and `forbidden` are four outcomes that are never confused: a
//! person without record has no income there, a person whose source is down may have any.

mod answer;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemas::clock::UnixMillis;
use schemas::identifier::ServiceId;
use serde::{Deserialize, Deserializer, Serialize, de};

pub use answer::{Answer, AnsweredTwice, Answers};

/// Characters in a source's name; names stand in decisions and on screens.
const NAME_MAX_CHARS: usize = 40;

/// The register's own name of a source, such as `tax` or `bank-agro`: lower-case letters, digits
/// and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SourceName(String);

/// The text is not the name of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a source is 1 to 40 lower-case letters, digits and hyphens")]
pub struct NotASourceName;

impl FromStr for SourceName {
    type Err = NotASourceName;

    fn from_str(text: &str) -> Result<Self, NotASourceName> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = (1..=NAME_MAX_CHARS).contains(&text.len()) && text.chars().all(allowed);
        if good { Ok(Self(text.to_owned())) } else { Err(NotASourceName) }
    }
}

impl<'de> Deserialize<'de> for SourceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a source knows, which is the contract that its answers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Births, deaths, marriages, parents, children.
    CivilRegistry,
    /// Identity, address, whereabouts.
    Population,
    /// Income by month.
    Tax,
    /// Pensions.
    Pensions,
    /// A bank's deposit test.
    Accounts,
    /// Properties.
    Cadastre,
    /// Vehicles.
    Vehicles,
    /// Contracts and ability to work.
    Employment,
    /// Enrolment.
    Education,
    /// Disability and benefits.
    SocialAgency,
}

impl SourceKind {
    /// The name that stands for a source of this kind when none is configured.
    #[must_use]
    pub fn default_name(self) -> SourceName {
        let name = match self {
            Self::CivilRegistry => "civil-registry",
            Self::Population => "population",
            Self::Tax => "tax",
            Self::Pensions => "pensions",
            Self::Accounts => "bank",
            Self::Cadastre => "cadastre",
            Self::Vehicles => "vehicles",
            Self::Employment => "employment",
            Self::Education => "education",
            Self::SocialAgency => "social-agency",
        };
        SourceName(name.to_owned())
    }
}

/// Where an exchange stands in a hub's message log; the text form is that of `Koprik-Receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Name of the log.
    pub log: String,
    /// Index of the record in the log.
    pub index: u64,
    /// Identifier of the exchange.
    pub exchange: String,
}

/// The text is not a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt: expected log=\"…\"; index=…; exchange=\"…\"")]
pub struct NotAReceipt;

impl FromStr for Receipt {
    type Err = NotAReceipt;

    fn from_str(text: &str) -> Result<Self, NotAReceipt> {
        let mut parts = BTreeMap::new();
        for part in text.split(';') {
            let (name, value) = part.trim().split_once('=').ok_or(NotAReceipt)?;
            if parts.insert(name, value).is_some() {
                return Err(NotAReceipt);
            }
        }
        let quoted = |name: &str| {
            let value = parts.get(name).ok_or(NotAReceipt)?;
            let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            inner.filter(|inner| !inner.is_empty()).map(str::to_owned).ok_or(NotAReceipt)
        };
        let index = parts.get("index").ok_or(NotAReceipt)?.parse().map_err(|_| NotAReceipt)?;
        Ok(Self { log: quoted("log")?, index, exchange: quoted("exchange")? })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, index, exchange } = self;
        write!(f, "log=\"{log}\"; index={index}; exchange=\"{exchange}\"")
    }
}

/// Where an answer comes from, and how to find its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The source.
    pub source: SourceName,
    /// The service that answered.
    pub service: ServiceId,
    /// When the answer came, milliseconds since the Unix epoch.
    pub fetched_at: UnixMillis,
    /// The moment whose state the answer shows: before [`Provenance::fetched_at`] where the source
    /// answers from a copy and says how old it is.
    pub as_of: UnixMillis,
    /// The record of the exchange in the register's own hub; absent behind a hub that gives none.
    pub receipt: Option<Receipt>,
    /// The exchange's `x-road-request-id`.
    pub exchange: String,
    /// The other request of a question that was asked twice because the first was slow or failed:
    /// its exchange where it came to an answer, else its `X-Road-Id`. It may be on record too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_request: Option<String>,
}

/// What kept a source's answer away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsenceCause {
    /// The source was never asked.
    NotAsked,
    /// The source failed again and again and is left alone for a while.
    Resting,
    /// The source took longer than its own time.
    TimedOut,
    /// The profile's deadline came before the answer.
    DeadlineReached,
    /// The register's hub could not be reached.
    HubUnreachable,
    /// A hub reported a problem, named in the detail.
    HubProblem,
    /// The source answered with an error.
    SourceProblem,
    /// The answer does not follow the service's contract.
    NotAccordingToContract,
    /// The answer is about another person.
    AnotherPerson,
    /// The answer is older than the register decides on.
    Stale,
    /// The provider's grants do not permit the question.
    AccessDenied,
}

impl AbsenceCause {
    fn text(self) -> &'static str {
        match self {
            Self::NotAsked => "not asked",
            Self::Resting => "left alone for a while after repeated failures",
            Self::TimedOut => "no answer within the source's time",
            Self::DeadlineReached => "no answer before the profile's deadline",
            Self::HubUnreachable => "the register's hub cannot be reached",
            Self::HubProblem => "the hub reported a problem",
            Self::SourceProblem => "the source answered with an error",
            Self::NotAccordingToContract => "answer is not according to contract",
            Self::AnotherPerson => "answer is about another person",
            Self::Stale => "the answer is too old to decide on",
            Self::AccessDenied => "no grant permits the question",
        }
    }
}

/// Why an answer is absent, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// The cause.
    pub cause: AbsenceCause,
    /// The hub's problem type or the HTTP status; never personal data.
    pub detail: Option<String>,
}

impl Absence {
    /// An absence without detail.
    #[must_use]
    pub fn of(cause: AbsenceCause) -> Self {
        Self { cause, detail: None }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.text())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

/// What one source said about one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sourced<T> {
    /// The source answered.
    Value {
        /// The answer.
        value: T,
        /// Where it comes from.
        provenance: Provenance,
    },
    /// The source does not know the person.
    NoRecord {
        /// Where that comes from.
        provenance: Provenance,
    },
    /// No answer; the source may know anything.
    Unavailable {
        /// Why.
        reason: Absence,
    },
    /// The question was refused; the source may know anything.
    Forbidden {
        /// Why.
        reason: Absence,
    },
}

impl<T> Sourced<T> {
    /// The answer, when there is one.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        if let Self::Value { value, .. } = self { Some(value) } else { None }
    }

    /// Whether the question was refused.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. })
    }

    fn provenance(&self) -> Option<&Provenance> {
        match self {
            Self::Value { provenance, .. } | Self::NoRecord { provenance } => Some(provenance),
            Self::Unavailable { .. } | Self::Forbidden { .. } => None,
        }
    }

    fn absence(&self) -> Option<&Absence> {
        match self {
            Self::Unavailable { reason } | Self::Forbidden { reason } => Some(reason),
            Self::Value { .. } | Self::NoRecord { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipt_text_round_trips_and_other_texts_are_refused() {
        let text = r#"log="koprik.uz/hub/NASP-1"; index=42; exchange="0f5c""#;
        let receipt: Receipt = text.parse().unwrap();
        assert_eq!((receipt.log.as_str(), receipt.index), ("koprik.uz/hub/NASP-1", 42));
        assert_eq!(receipt.to_string(), text);
        for bad in ["", "log=\"a\"; index=1", "log=a; index=1; exchange=\"b\"", "index=x"] {
            assert_eq!(bad.parse::<Receipt>(), Err(NotAReceipt), "{bad}");
        }
    }
}
